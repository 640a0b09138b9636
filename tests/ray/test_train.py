"""The training on real Ray clusters: split over ranks, stopped, killed and resumed, it learns the same weights."""

import contextlib
import dataclasses
import itertools
import os
import signal
from collections.abc import Container, Iterator
from pathlib import Path

import pytest
import torch
from meanwhile import meanwhile
from trainings import LONG, QUICK, TINY, differences, rows, trained_here, without_dropout

from diffusiontalker.config import ConfigError
from diffusiontalker.orchestration import OrchestrationConfig, TrainingError, train_on_ray
from diffusiontalker.training import FileTelemetry

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


def worker_processes() -> list[int]:
    """Process ids of the Ray Train workers that descend from this process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"RayTrainWorker" in (entry / "cmdline").read_bytes()
            if is_worker and os.getpid() in (parent(entry.name), parent(str(parent(entry.name)))):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def parent(process: str) -> int:
    """Parent of a process; the fourth field of its status line, after the name in parentheses."""
    return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


@contextlib.contextmanager
def a_worker_killed_after(log: Path, *, num_rows: int, but: Container[int] = ()) -> Iterator[list[int]]:
    """Kills a training worker as soon as the log has so many rows; yields the list of those killed.

    `but`: those that are left alone.
    """
    killed: list[int] = []

    def workers() -> list[int]:
        return [pid for pid in worker_processes() if pid not in but]

    def has_come_far() -> bool:
        return log.exists() and log.read_bytes().count(b"\n") >= num_rows and bool(workers())

    def kill() -> None:
        killed.append(workers()[0])
        os.kill(killed[0], signal.SIGKILL)

    with meanwhile(kill, when=has_come_far):
        yield killed


def test_two_ranks_learn_what_one_rank_learns(tiny_corpus, tmp_path):
    config = without_dropout(TINY)
    telemetry = FileTelemetry(tmp_path / "one")
    one = trained_here(config, tiny_corpus, telemetry=telemetry).state_dict()
    two = train_on_ray(
        config, tiny_corpus, run_name="ranks", storage_uri=tmp_path, telemetry_folder=tmp_path / "two",
        orchestration=dataclasses.replace(QUICK, num_workers=2),
    ).state_dict()  # fmt: skip
    for mine, other in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        losses = {name: value for name, value in mine.items() if "/loss" in name}
        assert {name: other[name] for name in losses} == pytest.approx(losses, rel=1e-4, abs=1e-6)
    # Adam divides by the gradient's size: where the true gradient is 0 (the biases of attention keys) it turns rounding
    # into steps. A step is 1e-3 at most, so a tenth of one separates rounding from another batch.
    for name, tensor in two.items():
        torch.testing.assert_close(
            tensor, one[name], rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_killed_worker_is_replaced_a_second_one_ends_the_run_and_resumed_it_learns_the_same(tiny_corpus, tmp_path):
    log, config = tmp_path / "metrics.jsonl", dataclasses.replace(LONG, num_steps=400)
    where = {
        "corpus_uri": tiny_corpus, "run_name": "again", "storage_uri": tmp_path, "telemetry_folder": tmp_path,
        "orchestration": dataclasses.replace(QUICK, max_failures=1),
    }  # fmt: skip
    with (
        a_worker_killed_after(log, num_rows=45) as first,
        a_worker_killed_after(log, num_rows=150, but=first) as second,
        pytest.raises(TrainingError, match=r"again: worker 0: .*mend this and resume"),
    ):
        train_on_ray(config, **where)
    assert len({*first, *second}) == 2
    reached = len(rows(tmp_path))
    talker = train_on_ray(config, **where)
    steps = [row["step"] for row in rows(tmp_path)]
    goes_back = [number for number, (one, other) in enumerate(itertools.pairwise(steps), 1) if other != one + 1]
    assert len(goes_back) <= 2
    assert all(1 < steps[number] <= steps[number - 1] and steps[number] % 20 == 1 for number in goes_back), steps
    assert steps[reached] % 20 == 1, "it went on from a checkpoint"
    assert steps[reached] > 100
    assert set(steps) == set(range(1, 401))
    assert differences(talker, trained_here(config, tiny_corpus)) == []


def test_a_batch_that_does_not_divide_by_the_workers_is_refused_before_anything_starts(tiny_corpus, tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size 4 does not divide by 3 workers"):
        train_on_ray(
            TINY,
            tiny_corpus,
            run_name="odd",
            storage_uri=tmp_path,
            telemetry_folder=tmp_path,
            orchestration=OrchestrationConfig(num_workers=3),
        )
    assert list(tmp_path.iterdir()) == []
