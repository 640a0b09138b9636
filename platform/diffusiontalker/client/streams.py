"""Live streams over WebSocket: send sound, iterate over frames, at the same time."""

import contextlib
import dataclasses
import json
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import websockets
import websockets.asyncio.client
import websockets.sync.client

from diffusiontalker.client.calls import EndpointError, error_of, headers_of

_HEADER = struct.Struct("<IHH")
"""First frame, frames, channels; then float32 weights."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frames:
    """Frames that follow one another."""

    first_frame: int
    coefficients: np.ndarray
    """(frames, channels) float32 in [0, 1]."""


class _Protocol:
    """What both kinds of stream say and understand."""

    def __init__(self, url: str, *, key: str | None, start: dict[str, Any]) -> None:
        self.url = "ws" + url.removeprefix("http") + "/v1/stream"
        self.headers = headers_of(key)
        self.first = json.dumps({"type": "start", "frames": "binary", **start})
        self.facts: dict[str, Any] = {}

    def understood(self, message: str | bytes) -> Frames | None:
        """Frames, or None at the end.

        Raises:
            EndpointError: when the endpoint says so.
        """
        if isinstance(message, bytes):
            first, frames, channels = _HEADER.unpack_from(message)
            weights = np.frombuffer(message, dtype="<f4", offset=_HEADER.size).reshape(frames, channels)
            return Frames(first, weights)
        told = json.loads(message)
        match told.get("type"):
            case "error":
                raise error_of(told)
            case "frames":
                return Frames(told["first_frame"], np.asarray(told["weights"], dtype=np.float32))
        return None

    def ready(self, message: str | bytes) -> None:
        """Keeps the first answer."""
        told = json.loads(message)
        if told.get("type") != "ready":
            raise error_of(told)
        self.facts = told


def _lost(error: websockets.exceptions.ConnectionClosed) -> EndpointError:
    return EndpointError("unavailable", f"the connection was lost ({error}); begin a new stream")


class Stream:
    """Blocking. Sending and iterating may happen in two threads.

        with client.stream(sample_rate_hz=16000, voice="anna-1f0c9a2b") as stream:
            stream.send(pcm_bytes)
            stream.end()
            for frames in stream:
                ...

    Options: sample_rate_hz, sample_format (int16, float32), channels, voice, emotion, emotion_intensity, num_steps,
    temperature, seed.
    """

    def __init__(self, url: str, *, key: str | None, start: dict[str, Any]) -> None:
        self._protocol = _Protocol(url, key=key, start=start)
        self._exit = contextlib.ExitStack()
        self._socket: websockets.sync.client.ClientConnection | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """fps, channel_names, look_ahead_ms."""
        return self._protocol.facts

    def __enter__(self) -> "Stream":
        """Connects.

        Raises:
            EndpointError: when the stream is refused.
        """
        connecting = websockets.sync.client.connect(
            self._protocol.url, additional_headers=self._protocol.headers, max_size=None, compression=None
        )
        with contextlib.ExitStack() as undo:
            self._socket = undo.enter_context(connecting)
            self._socket.send(self._protocol.first)
            self._protocol.ready(self._socket.recv())
            self._exit = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Closes."""
        self._exit.close()

    def send(self, sound: bytes | np.ndarray) -> None:
        """Raw samples in the format that was announced."""
        assert self._socket is not None
        try:
            self._socket.send(sound.tobytes() if isinstance(sound, np.ndarray) else sound)
        except websockets.exceptions.ConnectionClosed as error:
            raise _lost(error) from None

    def end(self) -> None:
        """No more sound will come."""
        assert self._socket is not None
        self._socket.send('{"type": "end"}')

    def __iter__(self) -> Iterator[Frames]:
        """Frames as they come, to the end of the stream."""
        assert self._socket is not None
        while True:
            try:
                frames = self._protocol.understood(self._socket.recv())
            except websockets.exceptions.ConnectionClosed as error:
                raise _lost(error) from None
            if frames is None:
                return
            yield frames


class AsyncStream:
    """`Stream` for asyncio; see there."""

    def __init__(self, url: str, *, key: str | None, start: dict[str, Any]) -> None:
        self._protocol = _Protocol(url, key=key, start=start)
        self._exit = contextlib.AsyncExitStack()
        self._socket: websockets.asyncio.client.ClientConnection | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """fps, channel_names, look_ahead_ms."""
        return self._protocol.facts

    async def __aenter__(self) -> "AsyncStream":
        """Connects.

        Raises:
            EndpointError: when the stream is refused.
        """
        connecting = websockets.asyncio.client.connect(
            self._protocol.url, additional_headers=self._protocol.headers, max_size=None, compression=None
        )
        async with contextlib.AsyncExitStack() as undo:
            self._socket = await undo.enter_async_context(connecting)
            await self._socket.send(self._protocol.first)
            self._protocol.ready(await self._socket.recv())
            self._exit = undo.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes."""
        await self._exit.aclose()

    async def send(self, sound: bytes | np.ndarray) -> None:
        """Raw samples in the format that was announced."""
        assert self._socket is not None
        try:
            await self._socket.send(sound.tobytes() if isinstance(sound, np.ndarray) else sound)
        except websockets.exceptions.ConnectionClosed as error:
            raise _lost(error) from None

    async def end(self) -> None:
        """No more sound will come."""
        assert self._socket is not None
        await self._socket.send('{"type": "end"}')

    async def __aiter__(self) -> AsyncIterator[Frames]:
        """Frames as they come, to the end of the stream."""
        assert self._socket is not None
        while True:
            try:
                frames = self._protocol.understood(await self._socket.recv())
            except websockets.exceptions.ConnectionClosed as error:
                raise _lost(error) from None
            if frames is None:
                return
            yield frames
