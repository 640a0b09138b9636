"""How long a submitted training takes to its first step: the same job, submitted again and again and then stopped."""

import dataclasses
import json
import logging
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from ray.job_submission import JobSubmissionClient

from diffusiontalker.orchestration.cluster import environment
from diffusiontalker.storage import open_filesystem, read_bytes

_LOOK_EVERY_S = 0.1
_LONGEST_S = 600.0


class SubmissionError(ValueError):
    """A job that did not come to its first step; the message has the end of its output."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SubmissionTimes:
    """Seconds since the start of `ray job submit`."""

    accepted_s: float
    """Package uploaded, job known to the cluster."""
    driver_s: float
    """The driver has unpacked and imported the package and has made its run folder."""
    first_step_s: float
    """Corpus opened, workers started, first optimizer step done."""


def time_submission(
    address: str, entrypoint: Sequence[str], *, out_uri: str, working_dir: Path, runtime_env: Path
) -> SubmissionTimes:
    """Submits a training, waits for its first step, stops it.

    Args:
        address: URL of the dashboard; a token is taken from the environment, as by `ray job submit`.
        entrypoint: words of a command that trains into `out_uri` and logs every step.
        out_uri: its run folder, a path or URL that this machine can read.
        working_dir: what is uploaded.
        runtime_env: YAML file with the environment of the job.

    Raises:
        SubmissionError: when there is no cluster, the job ends before its first step or takes ten minutes, or the run
            folder is taken.
    """
    if _read(f"{out_uri}/config.yaml"):
        raise SubmissionError(f"{out_uri}: there is a run already; give another folder")
    brought = yaml.safe_load(runtime_env.read_text(encoding="utf-8")) | {"working_dir": str(working_dir)}
    logging.getLogger("ray").setLevel(logging.ERROR)  # it tells of every file that is not uploaded
    started = time.time()
    try:
        with environment({"RAY_ADDRESS": address}):  # which would be preferred
            client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise SubmissionError(f"{address}: no Ray cluster takes jobs there ({error}); give its dashboard") from None
    job = client.submit_job(entrypoint=shlex.join(entrypoint), runtime_env=brought)
    accepted = time.time()
    try:
        _wait_for(f"{out_uri}/config.yaml", client, job)
        driver = time.time()
        log = _wait_for(f"{out_uri}/metrics.jsonl", client, job)
    finally:
        client.stop_job(job)
        while not client.get_job_status(job).is_terminal():
            time.sleep(_LOOK_EVERY_S)
    first = json.loads(log.splitlines()[0])
    return SubmissionTimes(
        accepted_s=accepted - started, driver_s=driver - started, first_step_s=first["wall_time_s"] - started
    )


def _wait_for(uri: str, client: JobSubmissionClient, job: str) -> bytes:
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        if found := _read(uri):
            return found
        if client.get_job_status(job).is_terminal():
            break
        time.sleep(_LOOK_EVERY_S)
    raise SubmissionError(f"job {job} did not come to its first step:\n{client.get_job_logs(job)[-2000:]}")


def _read(uri: str) -> bytes | None:
    """Whole lines of a file; None when there are none yet."""
    try:
        return read_bytes(*open_filesystem(uri)).rpartition(b"\n")[0] or None
    except FileNotFoundError:
        return None
