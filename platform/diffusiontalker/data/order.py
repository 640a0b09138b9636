"""In which order training sees a corpus: pure functions of seeds and counters, so that resuming needs no record."""

import functools

import numpy as np


def mixed(*numbers: int) -> int:
    """One 62-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(2))


def shuffled_index(position: int, *, length: int, seed: int) -> int:
    """What stands at a position of an endless row of epochs, each of which holds 0 ... length - 1, shuffled anew."""
    epoch, place = divmod(position, length)
    return int(epoch_order(length, seed=seed, epoch=epoch)[place])


def window_seed(position: int, *, seed: int) -> int:
    """Seed of all random choices about the window at a position."""
    return mixed(seed, position, 2)


@functools.lru_cache(maxsize=2)
def epoch_order(length: int, *, seed: int, epoch: int) -> np.ndarray:
    """(length,) a permutation per epoch; the last two are kept."""
    return np.random.default_rng(mixed(seed, epoch, 1)).permutation(length)
