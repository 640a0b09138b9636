"""A network that misbehaves: a proxy before an HTTP server that delays, cuts, refuses and answers "slow down".

Of what it carries it understands only where the head of a connection's first request ends. There it asks for the
connection to be closed after the answer, so that clients open a new one for each request: shares of connections are
shares of requests.
"""

import asyncio
import contextlib
import dataclasses
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")

_BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: " + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)
_PIECE_BYTES = 65_536


@dataclasses.dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong with the connections that are opened from now on."""

    delay_s: float = 0.0
    """How long nothing happens at first."""
    slow_down_share: float = 0.0
    """Requests that are answered with 503 SlowDown and never reach the server."""
    cut_share: float = 0.0
    """Connections that are reset where `cut_after_bytes` have passed; shorter ones survive."""
    cut_after_bytes: int = 0
    """Bytes that pass in the direction that is cut, heads of requests and answers included."""
    cuts_answers: bool = True
    """Which direction counts: what the server sends, else what it is sent."""


class FaultyProxy:
    """A context manager around the proxy, which runs in a thread of its own.

    Args:
        port: of the server, on this machine.
        seed: of the choice of requests and connections that suffer.
    """

    def __init__(self, port: int, *, faults: Faults | None = None, seed: int = 0) -> None:
        self.faults = faults or Faults()
        """May be replaced at any time."""
        self.counts: Counter[str] = Counter()
        """What it did: connections, delayed, slowed_down, cut, refused (while out)."""
        self._target, self._random = port, random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_out = False

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        self._server = self._wait_for(asyncio.start_server(self._follow, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._wait_for(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """The server is gone for the length of the block: open connections are reset, new ones at once."""
        self._wait_for(self._set_out(True))
        try:
            yield
        finally:
            self._wait_for(self._set_out(False))

    def fail_for(self, seconds: float) -> None:
        """Begins an outage that ends by itself, and returns."""
        self._wait_for(self._set_out(True))
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, setattr, self, "_is_out", False)

    async def _set_out(self, is_out: bool) -> None:
        self._is_out = is_out
        if is_out:
            await self._end_connections()

    async def _close(self) -> None:
        self._server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _wait_for(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._carry(reader, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            _reset(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        faults = self.faults
        self.counts["connections"] += 1
        is_slowed_down = self._random.random() < faults.slow_down_share
        is_cut = self._random.random() < faults.cut_share
        if self._is_out:
            self.counts["refused"] += 1
            raise ConnectionResetError
        head = await reader.readuntil(b"\r\n\r\n")
        if faults.delay_s:
            self.counts["delayed"] += 1
            await asyncio.sleep(faults.delay_s)
        if is_slowed_down:
            self.counts["slowed_down"] += 1
            await self._refuse(reader, writer)
            return
        line, _, rest = head.partition(b"\r\n")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            limit = faults.cut_after_bytes if is_cut else None
            request = self._pipe(
                reader,
                up_writer,
                limit=None if faults.cuts_answers else limit,
                first=line + b"\r\nConnection: close\r\n" + rest,
            )
            answer = self._pipe(up_reader, writer, limit=limit if faults.cuts_answers else None)
            await _until_answered(answer, request)
        finally:
            _reset(up_writer)

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers, and takes what the client still sends: a close on unread bytes would take the answer back."""
        writer.write(_SLOW_DOWN)
        writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await reader.read(_PIECE_BYTES):
                    pass

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limit: int | None, first: bytes = b""
    ) -> None:
        passed, piece = 0, first
        while piece or (piece := await reader.read(_PIECE_BYTES)):
            if limit is not None and passed + len(piece) >= limit:
                writer.write(piece[: limit - passed])
                await writer.drain()
                self.counts["cut"] += 1
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
            passed, piece = passed + len(piece), b""


async def _until_answered(answer: Coroutine[Any, Any, None], request: Coroutine[Any, Any, None]) -> None:
    """Until the answer has ended; an error of either direction ends both."""
    tasks = [asyncio.ensure_future(answer), asyncio.ensure_future(request)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection so that the other side gets an error, whatever was on its way."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
