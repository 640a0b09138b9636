"""The training on real Ray clusters: split over ranks, stopped, killed and resumed, it learns the same weights."""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from meanwhile import meanwhile
from trainings import LONG, QUICK, TINY, differences, rows, trained_here, without_dropout

from diffusiontalker.config import ConfigError
from diffusiontalker.orchestration import OrchestrationConfig, train_on_ray
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
def a_worker_killed_after(log: Path, *, num_rows: int) -> Iterator[list[int]]:
    """Kills one training worker as soon as the log has so many rows; yields the list of those killed."""
    killed: list[int] = []

    def kill() -> None:
        killed.append(worker_processes()[0])
        os.kill(killed[0], signal.SIGKILL)

    def has_come_far() -> bool:
        return log.exists() and log.read_bytes().count(b"\n") >= num_rows and bool(worker_processes())

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


def test_a_killed_worker_is_replaced_and_the_result_is_the_same(tiny_corpus, tmp_path):
    log = tmp_path / "metrics.jsonl"
    with a_worker_killed_after(log, num_rows=45) as killed:
        talker = train_on_ray(
            LONG, tiny_corpus, run_name="killed", storage_uri=tmp_path, telemetry_folder=tmp_path, orchestration=QUICK
        )
    assert killed
    assert differences(talker, trained_here(LONG, tiny_corpus)) == []


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
