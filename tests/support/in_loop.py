"""Tests that are coroutines: one event loop each, and conditions waited for with a deadline."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a coroutine test in a loop of its own; pytest still sees its parameters."""

    @functools.wraps(test)
    def run(*arguments, **fixtures) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), 8 * DEADLINE_S))

    return run


async def eventually(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds; fails when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
