"""`bench inference`: what is measured, and the order in which it is. One CPU core."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch

from diffusiontalker.benchmarks.accuracy import REFERENCE, accuracy_group
from diffusiontalker.benchmarks.animations import (
    Floors,
    batch_group,
    counts_group,
    length_groups,
    real_time_group,
    stages_group,
)
from diffusiontalker.benchmarks.fresh import fresh_groups
from diffusiontalker.benchmarks.machine import measure_rates
from diffusiontalker.benchmarks.results import BenchmarkError, BenchmarkResult, Group, new_result
from diffusiontalker.benchmarks.streams import age_group, streams_group
from diffusiontalker.benchmarks.students import Student, students_of, untrained, untrained_live
from diffusiontalker.config import to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.inference import AnimationError, Bundle, EngineName, StreamingTalker, load_bundle

logger = logging.getLogger(__name__)

LEAST_REPEATS = 5
Part = Literal["counters", "speed", "accuracy", "stages", "lengths", "batches", "streams", "processes"]


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
    parts: tuple[Part, ...] = get_args(Part)
    """What of all that."""

    def __post_init__(self) -> None:
        """Checks ranges, and that nothing is asked for twice."""
        if self.repeats < LEAST_REPEATS:
            raise BenchmarkError(f"repeats {self.repeats}: expected at least {LEAST_REPEATS}, as machines are noisy")
        for name in ("sizes", "engines", "steps", "lengths_s", "batches", "streams", "parts"):
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
        subject = _Subject(config=config, floors=Floors(students, rates), bundles=bundles, students=students)
        groups: list[Group] = []
        for part in config.parts:
            on_line(part)
            groups += _MEASURES[part](subject)
    finally:
        torch.set_num_threads(threads)
    networks = {name: to_plain(bundle.talker.config) for name, bundle in bundles.items()}
    return new_result(
        "inference", config={**to_plain(config), "threads": 1, "networks": networks}, groups=groups, rates=rates
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Subject:
    """What the parts measure."""

    config: InferenceConfig
    floors: Floors
    bundles: dict[str, Bundle]
    students: list[Student]

    @property
    def first(self) -> list[Student]:
        """Of the first network, in the first number of steps, on all engines."""
        return self.students[: len(self.config.engines)]


def _counters(subject: _Subject) -> list[Group]:
    return [counts_group(subject.students)]


def _speed(subject: _Subject) -> list[Group]:
    return [real_time_group(subject.students, subject.floors, repeats=subject.config.repeats)]


def _accuracy(subject: _Subject) -> list[Group]:
    corpus = subject.config.corpus
    return [] if corpus is None else [accuracy_group(subject.students, Corpus.open(corpus))]


def _streams(subject: _Subject) -> list[Group]:
    """On the bundle, or on an untrained student made for it; without 8 bits, which streams do not have."""
    config = subject.config
    engines: list[EngineName] = [name for name in config.engines if name != "onnx-int8"] or ["onnx"]
    chosen = {"live small": untrained_live(motion_fps=config.fps)} if config.bundle is None else subject.bundles
    live = students_of(chosen, steps=config.steps[:1], engines=engines)
    try:
        StreamingTalker(live[0].bundle, max_streams=1)
    except AnimationError as error:
        logger.warning("streams are not measured: %s", error)
        return []
    return [
        streams_group(live, config.streams, subject.floors, repeats=config.repeats),
        age_group(live[-1], minutes=config.stream_minutes, repeats=config.repeats),
    ]


def _stages(subject: _Subject) -> list[Group]:
    return [stages_group(subject.first, subject.floors, repeats=subject.config.repeats)]


def _lengths(subject: _Subject) -> list[Group]:
    return length_groups(subject.first, subject.config.lengths_s, subject.floors, repeats=subject.config.repeats)


def _batches(subject: _Subject) -> list[Group]:
    return [batch_group(subject.first, subject.config.batches, subject.floors, repeats=subject.config.repeats)]


def _processes(subject: _Subject) -> list[Group]:
    return fresh_groups(subject.first, memory_s=subject.config.memory_s, repeats=subject.config.repeats)


_MEASURES: Mapping[Part, Callable[[_Subject], list[Group]]] = {
    "counters": _counters,
    "speed": _speed,
    "accuracy": _accuracy,
    "stages": _stages,
    "lengths": _lengths,
    "batches": _batches,
    "streams": _streams,
    "processes": _processes,
}


def _bundles(config: InferenceConfig) -> dict[str, Bundle]:
    if config.bundle is None:
        return {size: untrained(size, motion_fps=config.fps) for size in config.sizes}
    return {"student": load_bundle(config.bundle)}
