"""Live streams against servers whose delay is known: what is measured is what they do."""

import asyncio
import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection

from diffusiontalker.load import Level, LoadConfig, run_load

FPS, LOOK_AHEAD_S, DELAY_S = 25.0, 0.1, 0.06


@contextlib.contextmanager
def live_server(
    *, delay_s: float = DELAY_S, skipped: int = -1, deaf: Callable[[int], float] = lambda chunk: 0.0
) -> Iterator[str]:
    """Sends every frame `delay_s` after the chunk with its last sample came.

    Args:
        delay_s: as it says.
        skipped: a frame that never comes.
        deaf: how long it reads nothing after a chunk.
    """

    async def stream(socket: ServerConnection) -> None:
        loop, heard, frame, chunk = asyncio.get_running_loop(), 0, 0, 0
        assert json.loads(await socket.recv())["type"] == "start"
        await socket.send(json.dumps({"type": "ready", "fps": FPS, "look_ahead_ms": 1e3 * LOOK_AHEAD_S}))
        tasks = set()
        async for message in socket:
            if isinstance(message, str):
                break
            heard, chunk = heard + len(message) // 2, chunk + 1
            while (frame / FPS + LOOK_AHEAD_S) * 16_000 <= heard:
                if frame != skipped:
                    packed = struct.pack("<IHH", frame, 1, 0)
                    loop.call_later(delay_s, lambda packed=packed: tasks.add(loop.create_task(socket.send(packed))))
                frame += 1
            await asyncio.sleep(deaf(chunk))
        await asyncio.sleep(delay_s + 0.05)
        await asyncio.gather(*tasks)
        await socket.send(json.dumps({"type": "end", "num_frames": frame}))

    started, loop, port = threading.Event(), asyncio.new_event_loop(), 0

    async def serve() -> None:
        nonlocal port
        async with websockets.asyncio.server.serve(stream, "127.0.0.1", 0, max_queue=2) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            started.set()
            await ended.wait()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10.0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10.0)
        loop.close()


def measured(url: str, **changes) -> Level:
    settings = {
        "mode": "streams",
        "levels": (1,),
        "seconds": 0.5,
        "warm_up_s": 0.0,
        "duration_s": 0.8,
        "stagger_s": 0.0,
    } | changes
    return run_load(LoadConfig(url=url, timeout_s=5.0, **settings)).levels[0]


def test_a_known_delay_is_the_lag() -> None:
    with live_server() as url:
        level = measured(url, levels=(3,))
    assert (level.errors, level.lost, level.held_up) == ({}, 0, 0)
    assert level.latency is not None
    assert 1e3 * DELAY_S - 2.0 < level.latency.p50 < 1e3 * DELAY_S + 20.0


def test_a_frame_that_never_comes_is_a_lost_stream() -> None:
    with live_server(skipped=7) as url:
        level = measured(url)
    assert (level.lost, level.errors) == (1, {"frames_missing": 1})
    assert not level.holds(1e6)


def test_an_endpoint_that_reads_nothing_for_a_while_cannot_hide_the_wait() -> None:
    with live_server(deaf=lambda chunk: 0.5 if chunk == 15 else 0.0) as url:
        level = measured(url)
    assert level.errors == {}
    assert level.latency is not None
    assert level.latency.max > 400.0
    assert level.late is not None
    assert level.late.p50 < 30.0


def test_an_endpoint_that_goes_away_is_a_lost_stream() -> None:
    def leave(chunk: int) -> float:
        if chunk == 10:
            raise RuntimeError("gone")
        return 0.0

    with live_server(deaf=leave) as url:
        level = measured(url)
    assert (level.lost, level.errors) == (1, {"connection_lost": 1})


@pytest.mark.parametrize("voice", ["none", "anna"])
def test_every_frame_of_the_measured_time_is_counted(voice: str) -> None:
    with live_server(delay_s=0.0) as url:
        level = measured(url, voice=voice, warm_up_s=0.3)
    assert level.throughput == pytest.approx(FPS, rel=0.1)
