"""`bench inference`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from diffusiontalker.cli.verb import EngineName, OptionalPath, OptionalText, Verb, flags, say
from diffusiontalker.config import require_new


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchInference(Verb):
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
    out: OptionalPath = None
    """Folder for inference.json, page.md and pictures, which does not exist yet; none by default."""
    page: OptionalPath = None
    """File for the page alone, as in docs/benchmarks, which does not exist yet; none by default."""
    compare: Annotated[tuple[Path, Path] | None, arg(metavar="A.json B.json")] = None
    """Measure nothing, but print the ratios between two results."""

    def run(self) -> None:
        """Measures, prints tables, writes folder and page."""
        from diffusiontalker.benchmarks import comparison, read_result, result_text, write_page, write_result

        if self.compare is not None:
            say(comparison(*map(read_result, self.compare)))
            return
        from diffusiontalker.benchmarks.inference import InferenceConfig, measure_inference

        config = InferenceConfig(**flags(self, InferenceConfig))
        for name, path in (("out", self.out), ("page", self.page)):
            if path is not None:
                require_new(path, remedy=f"choose another --{name}")
        result = measure_inference(config, on_line=_tell)
        say(result_text(result))
        for write, path in ((write_result, self.out), (write_page, self.page)):
            if path is not None:
                write(result, path)
                say(f"wrote {path}")


def _tell(line: str) -> None:
    """What is measured next, for people who watch it."""
    print(line, file=sys.stderr, flush=True)
