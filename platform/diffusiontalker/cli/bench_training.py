"""`bench training`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from diffusiontalker.cli.verb import OptionalPath, OptionalText, UsageError, Verb, flags, say
from diffusiontalker.config import require_new


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTraining(Verb):
    """Measures trainings of a teacher and of students, one thread for each rank, beside what the machine allows.

    Samples a second, the share of the machine's rate of matrix products, and of the time in which data is waited for;
    checkpoints; memory; then the teacher in the plain loop and on Ray Train with every number of workers, which share
    the batch, or have one each. All that is compared takes turns. Start-up is left out.

    Examples:
        diffusiontalker bench training --corpus runs/grid_teacher/corpus
        diffusiontalker bench training --corpus runs/grid_teacher/corpus --parts steps checkpoints memory
        diffusiontalker bench training --corpus runs/grid_teacher/corpus --parts workers --workers 1 2 4 --steps 100
    """

    corpus: OptionalText = None
    """Corpus to train on: a folder or URL."""
    teacher: OptionalText = None
    """Bundle that students learn from; by default an untrained one of the default size, which costs the same."""
    students: tuple[Literal["base", "small", "nano"], ...] = ("small", "nano")
    """Students that are distilled."""
    batch_size: int = 64
    """Windows of a step of the teacher, over all workers; students have half as many."""
    steps: int = 40
    """Steps of each training on workers; a checkpoint in the middle and at the end."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers."""
    trainings: int = 3
    """Turns of the trainings on workers."""
    repeats: int = 5
    """Turns of all else."""
    parts: tuple[Literal["steps", "checkpoints", "memory", "workers"], ...] = (
        "steps",
        "checkpoints",
        "memory",
        "workers",
    )
    """What is measured; workers take most of the time."""
    out: OptionalPath = None
    """Folder for training.json, page.md and pictures, which does not exist yet; none by default."""
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
        from diffusiontalker.benchmarks.training import TrainingBenchmarkConfig, measure_training

        if self.corpus is None:
            raise UsageError("--corpus is missing: give the folder or URL of a corpus, or two results to --compare")
        config = TrainingBenchmarkConfig(**flags(self, TrainingBenchmarkConfig))
        for name, path in (("out", self.out), ("page", self.page)):
            if path is not None:
                require_new(path, remedy=f"choose another --{name}")
        result = measure_training(config, on_line=_tell)
        say(result_text(result))
        for write, path in ((write_result, self.out), (write_page, self.page)):
            if path is not None:
                write(result, path)
                say(f"wrote {path}")


def _tell(line: str) -> None:
    """What is measured next, for people who watch it."""
    print(line, file=sys.stderr, flush=True)
