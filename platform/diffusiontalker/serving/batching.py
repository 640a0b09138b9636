"""Micro-batching: jobs that wait while others compute are computed together. Knows nothing about what a job is.

There is no timer: the first job begins at once, and whatever arrives while it computes makes the next batch. So a quiet
server answers immediately and a busy one fills its batches.
"""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from diffusiontalker.serving.errors import ServingError

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BatchStatistics:
    """Of one batch, for metrics."""

    waited_s: float
    """How long the job that waited longest did."""
    compute_s: float


class MicroBatcher(Generic[Job, Result]):
    """Collects jobs of one event loop and computes them in a thread, one batch at a time.

    Args:
        compute: a list of jobs in, their results out, in order; an exception fails all of them.
        size_of: size of a job.
        max_size: a batch costs at most so much: its number of jobs times the size of its largest. A job that is larger
            is a batch of its own.
        kind_of: only jobs of equal kind are computed together.
        max_waiting: jobs that wait at most; more are refused.
        on_batch: receives the jobs of every batch, when it is done, and its statistics.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Job]], Sequence[Result]],
        *,
        size_of: Callable[[Job], int],
        max_size: int,
        kind_of: Callable[[Job], object] = lambda job: None,
        max_waiting: int = 256,
        on_batch: Callable[[Sequence[Job], BatchStatistics], None] = lambda jobs, statistics: None,
    ) -> None:
        self._compute, self._size_of, self._kind_of, self._on_batch = compute, size_of, kind_of, on_batch
        self.max_size, self.max_waiting = max_size, max_waiting
        self._waiting: list[tuple[Job, asyncio.Future[Result], float]] = []
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Jobs that no batch has taken yet."""
        return len(self._waiting)

    async def submit(self, job: Job) -> Result:
        """The job's result; when the caller is cancelled while it waits, it is not computed.

        Raises:
            ServingError: `busy` when too many wait.
        """
        if len(self._waiting) >= self.max_waiting:
            raise ServingError(
                "busy",
                f"{len(self._waiting)} requests wait already, which is as many as may; try again",
                retry_after_s=1,
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((job, future, loop.time()))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Waits for what is under way and ends the thread."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            begin = loop.time()
            jobs, futures = [job for job, _, _ in batch], [future for _, future, _ in batch]
            try:
                results = await loop.run_in_executor(self._thread, self._compute, jobs)
            except Exception as error:
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                continue
            waited_s = begin - min(since for _, _, since in batch)
            self._on_batch(jobs, BatchStatistics(waited_s=waited_s, compute_s=loop.time() - begin))
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _next(self) -> list[tuple[Job, asyncio.Future[Result], float]]:
        """The oldest job, and with it the jobs of its kind that fit; those that nobody waits for are dropped."""
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        if not self._waiting:
            return []
        batch, largest, rest = [], 0, []
        for entry in self._waiting:
            size = max(largest, self._size_of(entry[0]))
            alike = not batch or self._kind_of(entry[0]) == self._kind_of(batch[0][0])
            if alike and (not batch or size * (len(batch) + 1) <= self.max_size):
                batch.append(entry)
                largest = size
            else:
                rest.append(entry)
        self._waiting = rest
        return batch
