"""Stand-ins around the style cache: embeddings that belong to a number, and what computes them."""

import asyncio
import time

import numpy as np

from diffusiontalker.serving.style_cache import StyleCache, StyleCacheConfig
from diffusiontalker.serving.style_entry import StylePair, style_key

DIGEST = "a" * 64
DIM = 16


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Personalizer:
    """Computes the pair that belongs to a number and counts how often."""

    def __init__(self, number: int = 0, *, gate: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.pair, self.num_calls, self._gate, self._error = pair_of(number), 0, gate, error

    async def __call__(self) -> tuple[np.ndarray, np.ndarray]:
        self.num_calls += 1
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        return self.pair


def pair_of(number: int) -> StylePair:
    vectors = np.random.default_rng(number).standard_normal((2, DIM))
    return StylePair(*(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def key_of(number: int) -> str:
    return style_key(np.full(100, number, dtype=np.float32), bundle_digest=DIGEST)


def cache_of(url: str = "", *, digest: str = DIGEST, clock=time.monotonic, **changes) -> StyleCache:
    settings = {"shared_timeout_s": 5.0} | changes
    return StyleCache(StyleCacheConfig(shared_url=url, **settings), bundle_digest=digest, clock=clock)


def is_same(first, second) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
