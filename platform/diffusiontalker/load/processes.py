"""Endpoints in processes of their own, which always end: with the block, on errors, and when this process dies."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from diffusiontalker.load.settings import LoadError

_START_S = 180.0
_END_S = 30.0
_ASK_EVERY_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ServerProcess:
    """A running endpoint."""

    def __init__(self, command: Sequence[str], *, url: str, log: Path) -> None:
        self.url, self._log = url, log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,  # Programs end when it closes, which happens however this process ends.
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the client, which then ends the endpoint.
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def wait_ready(self, *, seconds: float = _START_S) -> None:
        """Until it answers.

        Raises:
            LoadError: when it ends instead, or takes too long; the end of its log says why.
        """
        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False, timeout=5.0) as client:
            while time.monotonic() < deadline:
                if self._popen.poll() is not None:
                    raise LoadError(f"the endpoint ended with code {self._popen.returncode}:\n{self._last_words()}")
                with contextlib.suppress(httpx.HTTPError):
                    if client.get(f"{self.url}/ready").is_success:
                        return
                time.sleep(_ASK_EVERY_S)
        raise LoadError(f"the endpoint did not answer within {seconds:g} s:\n{self._last_words()}")

    def cpu_s(self) -> float:
        """CPU seconds that it and its children have used so far; 0 where there is no /proc."""
        return sum(process.cpu_s for process in _family(self.pid))

    def end(self, *, patience_s: float = _END_S) -> None:
        """As an operator ends it, and by force when that does not help; nothing of it is left."""
        family = _family(self.pid)
        self._popen.terminate()
        try:
            self._popen.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        finally:
            if self._popen.stdin is not None:
                self._popen.stdin.close()
            left = {(process.pid, process.started) for process in _processes()}
            for process in family:
                if (process.pid, process.started) in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _last_words(self) -> str:
        return "\n".join(self.output().splitlines()[-12:])


@contextlib.contextmanager
def running(command: Sequence[str], *, url: str, log: Path) -> Iterator[ServerProcess]:
    """An endpoint that answers within the block.

    Raises:
        LoadError: when it does not begin to.
    """
    with started(command, url=url, log=log) as server:
        server.wait_ready()
        yield server


@contextlib.contextmanager
def started(command: Sequence[str], *, url: str, log: Path) -> Iterator[ServerProcess]:
    """An endpoint that was started a moment ago; whoever needs its answers waits for them."""
    server = ServerProcess(command, url=url, log=log)
    try:
        yield server
    finally:
        server.end()


def python_program(module: str, *words: object) -> list[str]:
    """The command line of a module of this package, run by this Python."""
    return [sys.executable, "-m", module, *map(str, words)]


def machine_times() -> tuple[float, float] | None:
    """CPU seconds used by anybody, and available, since the machine started; None where there is no /proc."""
    try:
        line = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None
    ticks = [int(word) for word in line.split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / _TICKS_PER_S, sum(ticks) / _TICKS_PER_S


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Process:
    """A line of the system's process table."""

    pid: int
    parent: int
    started: int
    """With the pid it tells processes apart for good."""
    cpu_s: float
    """Its own and that of children that have ended."""


def _family(pid: int) -> list[_Process]:
    """A process and all below it."""
    everything = _processes()
    found = [process for process in everything if process.pid == pid]
    for process in found:  # grows while it is walked
        found += [child for child in everything if child.parent == process.pid]
    return found


def _processes() -> list[_Process]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            cpu_s = sum(map(int, fields[11:15])) / _TICKS_PER_S
            found.append(
                _Process(pid=int(path.parent.name), parent=int(fields[1]), started=int(fields[19]), cpu_s=cpu_s)
            )
    return found
