"""Uploaded audio in, 16 kHz waveforms out, decoded in processes of their own that hold no secret and can be killed.

A decoder that takes too much time or memory, or crashes on what somebody sent, takes nothing else with it. Knows no
protocol and no model.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio.waveform import AudioCause, AudioError, AudioLimits
from diffusiontalker.serving.decode_process import DecodeProcess, DecoderDiedError, DecoderMemoryError
from diffusiontalker.serving.errors import Code, ServingError

logger = logging.getLogger(__name__)

T = TypeVar("T")
_CODES: dict[AudioCause, Code] = {
    "unusable": "bad_audio",
    "too_large": "too_large",
    "unknown_format": "unsupported_format",
}
_GRACE_S = 2.0
"""How much later than the decoder's own budget a process is killed."""
_START_S = 60.0
_RETRY_S = 5.0
_MAX_JOBS = 2000
"""Then a process is replaced: whatever a decoder leaks stays small."""
_NOTICE_JOBS = 50
"""So many before that its successor is started, so that nobody waits for it: it takes a quarter of a second of CPU."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """What decoding may use.

    Raises:
        ValueError: for a number out of range.
    """

    num_processes: int = 2
    """How many pieces are decoded at the same time."""
    max_queued: int = 16
    """How many more may wait; beyond, callers are told to come back."""
    memory_bytes: int = 512 << 20
    """What one process may allocate beyond what it starts with; Linux only."""

    def __post_init__(self) -> None:
        """Checks everything."""
        if self.num_processes < 1 or self.max_queued < 0 or self.memory_bytes < 1 << 20:
            raise ValueError(
                f"num_processes is {self.num_processes}, max_queued {self.max_queued} and memory_bytes "
                f"{self.memory_bytes}: expected at least 1, 0 and {1 << 20}"
            )


@dataclasses.dataclass(kw_only=True, slots=True)
class DecodingCounters:
    """What happened so far."""

    decoded: int = 0
    """Pieces that gave a waveform."""
    refused: int = 0
    """Pieces that could not be used, whatever the reason."""
    turned_away: int = 0
    """Pieces that nobody looked at because too many waited."""
    timed_out: int = 0
    """Processes killed because they took too long."""
    crashed: int = 0
    """Processes that ended on their own."""
    started: int = 0
    """Processes started."""


class DecodingPool:
    """Decodes in a few processes. For one event loop; processes start when needed, or with `launch` or `start`."""

    def __init__(self, config: DecodingConfig | None = None) -> None:
        self.counters = DecodingCounters()
        self._config = config or DecodingConfig()
        self._threads = ThreadPoolExecutor(self._config.num_processes, thread_name_prefix="decoding")
        self._slots = asyncio.Semaphore(self._config.num_processes)
        self._launched: list[DecodeProcess] = []
        self._idle: list[DecodeProcess] = []
        self._num_jobs: dict[DecodeProcess, int] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._num_waiting, self._mean_seconds, self._is_closed = 0, 0.5, False

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Ids of the processes that are there, idle or not."""
        return tuple(process.pid for process in self._num_jobs)

    def launch(self) -> None:
        """Starts all processes and does not wait for them: they get ready while something else is loaded.

        Raises:
            OSError: when the system has no room for them.
        """
        for _ in range(self._config.num_processes):
            process = DecodeProcess(memory_bytes=self._config.memory_bytes)
            self._launched.append(process)
            self._num_jobs[process] = 0
            self.counters.started += 1

    async def start(self) -> None:
        """Starts all processes, so that the first requests need not wait for them.

        Raises:
            ServingError: `unavailable` when they do not start; the log says why.
        """
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(self._config.num_processes):
                await stack.enter_async_context(self._slots)
            num_missing = self._config.num_processes - len(self._idle)
            starting = [self._running_task(self._started()) for _ in range(num_missing)]
            outcomes = await asyncio.gather(*starting, return_exceptions=True)
            self._idle += [outcome for outcome in outcomes if isinstance(outcome, DecodeProcess)]
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def decode(
        self, content: bytes, *, limits: AudioLimits, name: str = "audio"
    ) -> Float32[np.ndarray, " samples"]:
        """(samples,) float32 at 16 kHz, in [-1, 1]; see `audio.waveform.read_waveform`.

        A caller that is cancelled does not stop a decoder, which its own budget of time does.

        Args:
            content: a whole file.
            limits: what to accept.
            name: what messages call it.

        Raises:
            ServingError: `bad_audio`, `unsupported_format`; `too_large` for too many seconds or bytes, or when decoding
                takes too much time or memory; `busy` when too many wait; `unavailable` when closed or unable to start.
        """
        if len(content) > limits.max_bytes:
            self.counters.refused += 1
            raise ServingError(
                "too_large",
                f"{name}: {len(content)} bytes, at most {limits.max_bytes} are allowed; shorten or compress it",
            )
        await self._enter(name)
        return await asyncio.shield(self._running_task(self._decode_in_slot(content, name=name, limits=limits)))

    async def close(self) -> None:
        """Ends all processes; who waits for one gets `unavailable`."""
        self._is_closed = True
        while self._running or self._num_jobs:
            for process in self._num_jobs:
                process.kill()
            await asyncio.gather(*self._running, return_exceptions=True)
            if not self._running:
                await asyncio.gather(*(self._discard(process) for process in list(self._num_jobs)))
        self._threads.shutdown(wait=False)

    def _running_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that `close` waits for."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # Perhaps nobody is left to look.
        return task

    async def _enter(self, name: str) -> None:
        """Waits for a slot, which the caller has to give back."""
        if self._is_closed:
            raise _stopping()
        if self._slots.locked() and self._num_waiting >= self._config.max_queued:
            self.counters.turned_away += 1
            wait_s = self._mean_seconds * (self._num_waiting + 1) / self._config.num_processes
            wait_s = min(30.0, max(0.5, wait_s))
            raise ServingError(
                "busy", f"{name}: {self._num_waiting} others wait to be decoded; try again in {wait_s:.1f} s",
                retry_after_s=wait_s,
            )  # fmt: skip
        self._num_waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._num_waiting -= 1

    async def _decode_in_slot(self, content: bytes, *, name: str, limits: AudioLimits) -> np.ndarray:
        started_at = time.monotonic()
        try:
            try:
                samples = await self._decode_once(content, name=name, limits=limits)
            except DecoderDiedError:  # Perhaps something else ended it: what crashes a second one is at fault itself.
                samples = await self._decode_once(content, name=name, limits=limits)
        except DecoderDiedError:
            self.counters.refused += 1
            raise ServingError(
                "bad_audio", f"{name}: the decoder crashed on it; the file is corrupt, export it again"
            ) from None
        finally:
            self._slots.release()
            self._mean_seconds += 0.1 * (time.monotonic() - started_at - self._mean_seconds)
        self.counters.decoded += 1
        return samples

    async def _decode_once(self, content: bytes, *, name: str, limits: AudioLimits) -> np.ndarray:
        if self._is_closed:
            raise _stopping()
        process = self._idle.pop() if self._idle else await self._started()
        is_late = is_reusable = False

        def give_up() -> None:
            nonlocal is_late
            is_late = True
            process.kill()

        loop = asyncio.get_running_loop()
        timer = loop.call_later(limits.max_decode_seconds + _GRACE_S, give_up)
        try:
            self._num_jobs[process] += 1
            if _MAX_JOBS - self._num_jobs[process] == _NOTICE_JOBS:
                self._running_task(self._launch_successor())
            samples = await loop.run_in_executor(
                self._threads, lambda: process.decode(content, name=name, limits=limits)
            )
            is_reusable = True
            return samples
        except AudioError as error:
            is_reusable = True
            self.counters.refused += 1
            raise ServingError(_CODES[error.cause], str(error)) from None
        except DecoderMemoryError:
            self.counters.refused += 1
            raise ServingError(
                "too_large",
                f"{name}: decoding needs more than {self._config.memory_bytes >> 20} MiB; shorten or convert it",
            ) from None
        except DecoderDiedError as error:
            if self._is_closed:
                raise _stopping() from None
            if is_late:
                self.counters.timed_out += 1
                self.counters.refused += 1
                raise ServingError(
                    "too_large", f"{name}: decoding took longer than {limits.max_decode_seconds:g} s; convert it to wav"
                ) from None
            self.counters.crashed += 1
            logger.warning("decoder process %d crashed on %d bytes: %s", process.pid, len(content), error)
            raise
        finally:
            timer.cancel()
            if is_reusable and not is_late and self._num_jobs[process] < _MAX_JOBS:
                self._idle.append(process)
            else:
                await self._discard(process)

    async def _started(self) -> DecodeProcess:
        """A new process, ready."""
        loop, timer, process = asyncio.get_running_loop(), None, None
        try:
            if self._launched:
                process = self._launched.pop()
            else:
                process = await loop.run_in_executor(
                    self._threads, lambda: DecodeProcess(memory_bytes=self._config.memory_bytes)
                )
                self._num_jobs[process] = 0
                self.counters.started += 1
            timer = loop.call_later(_START_S, process.kill)
            if self._is_closed:
                process.kill()
            await loop.run_in_executor(self._threads, process.wait_ready)
            return process
        except (DecoderDiedError, OSError) as error:
            if process is not None:
                await self._discard(process)
            if self._is_closed:
                raise _stopping() from None
            logger.error("a decoder process did not start: %s", error)
            raise ServingError(
                "unavailable", "audio cannot be decoded at the moment; try again", retry_after_s=_RETRY_S
            ) from None
        finally:
            if timer is not None:
                timer.cancel()

    async def _launch_successor(self) -> None:
        with contextlib.suppress(OSError):  # whoever needs it later tries again, and says so
            process = await asyncio.to_thread(lambda: DecodeProcess(memory_bytes=self._config.memory_bytes))
            self._launched.append(process)
            self._num_jobs[process] = 0
            self.counters.started += 1

    async def _discard(self, process: DecodeProcess) -> None:
        await asyncio.to_thread(process.reap)
        self._num_jobs.pop(process, None)
        for processes in (self._idle, self._launched):
            if process in processes:
                processes.remove(process)


def _stopping() -> ServingError:
    return ServingError("unavailable", "the server is stopping; try again", retry_after_s=1.0)
