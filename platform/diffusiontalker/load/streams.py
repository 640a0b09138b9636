"""Live streams over WebSocket, paced in real time as microphones are; the lag of every frame."""

import asyncio
import json
import struct
import time
from collections.abc import Sequence
from typing import Any

import websockets
import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection

from diffusiontalker.client.calls import EndpointError, error_of, headers_of
from diffusiontalker.load.measures import Tally, frame_lags
from diffusiontalker.load.settings import CHUNK_MS, LoadConfig
from diffusiontalker.load.sound import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Sound

CHUNK_S = CHUNK_MS / 1e3
_OPEN_AT_ONCE = 8
_HELD_UP_S = 0.01
_HEADER = struct.Struct("<IH")
"""First frame, frames; what follows is not read."""


class StreamClient:
    """One live stream.

    Args:
        config: target and voice.
        sound: what is said.
        number: streams begin at different places of the sound.
    """

    def __init__(self, config: LoadConfig, sound: Sound, *, number: int) -> None:
        self._config, self._chunks = config, sound.chunks
        self._first_chunk = number * round(sound.seconds / CHUNK_S)
        self._socket: ClientConnection | None = None
        self._facts: dict[str, Any] = {}
        self._arrivals: list[tuple[int, int, float]] = []
        self._sends: list[tuple[int, float]] = []

    async def open(self, tally: Tally) -> bool:
        """Connects and waits for `ready`; whether that went well."""
        try:
            async with asyncio.timeout(self._config.timeout_s):
                self._socket = await websockets.asyncio.client.connect(
                    "ws" + self._config.url.rstrip("/").removeprefix("http") + "/v1/stream",
                    additional_headers=headers_of(self._config.key),
                    max_size=None,
                    compression=None,
                    proxy=None,
                    ping_interval=None,
                )
                voice = None if self._config.voice == "none" else self._config.voice
                start = {"type": "start", "frames": "binary", "sample_rate_hz": SAMPLE_RATE_HZ, "voice": voice}
                await self._socket.send(json.dumps(start))
                told = json.loads(await self._socket.recv())
            if told.get("type") != "ready":
                raise error_of(told)
            self._facts, tally.fps = told, told["fps"]
        except Exception as error:
            tally.refused += 1
            tally.errors[_code(error)] += 1
            return False
        return True

    async def speak(self, tally: Tally, *, begin: float) -> None:
        """Sends sound from `begin` to the end of the tally's window, in real time, and notes when frames come."""
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen())
                await self._send(tally, begin=begin)
                async with asyncio.timeout(self._config.timeout_s):
                    await listening
        except* Exception as group:
            tally.lost += 1
            tally.errors[_code(group.exceptions[0])] += 1
        finally:
            lags = frame_lags(
                self._arrivals,
                self._sends,
                fps=self._facts["fps"],
                look_ahead_s=self._facts["look_ahead_ms"] / 1e3,
                counted_from=tally.window.counted_from,
            )
            tally.latencies += lags.tolist()
            tally.frames += len(lags)

    async def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            await self._socket.close()

    async def _send(self, tally: Tally, *, begin: float) -> None:
        assert self._socket is not None
        chunks, window, number, free_at = self._chunks, tally.window, 0, 0.0
        while (due := begin + (number + 1) * CHUNK_S) <= window.end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            called = time.perf_counter()
            # A chunk that had to wait for the endpoint to take the one before counts from when it was due.
            is_held_up = due <= free_at
            if not is_held_up and due >= window.counted_from:
                tally.late.append(max(0.0, called - due))
            self._sends.append(((number + 1) * CHUNK_SAMPLES, due if is_held_up else called))
            await self._socket.send(chunks[(self._first_chunk + number) % len(chunks)])
            if (ended := time.perf_counter()) - called > _HELD_UP_S:
                free_at = ended
                tally.held_up += int(due >= window.counted_from)
            number += 1
        await self._socket.send('{"type": "end"}')

    async def _listen(self) -> None:
        assert self._socket is not None
        receive, note, unpack, clock = self._socket.recv, self._arrivals.append, _HEADER.unpack_from, time.perf_counter
        while True:
            message = await receive()
            if isinstance(message, bytes):
                now = clock()
                note((*unpack(message), now))
                continue
            told = json.loads(message)
            if told.get("type") != "end":
                raise error_of(told)
            received = sum(count for _, count, _ in self._arrivals)
            if received != told["num_frames"]:
                raise EndpointError("frames_missing", f"{received} frames came of {told['num_frames']}")
            return


async def open_streams(clients: Sequence[StreamClient], tally: Tally) -> list[StreamClient]:
    """Those that the endpoint took."""
    gate = asyncio.Semaphore(_OPEN_AT_ONCE)

    async def opened(client: StreamClient) -> bool:
        async with gate:
            return await client.open(tally)

    taken = await asyncio.gather(*map(opened, clients))
    return [client for client, is_taken in zip(clients, taken, strict=True) if is_taken]


def _code(error: BaseException) -> str:
    match error:
        case EndpointError():
            return error.code
        case TimeoutError():
            return "timeout"
        case websockets.exceptions.InvalidStatus():
            return f"http_{error.response.status_code}"
        case _:
            return "connection_lost"
