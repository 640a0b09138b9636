"""`bench inference`: whole recordings, from waveform to coefficients: speed, stages, length, batches.

All that is compared is measured in turns, so that a noisy machine hits it all alike.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from diffusiontalker.benchmarks.results import Group, MachineRates, Row
from diffusiontalker.benchmarks.stages import engine_stages, shared_stages
from diffusiontalker.benchmarks.students import Student, counted_steps
from diffusiontalker.evaluation import Counts, count, count_animation, count_nodes, noise, seconds_in_turns
from diffusiontalker.inference import animate, animate_batch

SECONDS = 10.0
"""Of sound, where nothing else is said."""
BATCH_CLIP_S = 3.0
"""Of every recording of a batch."""
WANTED_RTF: Mapping[tuple[str, int], float] = {
    ("small", 2): 0.006,
    ("small", 1): 0.004,
    ("nano", 2): 0.002,
    ("nano", 1): 0.002,
}
"""(size, steps) -> real-time factor that is wanted on one core of the fast engine."""
_FAST = ("auto", "onnx")
_WANTED_GROWTH = 6.3
"""Times that a minute may cost what ten seconds cost."""


class Floors:
    """The least that students can take: their products, counted, at this machine's best rate on one core.

    Args:
        students: whose products are counted.
        rates: the machine's.
    """

    told = "products counted, at the best rate measured on one core in the engine's arithmetic"

    def __init__(self, students: Sequence[Student], rates: MachineRates) -> None:
        self._rates, self._counts = rates, counted(students)

    def rtf(self, student: Student) -> float | None:
        """Seconds per second of sound; None for an arithmetic whose rate is not measured."""
        return self.seconds(self._counts[student.size, student.steps].operations / SECONDS, student)

    def seconds(self, operations: float, student: Student) -> float | None:
        """That so many operations take on the student's engine."""
        if student.engine == "onnx-int8":
            return None
        is_half = student.engine == "torch-bfloat16"
        return operations / 1e9 / (self._rates.bfloat16_one_core if is_half else self._rates.float32_one_core)


def counted(students: Sequence[Student]) -> dict[tuple[str, int], Counts]:
    """(size, steps) -> what an animation of `SECONDS` asks of a machine, in PyTorch."""
    chosen = {(student.size, student.steps): student.bundle for student in students}
    return {key: count_animation(bundle, seconds=SECONDS) for key, bundle in chosen.items()}


def counts_group(students: Sequence[Student]) -> Group:
    """What was counted, and the nodes of the graphs for ONNX Runtime, as a table."""
    nodes = {(student.size, student.steps): count_nodes(student.bundle) for student in students}
    rows = []
    for (size, steps), found in counted(students).items():
        values = {
            ("products", "operations"): found.operations,
            ("operators", "calls"): found.calls,
            ("tensors made", "allocations"): found.allocations,
            ("bytes of them", "MB"): found.made_bytes / 1e6,
            ("most of them at once", "MB"): found.peak_bytes / 1e6,
            ("in ONNX, a window", "nodes"): nodes[size, steps],
        }
        rows += [
            Row(name=f"{size}, {counted_steps(steps)}: {name}", unit=unit, values=(value,))
            for (name, unit), value in values.items()
            if value is not None
        ]
    about = f"{SECONDS:g} s of sound in PyTorch; the same on every machine, and held by a test."
    return Group(title="Counted", about=about, rows=tuple(rows))


def real_time_group(students: Sequence[Student], floors: Floors, *, repeats: int) -> Group:
    """Real-time factors of all students."""
    sound = noise(SECONDS)
    seconds = seconds_in_turns({one.name: _animating(one, sound) for one in students}, repeats=repeats)
    rows = [
        Row(
            name=one.name,
            unit="RTF",
            values=tuple(taken / SECONDS for taken in seconds[one.name]),
            floor=floors.rtf(one),
            floor_from=floors.told,
            wanted=WANTED_RTF.get((one.size, one.steps)) if one.engine in _FAST else None,
        )
        for one in students
    ]
    about = f"Compute seconds per second of sound, {SECONDS:g} s of sound in one piece, style from the sound."
    return Group(title="Real-time factor", about=about, rows=tuple(rows))


