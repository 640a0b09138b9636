"""The endpoint without Ray, at tiny size: its core, and a real HTTP server in a thread."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from tiny_student import tiny_bundle

from diffusiontalker.inference import Bundle, save_bundle
from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.http import build_http
from diffusiontalker.serving.plain import make_core

TOLERANCE = 2e-5
_DEADLINE_S = 60.0


def arguments_of(folder: Path, *, bundle: Bundle | None = None, **changes: Any) -> ServingArguments:
    """Arguments of an endpoint whose bundle and voices lie in a folder; the bundle is made when it is not there."""
    if not (folder / "bundle").exists():
        save_bundle(bundle or tiny_bundle(), folder / "bundle")
    plain = {"bundle": str(folder / "bundle"), "voices": str(folder / "voices")}
    return ServingArguments.model_validate(plain | changes)


@contextlib.asynccontextmanager
async def core_of(folder: Path, **changes: Any) -> AsyncIterator[Core]:
    """A core on this event loop, closed afterwards."""
    core = make_core(arguments_of(folder, **changes))
    try:
        yield core
    finally:
        await core.close()


@contextlib.contextmanager
def slow_batches(core: Core) -> Iterator[threading.Event]:
    """Within the block, batches of recordings wait for the event in their thread."""
    gate, batcher = threading.Event(), core.student().engine.batcher
    compute = batcher._compute

    def gated(jobs: Any) -> Any:
        assert gate.wait(_DEADLINE_S)
        return compute(jobs)

    batcher._compute = gated
    try:
        yield gate
    finally:
        gate.set()
        batcher._compute = compute


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails when it does not within the deadline."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


class Server:
    """A core behind uvicorn on a free port of the loopback, in a thread with an event loop of its own.

    `sent_bytes`: what the system buffers of what clients do not read.
    """

    def __init__(self, arguments: ServingArguments, *, sent_bytes: int | None = None) -> None:
        self._started: Future[tuple[Core, asyncio.AbstractEventLoop]] = Future()
        self._socket = socket.create_server(("127.0.0.1", 0))
        if sent_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sent_bytes)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._uvicorn: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(arguments)))
        self._thread.start()
        self.core, self._loop = self._started.result(_DEADLINE_S)
        self.http = httpx.Client(base_url=self.url, timeout=_DEADLINE_S)

    def run(self, work: Callable[[], Any]) -> Any:
        """What a function or coroutine function gives on the server's event loop."""

        async def result() -> Any:
            made = work()
            return await made if asyncio.iscoroutine(made) else made

        return asyncio.run_coroutine_threadsafe(result(), self._loop).result(_DEADLINE_S)

    @contextlib.contextmanager
    def limits(self, **changes: Any) -> Iterator[None]:
        """Other limits for a while."""
        before = self.core.limits
        self.run(lambda: self.core.reconfigure(limits=before.model_copy(update=changes)))
        yield
        self.run(lambda: self.core.reconfigure(limits=before))

    def metric(self, name: str, **labels: str) -> float:
        """A number out of `/metrics`; 0 when it is not there yet."""
        wanted = "diffusiontalker_" + name
        for line in self.http.get("/metrics").text.splitlines():
            label, _, value = line.rpartition(" ")
            if label.partition("{")[0] == wanted and all(f'{key}="{text}"' in label for key, text in labels.items()):
                return float(value)
        return 0.0

    def close(self) -> None:
        """Ends server and core."""
        self.http.close()
        assert self._uvicorn is not None
        self._uvicorn.should_exit = True
        self._thread.join(_DEADLINE_S)
        assert not self._thread.is_alive()

    async def _serve(self, arguments: ServingArguments) -> None:
        try:
            core = make_core(arguments)
            config = uvicorn.Config(build_http(core), log_level="critical", lifespan="off", timeout_graceful_shutdown=5)
            self._uvicorn = uvicorn.Server(config)
        except BaseException as error:
            self._started.set_exception(error)
            raise
        self._started.set_result((core, asyncio.get_running_loop()))
        try:
            await self._uvicorn.serve(sockets=[self._socket])
        finally:
            await core.close()
            self._socket.close()


@contextlib.contextmanager
def served(folder: Path, *, sent_bytes: int | None = None, **changes: Any) -> Iterator[Server]:
    """A server that answers within the block."""
    server = Server(arguments_of(folder, **changes), sent_bytes=sent_bytes)
    try:
        yield server
    finally:
        server.close()
