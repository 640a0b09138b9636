"""Two real Ray clusters, of one and of several nodes, and one S3 server process for the whole session."""

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faulty_proxy import FaultyProxy
from ray_nodes import RayNodes

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data import Clip, write_corpus
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.orchestration.cluster import ray_cluster

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_proxy() -> Iterator[FaultyProxy]:
    """What stands before an S3 server (moto, in a process of its own) and may be told to misbehave.

    The usual AWS variables point at it while it runs.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | _CREDENTIALS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_answer(f"http://127.0.0.1:{port}", server)
        with FaultyProxy(port) as proxy, pytest.MonkeyPatch.context() as patch:
            for name, value in {**_CREDENTIALS, "AWS_ENDPOINT_URL": proxy.url}.items():
                patch.setenv(name, value)
            yield proxy
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def s3_endpoint(s3_proxy: FaultyProxy) -> str:
    """URL of an S3 server."""
    return s3_proxy.url


@pytest.fixture(scope="session")
def ray_session(s3_endpoint: str) -> Iterator[None]:
    """A local Ray cluster with more logical CPUs than the machine may have; its workers know the S3 server."""
    with ray_cluster(num_cpus=4):
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A head without CPUs and two workers with one each, the second of them also with a `quiet` one."""
    with RayNodes(tmp_path_factory.mktemp("cluster")) as nodes:
        nodes.start_head()
        nodes.start_workers({}, {"quiet": 1})
        yield nodes


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """A job that was submitted from a changed copy of the checkout and ran to its end."""

    source: Path
    """The copy; its version is `VERSION`, and every process that imports the package leaves a file in `imports`."""
    imports: Path
    out: Path
    """The run folder."""
    ended: subprocess.CompletedProcess[str]
    VERSION = "0.0.0+submitted"

    @property
    def command(self) -> list[object]:
        """The entrypoint but for `--out`: long enough to be interrupted, on two ranks."""
        return ["python", "jobs/train_teacher.py", "--config", "jobs/configs/smoke.yaml", *SHORT]


SHORT = (
    *("--regression-steps", 0, "--orchestration.num-workers", 2, "--orchestration.health-check-interval-s", 0.2),
    *("--training.num-steps", 200, "--training.checkpoint-every", 20, "--training.log-every", 1),
)


@pytest.fixture(scope="session")
def submitted(cluster: RayNodes, repository_root: Path, tmp_path_factory: pytest.TempPathFactory) -> SubmittedJob:
    """The main job of a submitted copy, on both workers; nothing disturbed it."""
    folder = tmp_path_factory.mktemp("submitted")
    source, imports = folder / "source", folder / "imports"
    hidden = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "runs", "corpora", "node_modules")
    shutil.copytree(repository_root, source, ignore=hidden)
    package = source / "platform" / "diffusiontalker" / "__init__.py"
    package.write_text(
        "import os, pathlib\n"
        f"__version__ = '{SubmittedJob.VERSION}'\n"
        f"pathlib.Path({str(imports)!r}, str(os.getpid())).write_text(__file__)\n",
        encoding="utf-8",
    )
    imports.mkdir()
    for name in ("runs/old/bundle.bin", "docs/images/big.bin", "node_modules/big.bin", ".venv/lib/big.bin"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(os.urandom(6_000_000))
    out = folder / "run"
    command = ["python", "jobs/train_teacher.py", "--config", "jobs/configs/smoke.yaml", "--out", out, *SHORT]
    ended = cluster.run(*command, source=source, flags=["--runtime-env", "jobs/runtime_env.yaml"])
    return SubmittedJob(source=source, imports=imports, out=out, ended=ended)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 one-second clips of two speakers in two emotions: a tone whose loudness opens the jaw."""
    uri = tmp_path_factory.mktemp("corpora") / "tiny"
    write_corpus(_tones(), uri, motion_fps=25.0, channel_names=CHANNELS, source={"generator": "tones"})
    return uri


def _tones() -> Iterator[Clip]:
    generator = np.random.default_rng(0)
    for number in range(24):
        seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        speaker, emotion = number % 2, number // 2 % 2
        loudness = 0.5 + 0.5 * np.sin(2 * np.pi * (2 + generator.random()) * seconds)
        motion = np.zeros((25, len(CHANNELS)), dtype=np.float32)
        motion[:, CHANNELS.index("jawOpen")] = loudness[:: SAMPLE_RATE_HZ // 25]
        motion[:, CHANNELS.index("mouthSmileLeft")] = 0.5 * emotion
        yield Clip(
            clip_id=f"tone{number:02d}",
            waveform=0.5 * loudness * np.sin(2 * np.pi * (150 + 100 * speaker) * seconds),
            motion=MotionClip(coefficients=motion, fps=25.0),
            speaker=("low", "high")[speaker],
            emotion=("neutral", "happy")[emotion],
            split="train" if number < 20 else "validation" if number < 22 else "test",
        )


def _await_answer(endpoint: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the S3 server ended with exit code {server.returncode}"
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            continue
    raise TimeoutError(f"no answer from {endpoint} within 60 s")
