"""A Ray cluster of several processes, as an operator starts it: `ray start --head`, then `ray start --address`.

Every node is a tree of processes with a loopback address and a folder of its own, so that one of them can die as a
machine dies: without a word. Drivers find the head first, as they do wherever several nodes share a machine.
"""

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

RAY = Path(sys.executable).with_name("ray")
START_S, JOB_S = 120.0, 240.0
_LOOK_S = 0.1
"""Between two looks at a condition: most ask a head, which has better things to do."""

NOTICES_DEATH_SOON = {
    # Five missed health checks in a row make a dead node. A killed process refuses them at once, while a busy one has
    # the usual ten seconds to answer each.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    # How long the processes of a node live without a head.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
}

_HEAD = "127.0.0.2"
_OBJECT_STORE_BYTES = 80 * 1024 * 1024


class RayNode:
    """One `ray start --block` and all that descends from it; its sessions are in `folder`."""

    def __init__(self, flags: Sequence[object], *, folder: Path, log: Path, variables: Mapping[str, str]) -> None:
        self.folder, self.log = folder, log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [str(word) for word in (RAY, "start", "--block", *flags)],
                env=os.environ | variables, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it is up."""
        wait_for(self.is_up, what=lambda: f"a node to start\n{self.log.read_text(encoding='utf-8')}")

    def processes(self, name: str = "") -> list[int]:
        """Its processes whose command line contains the name."""
        return [pid for pid in (self.process.pid, *descendants(self.process.pid)) if name in command_line(pid)]

    def kill(self) -> None:
        """Ends all of it at once and without warning."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def is_up(self) -> bool:
        """Whether it has started; fails when it has ended."""
        text = self.log.read_text(encoding="utf-8")
        assert self.process.poll() is None, text
        return "Ray runtime started" in text


