"""`bench inference`: what is measured, and the order in which it is. One CPU core."""

import dataclasses
from collections.abc import Callable

import torch

from diffusiontalker.benchmarks.accuracy import REFERENCE, accuracy_group
from diffusiontalker.benchmarks.animations import (
    batch_group,
    counted,
    counts_group,
    length_groups,
    real_time_group,
    stages_group,
)
from diffusiontalker.benchmarks.fresh import fresh_groups
from diffusiontalker.benchmarks.machine import measure_rates
from diffusiontalker.benchmarks.results import BenchmarkError, BenchmarkResult, new_result
from diffusiontalker.benchmarks.streams import age_group, streams_group
from diffusiontalker.benchmarks.students import Student, students_of, untrained, untrained_live
from diffusiontalker.config import to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.inference import AnimationError, Bundle, EngineName, StreamingTalker, load_bundle

LEAST_REPEATS = 5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InferenceConfig:
    """What is measured.

    Raises:
        BenchmarkError: for what cannot be.
    """

    bundle: str | None = None
    """A student to measure; untrained ones of `sizes` when None."""
    corpus: str | None = None
    """Corpus whose test clips tell what engines do to that student's lip error."""
    sizes: tuple[str, ...] = ("small", "nano")
    """Keys of `STUDENT_SIZES`. All but speed, counters and accuracy are measured on the first."""
    engines: tuple[EngineName, ...] = ("torch", "onnx")
    """What computes."""
    steps: tuple[int, ...] = (2, 1)
    """Numbers of diffusion steps; likewise the first."""
    fps: float = 30.0
    """Frame rate of untrained students."""
    repeats: int = LEAST_REPEATS
    """Timed rounds."""
    lengths_s: tuple[float, ...] = (10.0, 20.0, 60.0)
    """Of recordings."""
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Recordings animated at once."""
    streams: tuple[int, ...] = (1, 8, 32)
    """Live streams."""
    stream_minutes: int = 10
    """Age of the stream whose last minute is compared with its first."""
    memory_s: tuple[float, float] = (60.0, 600.0)
    """Lengths of the recordings whose peak memory is compared."""

    def __post_init__(self) -> None:
        """Checks ranges, and that nothing is asked for twice."""
        if self.repeats < LEAST_REPEATS:
            raise BenchmarkError(f"repeats {self.repeats}: expected at least {LEAST_REPEATS}, as machines are noisy")
        for name in ("sizes", "engines", "steps", "lengths_s", "batches", "streams"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                told = " ".join(map(str, values)) or "nothing"
                raise BenchmarkError(f"{name} {told}: expected at least one, and each of them once")
        if min(self.steps) < 1 or not self.fps > 0.0:
            raise BenchmarkError(f"steps {min(self.steps)}, fps {self.fps}: expected at least 1 and more than 0")
        if self.corpus is not None and (self.bundle is None or REFERENCE not in self.engines):
            raise BenchmarkError(
                f"corpus '{self.corpus}': lip errors need a bundle, which was trained, and '{REFERENCE}' among engines"
            )


def measure_inference(
    config: InferenceConfig, *, on_line: Callable[[str], None] = lambda line: None
) -> BenchmarkResult:
    """Takes a few minutes, on one thread of torch, whose number is given back as it was.

    Args:
        config: what is measured.
        on_line: hears what comes next.

    Raises:
        BundleError: when there is no such bundle, or no such engine.
        EvaluationError: when the corpus does not fit.
    """
    threads = torch.get_num_threads()
    on_line("the machine")
    rates = measure_rates()
    torch.set_num_threads(1)
    try:
        bundles = _bundles(config)
        students = students_of(bundles, steps=config.steps, engines=config.engines)
        # Of the first network, in the first number of steps, on all engines.
        first = [one for one in students if (one.size, one.steps) == (students[0].size, students[0].steps)]
        on_line("counters")
        counts = counted(students)
        on_line("real-time factors")
        groups = [real_time_group(students, counts, rates, repeats=config.repeats)]
        if config.corpus is not None:
            on_line("accuracy")
            groups.append(accuracy_group(students, Corpus.open(config.corpus)))
        on_line("stages")
        groups.append(stages_group(first, repeats=config.repeats))
        on_line("lengths")
        groups += length_groups(first, config.lengths_s, repeats=config.repeats)
        on_line("batches")
        groups.append(batch_group(first, config.batches, repeats=config.repeats))
        if live := _live(config, bundles):
            on_line("live streams")
            groups.append(streams_group(live, config.streams, rates, repeats=config.repeats))
            on_line("a long stream")
            groups.append(age_group(live[-1], minutes=config.stream_minutes, repeats=config.repeats))
        on_line("fresh processes")
        groups += fresh_groups(first, memory_s=config.memory_s, repeats=config.repeats)
        groups.append(counts_group(counts))
    finally:
        torch.set_num_threads(threads)
    networks = {name: to_plain(bundle.talker.config) for name, bundle in bundles.items()}
    return new_result(
        "inference", config={**to_plain(config), "threads": 1, "networks": networks}, groups=groups, rates=rates
    )


def _bundles(config: InferenceConfig) -> dict[str, Bundle]:
    if config.bundle is None:
        return {size: untrained(size, motion_fps=config.fps) for size in config.sizes}
    return {"student": load_bundle(config.bundle)}


def _live(config: InferenceConfig, bundles: dict[str, Bundle]) -> list[Student]:
    """Students for streams, on all engines: the bundle itself where it can stream, else untrained ones."""
    chosen = {"live small": untrained_live(motion_fps=config.fps)} if config.bundle is None else bundles
    live = students_of(chosen, steps=config.steps[:1], engines=config.engines)
    try:
        StreamingTalker(live[0].bundle, max_streams=1)
    except AnimationError:
        return []
    return live
