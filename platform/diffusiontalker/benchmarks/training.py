"""`bench training`: what is measured, and the order in which it is. One thread for each rank."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch

from diffusiontalker.benchmarks.machine import measure_rates
from diffusiontalker.benchmarks.memory import memory_group
from diffusiontalker.benchmarks.results import BenchmarkError, BenchmarkResult, Group, MachineRates, Row, new_result
from diffusiontalker.benchmarks.steps import Learner, checkpoint_group, operations_group, prepared, speed_groups
from diffusiontalker.config import to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.inference import Bundle, save_bundle
from diffusiontalker.models import STUDENT_SIZES
from diffusiontalker.orchestration.scaling import BARE, Throughput, time_workers
from diffusiontalker.storage import absolute_uri
from diffusiontalker.training import DistillationObjectiveConfig, TrainingConfig, build_talker

TrainingPart = Literal["steps", "checkpoints", "memory", "workers"]
_TEACHER = "teacher"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBenchmarkConfig:
    """What is measured.

    Raises:
        BenchmarkError: for what cannot be.
    """

    corpus: str
    """Corpus to train on: a folder or URL."""
    teacher: str | None = None
    """Bundle that students learn from; None: an untrained one of the default size, which costs the same."""
    students: tuple[str, ...] = ("small", "nano")
    """Keys of `STUDENT_SIZES`; each is distilled."""
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
    steps_a_turn: int = 4
    """Timed steps of each turn, after one that is not."""
    parts: tuple[TrainingPart, ...] = get_args(TrainingPart)
    """What of all that."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        least = {"batch_size": 2, "steps": 10, "trainings": 1, "repeats": 1, "steps_a_turn": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise BenchmarkError(f"{name} {getattr(self, name)}: expected at least {lowest}")
        for number in self.workers:
            if number < 1 or self.batch_size % number:
                raise BenchmarkError(f"workers {number}: expected numbers that divide the batch of {self.batch_size}")
        for name in ("workers", "parts"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise BenchmarkError(f"{name} {' '.join(map(str, getattr(self, name)))}: expected each of them once")
        if unknown := set(self.students) - STUDENT_SIZES.keys():
            raise BenchmarkError(f"students {' '.join(sorted(unknown))}: expected some of {', '.join(STUDENT_SIZES)}")


def measure_training(
    config: TrainingBenchmarkConfig, *, on_line: Callable[[str], None] = lambda line: None
) -> BenchmarkResult:
    """Takes about half an hour on two cores, most of it trainings on workers; a few minutes without them.

    torch's number of threads is what it was afterwards.

    Args:
        config: what is measured.
        on_line: hears what comes next.

    Raises:
        BundleError: when there is no such teacher.
        CorpusError: when the corpus cannot be opened.
        ConfigError: when teacher and corpus do not fit.
    """
    threads = torch.get_num_threads()
    on_line("the machine")
    rates = measure_rates()
    corpus = Corpus.open(absolute_uri(config.corpus))
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
            trainings = _trainings(config, corpus, folder=Path(folder))
            groups = list(_measured(config, corpus, trainings, rates, on_line=on_line, folder=Path(folder)))
    finally:
        torch.set_num_threads(threads)
    networks = {name: to_plain(training.talker) for name, training in trainings.items()}
    return new_result(
        "training", config={**to_plain(config), "threads": 1, "networks": networks}, groups=groups, rates=rates
    )


def _measured(
    config: TrainingBenchmarkConfig,
    corpus: Corpus,
    trainings: Mapping[str, TrainingConfig],
    rates: MachineRates,
    *,
    on_line: Callable[[str], None],
    folder: Path,
) -> Iterator[Group]:
    learners: list[Learner] = []
    if {"steps", "checkpoints"} & set(config.parts):
        on_line("preparing")
        learners = [prepared(name, training, corpus) for name, training in trainings.items()]
    if "steps" in config.parts:
        on_line("steps")
        yield operations_group(learners)
        yield from speed_groups(learners, rates, repeats=config.repeats, steps=config.steps_a_turn)
    if "checkpoints" in config.parts:
        on_line("checkpoints")
        yield checkpoint_group(learners, corpus, repeats=config.repeats)
    learners.clear()
    if "memory" in config.parts:
        on_line("memory")
        yield memory_group(trainings, corpus.uri)
    if "workers" in config.parts:
        on_line("workers")
        training = dataclasses.replace(
            trainings[_TEACHER], num_steps=config.steps, checkpoint_every=max(1, config.steps // 2)
        )
        found = time_workers(
            training, corpus.uri, workers=config.workers, repeats=config.trainings, folder=folder / "workers"
        )
        yield from workers_groups(found)


def workers_groups(found: Sequence[Throughput]) -> list[Group]:
    """Windows a second bare and on workers; and what more workers bring beside what they could bring at best."""
    size = found[0].batch_size
    one = next((row for row in found if row.workers == 1), found[0])
    speeds, gains = [], []
    for row in found:
        name = "bare loop" if row.workers == BARE else f"Ray, {_counted(row.workers)}"
        name = name if row.batch_size == size else f"{name}, batch {row.batch_size}"
        speeds.append(Row(name=name, unit="samples/s", values=row.samples_per_s))
        if row.workers > 1:
            scaling = "strong" if row.batch_size == size else "weak"
            gains.append(
                Row(
                    name=f"{_counted(row.workers)}, {scaling}",
                    unit="times as fast",
                    values=tuple(value / one.median for value in row.samples_per_s),
                    floor=row.workers,
                    floor_from="as many times as there are workers",
                )
            )
    about = f"A teacher, batch {size}, one thread a rank; start-up left out, checkpoints, validations and logs not."
    groups = [Group(title="Workers", about=about, rows=tuple(speeds))]
    if gains:
        about = "Than one worker. Strong: they share the batch; weak: each has as large a one."
        groups.append(Group(title="Scaling", about=about, rows=tuple(gains)))
    return groups


def _counted(workers: int) -> str:
    return f"{workers} worker{'' if workers == 1 else 's'}"


def _trainings(config: TrainingBenchmarkConfig, corpus: Corpus, *, folder: Path) -> dict[str, TrainingConfig]:
    """Name -> training: of a teacher, and of its students."""
    teacher = TrainingConfig(batch_size=config.batch_size)
    trainings = {_TEACHER: teacher}
    if not config.students:
        return trainings
    bundle = config.teacher and absolute_uri(config.teacher)
    if bundle is None:
        bundle = str(folder / "teacher")
        with _fixed_seed():
            talker = build_talker(teacher, corpus)
        save_bundle(Bundle(talker=talker.eval().requires_grad_(False)), bundle)
    objective = DistillationObjectiveConfig(teacher=bundle)
    return trainings | {
        f"student {size}": TrainingConfig(
            talker=STUDENT_SIZES[size], objective=objective, batch_size=config.batch_size // 2
        )
        for size in config.students
    }


@contextlib.contextmanager
def _fixed_seed() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
