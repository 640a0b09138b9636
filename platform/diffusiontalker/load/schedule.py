"""When things are sent: decided before the run by a seed, so that two runs put the same load on."""

import numpy as np
from jaxtyping import Float64


def poisson_arrivals(rate_hz: float, *, seconds: float, seed: int) -> Float64[np.ndarray, " requests"]:
    """Times in [0, seconds), ascending, of a Poisson process.

    Given how many there are, the times of a Poisson process are independent and uniform.
    """
    generator = np.random.default_rng(seed)
    return np.sort(generator.uniform(0.0, seconds, generator.poisson(rate_hz * seconds)))


def staggered_starts(
    num_streams: int, *, over_s: float, chunk_s: float, seed: int
) -> Float64[np.ndarray, " {num_streams}"]:
    """Start times of streams in seconds: evenly over `over_s`, and each at a random phase of its chunk.

    Without the phase, streams whose distance is a multiple of a chunk would all send at the same instants.
    """
    phases = np.random.default_rng(seed).uniform(0.0, chunk_s, num_streams)
    return np.arange(num_streams) * (over_s / num_streams) + phases
