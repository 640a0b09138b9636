"""Gaussian noise addressed by (seed, frame, channel): the same frame gets the same noise in any batch or window.

Source: Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; Box-Muller.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_ROUNDS = 10
_AT_ONCE = 1024
"""Frames whose noise is drawn together, so that what that takes does not grow with a recording."""


def frame_noise(
    seeds: Sequence[int], *, num_frames: int, channels: int, first_frame: int = 0
) -> Float[Tensor, "batch frames channels"]:
    """Standard normal noise on the CPU, one row per seed (any Python int; taken modulo 2^64)."""
    noise = np.empty((len(seeds), num_frames, channels), dtype=np.float32)
    block = np.arange(-(-channels // 4), dtype=np.uint64)[None, :]
    for first in range(0, num_frames, _AT_ONCE):
        part = noise[:, first : first + _AT_ONCE]
        frame = np.arange(first, first + part.shape[1], dtype=np.uint64)[:, None] + np.uint64(first_frame)
        for row, seed in zip(part, seeds, strict=True):
            row[:] = _normals(*np.broadcast_arrays(frame, block), seed=seed % 2**64)[:, :channels]
    return torch.from_numpy(noise)


def _normals(frame: np.ndarray, block: np.ndarray, *, seed: int) -> np.ndarray:
    """(frames, 4 * blocks) float32 normals from counters (frame low, frame high, block, 0)."""
    words = philox(
        (frame & _LOW, frame >> np.uint64(32), block, np.zeros_like(block)), key=(seed & 0xFFFFFFFF, seed >> 32)
    )
    uniform = [(word.astype(np.float64) + 0.5) / 2.0**32 for word in words]
    pairs = []
    for radius, turn in ((uniform[0], uniform[1]), (uniform[2], uniform[3])):
        length = np.sqrt(-2.0 * np.log(radius))
        pairs += [length * np.cos(2.0 * np.pi * turn), length * np.sin(2.0 * np.pi * turn)]
    return np.stack(pairs, axis=-1).reshape(frame.shape[0], -1).astype(np.float32)


def philox(counter: tuple[np.ndarray, ...], *, key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Four 32-bit words (as uint64 arrays) for a four-word counter and a two-word key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        high0, high1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), p1 & _LOW, high0 ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3
