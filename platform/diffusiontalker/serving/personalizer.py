"""The personalizer's side of the endpoint: speech in, identity and emotion embedding out, computed once per content."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ, timebase
from diffusiontalker.inference import Bundle, embed_batch
from diffusiontalker.serving.batching import MicroBatcher
from diffusiontalker.serving.metrics import Metrics
from diffusiontalker.serving.style_cache import StyleCache
from diffusiontalker.serving.style_entry import StylePair

_SHORT_SAMPLES = 30 * SAMPLE_RATE_HZ
"""The content of a recording up to this length is hashed on the event loop: about a millisecond."""
_SOURCES = {"hits_memory": "memory", "hits_shared": "shared", "joined": "joined", "computed": "computed"}
_PROBLEMS = {"evictions": "evicted", "damaged": "damaged", "shared_errors": "shared_error"}


@runtime_checkable
class Embedder(Protocol):
    """Whoever computes embeddings."""

    async def embed(self, waveform: np.ndarray) -> StylePair:
        """Of (samples,) 16 kHz mono."""
        ...

    async def close(self) -> None:
        """Frees what it holds."""
        ...


class BatchedEmbedder:
    """Computes in this process, several recordings together.

    Args:
        bundle: whose personalizer.
        max_batch_frames: speech frames of one batch, padding included.
        max_waiting_frames: speech frames of all recordings that wait: an hour, 230 MB.
    """

    def __init__(self, bundle: Bundle, *, max_batch_frames: int = 8000, max_waiting_frames: int = 180_000) -> None:
        self._bundle = bundle
        self._batcher: MicroBatcher[np.ndarray, StylePair] = MicroBatcher(
            self._compute,
            size_of=lambda waveform: timebase.speech_frames(len(waveform)),
            max_size=max_batch_frames,
            max_waiting_size=max_waiting_frames,
        )

    async def embed(self, waveform: np.ndarray) -> StylePair:
        """See `Embedder`."""
        return await self._batcher.submit(waveform)

    async def close(self) -> None:
        """Ends its thread."""
        await self._batcher.close()

    def _compute(self, waveforms: Sequence[np.ndarray]) -> list[StylePair]:
        return [StylePair(*pair) for pair in embed_batch(self._bundle, waveforms)]


class Personalizer:
    """Embeddings by content: ready-made where they were computed before, else of an embedder, once.

    Args:
        embedder: who computes them.
        cache: what is known already.
        metrics: where the cache's counters go.
    """

    def __init__(self, embedder: Embedder, cache: StyleCache, *, metrics: Metrics) -> None:
        self._embedder, self._cache, self._metrics = embedder, cache, metrics
        self._told = dict.fromkeys([*_SOURCES, *_PROBLEMS], 0)

    async def embed(self, waveform: np.ndarray) -> StylePair:
        """Of (samples,) 16 kHz mono."""
        is_short = len(waveform) <= _SHORT_SAMPLES
        key = self._cache.key(waveform) if is_short else await asyncio.to_thread(self._cache.key, waveform)
        try:
            return await self._cache.get_or_compute(key, lambda: self._embedder.embed(waveform))
        finally:
            self._tell()

    async def close(self) -> None:
        """Ends everything."""
        await self._cache.close()
        await self._embedder.close()

    def _tell(self) -> None:
        """What the cache has counted since the last time."""
        for names, metric, label in (
            (_SOURCES, "style_cache_total", "source"),
            (_PROBLEMS, "style_cache_problems_total", "what"),
        ):
            for name, value in names.items():
                now = getattr(self._cache.counters, name)
                if now > self._told[name]:
                    self._metrics.count(metric, now - self._told[name], **{label: value})
                    self._told[name] = now
