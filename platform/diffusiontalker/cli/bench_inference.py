"""`bench inference`."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from diffusiontalker.cli.benchmark import Benchmark, tell
from diffusiontalker.cli.verb import EngineName, OptionalText, flags

if TYPE_CHECKING:
    from diffusiontalker.benchmarks import BenchmarkResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchInference(Benchmark):
    """Measures animation on one CPU core, from waveform to coefficients, beside what the machine allows at best.

    Real-time factors of several sizes, steps and engines; the stages of an animation; cost over the length of a
    recording and over how many are animated at once; live streams; start and memory of a fresh process; and counters,
    which do not depend on the machine. All that is compared takes turns. Without --bundle students are untrained, which
    costs the same.

    Examples:
        diffusiontalker bench inference --out runs/bench/inference
        diffusiontalker bench inference --bundle runs/demo_student/bundle --corpus runs/demo/corpus
        diffusiontalker bench inference --parts streams --engines torch onnx onnx-int8
        diffusiontalker bench inference --compare before/inference.json after/inference.json
    """

    bundle: OptionalText = None
    """A student to measure: a folder or URL; by default untrained ones of --sizes."""
    corpus: OptionalText = None
    """Corpus whose test clips tell what engines do to that student's lip error: a folder or URL."""
    sizes: tuple[Literal["base", "small", "nano"], ...] = ("small", "nano")
    """Students; all but speed, counters and accuracy are measured on the first."""
    engines: tuple[EngineName, ...] = ("torch", "onnx")
    """What computes; torch is the reference."""
    steps: tuple[int, ...] = (2, 1)
    """Numbers of diffusion steps; likewise the first."""
    fps: float = 30.0
    """Frame rate of untrained students."""
    repeats: int = 5
    """Timed rounds, at least 5."""
    parts: tuple[
        Literal["counters", "speed", "accuracy", "stages", "lengths", "batches", "streams", "processes"], ...
    ] = ("counters", "speed", "accuracy", "stages", "lengths", "batches", "streams", "processes")
    """What of all that; processes: start and memory of fresh ones."""

    def measured(self) -> "BenchmarkResult":
        """On one thread."""
        from diffusiontalker.benchmarks.inference import InferenceConfig, measure_inference

        return measure_inference(InferenceConfig(**flags(self, InferenceConfig)), on_line=tell)
