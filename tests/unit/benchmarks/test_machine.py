"""Rates are measured, not asserted: only that they are some, and that nothing is left changed."""

import dataclasses

import torch

from diffusiontalker.benchmarks import measure_rates


def test_rates_are_there_and_the_threads_are_given_back() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rates = measure_rates(repeats=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert all(rate > 0.0 for rate in dataclasses.astuple(rates))
