"""`bench inference`: whole recordings, from waveform to coefficients: speed, stages, length, batches.

All that is compared is measured in turns, so that a noisy machine hits it all alike.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from diffusiontalker.audio import timebase
from diffusiontalker.audio.log_mel import log_mel
from diffusiontalker.benchmarks.results import Group, MachineRates, Row
from diffusiontalker.benchmarks.students import Student, counted_steps, some_voice
from diffusiontalker.diffusion import frame_noise
from diffusiontalker.evaluation import Counts, count_animation, count_nodes, noise, seconds_in_turns
from diffusiontalker.face import FORMATS, MotionClip, MotionError
from diffusiontalker.inference import animate, animate_batch
from diffusiontalker.inference.pipeline import finished_frames
from diffusiontalker.models import LogMelEncoder, frame_mask

logger = logging.getLogger(__name__)

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
            ("tensors made", "MB"): found.made_bytes / 1e6,
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


def real_time_group(
    students: Sequence[Student], counts: Mapping[tuple[str, int], Counts], rates: MachineRates, *, repeats: int
) -> Group:
    """Real-time factors of all students, beside what their products take at this machine's best rate."""
    sound = noise(SECONDS)
    seconds = seconds_in_turns({one.name: _animating(one, sound) for one in students}, repeats=repeats)
    rows = []
    for one in students:
        gigaflops = counts[one.size, one.steps].operations / SECONDS / 1e9
        rate = rates.bfloat16_one_core if one.engine == "torch-bfloat16" else rates.float32_one_core
        rows.append(
            Row(
                name=one.name,
                unit="RTF",
                values=tuple(taken / SECONDS for taken in seconds[one.name]),
                floor=None if one.engine == "onnx-int8" else gigaflops / rate,
                floor_from="products counted, at the best rate measured on one core in the engine's arithmetic",
                wanted=WANTED_RTF.get((one.size, one.steps)) if one.engine in _FAST else None,
            )
        )
    about = f"Compute seconds per second of sound, {SECONDS:g} s of sound in one piece, style from the sound."
    return Group(title="Real-time factor", about=about, rows=tuple(rows))


def stages_group(students: Sequence[Student], *, repeats: int) -> Group:
    """Where the time of one animation goes; students of one network in one number of steps, on several engines."""
    works: dict[str, Callable[[], object]] = {}
    for one in students:
        works |= _stages(one, is_first=one is students[0])
    works |= dict(_formats(animate(students[0].bundle, noise(SECONDS))))
    with torch.inference_mode():
        seconds = seconds_in_turns(works, repeats=repeats)
    rows = [
        Row(name=name, unit="ms", values=tuple(taken / SECONDS * 1e3 for taken in times))
        for name, times in seconds.items()
    ]
    first = students[0]
    about = f"Milliseconds per second of sound, each stage alone: {first.size}, steps {first.steps}, {SECONDS:g} s."
    return Group(title="Stages", about=about, rows=tuple(rows))


def length_groups(students: Sequence[Student], lengths_s: Sequence[float], *, repeats: int) -> list[Group]:
    """Cost over the length of a recording: real-time factors, and what the longest costs over the shortest.

    The limit is for a minute over ten seconds.
    """
    works = {f"{one.name}, {length:g} s": _animating(one, noise(length)) for length in lengths_s for one in students}
    seconds = seconds_in_turns(works, repeats=repeats)
    wanted = _WANTED_GROWTH if (lengths_s[0], lengths_s[-1]) == (10.0, 60.0) else None
    rows, growth = [], []
    for one in students:
        times = [seconds[f"{one.name}, {length:g} s"] for length in lengths_s]
        rows += [
            Row(
                name=f"{one.name}, {length:g} s",
                unit="RTF",
                values=tuple(taken / length for taken in found),
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


def batch_group(students: Sequence[Student], batches: Sequence[int], *, repeats: int) -> Group:
    """Throughput over the number of recordings that are animated at once."""
    clip = noise(BATCH_CLIP_S)
    works = {
        f"{one.name}, {number} at once": _animating_many(one, [clip] * number) for number in batches for one in students
    }
    seconds = seconds_in_turns(works, repeats=repeats)
    rows = [
        Row(
            name=f"{one.name}, {number} at once",
            unit="audio s/s",
            values=tuple(number * BATCH_CLIP_S / taken for taken in seconds[f"{one.name}, {number} at once"]),
            series=one.name,
            x=number,
        )
        for one in students
        for number in batches
    ]
    about = f"Seconds of sound animated per second, recordings of {BATCH_CLIP_S:g} s."
    return Group(title="Batches", about=about, rows=tuple(rows), x_label="recordings at once")


def _animating(student: Student, sound: np.ndarray) -> Callable[[], object]:
    return lambda: animate(student.bundle, sound)


def _animating_many(student: Student, sounds: list[np.ndarray]) -> Callable[[], object]:
    return lambda: animate_batch(student.bundle, sounds, seeds=range(len(sounds)))


@torch.inference_mode()
def _stages(student: Student, *, is_first: bool) -> dict[str, Callable[[], object]]:
    """Name -> a stage on its own inputs; those that no engine changes only for the first."""
    bundle, talker, samples = student.bundle, student.bundle.talker, noise(SECONDS)
    sound, voice = torch.from_numpy(samples)[None], some_voice(student.bundle)
    lengths = torch.tensor([sound.shape[1]])
    frames = timebase.motion_frames(len(samples), motion_fps=talker.motion_fps)
    features = bundle.networks.encode(sound, lengths)
    heard = frame_mask(torch.tensor([features.shape[1]]), features.shape[1])
    identity, emotion = talker.personalizer.embed(features, heard)
    noisy = frame_noise([0], num_frames=frames, channels=len(talker.channel_names))
    inputs = (
        noisy, torch.ones(1), talker.to_motion_rate(features, frames=frames), talker.personalizer(identity, emotion),
        torch.ones(1, frames, 1),
    )  # fmt: skip
    stages: dict[str, Callable[[], object]] = {
        f"whole, style from the sound, {student.engine}": lambda: animate(bundle, samples),
        f"whole, with a voice, {student.engine}": lambda: animate(bundle, samples, voice=voice),
        f"encoder, log-mel included, {student.engine}": lambda: bundle.networks.encode(sound, lengths),
        f"one step of the denoiser, {student.engine}": lambda: bundle.networks.denoise(*inputs),
    }
    if not is_first:
        return stages
    if isinstance(talker.encoder, LogMelEncoder):
        stages["log-mel"] = lambda: log_mel(sound)
    motion = talker.statistics.denormalize(noisy)[0].numpy()
    return stages | {
        "personalizer, from the sound": lambda: talker.personalizer(*talker.personalizer.embed(features, heard)),
        "personalizer, of a voice": lambda: talker.personalizer(identity, emotion),
        "features at motion rate": lambda: talker.to_motion_rate(features, frames=frames),
        "noise": lambda: frame_noise([0], num_frames=frames, channels=len(talker.channel_names)),
        "finishing": lambda: finished_frames(talker, motion),
    }


def _formats(clip: MotionClip) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name -> writing a clip in one format, in memory; formats that are not installed are told of and left out."""
    for name, known in FORMATS.items():
        if known.encode is None:
            continue
        try:
            known.require_installed()
        except MotionError as error:
            logger.warning("format %s is not measured: %s", name, error)
            continue
        yield f"as {name}", lambda encode=known.encode: encode(clip, None, None)
