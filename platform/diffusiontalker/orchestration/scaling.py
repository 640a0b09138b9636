"""What Ray Train costs, and what more workers bring: one training bare, and on Ray with several numbers of workers."""

import dataclasses
import itertools
import json
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

from diffusiontalker.data import Corpus
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray
from diffusiontalker.training import FileTelemetry, TrainingConfig, train

BARE = 0
"""Stands for the number of workers of the plain loop in this process."""
_LOG_EVERY = 5
"""Steps between two figures; the first is not counted, as the first steps allocate."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """How fast a training ran, start-up left out, everything between its steps included."""

    workers: int
    """Ranks of one thread each; `BARE` for the plain loop."""
    batch_size: int
    """Windows of a step, over all ranks."""
    samples_per_s: tuple[float, ...]
    """Windows a second, of every turn."""

    @property
    def median(self) -> float:
        """Windows a second."""
        return statistics.median(self.samples_per_s)


def time_workers(
    training: TrainingConfig, corpus_uri: str, *, workers: Sequence[int], repeats: int, folder: Path
) -> list[Throughput]:
    """Trains bare and with every number of workers, in turns, each rank with one thread and its checkpoints.

    More workers than one share the batch (strong scaling), and have a batch of that size each (weak scaling).

    Args:
        training: what is trained; `log_every` is 5 here.
        corpus_uri: corpus.
        workers: numbers of ranks on Ray, one CPU each.
        repeats: turns.
        folder: gets checkpoints and logs.
    """
    size = training.batch_size
    runs = [(BARE, size), *((number, size) for number in workers)]
    runs += [(number, number * size) for number in workers if number > 1]
    speeds: dict[tuple[int, int], list[float]] = {run: [] for run in runs}
    for turn in range(repeats):
        for number, batch_size in speeds:
            run = dataclasses.replace(training, log_every=_LOG_EVERY, batch_size=batch_size)
            place = folder / f"{turn}-{number}-{batch_size}"
            _train(run, corpus_uri, workers=number, folder=place)
            speeds[number, batch_size].append(_samples_per_s(run, place / "metrics.jsonl"))
            shutil.rmtree(place)
    return [
        Throughput(workers=number, batch_size=batch_size, samples_per_s=tuple(found))
        for (number, batch_size), found in speeds.items()
    ]


def _train(training: TrainingConfig, corpus_uri: str, *, workers: int, folder: Path) -> None:
    if workers != BARE:
        train_on_ray(
            training, corpus_uri, run_name="timed", storage_uri=folder, telemetry_folder=folder,
            orchestration=OrchestrationConfig(num_workers=workers),
        )  # fmt: skip
        return

    def keep(state: Path | None, metrics: dict[str, float]) -> None:
        assert state is not None
        shutil.copytree(state, folder / f"checkpoint-{metrics['step']:.0f}")

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(training, Corpus.open(corpus_uri), on_checkpoint=keep, telemetry=FileTelemetry(folder))
    finally:
        torch.set_num_threads(threads)


def _samples_per_s(training: TrainingConfig, log: Path) -> float:
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [later["step"] - earlier["step"] for earlier, later in itertools.pairwise(rows)]
    speeds = [row["train/samples_per_second"] for row in rows[1:]]
    seconds = sum(training.batch_size * number / speed for number, speed in zip(steps, speeds, strict=True))
    return training.batch_size * sum(steps) / seconds
