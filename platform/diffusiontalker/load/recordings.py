"""Whole recordings over HTTP: a closed loop of workers, or an open loop of arrivals that wait for nobody."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from diffusiontalker.client.calls import EndpointError, animation_call, headers_of
from diffusiontalker.load.connections import Connections
from diffusiontalker.load.measures import Tally
from diffusiontalker.load.settings import LoadConfig
from diffusiontalker.load.sound import Sound

_PAUSE_S = 0.1
"""After a failure a worker waits, so that an endpoint that refuses at once is not drowned."""
_MOST_AT_ONCE = 512
"""Requests under way; more wait in the client, and their latency goes on. Sockets are files, of which there are few."""


class Sender:
    """Sends prepared requests and notes what comes of them.

    Args:
        config: target, voice and format.
        sound: what is sent.
    """

    def __init__(self, config: LoadConfig, sound: Sound) -> None:
        self._timeout_s, self._gate = config.timeout_s, asyncio.Semaphore(_MOST_AT_ONCE)
        self.connections = Connections(config.url, headers=headers_of(config.key))
        reference = sound.clips[0] if config.voice == "reference" else None
        options = {"voice": None if config.voice in ("none", "reference") else config.voice}
        self._requests = [
            self.connections.prepared(animation_call(clip, reference, config.motion_format, options))
            for clip in sound.clips
        ]

    async def send(self, number: int, tally: Tally, *, since: float) -> bool:
        """One request; whether it was answered.

        Args:
            number: which recording.
            tally: notes the outcome; what should have been sent in its warm-up is not counted.
            since: when it should have been sent.
        """
        code = ""
        try:
            async with asyncio.timeout(self._timeout_s), self._gate:
                await self.connections.exchange(self._requests[number % len(self._requests)])
        except EndpointError as error:
            code = error.code
        except TimeoutError:
            code = "timeout"
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            code = "connection_lost"
        end = time.perf_counter()
        if not code:
            tally.ends.append(end)
        if since >= tally.window.counted_from:
            if code:
                tally.errors[code] += 1
            else:
                tally.latencies.append(end - since)
        return not code


async def closed_loop(sender: Sender, tally: Tally, *, workers: int) -> None:
    """Each worker sends its next recording when its last is answered, until the window ends."""

    async def work(worker: int) -> None:
        number = worker
        while (begin := time.perf_counter()) < tally.window.end:
            if not await sender.send(number, tally, since=begin):
                await asyncio.sleep(_PAUSE_S)
            number += workers

    async with asyncio.TaskGroup() as tasks:
        for worker in range(workers):
            tasks.create_task(work(worker))


async def open_loop(sender: Sender, tally: Tally, *, arrivals_s: Sequence[float] | np.ndarray) -> None:
    """Sends at the given times since the window's begin, however many are under way; latencies count from those times.

    A slow endpoint therefore cannot slow its load down and hide what its users would wait (coordinated omission).
    """
    async with asyncio.TaskGroup() as tasks:
        for number, arrival_s in enumerate(arrivals_s):
            due = tally.window.begin + arrival_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if due >= tally.window.counted_from:
                tally.late.append(max(0.0, time.perf_counter() - due))
            tasks.create_task(sender.send(number, tally, since=due))
