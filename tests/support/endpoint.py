"""The endpoint on Ray Serve in processes of its own, with a tiny student."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from diffusiontalker.serving.app import GRPC_SERVICERS

START_S = 90.0
_ENVIRONMENT = os.environ | {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_metrics_report_interval_ms": "1000",
}
"""Of a cluster and of those who talk to it."""
_HEADERS = {"authorization": f"Bearer {_ENVIRONMENT['RAY_AUTH_TOKEN']}"}
_HTTP = httpx.Client(timeout=60.0, limits=httpx.Limits(max_keepalive_connections=0))
"""For all questions, each over a connection of its own: to get a client ready for TLS costs 25 ms of a processor."""


def _beside_python(program: str) -> str:
    """A program of this virtual environment."""
    return str(Path(sys.executable).with_name(program))


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Endpoint:
    """`diffusiontalker serve` in a process of its own."""

    def __init__(self, bundle: Path | str, folder: Path, *flags: str, voices: str = "") -> None:
        self.port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log, self.is_ending = folder / "serve.log", False
        command = [
            _beside_python("diffusiontalker"), "serve", "--bundle", bundle, "--voices", voices or folder / "voices",
            "--port", self.port, "--grpc-port", self.grpc_port, *flags,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    def wait(self) -> None:
        """Until it answers."""
        wait_for(self.answers, what=lambda: f"the endpoint to answer\n{self.log.read_text()}", seconds=START_S)

    def answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"serve ended with {self.process.returncode}\n{self.log.read_text()}")
        try:
            is_ready = _HTTP.get(f"{self.url}/ready", timeout=2.0).status_code == 200
            return is_ready and "Ctrl-C" in self.log.read_text()
        except httpx.HTTPError:
            return False

    def terminate(self) -> None:
        """As an operator or Kubernetes ends it."""
        self.is_ending = True
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Its exit code, when all has ended."""
        if self.process.poll() is None and not self.is_ending:
            self.terminate()
        try:
            return self.process.wait(timeout=60.0)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


def wait_for(condition: Callable[[], bool], *, what: Callable[[], str], seconds: float = 30.0) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what()}")
        time.sleep(0.1)


class Cluster:
    """A Ray head of its own, to which configurations are deployed as an operator does: `serve deploy`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.grpc_port = folder, free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Under its own folder: else its address would be left in that of all clusters of this machine.
        self._sessions = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        gcs, self.dashboard, self.metrics_port = free_port(), free_port(), free_port()
        self.address = f"127.0.0.1:{gcs}"
        self._applications_url = f"http://127.0.0.1:{self.dashboard}/api/serve/applications/"
        self.log = folder / "head.log"
        flags = {
            "--port": gcs, "--dashboard-port": self.dashboard, "--dashboard-host": "127.0.0.1", "--num-cpus": 4,
            "--node-ip-address": "127.0.0.1", "--object-store-memory": 128 * 1024 * 1024,
            "--dashboard-agent-listen-port": free_port(), "--ray-client-server-port": free_port(),
            "--metrics-export-port": self.metrics_port, "--temp-dir": self._sessions.name,
        }  # fmt: skip
        command = [_beside_python("ray"), "start", "--head", "--block", "--disable-usage-stats"]
        command += [word for pair in flags.items() for word in pair]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=_ENVIRONMENT,
            )  # fmt: skip

    def deploy(
        self, arguments: dict, *, talker: dict | None = None, personalizer: dict | None = None, by_command: bool = False
    ) -> None:
        """Deploys one endpoint and returns when all of it runs.

        Replicas stay where the arguments do. `by_command`: with `serve deploy`, which sends what is sent here, from a
        process that imports Ray Serve first.
        """
        config = {
            "http_options": {"host": "127.0.0.1", "port": self.port},
            "grpc_options": {"port": self.grpc_port, "grpc_servicer_functions": list(GRPC_SERVICERS)},
            "applications": [
                {
                    "name": "diffusiontalker",
                    "route_prefix": "/",
                    "import_path": "diffusiontalker.serving.app:build_app",
                    "args": arguments,
                    "deployments": [
                        {"name": "Talker", "ray_actor_options": {"num_cpus": 0.5}, "user_config": {}, **(talker or {})},
                        {"name": "Personalizer", "ray_actor_options": {"num_cpus": 0.5}, **(personalizer or {})},
                    ],
                }
            ],
        }
        if by_command:
            self._deploy_by_command(config)
        else:
            answer = _HTTP.put(self._applications_url, json=config, headers=_HEADERS)
            assert answer.status_code == 200, answer.text
        wait_for(self._is_running, what=lambda: json.dumps(self._state()), seconds=START_S)

    def _deploy_by_command(self, config: dict) -> None:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [_beside_python("serve"), "deploy", "-a", f"http://127.0.0.1:{self.dashboard}", str(path)]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=_ENVIRONMENT)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def wait(self) -> None:
        """Until it takes deployments."""
        wait_for(lambda: self._state() is not None, what=self.log.read_text, seconds=START_S)

    def replica_pids(self, deployment: str) -> dict[str, int]:
        """Replica that takes requests -> process."""
        replicas = self._deployments()[deployment]["replicas"]
        return {one["replica_id"]: one["pid"] for one in replicas if one["state"] == "RUNNING"}

    def _is_running(self) -> bool:
        application = (self._state() or {}).get("applications", {}).get("diffusiontalker", {})
        states = [one["status"] for one in self._deployments().values()]
        return application.get("status") == "RUNNING" and len(states) == 2 and set(states) == {"HEALTHY"}

    def _deployments(self) -> dict:
        return (self._state() or {}).get("applications", {}).get("diffusiontalker", {}).get("deployments", {})

    def _state(self) -> dict | None:
        """What the dashboard says of Ray Serve; None while it does not answer."""
        try:
            answer = _HTTP.get(self._applications_url, headers=_HEADERS, timeout=20.0)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of one of our metrics on every replica, as Prometheus would read them now."""
        text = _HTTP.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=20.0).text
        full = f"ray_diffusiontalker_{name}"
        lines = [line for line in text.splitlines() if line.startswith(full)]  # of a megabyte that is slow to parse
        families = text_string_to_metric_families("\n".join(lines) + "\n")
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == full]

    def end(self) -> None:
        """Ends everything that belongs to it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            try:
                self.process.wait(timeout=2.0)
                break
            except subprocess.TimeoutExpired:
                continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._sessions.cleanup()
