"""`bench training`."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from diffusiontalker.cli.benchmark import Benchmark, tell
from diffusiontalker.cli.verb import OptionalText, UsageError, flags

if TYPE_CHECKING:
    from diffusiontalker.benchmarks import BenchmarkResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTraining(Benchmark):
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

    def measured(self) -> "BenchmarkResult":
        """With one thread a rank."""
        from diffusiontalker.benchmarks.training import TrainingBenchmarkConfig, measure_training

        if self.corpus is None:
            raise UsageError("--corpus is missing: give the folder or URL of a corpus, or two results to --compare")
        return measure_training(TrainingBenchmarkConfig(**flags(self, TrainingBenchmarkConfig)), on_line=tell)