class Job:
    """A job that was submitted."""

    def __init__(self, number: str, http: httpx.Client) -> None:
        self.number, self._http = number, http

    def info(self) -> dict[str, Any]:
        """What the jobs API says of it."""
        return self._http.get(f"/api/jobs/{self.number}").raise_for_status().json()

    def logs(self) -> str:
        """What its driver printed."""
        return self._http.get(f"/api/jobs/{self.number}/logs").raise_for_status().json()["logs"]

    def stop(self) -> None:
        """As `ray job stop` does; returns when the driver has ended."""
        self._http.post(f"/api/jobs/{self.number}/stop").raise_for_status()
        self.wait("STOPPED")

    def wait(self, status: str) -> None:
        """Until it has ended, which must be with this status."""
        wait_for(self._has_ended, what=lambda: f"job {self.number} to end\n{self.logs()}")
        info = self.info()
        assert info["status"] == status, f"{info}\n{self.logs()}"

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds, while it runs."""

        def holds() -> bool:
            assert not self._has_ended(), f"{self.info()}\n{self.logs()}"
            return condition()

        wait_for(holds, what=lambda: f"job {self.number} to come that far\n{self.logs()}", seconds=JOB_S)

    def _has_ended(self) -> bool:
        return self.info()["status"] in ("SUCCEEDED", "FAILED", "STOPPED")


class RayNodes:
    """A head and its workers: added, killed and started again one by one; a context manager that ends them all.

    Args:
        folder: gets the logs of the nodes.
        redis: host:port of a Redis that keeps the tables of the head (GCS fault tolerance).
        variables: further environment of every node.
    """

    def __init__(self, folder: Path, *, redis: str = "", variables: Mapping[str, str] | None = None) -> None:
        self.folder, self.nodes = folder, list[RayNode]()
        gcs, dashboard = free_ports(2)
        self.url, self.gcs = f"http://127.0.0.1:{dashboard}", f"{_HEAD}:{gcs}"
        self._head_flags = (
            "--head", "--port", gcs, "--dashboard-host", "127.0.0.1", "--dashboard-port", dashboard,
            "--ray-client-server-port", *free_ports(1),
        )  # fmt: skip
        # A cluster of its own token, whatever tokens this machine's user has from other clusters.
        self.variables = {
            "PATH": f"{RAY.parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_ADDRESS": "",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            **NOTICES_DEATH_SOON,
            **(variables or {}),
        }
        self._of_head = {"RAY_REDIS_ADDRESS": redis, "RAY_external_storage_namespace": folder.name} if redis else {}
        self._sessions = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self.http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"}, timeout=30.0
        )

    def __enter__(self) -> "RayNodes":
        return self

    def __exit__(self, *error: object) -> None:
        for node in self.nodes:
            node.kill()
        self.http.close()
        self._sessions.cleanup()

    def start_head(self, *, cpus: int = 0) -> RayNode:
        """A head, under the address of any head before it; returns when it takes jobs.

        `ray start` gives up after 30 s, which a busy machine may need; then it is started again, as Kubernetes would.
        """
        for is_last in (False, True):
            node = self._start(*self._head_flags, "--num-cpus", cpus, address=_HEAD, variables=self._of_head)
            try:
                node.wait()
                break
            except AssertionError as error:
                if is_last or "timed out during startup" not in str(error):
                    raise
                node.kill()
        wait_for(
            lambda: node.is_up() and self._takes_jobs(), what=lambda: f"the jobs API to answer; logs in {node.folder}"
        )
        return node

    def start_workers(self, *resources: Mapping[str, float], cpus: int = 1, labels: str = "") -> list[RayNode]:
        """Further nodes, one for each set of custom resources; they are there when this returns."""
        nodes = [
            self._start(
                "--address", self.gcs, "--num-cpus", cpus, "--resources", json.dumps(one), "--labels", labels,
                "--include-log-monitor", False,  # one for each machine, says Ray
                address=f"127.0.0.{len(self.nodes) + 2}", variables={},
            )
            for one in resources
        ]  # fmt: skip
        for node in nodes:
            node.wait()
        return nodes

    def run(self, *entrypoint: object, flags: Sequence[object] = (), source: Path) -> subprocess.CompletedProcess[str]:
        """`ray job submit` of a folder, followed until the job has ended."""
        return subprocess.run(
            [str(word) for word in (
                RAY, "job", "submit", "--address", self.url, "--working-dir", ".", *flags, "--", *entrypoint
            )],
            cwd=source, env=os.environ | self.variables, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip

    def submit(self, *entrypoint: object, flags: Sequence[object] = (), source: Path) -> Job:
        """`ray job submit --no-wait` of a folder."""
        number = f"job-{secrets.token_hex(4)}"
        submitted = self.run(*entrypoint, flags=["--no-wait", "--submission-id", number, *flags], source=source)
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        return Job(number, self.http)

    def alive(self) -> list[str]:
        """Addresses of the nodes that the head believes to be alive."""
        nodes = self.http.get("/nodes?view=summary").raise_for_status().json()["data"]["summary"]
        return sorted(node["ip"] for node in nodes if node["raylet"]["state"] == "ALIVE")

    def _takes_jobs(self) -> bool:
        try:
            return self.http.get("/api/jobs/").status_code == 200
        except httpx.HTTPError:
            return False

    def _start(self, *flags: object, address: str, variables: Mapping[str, str]) -> RayNode:
        number = len(self.nodes) + 1
        folder = Path(self._sessions.name) / str(number)
        node = RayNode(
            [
                *flags, "--node-ip-address", address, "--temp-dir", folder, "--object-store-memory",
                _OBJECT_STORE_BYTES, "--min-worker-port", 0, "--max-worker-port", 0, "--dashboard-agent-listen-port", 0,
            ],
            folder=folder,
            log=self.folder / f"node{number}.log",
            variables=self.variables | variables,
        )  # fmt: skip
        self.nodes.append(node)
        return node


def logged(run: Path) -> list[dict[str, float]]:
    """The training figures in a run folder so far; empty before there is one."""
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return []


def first_step_after(run: Path, *, rows: int, checkpoint_every: int) -> float:
    """Where a training went on that had logged so many rows: behind a checkpoint that it had reached, not at its start.

    It may have gone on a little behind its last row: the rows of its last half second are lost with its driver.
    """
    before, after = logged(run)[rows - 1 : rows + 1]
    assert 1 < after["step"] <= before["step"] + checkpoint_every, (before, after)
    assert after["step"] % checkpoint_every == 1, after
    return after["step"]


def free_ports(count: int) -> list[int]:
    """So many ports that nobody uses, and that the system gives to nobody who asks for any: they stay free."""
    found = set[int]()
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            found.add(port)
    return list(found)


def command_line(pid: int) -> str:
    """Of a process; empty when there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def descendants(root: int) -> list[int]:
    """Process ids of the children of a process, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The parent is the fourth field, the second one after the name in parentheses.
            parent = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(entry.name))
    found, open_ = list[int](), [root]
    while open_:
        below = children.get(open_.pop(), [])
        found += below
        open_ += below
    return found


def wait_for(condition: Callable[[], bool], *, what: Callable[[], str], seconds: float = START_S) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what()}"
        time.sleep(_LOOK_S)
