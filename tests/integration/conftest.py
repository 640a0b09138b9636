"""One run of the main job for all integration tests, as a user starts it: in a process of its own."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that has ended."""

    code: int
    output: str
    """Standard output."""
    log: str
    """Standard error."""


def run_job(
    *arguments: str | Path, script: str = "jobs/train_teacher.py", environment: dict[str, str] | None = None
) -> Finished:
    """Runs a job in the checkout."""
    completed = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"RAY_ADDRESS": ""} | (environment or {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Finished(code=completed.returncode, output=completed.stdout, log=completed.stderr)


@pytest.fixture(scope="session")
def job() -> Callable[..., Finished]:
    """Runs a job, `jobs/train_teacher.py` unless another is named, with some flags."""
    return run_job


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmokeRun:
    """The finished smoke run; tests must not change its folder."""

    folder: Path
    process: Finished


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> SmokeRun:
    """`jobs/configs/smoke.yaml` from nothing to hello."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    process = run_job("--config", "jobs/configs/smoke.yaml", "--out", folder)
    assert process.code == 0, process.log
    return SmokeRun(folder=folder, process=process)
