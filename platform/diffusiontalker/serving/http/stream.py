"""`WS /v1/stream`: sound in, frames out, at the same time."""

import asyncio
import contextlib
import json
import logging
import struct
from typing import Any, Literal

import pydantic
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import Code, ServingError
from diffusiontalker.serving.http.animations import sampling_of, style_of
from diffusiontalker.serving.http.problems import invalid
from diffusiontalker.serving.http.schemas import StreamStart
from diffusiontalker.serving.pcm import PcmDecoder
from diffusiontalker.serving.service import MotionPiece, SpeechStream

logger = logging.getLogger(__name__)

_CLOSE_CODES: dict[Code, int] = {
    "unavailable": 1012, "busy": 1013, "internal": 1011, "unauthenticated": 1008, "forbidden": 1008, "too_large": 1009,
}  # fmt: skip
_BAD_REQUEST = 1007
_MOST_REASON_BYTES = 120
_MOST_TEXT = 10_000
_PATIENCE_S = 1.0
BINARY_HEADER = struct.Struct("<IHH")
"""First frame, frames, channels; then float32 weights, frame by frame."""


def stream_route(core: Core) -> APIRouter:
    """The route, on this core."""
    router = APIRouter()

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        try:
            await socket.accept()
            await _Conversation(core, socket).hold()
        except ServingError as error:
            await _refuse(socket, error)
        except (WebSocketDisconnect, ConnectionError):
            return
        except Exception:
            logger.exception("a stream failed")
            await _refuse(socket, ServingError("internal", "the stream failed; connect again", retry_after_s=1))
        else:
            await _close(socket, 1000)

    return router


class _Conversation:
    """One client from its first message to the last frame."""

    def __init__(self, core: Core, socket: WebSocket) -> None:
        self._core, self._socket = core, socket
        self._idle_s = core.limits.idle_seconds

    async def hold(self) -> None:
        """Raises `ServingError` or `WebSocketDisconnect` when it cannot be held to its end."""
        start = await self._first_message()
        header = self._socket.headers.get("authorization") or (f"Bearer {start.key}" if start.key else None)
        caller = self._core.authenticate(header)
        limits = self._core.limits
        if start.channels > limits.max_channels:
            raise ServingError(
                "unsupported_format", f"{start.channels} channels, allowed are 1 to {limits.max_channels}; mix it down"
            )
        decoder = PcmDecoder(
            sample_rate_hz=start.sample_rate_hz,
            num_channels=start.channels,
            sample_format=start.sample_format,
            min_rate_hz=limits.min_rate_hz,
            max_rate_hz=limits.max_rate_hz,
        )
        stream = await self._core.open_stream(style_of(start), sampling_of(start), caller)
        try:
            facts = stream.facts
            await self._tell({
                "type": "ready",
                "fps": facts.fps,
                "channel_names": facts.channel_names,
                "look_ahead_ms": round(1e3 * facts.look_ahead_s, 1),
            })  # fmt: skip
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(stream, decoder))
                tasks.create_task(self._write(stream, start.frames))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            await stream.close()

    async def _first_message(self) -> StreamStart:
        text = (await self._receive()).get("text") or ""
        try:
            return StreamStart.model_validate_json(text[:_MOST_TEXT])
        except pydantic.ValidationError as error:
            raise ServingError(
                "invalid_parameter",
                f'the first message must be JSON such as {{"type": "start"}}; {invalid(error.errors()).message}',
            ) from None

    async def _read(self, stream: SpeechStream, decoder: PcmDecoder) -> None:
        """Sound until the client says that it ends, a second of it at a time, so that others get their turn."""
        while True:
            message = await self._receive()
            sound = message.get("bytes")
            if sound is None:
                _require_end(message.get("text") or "")
                break
            for begin in range(0, len(sound), decoder.bytes_per_second):
                await stream.feed(decoder.decode(sound[begin : begin + decoder.bytes_per_second]))
        await stream.feed(decoder.finish())
        await stream.finish()

    async def _write(self, stream: SpeechStream, how: Literal["json", "binary"]) -> None:
        """Frames as they come, then the end."""
        num_frames = 0
        async for piece in stream:
            num_frames += len(piece.coefficients)
            await self._tell(_packed(piece) if how == "binary" else _plain(piece, fps=stream.facts.fps))
        await self._tell({"type": "end", "num_frames": num_frames})

    async def _receive(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._socket.receive()
        except TimeoutError:
            raise ServingError(
                "too_slow", f'nothing came for {self._idle_s:g} s; send sound, or {{"type": "end"}}'
            ) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        return dict(message)

    async def _tell(self, what: dict[str, Any] | bytes) -> None:
        await _send(self._socket, what, patience_s=self._idle_s)


async def _send(socket: WebSocket, what: dict[str, Any] | bytes, *, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            if isinstance(what, bytes):
                await socket.send_bytes(what)
            else:
                await socket.send_text(json.dumps(what, separators=(",", ":")))
    except TimeoutError:
        raise WebSocketDisconnect(1001, "the client does not read") from None
    except RuntimeError as error:  # starlette's word for a socket that is closed already
        raise WebSocketDisconnect(1006, str(error)) from None


async def _refuse(socket: WebSocket, error: ServingError) -> None:
    """Says what is wrong, as a message and, for clients that only send, as the reason of the close."""
    with contextlib.suppress(WebSocketDisconnect, ConnectionError):
        await _send(socket, {"type": "error"} | error.body(), patience_s=_PATIENCE_S)
    reason = f"{error.code}: {error.message}".encode()[:_MOST_REASON_BYTES].decode(errors="ignore")
    await _close(socket, _CLOSE_CODES.get(error.code, _BAD_REQUEST), reason)


async def _close(socket: WebSocket, code: int, reason: str | None = None) -> None:
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect, ConnectionError):
        async with asyncio.timeout(_PATIENCE_S):
            await socket.close(code, reason)


def _plain(piece: MotionPiece, *, fps: float) -> dict[str, Any]:
    return {
        "type": "frames",
        "first_frame": piece.first_frame,
        "time_s": round(piece.first_frame / fps, 6),
        "weights": [[float(f"{value:.6g}") for value in frame] for frame in piece.coefficients.tolist()],
    }


def _packed(piece: MotionPiece) -> bytes:
    frames, channels = piece.coefficients.shape
    return BINARY_HEADER.pack(piece.first_frame, frames, channels) + piece.coefficients.astype("<f4").tobytes()


def _require_end(text: str) -> None:
    try:
        is_end = json.loads(text[:_MOST_TEXT]) == {"type": "end"}
    except (ValueError, RecursionError):
        is_end = False
    if not is_end:
        raise ServingError("bad_request", 'expected sound as a binary message, or {"type": "end"} as a text message')


def _first(group: BaseExceptionGroup) -> BaseException:
    """One error out of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
