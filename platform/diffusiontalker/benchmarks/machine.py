"""How fast this machine can be at all: matrix products and copies, measured; floors are derived from it."""

import os
import time
from collections.abc import Callable

import torch

from diffusiontalker.benchmarks.results import MachineRates

_SHAPES = ((500, 528, 352), (300, 480, 320), (900, 432, 288), (2048, 1056, 704), (1024, 1024, 1024))
"""(rows, inner, columns): frames times the products of our blocks, alone and in batches, and a square for good measure.
The best of them counts: a floor must not be beaten."""
_COPY_BYTES = 256 * 2**20
_TURN_S = 0.02
"""Seconds of one turn; one product alone is too short to be timed."""


def measure_rates(*, repeats: int = 5) -> MachineRates:
    """The best of several turns, on one core and on all that this process may use; takes two seconds or three.

    torch's number of threads is what it was afterwards.
    """
    threads = torch.get_num_threads()
    found: dict[int, dict[torch.dtype, float]] = {}
    try:
        for cores in (1, len(os.sched_getaffinity(0))):
            torch.set_num_threads(cores)
            found[cores] = {dtype: _product_rate(dtype, repeats) for dtype in (torch.float32, torch.bfloat16)}
        torch.set_num_threads(1)
        copy = _copy_rate(repeats)
    finally:
        torch.set_num_threads(threads)
    one, most = found[1], found[max(found)]
    return MachineRates(
        float32_one_core=one[torch.float32],
        float32_all_cores=most[torch.float32],
        bfloat16_one_core=one[torch.bfloat16],
        bfloat16_all_cores=most[torch.bfloat16],
        copy_one_core=copy,
    )


def _product_rate(dtype: torch.dtype, repeats: int) -> float:
    """GFLOP/s."""
    rates = []
    for rows, inner, columns in _SHAPES:
        left, right = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
        seconds = _best_seconds(lambda left=left, right=right: torch.nn.functional.linear(left, right), repeats)
        rates.append(2 * rows * inner * columns / seconds / 1e9)
    return max(rates)


def _copy_rate(repeats: int) -> float:
    """GB/s, read and written."""
    source = torch.zeros(_COPY_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * _COPY_BYTES / _best_seconds(lambda: target.copy_(source), repeats) / 1e9


def _best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Seconds that one call takes in the best turn, after a call that is not counted."""
    work()
    best = float("inf")
    for _ in range(repeats):
        begin, calls = time.perf_counter(), 0
        while time.perf_counter() - begin < _TURN_S:
            work()
            calls += 1
        best = min(best, (time.perf_counter() - begin) / calls)
    return best
