"""Long work in parts: windows with the context they need, and parts computed side by side."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from diffusiontalker.inference.engines import Networks
from diffusiontalker.models import Context

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

WINDOW_S = 20
"""Seconds of sound or motion computed at once."""


def windows_of(total: int, *, rate: float, context: Context) -> Iterator[tuple[slice, slice]]:
    """(frames to compute, the same with their context) until `total` frames are covered."""
    size = max(1, round(WINDOW_S * rate))
    for first in range(0, total, size):
        last = min(total, first + size)
        yield slice(first, last), slice(max(0, first - context.left), min(total, last + context.right))


def threads_for(networks: Networks) -> int:
    """In how many threads parts are worth computing: more than one only where a call of the networks has but one."""
    return torch.get_num_threads() if networks.is_serial else 1


def side_by_side(networks: Networks, work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> list[ResultT]:
    """`work` of every item, in order, in `threads_for` the networks; each thread then has one of torch's."""
    allowed = threads_for(networks)
    if min(allowed, len(items)) == 1:
        return [work(item) for item in items]
    try:
        with ThreadPoolExecutor(allowed, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(torch.inference_mode()(work), items))
    finally:
        torch.set_num_threads(allowed)  # new threads take over what was set last, wherever that was
