"""Live streams over WebSocket: send sound, iterate over frames, at the same time."""

import contextlib
import dataclasses
import json
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from diffusiontalker.client.calls import EndpointError, code_of, error_of, headers_of

_HEADER = struct.Struct("<IHH")
"""First frame, frames, channels; then float32 weights."""
_END = '{"type": "end"}'
_DTYPES = {"int16": np.dtype("<i2"), "float32": np.dtype("<f4")}


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
        self.options = {"additional_headers": headers_of(key), "max_size": None, "compression": None}
        self.first = json.dumps({"type": "start", "frames": "binary", **start})
        self.facts: dict[str, Any] = {}
        self._dtype = _DTYPES.get(start.get("sample_format", "int16"))

    def packed(self, sound: bytes | np.ndarray) -> bytes:
        """Samples as they travel.

        Raises:
            ValueError: for an array of another type than the one announced.
        """
        if isinstance(sound, bytes):
            return sound
        if sound.dtype != self._dtype:
            raise ValueError(f"samples are {sound.dtype}, but the stream was begun with sample_format {self._dtype}")
        return sound.tobytes()

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
            case "end":
                return None
            case "frames":
                return Frames(told["first_frame"], np.asarray(told["weights"], dtype=np.float32))
        raise error_of(told)

    def ready(self, message: str | bytes) -> None:
        """Keeps the first answer."""
        told = json.loads(message)
        if told.get("type") != "ready":
            raise error_of(told)
        self.facts = told


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Whatever happens to a connection as an `EndpointError`."""
    try:
        yield
    except ConnectionClosed as error:
        code, _, message = (error.rcvd.reason if error.rcvd else "").partition(": ")  # as our endpoint says it
        if not message:
            code, message = "unavailable", f"the connection was lost ({error}); begin a new stream"
        raise EndpointError(code, message) from None
    except InvalidStatus as error:
        status = error.response.status_code
        raise EndpointError(code_of(status), f"no stream: status {status}", status=status) from None
    except (OSError, InvalidHandshake) as error:
        raise EndpointError("unavailable", f"the endpoint cannot be reached ({error})") from None


class Stream:
    """Blocking. Sending and iterating may happen in two threads.

        with client.stream(sample_rate_hz=16000, voice="anna-1f0c9a2b") as stream:
            stream.send(pcm_bytes)
            stream.end()
            for frames in stream:
                ...

    Options: sample_rate_hz, sample_format (int16, float32), channels, voice, emotion, emotion_intensity, num_steps,
    temperature, seed. Every method raises `EndpointError` when the stream is refused, fails or is lost. The endpoint
    takes no more sound while much of what it made is unread: iterate while you send a long recording.
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
        """Connects."""
        with _mapped(), contextlib.ExitStack() as undo:
            connecting = websockets.sync.client.connect(self._protocol.url, **self._protocol.options)
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
        with _mapped():
            self._socket.send(self._protocol.packed(sound))

    def end(self) -> None:
        """No more sound will come."""
        assert self._socket is not None
        with _mapped():
            self._socket.send(_END)

    def __iter__(self) -> Iterator[Frames]:
        """Frames as they come, to the end of the stream."""
        assert self._socket is not None
        while True:
            with _mapped():
                message = self._socket.recv()
            frames = self._protocol.understood(message)
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
        """Connects."""
        with _mapped():
            async with contextlib.AsyncExitStack() as undo:
                connecting = websockets.asyncio.client.connect(self._protocol.url, **self._protocol.options)
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
        with _mapped():
            await self._socket.send(self._protocol.packed(sound))

    async def end(self) -> None:
        """No more sound will come."""
        assert self._socket is not None
        with _mapped():
            await self._socket.send(_END)

    async def __aiter__(self) -> AsyncIterator[Frames]:
        """Frames as they come, to the end of the stream."""
        assert self._socket is not None
        while True:
            with _mapped():
                message = await self._socket.recv()
            frames = self._protocol.understood(message)
            if frames is None:
                return
            yield frames
