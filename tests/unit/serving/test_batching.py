"""Micro-batching: what waits together is computed together, within its budget; nobody pays for another's mistake."""

import asyncio
import contextlib
import threading
from collections.abc import Sequence

import pytest
from decoding_pools import refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from in_loop import DEADLINE_S, eventually, in_loop

from diffusiontalker.serving.batching import MicroBatcher
from diffusiontalker.serving.errors import ServingError


class Doubling:
    """Doubles numbers; remembers its batches; waits at the gate, fails where a job is among `wrong`."""

    def __init__(self, *, wrong: tuple[int, ...] = (), is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.gate, self._wrong = threading.Event(), wrong
        if is_open:
            self.gate.set()

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.batches.append(list(jobs))
        assert self.gate.wait(DEADLINE_S)
        if any(job in self._wrong for job in jobs):
            raise ValueError("a wrong job")
        return [2 * job for job in jobs]


def batcher_of(compute, **changes) -> MicroBatcher[int, int]:
    return MicroBatcher(compute, **({"size_of": lambda job: 1, "max_size": 100} | changes))


async def waiting_behind(batcher: MicroBatcher, compute: Doubling, jobs: Sequence[int]) -> list[asyncio.Task[int]]:
    """Job 0 under way, which waits at the gate, and the others behind it."""
    tasks = [asyncio.create_task(batcher.submit(0))]
    await eventually(lambda: compute.batches == [[0]])
    tasks += [asyncio.create_task(batcher.submit(job)) for job in jobs]
    await eventually(lambda: batcher.waiting == len(jobs))
    return tasks


@in_loop
async def test_a_job_begins_at_once_and_what_comes_meanwhile_makes_the_next_batch():
    compute, told = Doubling(is_open=False), []
    batcher = batcher_of(compute, on_batch=lambda jobs, statistics: told.append((list(jobs), statistics)))
    tasks = await waiting_behind(batcher, compute, [1, 2, 3])
    assert not batcher.is_idle
    compute.gate.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6]
    await eventually(lambda: batcher.is_idle)
    assert compute.batches == [[0], [1, 2, 3]]
    assert [jobs for jobs, _ in told] == compute.batches
    assert all(statistics.compute_s >= 0.0 and min(statistics.waits_s) >= 0.0 for _, statistics in told)
    assert max(told[1][1].waits_s) > 0.0
    await batcher.close()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 100))
def test_no_batch_costs_more_than_its_budget_and_the_oldest_comes_first(sizes, max_size):
    @in_loop
    async def run():
        compute = Doubling(is_open=False)
        batcher = batcher_of(compute, size_of=lambda job: ([1, *sizes])[job], max_size=max_size)
        tasks = await waiting_behind(batcher, compute, range(1, len(sizes) + 1))
        compute.gate.set()
        assert await asyncio.gather(*tasks) == [2 * job for job in range(len(sizes) + 1)]
        left = set(range(1, len(sizes) + 1))
        for batch in compute.batches[1:]:
            cost = len(batch) * max(sizes[job - 1] for job in batch)
            assert cost <= max_size or len(batch) == 1
            assert batch[0] == min(left)
            left -= set(batch)
        assert not left
        await batcher.close()

    run()


@in_loop
async def test_kinds_are_not_mixed():
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute, kind_of=lambda job: job % 2)
    tasks = await waiting_behind(batcher, compute, [1, 2, 3, 4, 5])
    compute.gate.set()
    await asyncio.gather(*tasks)
    assert compute.batches == [[0], [1, 3, 5], [2, 4]]
    await batcher.close()


@in_loop
async def test_a_wrong_job_fails_alone():
    compute = Doubling(wrong=(2, 4), is_open=False)
    batcher = batcher_of(compute)
    tasks = await waiting_behind(batcher, compute, [1, 2, 3, 4])
    compute.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == [
        "0", "2", "ValueError('a wrong job')", "6", "ValueError('a wrong job')"
    ]  # fmt: skip
    assert compute.batches == [[0], [1, 2, 3, 4], [1], [2], [3], [4]]
    assert await batcher.submit(5) == 10
    await batcher.close()


@in_loop
async def test_results_that_do_not_belong_to_the_jobs_leave_nobody_waiting():
    batcher = batcher_of(lambda jobs: [])
    with pytest.raises(AssertionError, match="0 results for 1 jobs"):
        await batcher.submit(1)
    await batcher.close()


@in_loop
async def test_who_is_cancelled_while_waiting_is_not_computed_and_takes_no_place():
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute, max_waiting=2)
    tasks = await waiting_behind(batcher, compute, [1, 2])
    tasks[1].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[1]
    assert batcher.waiting == 1
    late = asyncio.create_task(batcher.submit(3))
    await eventually(lambda: batcher.waiting == 2)
    compute.gate.set()
    assert await asyncio.gather(tasks[0], tasks[2], late) == [0, 4, 6]
    assert compute.batches == [[0], [2, 3]]
    await batcher.close()


@in_loop
async def test_who_is_cancelled_while_computed_takes_nothing_from_the_others():
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute)
    first, second = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    await eventually(lambda: compute.batches == [[1, 2]])
    first.cancel()
    await asyncio.wait([first])
    compute.gate.set()
    assert await second == 4
    assert first.cancelled()
    await batcher.close()


@pytest.mark.parametrize("limits", [{"max_waiting": 2}, {"max_waiting_size": 20}])
@in_loop
async def test_a_full_queue_is_busy_and_says_when_to_come_back(limits):
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute, size_of=lambda job: 10, **limits)
    tasks = await waiting_behind(batcher, compute, [1, 2])
    error = await refusal(batcher.submit(3))
    assert (error.code, error.retry_after_s) == ("busy", 1)
    compute.gate.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4]
    assert await batcher.submit(3) == 6
    await batcher.close()


@in_loop
async def test_one_job_may_wait_however_large_it_is():
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute, size_of=lambda job: 1000, max_waiting_size=10)
    tasks = await waiting_behind(batcher, compute, [1])
    assert (await refusal(batcher.submit(2))).code == "busy"
    compute.gate.set()
    assert await asyncio.gather(*tasks) == [0, 2]
    await batcher.close()


@in_loop
async def test_closing_finishes_what_is_under_way_and_refuses_the_rest():
    threads = set(threading.enumerate())
    compute = Doubling(is_open=False)
    batcher = batcher_of(compute)
    tasks = await waiting_behind(batcher, compute, [1, 2])
    closing = asyncio.create_task(batcher.close())
    await eventually(lambda: batcher.waiting == 0)
    assert not closing.done()
    compute.gate.set()
    await closing
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == 0
    assert [outcome.code for outcome in outcomes[1:] if isinstance(outcome, ServingError)] == ["unavailable"] * 2
    assert (await refusal(batcher.submit(3))).code == "unavailable"
    assert compute.batches == [[0]]
    assert set(threading.enumerate()) <= threads


@in_loop
async def test_who_counts_badly_does_not_stop_who_computes():
    compute = Doubling(is_open=False)

    def fail(jobs, statistics):
        raise RuntimeError("no more ink")

    batcher = batcher_of(compute, on_batch=fail)
    tasks = await waiting_behind(batcher, compute, [1])
    compute.gate.set()
    assert await asyncio.gather(*tasks) == [0, 2]
    await batcher.close()
