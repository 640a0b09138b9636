"""One real Ray cluster and one S3 server process for the whole session."""

import logging
import os
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

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data import Clip, write_corpus
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """URL of an S3 server (moto) in a process of its own; the usual AWS variables point at it while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    environment = os.environ | _CREDENTIALS
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**_CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        try:
            _await_answer(endpoint, server)
            yield endpoint
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(scope="session")
def ray_session(s3_endpoint: str) -> Iterator[None]:
    """A local Ray cluster with more logical CPUs than the machine may have; its workers know the S3 server."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=4,
        object_store_memory=128 * 1024 * 1024,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


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
            split="validation" if number >= 20 else "train",
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
