"""`bench training`: steps of trainings in this process, and what a checkpoint takes.

How fast steps are, how near the machine's limit, and how long they wait for data.
"""

import copy
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from diffusiontalker.benchmarks.results import Group, MachineRates, Row
from diffusiontalker.data import Corpus
from diffusiontalker.models import Talker, autocast
from diffusiontalker.training import (
    DistillationObjective,
    Ranks,
    TeacherObjective,
    TrainingConfig,
    TrainingState,
    batch_flops,
    batches_ahead,
    build_objective,
    build_optimizer,
    build_talker,
    optimize,
    save_state,
    training_batch,
    update_ema,
    validate,
    window_source,
)
from diffusiontalker.training.windows import Windows

_WANTED_WAIT = 3.0
"""Per cent of a step."""
_CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """A training that is ready for its first step."""

    name: str
    """In tables."""
    config: TrainingConfig
    talker: Talker
    average: Talker
    """With averaged weights."""
    objective: TeacherObjective | DistillationObjective
    optimizer: torch.optim.Optimizer
    source: Windows
    """Training windows."""
    flops: int
    """Operations of one step."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """Some steps in a row."""

    samples_per_s: float
    waited: float
    """Share of the time in which a step waited for its batch."""


def prepared(name: str, config: TrainingConfig, corpus: Corpus) -> Learner:
    """Everything that a training makes before its first step, and one step to count its operations."""
    talker = build_talker(config, corpus)
    objective = build_objective(talker, config, ranks=Ranks())
    source = window_source(config, corpus, talker, split="train")
    batch = training_batch(source, config, step=0, ranks=Ranks())
    return Learner(
        name=name,
        config=config,
        talker=talker,
        average=copy.deepcopy(talker).eval().requires_grad_(False),
        objective=objective,
        optimizer=build_optimizer(objective, config.optimizer),
        source=source,
        flops=batch_flops(objective, batch, config=config),
    )


def operations_group(learners: Sequence[Learner]) -> Group:
    """Products and convolutions of a step, forward and backward, by sample."""
    rows = [Row(name=one.name, unit="operations", values=(one.flops / one.config.batch_size,)) for one in learners]
    about = "One sample, forward and backward, the teacher's part of a distillation included; matrix products only."
    return Group(title="Counted", about=about, rows=tuple(rows))


def speed_groups(learners: Sequence[Learner], rates: MachineRates, *, repeats: int, steps: int) -> list[Group]:
    """Samples a second, the share of the machine's rate, and the share of waiting for data; learners take turns."""
    turns: dict[str, list[Turn]] = {one.name: [] for one in learners}
    for number in range(repeats):
        for one in learners:
            turns[one.name].append(_turn(one, first=number * (steps + 1), steps=steps))
    speeds, shares, waits = [], [], []
    for one in learners:
        rate = _rate(one.config, rates)
        best = rate * 1e9 * one.config.batch_size / one.flops
        speed = tuple(turn.samples_per_s for turn in turns[one.name])
        speeds.append(
            Row(
                name=one.name,
                unit="samples/s",
                values=speed,
                floor=best,
                floor_from="products counted, at the best rate measured on one core in the training's arithmetic",
            )
        )
        shares.append(Row(name=one.name, unit="% of peak", values=tuple(100.0 * value / best for value in speed)))
        waited = tuple(100.0 * turn.waited for turn in turns[one.name])
        waits.append(Row(name=one.name, unit="%", values=waited, wanted=_WANTED_WAIT))
    sizes = ", ".join(f"{one.name} {one.config.batch_size}" for one in learners)
    return [
        Group(title="Speed", about=f"The plain loop on one thread. Batches: {sizes}.", rows=tuple(speeds)),
        Group(title="Efficiency", about="Of the machine's rate of matrix products on one core.", rows=tuple(shares)),
        Group(title="Waiting for data", about="Share of a step's time.", rows=tuple(waits)),
    ]


def checkpoint_group(learners: Sequence[Learner], corpus: Corpus, *, repeats: int) -> Group:
    """Writing a state, and the validation that comes with it."""
    rows = []
    for one in learners:
        seconds, megabytes = _saving(one, repeats=repeats)
        rows.append(Row(name=f"{one.name}: state of {megabytes:.0f} MB", unit="s", values=seconds))
        if "validation" in corpus.info.splits:
            rows.append(Row(name=f"{one.name}: validation", unit="s", values=_validating(one, corpus, repeats=repeats)))
    about = "Into a local folder; with Ray Train it is copied to the storage after that."
    return Group(title="Checkpoint", about=about, rows=tuple(rows))


def _turn(one: Learner, *, first: int, steps: int) -> Turn:
    """The first step is not counted: nothing could be made ahead for it."""
    numbers = range(first, first + 1 + steps)
    waited_s = begin_s = 0.0
    with batches_ahead(one.source, one.config, steps=numbers, ranks=Ranks()) as batches:
        for number in numbers:
            asked_s = time.perf_counter()
            batch = next(batches)
            waited_s += time.perf_counter() - asked_s
            rate = one.config.optimizer.learning_rate * 0.1
            optimize(one.objective, one.optimizer, batch, rate=rate, config=one.config)
            update_ema(one.average, one.talker, step=number, decay=one.config.optimizer.ema_decay)
            if number == first:
                begin_s, waited_s = time.perf_counter(), 0.0
        taken_s = time.perf_counter() - begin_s
    return Turn(samples_per_s=steps * one.config.batch_size / taken_s, waited=waited_s / taken_s)


def _rate(config: TrainingConfig, rates: MachineRates) -> float:
    """GFLOP/s of one core in the arithmetic of a training."""
    with autocast(config.precision, _CPU):
        return rates.bfloat16_one_core if torch.is_autocast_enabled("cpu") else rates.float32_one_core


def _saving(one: Learner, *, repeats: int) -> tuple[tuple[float, ...], float]:
    """Seconds of every turn, and the size in MB."""
    seconds, sizes = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
            begin_s = time.perf_counter()
            state = TrainingState(
                step=1,
                run_digest="benchmark",
                model=one.objective.state_dict(),
                ema=one.average.state_dict(),
                optimizer=one.optimizer.state_dict(),
            )
            path = save_state(state, Path(folder))
            seconds.append(time.perf_counter() - begin_s)
            sizes.append(path.stat().st_size / 1e6)
    return tuple(seconds), statistics.median(sizes)


def _validating(one: Learner, corpus: Corpus, *, repeats: int) -> tuple[float, ...]:
    """Seconds of every turn."""
    source = window_source(one.config, corpus, one.talker, split="validation")
    seconds = []
    for _ in range(repeats):
        begin_s = time.perf_counter()
        validate(one.objective.validating(one.average), source, ranks=Ranks(), device=_CPU)
        seconds.append(time.perf_counter() - begin_s)
    return tuple(seconds)