def stages_group(students: Sequence[Student], floors: Floors, *, repeats: int) -> Group:
    """Where the time of one animation goes; students of one network in one number of steps, on several engines."""
    first = students[0]
    reference = engine_stages(dataclasses.replace(first.bundle, engine="torch"), seconds=SECONDS)
    works: dict[str, Callable[[], object]] = {}
    least: dict[str, float | None] = {}
    with torch.inference_mode():
        operations = {name: count(work).operations for name, work in reference.items()}
        for one in students:
            for name, work in engine_stages(one.bundle, seconds=SECONDS).items():
                works[f"{name}, {one.engine}"] = work
                least[f"{name}, {one.engine}"] = floors.seconds(operations[name], one)
        works |= shared_stages(first.bundle, seconds=SECONDS)
        seconds = seconds_in_turns(works, repeats=repeats)
    rows = []
    for name, times in seconds.items():
        floor = least.get(name)
        rows.append(
            Row(
                name=name,
                unit="ms",
                values=tuple(taken / SECONDS * 1e3 for taken in times),
                floor=None if floor is None else floor / SECONDS * 1e3,
                floor_from="" if floor is None else floors.told,
            )
        )
    about = (
        f"Milliseconds per second of sound, each stage alone, in memory: {first.size}, {counted_steps(first.steps)}, "
        f"{SECONDS:g} s of sound."
    )
    return Group(title="Stages", about=about, rows=tuple(rows))


def length_groups(
    students: Sequence[Student], lengths_s: Sequence[float], floors: Floors, *, repeats: int
) -> list[Group]:
    """Cost over the length of a recording: real-time factors, and what the longest costs over the shortest.

    Short ones are animated as often as makes them as long as the longest: noise hits all alike. The limit is for a
    minute over ten seconds.
    """
    often = {length: max(1, round(max(lengths_s) / length)) for length in lengths_s}
    works = {
        f"{one.name}, {length:g} s": _animating(one, noise(length), times=often[length])
        for length in lengths_s
        for one in students
    }
    seconds = seconds_in_turns(works, repeats=repeats)
    wanted = _WANTED_GROWTH if (lengths_s[0], lengths_s[-1]) == (10.0, 60.0) else None
    rows, growth = [], []
    for one in students:
        times = [[taken / often[length] for taken in seconds[f"{one.name}, {length:g} s"]] for length in lengths_s]
        rows += [
            Row(
                name=f"{one.name}, {length:g} s",
                unit="RTF",
                values=tuple(taken / length for taken in found),
                floor=floors.rtf(one),
                floor_from=floors.told,
                series=one.name,
                x=length,
            )
            for length, found in zip(lengths_s, times, strict=True)
        ]
        ratios = tuple(long / short for short, long in zip(times[0], times[-1], strict=True))
        growth.append(Row(name=one.name, unit="times", values=ratios, wanted=wanted))
    return [
        Group(title="Length", rows=tuple(rows), x_label="seconds of sound"),
        Group(title=f"{lengths_s[-1]:g} s over {lengths_s[0]:g} s", rows=tuple(growth)),
    ]


def batch_group(students: Sequence[Student], batches: Sequence[int], floors: Floors, *, repeats: int) -> Group:
    """Throughput over the number of recordings that are animated at once."""
    clip = noise(BATCH_CLIP_S)
    works = {
        f"{one.name}, {number} at once": _animating_many(one, [clip] * number) for number in batches for one in students
    }
    seconds = seconds_in_turns(works, repeats=repeats)
    rows = []
    for one in students:
        rtf = floors.rtf(one)
        rows += [
            Row(
                name=f"{one.name}, {number} at once",
                unit="audio s/s",
                values=tuple(number * BATCH_CLIP_S / taken for taken in seconds[f"{one.name}, {number} at once"]),
                floor=None if rtf is None else 1.0 / rtf,
                floor_from=floors.told,
                series=one.name,
                x=number,
            )
            for number in batches
        ]
    about = f"Seconds of sound animated per second, recordings of {BATCH_CLIP_S:g} s."
    return Group(title="Batches", about=about, rows=tuple(rows), x_label="recordings at once")


def _animating(student: Student, sound: np.ndarray, *, times: int = 1) -> Callable[[], object]:
    return lambda: [animate(student.bundle, sound) for _ in range(times)]


def _animating_many(student: Student, sounds: list[np.ndarray]) -> Callable[[], object]:
    return lambda: animate_batch(student.bundle, sounds, seeds=range(len(sounds)))
