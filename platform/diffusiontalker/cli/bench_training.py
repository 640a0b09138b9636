"""`bench training`."""

import dataclasses
import tempfile
from pathlib import Path

from diffusiontalker.cli.verb import UsageError, Verb, say, working


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTraining(Verb):
    """Measures what Ray Train costs, and what more workers bring.

    The same training of a teacher, one thread for each rank: the plain loop without Ray, then on Ray Train with every
    number of workers, in turns. Start-up is left out; batches, checkpoints and logs are not.

    Examples:
        diffusiontalker bench training --corpus runs/grid_teacher/corpus
        diffusiontalker bench training --corpus runs/grid_teacher/corpus --workers 1 2 4 --steps 100
    """

    corpus: str
    """Corpus to train on: a folder or URL."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers."""
    batch_size: int = 64
    """Windows of a step, over all workers."""
    steps: int = 40
    """Steps of each training; a checkpoint in the middle and at the end."""
    repeats: int = 3
    """Trainings of each kind; the median counts."""

    def run(self) -> None:
        """Trains into a temporary folder, prints a table."""
        for name, least in (("batch_size", 1), ("steps", 10), ("repeats", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected at least {least}")
        for number in self.workers:
            if number < 1 or self.batch_size % number:
                raise UsageError(f"--workers {number}: expected numbers that divide --batch-size {self.batch_size}")
        from diffusiontalker.data import Corpus
        from diffusiontalker.orchestration.scaling import BARE, time_workers
        from diffusiontalker.storage import absolute_uri
        from diffusiontalker.training import TrainingConfig, step_flops

        training = TrainingConfig(
            num_steps=self.steps, batch_size=self.batch_size, checkpoint_every=max(1, self.steps // 2)
        )
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder, working("training"):
            found = time_workers(
                training, absolute_uri(self.corpus), workers=self.workers, repeats=self.repeats, folder=Path(folder)
            )
        gigaflop = step_flops(training, Corpus.open(self.corpus)) / self.batch_size / 1e9
        bare = found[0].samples_per_s
        one = next((row.samples_per_s for row in found if row.workers == 1), bare)
        say(f"{'':18} {'samples/s':>10} {'slowest':>8} {'fastest':>8} {'of bare':>8} {'of one worker':>14}")
        for row in found:
            name = "bare loop" if row.workers == BARE else f"Ray, {row.workers} workers"
            say(
                f"{name:18} {row.samples_per_s:10.2f} {row.slowest:8.2f} {row.fastest:8.2f} "
                f"{row.samples_per_s / bare:8.3f} {row.samples_per_s / one:14.2f}"
            )
        say(f"one sample: {gigaflop:.2f} GFLOP forward and backward, {gigaflop * bare:.0f} GFLOP/s in the bare loop")
