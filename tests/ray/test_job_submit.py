"""The main job under `ray job submit`, against a real head node started with `ray start`."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")

# A cluster of its own token, whatever tokens this machine's user has from other clusters.
CLUSTER = {
    "PATH": f"{RAY.parent}{os.pathsep}{os.environ['PATH']}",
    "RAY_ADDRESS": "",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
}

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def head_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the jobs API of a head node; the node ends with its process group."""
    gcs, dashboard, agent, metrics, client = free_ports(5)
    command = [
        str(RAY), "start", "--head", "--block", "--num-cpus", "2", "--node-ip-address", "127.0.0.1",
        "--port", str(gcs), "--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard),
        "--dashboard-agent-listen-port", str(agent), "--metrics-export-port", str(metrics),
        "--ray-client-server-port", str(client), "--object-store-memory", str(128 * 1024 * 1024),
        "--temp-dir", str(tmp_path_factory.mktemp("r")),
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("head") / "log"
    with log.open("w") as stream:
        node = subprocess.Popen(
            command, env=os.environ | CLUSTER, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text(encoding="utf-8"):
            assert node.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            threading.Event().wait(0.1)
        yield f"http://127.0.0.1:{dashboard}"
    finally:
        node.terminate()
        try:
            node.wait(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)


def test_the_main_job_runs_when_it_is_submitted_to_a_cluster(head_node, tmp_path):
    out = tmp_path / "run"
    completed = subprocess.run(
        [
            RAY, "job", "submit", "--address", head_node, "--working-dir", ROOT, "--",
            "python", "jobs/train_teacher.py", "--config", "jobs/configs/smoke.yaml", "--out", out,
            "--regression-steps", "0",
        ],
        cwd=ROOT, env=os.environ | CLUSTER, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "joining the Ray cluster" in completed.stdout + completed.stderr
    assert (out / "report.json").exists()
    assert (out / "hello.glb").exists()
