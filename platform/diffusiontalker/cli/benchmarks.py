"""`bench`: measurements that the documentation quotes, for this machine."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Literal

from diffusiontalker.cli.verb import UsageError, Verb, say, working

_SHARED, _ANEW = "paths ready-made (a trial)", "paths taken anew in every step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchSearch(Verb):
    """Measures what a search saves by asking the teacher once for all trials.

    One student is trained in four ways, in turns. From the teacher's ready-made paths, as trials are; from the same
    paths, taken anew in every step; and as a distillation's halving is, whose teacher takes two steps for every target,
    with its speech features computed once per training, or in every step.

    Examples:
        diffusiontalker bench search --bundle runs/grid_teacher/bundle --corpus runs/grid_teacher/corpus
    """

    bundle: Path
    """Folder of the teacher."""
    corpus: str
    """Corpus to distil on: a folder or URL."""
    size: Literal["base", "small", "nano"] = "nano"
    """Student that is trained."""
    trial_steps: int = 400
    """Training steps of one trial, for the totals."""
    trials: int = 12
    """Trials that share the teacher's work, for the totals."""
    rounds: int = 20
    """Timed steps of each way."""
    paths_per_clip: int = 2
    """Windows of every training clip on which the teacher's path is taken."""
    threads: int = 1
    """CPU threads, as a trial has them."""

    def run(self) -> None:
        """Records paths into a temporary folder, times the three ways, prints a table."""
        for name in ("trial_steps", "trials", "rounds", "paths_per_clip", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected at least 1")
        import torch

        from diffusiontalker.data import Corpus
        from diffusiontalker.inference import load_bundle
        from diffusiontalker.models import STUDENT_SIZES
        from diffusiontalker.training import (
            DistillationObjectiveConfig,
            TimedTraining,
            TrainingConfig,
            record_teacher_paths,
            time_trainings,
        )

        torch.set_num_threads(self.threads)
        corpus = Corpus.open(self.corpus)
        teacher_steps = load_bundle(self.bundle).sampling.num_steps
        asked = DistillationObjectiveConfig(
            teacher=str(self.bundle.resolve()), student_steps=2, condition_dropout=0.0, precompute=False
        )
        with_features = dataclasses.replace(asked, precompute=True)
        training = TrainingConfig(talker=STUDENT_SIZES[self.size], objective=asked, batch_size=32)
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder, working("measuring"):
            begin = time.perf_counter()
            recording = dataclasses.replace(training, objective=with_features)
            record_teacher_paths(recording, corpus, Path(folder), states=2, per_clip=self.paths_per_clip)
            recording_s = time.perf_counter() - begin
            ways = {
                _SHARED: TimedTraining(
                    config=dataclasses.replace(training, objective=dataclasses.replace(asked, paths=folder))
                ),
                _ANEW: TimedTraining(config=training, walk_steps=teacher_steps),
                "two teacher steps, features ready": TimedTraining(config=recording),
                "two teacher steps": TimedTraining(config=training),
            }
            times = time_trainings(ways, corpus, rounds=self.rounds)
        shared = times[_SHARED].total_s(self.trial_steps)
        say(f"{'':34} {'prepare (s)':>12} {'step (s)':>9} {'trial (s)':>10} {'times':>6}")
        for name, taken in times.items():
            total = taken.total_s(self.trial_steps)
            say(f"{name:34} {taken.preparation_s:12.1f} {taken.step_s:9.3f} {total:10.1f} {total / shared:6.2f}")
        everything = recording_s + self.trials * shared
        plain = self.trials * times[_ANEW].total_s(self.trial_steps)
        say(
            f"taking the paths once: {recording_s:.1f} s; {self.trials} trials of {self.trial_steps} steps: "
            f"{everything:.0f} s with it, {plain:.0f} s with paths taken anew, {plain / everything:.2f} times"
        )
