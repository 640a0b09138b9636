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
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.http.animations import sampling_of, style_of
from diffusiontalker.serving.http.schemas import StreamStart
from diffusiontalker.serving.pcm import PcmDecoder
from diffusiontalker.serving.service import MotionPiece, SpeechStream

logger = logging.getLogger(__name__)

_CLOSE_CODES = {"unavailable": 1012, "busy": 1013, "internal": 1011, "unauthenticated": 1008, "forbidden": 1008}
_BAD_REQUEST = 1007
BINARY_HEADER = struct.Struct("<IHH")
"""First frame, frames, channels; then float32 weights, frame by frame."""


def stream_route(core: Core) -> APIRouter:
    """The route, on this core."""
    router = APIRouter()

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        code = 1000
        try:
            await _Conversation(core, socket).hold()
        except ServingError as error:
            code = _CLOSE_CODES.get(error.code, _BAD_REQUEST)
            with contextlib.suppress(Exception):
                await _send(socket, {"type": "error"} | error.body(), patience_s=1.0)
        except (WebSocketDisconnect, ConnectionError):
            return
        except Exception:
            logger.exception("a stream failed")
            code = 1011
            with contextlib.suppress(Exception):
                error = ServingError("internal", "the stream failed; connect again", retry_after_s=1)
                await _send(socket, {"type": "error"} | error.body(), patience_s=1.0)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1.0):
                await socket.close(code)

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
                reading = tasks.create_task(self._read(stream, decoder))
                tasks.create_task(self._write(stream, start.frames, reading))
        except* ServingError as group:
            raise _first(group) from None
        except* (WebSocketDisconnect, ConnectionError) as group:
            raise _first(group) from None
        finally:
            await stream.close()

    async def _first_message(self) -> StreamStart:
        message = await self._receive()
        try:
            return StreamStart.model_validate_json(message.get("text") or "")
        except pydantic.ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc'])) or 'message'}: {one['msg']}" for one in error.errors()]
            raise ServingError(
                "invalid_parameter",
                f'the first message must be JSON such as {{"type": "start"}}; {"; ".join(problems[:8])}',
            ) from None

    async def _read(self, stream: SpeechStream, decoder: PcmDecoder) -> None:
        """Sound until the client says that it ends."""
        while True:
            message = await self._receive()
            sound = message.get("bytes")
            if sound is None:
                _require_end(message.get("text") or "")
                break
            await stream.feed(decoder.decode(sound))
        await stream.feed(decoder.finish())
        await stream.finish()

    async def _write(self, stream: SpeechStream, how: Literal["json", "binary"], reading: "asyncio.Task[None]") -> None:
        """Frames as they come, then the end."""
        num_frames = 0
        async for piece in stream:
            num_frames += len(piece.coefficients)
            if how == "binary":
                await self._tell(_packed(piece))
            else:
                await self._tell({
                    "type": "frames",
                    "first_frame": piece.first_frame,
                    "time_s": round(piece.first_frame / stream.facts.fps, 6),
                    "weights": [[float(f"{value:.6g}") for value in frame] for frame in piece.coefficients.tolist()],
                })  # fmt: skip
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


def _packed(piece: MotionPiece) -> bytes:
    frames, channels = piece.coefficients.shape
    return BINARY_HEADER.pack(piece.first_frame, frames, channels) + piece.coefficients.astype("<f4").tobytes()


def _require_end(text: str) -> None:
    try:
        is_end = json.loads(text) == {"type": "end"}
    except ValueError:
        is_end = False
    if not is_end:
        raise ServingError("bad_request", 'expected sound as a binary message, or {"type": "end"} as a text message')


def _first(group: BaseExceptionGroup) -> BaseException:
    """One error out of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
