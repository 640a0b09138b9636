"""A result whose numbers are known."""

import known_result
import pytest

from diffusiontalker.benchmarks import BenchmarkResult


@pytest.fixture
def result() -> BenchmarkResult:
    return known_result.make_result()
