"""`bench`: measurements that the documentation quotes, for this machine."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Literal

from diffusiontalker.cli.verb import UsageError, Verb, say, working


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchSearch(Verb):
    """Measures what a search saves by asking the teacher once for all trials.

    One student is trained in three ways, in turns: from the teacher's ready-made paths; with the teacher asked in every
    step, but its speech features computed once per training; with nothing of the teacher's ready-made.

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
        from diffusiontalker.models import STUDENT_SIZES
        from diffusiontalker.training import (
            DistillationObjectiveConfig,
            TrainingConfig,
            record_teacher_paths,
            time_trainings,
        )

        torch.set_num_threads(self.threads)
        corpus = Corpus.open(self.corpus)
        asked = DistillationObjectiveConfig(
            teacher=str(self.bundle.resolve()), student_steps=2, condition_dropout=0.0, precompute=False
        )
        objectives = {
            "nothing shared": asked,
            "features once per trial": dataclasses.replace(asked, precompute=True),
        }
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder, working("measuring"):
            training = TrainingConfig(talker=STUDENT_SIZES[self.size], objective=asked, batch_size=32)
            begin = time.perf_counter()
            with_features = dataclasses.replace(training, objective=objectives["features once per trial"])
            record_teacher_paths(with_features, corpus, Path(folder), states=2, per_clip=self.paths_per_clip)
            recording_s = time.perf_counter() - begin
            objectives["teacher's paths shared"] = dataclasses.replace(asked, paths=folder)
            times = time_trainings(
                {name: dataclasses.replace(training, objective=one) for name, one in objectives.items()},
                corpus,
                rounds=self.rounds,
            )
        shared = times["teacher's paths shared"].total_s(self.trial_steps)
        say(f"{'':24} {'prepare (s)':>12} {'step (s)':>9} {'trial (s)':>10} {'times':>6}")
        for name, taken in times.items():
            total = taken.total_s(self.trial_steps)
            say(f"{name:24} {taken.preparation_s:12.1f} {taken.step_s:9.3f} {total:10.1f} {total / shared:6.2f}")
        everything = recording_s + self.trials * shared
        plain = self.trials * times["nothing shared"].total_s(self.trial_steps)
        say(
            f"taking the paths once: {recording_s:.1f} s; {self.trials} trials of {self.trial_steps} steps: "
            f"{everything:.0f} s with it, {plain:.0f} s without sharing, {plain / everything:.2f} times"
        )
