"""What a training costs in time: its preparation and its steps, several trainings in turns."""

import dataclasses
import statistics
import time
from collections.abc import Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusiontalker.data import Corpus
from diffusiontalker.data.collate import Batch
from diffusiontalker.models import autocast
from diffusiontalker.training.batches import training_batch
from diffusiontalker.training.build import Objective, build_objective, build_talker
from diffusiontalker.training.loop import TrainingConfig, optimize
from diffusiontalker.training.objectives import DistillationObjective
from diffusiontalker.training.optim import build_optimizer
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.teacher_paths import with_paths
from diffusiontalker.training.windows import window_source


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TimedTraining:
    """A training whose time is taken."""

    config: TrainingConfig
    """One process, on the CPU."""
    walk_steps: int = 0
    """Steps in which a distillation's teacher goes from noise to motion anew for every batch; 0: it does not."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingTime:
    """Seconds that one training takes."""

    preparation_s: float
    """Until the first step: loading, and what is computed once."""
    step_s: float
    """One step, its batch included; median."""

    def total_s(self, num_steps: int) -> float:
        """A training of so many steps."""
        return self.preparation_s + num_steps * self.step_s


def step_flops(config: TrainingConfig, corpus: Corpus) -> int:
    """Floating-point operations of one optimizer step, forward and backward: products and convolutions only."""
    talker = build_talker(config, corpus)
    objective = build_objective(talker, config, ranks=Ranks())
    source = window_source(config, corpus, talker, split="train")
    batch = training_batch(source, config, step=0, ranks=Ranks())
    return batch_flops(objective, batch, config=config)


def batch_flops(objective: Objective, batch: Batch, *, config: TrainingConfig) -> int:
    """The same of an objective that is there, for one batch; its weights stay as they are."""
    with FlopCounterMode(display=False) as counter:
        optimize(objective, build_optimizer(objective, config.optimizer), batch, rate=0.0, config=config)
    return counter.get_total_flops()


def time_trainings(trainings: Mapping[str, TimedTraining], corpus: Corpus, *, rounds: int) -> dict[str, TrainingTime]:
    """Prepares every training, then takes one step of each per round, after two rounds that are not counted.

    Args:
        trainings: name -> what is trained.
        corpus: what they learn from.
        rounds: timed steps of each.
    """
    ready, preparation = {}, {}
    for name, training in trainings.items():
        begin, config = time.perf_counter(), training.config
        talker = build_talker(config, corpus)
        objective = build_objective(talker, config, ranks=Ranks())
        source = window_source(config, corpus, talker, split="train")
        ready[name] = (objective, build_optimizer(objective, config.optimizer), source)
        preparation[name] = time.perf_counter() - begin
    seconds: dict[str, list[float]] = {name: [] for name in trainings}
    for step in range(2 + rounds):
        for name, (objective, optimizer, source) in ready.items():
            begin, config = time.perf_counter(), trainings[name].config
            batch = training_batch(source, config, step=step, ranks=Ranks())
            if trainings[name].walk_steps:
                assert isinstance(objective, DistillationObjective)
                with autocast(config.precision, torch.device("cpu")):
                    batch = with_paths(batch, objective, num_steps=trainings[name].walk_steps)
            optimize(objective, optimizer, batch, rate=config.optimizer.learning_rate, config=config)
            seconds[name].append(time.perf_counter() - begin)
    return {
        name: TrainingTime(preparation_s=preparation[name], step_s=statistics.median(taken[2:]))
        for name, taken in seconds.items()
    }
