"""Micro-batching: jobs that wait while others compute are computed together. Knows nothing about what a job is.

There is no timer: the first job begins at once, and whatever arrives while it computes makes the next batch. So a quiet
server answers immediately and a busy one fills its batches.
"""

import asyncio
import concurrent.futures
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from diffusiontalker.serving.errors import ServingError

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BatchStatistics:
    """Of one batch, for metrics."""

    waits_s: tuple[float, ...]
    """How long each of its jobs waited until the batch took it."""
    compute_s: float
    """How long it was computed, without the way into the thread and back."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Entry(Generic[Job]):
    job: Job
    size: int
    since: float


class MicroBatcher(Generic[Job, Result]):
    """Collects jobs of one event loop and computes them in a thread, one batch at a time.

    Args:
        compute: a list of jobs in, their results out, in order. When it raises, every job of the batch is computed
            again alone, so that only the one at fault fails.
        size_of: size of a job.
        max_size: a batch costs at most so much: its number of jobs times the size of its largest. A job that is larger
            is a batch of its own.
        kind_of: only jobs of equal kind are computed together.
        max_waiting: jobs that wait at most; more are refused.
        max_waiting_size: size of all jobs together that wait at most, as they hold memory; one may always wait.
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
        max_waiting_size: int = 1 << 62,
        on_batch: Callable[[Sequence[Job], BatchStatistics], None] = lambda jobs, statistics: None,
    ) -> None:
        self._compute, self._size_of, self._kind_of, self._on_batch = compute, size_of, kind_of, on_batch
        self.max_size, self.max_waiting, self.max_waiting_size = max_size, max_waiting, max_waiting_size
        self._waiting: dict[asyncio.Future[Result], _Entry[Job]] = {}
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._running: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Jobs that no batch has taken yet."""
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        return self._running is None or self._running.done()

    async def submit(self, job: Job) -> Result:
        """The job's result; when the caller is cancelled while it waits, it is not computed.

        Raises:
            ServingError: `busy` when too many wait, `unavailable` when this is closed.
            Exception: what `compute` raises for this job.
        """
        if self._is_closed:
            raise _stopping()
        loop = asyncio.get_running_loop()
        entry = _Entry(job=job, size=self._size_of(job), since=loop.time())
        self._check_room(entry.size)
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting[future] = entry
        if self.is_idle:
            self._running = loop.create_task(self._run())
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def close(self) -> None:
        """Refuses what waits, finishes the batch under way and ends the thread."""
        self._is_closed = True
        for future in self._waiting:
            if not future.done():
                future.set_exception(_stopping())
        self._waiting.clear()
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()

    def _check_room(self, size: int) -> None:
        waiting_size = sum(entry.size for entry in self._waiting.values())
        is_too_large = bool(self._waiting) and waiting_size + size > self.max_waiting_size
        if is_too_large or len(self._waiting) >= self.max_waiting:
            raise ServingError(
                "busy",
                f"{len(self._waiting)} requests wait already, which is as many as may; try again",
                retry_after_s=1,
            )

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            begin = loop.time()
            jobs = [entry.job for _, entry in batch]
            outcomes, compute_s = await loop.run_in_executor(self._thread, self._timed_outcomes, jobs)
            for (future, _), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
            waits_s = tuple(begin - entry.since for _, entry in batch)
            self._tell(jobs, BatchStatistics(waits_s=waits_s, compute_s=compute_s))

    def _next(self) -> list[tuple[asyncio.Future[Result], _Entry[Job]]]:
        """The oldest job, and with it the jobs of its kind that fit."""
        batch: list[tuple[asyncio.Future[Result], _Entry[Job]]] = []
        largest = 0
        for future, entry in self._waiting.items():
            if future.done():  # Cancelled a moment ago.
                continue
            size = max(largest, entry.size)
            is_alike = not batch or self._kind_of(entry.job) == self._kind_of(batch[0][1].job)
            if is_alike and (not batch or size * (len(batch) + 1) <= self.max_size):
                batch.append((future, entry))
                largest = size
        for future, _ in batch:
            del self._waiting[future]
        return batch

    def _timed_outcomes(self, jobs: Sequence[Job]) -> tuple[list[Result | Exception], float]:
        begin = time.perf_counter()
        outcomes = self._outcomes(jobs)
        return outcomes, time.perf_counter() - begin

    def _outcomes(self, jobs: Sequence[Job]) -> list[Result | Exception]:
        """In the thread: a result or an exception for each job."""
        try:
            results = list(self._compute(jobs))
            assert len(results) == len(jobs), f"{len(results)} results for {len(jobs)} jobs"
            return [*results]
        except Exception as error:
            if len(jobs) == 1:
                return [error]
            logger.warning("a batch of %d failed (%r); each of it is computed alone", len(jobs), error)
        return [outcome for job in jobs for outcome in self._outcomes([job])]

    def _tell(self, jobs: Sequence[Job], statistics: BatchStatistics) -> None:
        try:
            self._on_batch(jobs, statistics)
        except Exception:  # Whoever counts must not stop who computes.
            logger.exception("a batch was computed but not counted")


def _stopping() -> ServingError:
    return ServingError("unavailable", "the server is shutting down; try again", retry_after_s=1)
