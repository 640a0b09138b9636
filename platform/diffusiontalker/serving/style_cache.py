"""The cache of what the personalizer heard: in this process first, then shared by all replicas, then computed, once.

Entries are kept by the content of the recording and the digest of the bundle, so they are never out of date; the time
to live bounds how long anything derived from a voice is kept. Knows nothing about audio models: `compute` is handed in.
"""

import asyncio
import dataclasses
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import numpy as np

from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.shared_styles import GuardedStore, open_style_store
from diffusiontalker.serving.style_entry import (
    EntryError,
    StylePair,
    checked_pair,
    decode_entry,
    encode_entry,
    style_key,
)

logger = logging.getLogger(__name__)

ENTRY_OVERHEAD_BYTES = 512
"""What an entry in memory is counted with beyond its embeddings."""

_POLL_S = 0.05

Compute = Callable[[], Awaitable[tuple[np.ndarray, np.ndarray]]]
"""Gives identity and emotion embedding, (embedding,) each, unit length."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StyleCacheConfig:
    """What the style cache may use.

    Raises:
        ValueError: for a number out of range.
    """

    memory_bytes: int = 64 << 20
    """Budget of each process; 0: nothing is kept in the process."""
    ttl_s: float = 3600.0
    """How long an entry is kept in the process, in seconds."""
    shared_url: str = ""
    """Where replicas share entries: redis://host:6379/0, else a folder or a URL such as s3://bucket/styles; empty: they
    do not."""
    shared_ttl_s: float = 7 * 86_400.0
    """How long Redis keeps an entry, in seconds; files stay until a rule of the store removes them."""
    shared_timeout_s: float = 0.25
    """Longest wait for one answer of the shared store, in seconds; object stores need about 1."""
    shared_retry_s: float = 5.0
    """How long a shared store that does not answer is left alone, in seconds."""
    lock_s: float = 10.0
    """How long a replica has the turn to compute one entry, in seconds; Redis only."""
    lock_wait_s: float = 5.0
    """How long another replica waits for it before it computes the same, in seconds; Redis only."""

    def __post_init__(self) -> None:
        """Checks everything."""
        if self.memory_bytes < 0:
            raise ValueError(f"memory_bytes is {self.memory_bytes}, expected at least 0")
        for name in ("ttl_s", "shared_ttl_s", "shared_timeout_s", "shared_retry_s", "lock_s", "lock_wait_s"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}, expected a number above 0")


@dataclasses.dataclass(kw_only=True, slots=True)
class StyleCounters:
    """What happened so far. Every request is one of the first four."""

    hits_memory: int = 0
    """Found in this process."""
    hits_shared: int = 0
    """Found in the shared store."""
    misses: int = 0
    """Found nowhere."""
    joined: int = 0
    """Came while the same recording was being looked up or computed, and got that result."""
    computed: int = 0
    """Misses that were computed without an error."""
    evictions: int = 0
    """Entries dropped from memory for the budget."""
    damaged: int = 0
    """Entries of the shared store that were not usable."""
    shared_errors: int = 0
    """Failures of the shared store."""


class StyleCache:
    """Embeddings by recording. For one event loop.

    Args:
        config: what it may use.
        bundle_digest: the bundle whose personalizer computes.
        clock: seconds, never going back.

    Raises:
        StoreError: when no installed file system knows the shared URL.
        ImportError: for Redis where the package `redis` is not installed.
    """

    def __init__(
        self, config: StyleCacheConfig, *, bundle_digest: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = StyleCounters()
        self._config, self._digest, self._clock = config, bundle_digest, clock
        self._memory = _Memory(max_bytes=config.memory_bytes, ttl_s=config.ttl_s, clock=clock)
        self._flights: dict[str, asyncio.Future[StylePair]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._shared = None
        if config.shared_url:
            store = open_style_store(
                config.shared_url,
                ttl_s=config.shared_ttl_s,
                timeout_s=config.shared_timeout_s,
                lock_s=config.lock_s,
            )
            self._shared = GuardedStore(
                store,
                timeout_s=config.shared_timeout_s,
                retry_s=config.shared_retry_s,
                clock=clock,
                on_error=self._count_error,
            )

    @property
    def memory_used_bytes(self) -> int:
        """What the entries of this process are counted with."""
        return self._memory.used_bytes

    def key(self, waveform: np.ndarray) -> str:
        """The key of a recording, (samples,) at 16 kHz; see `style_key`."""
        return style_key(waveform, bundle_digest=self._digest)

    async def get_or_compute(self, key: str, compute: Compute) -> StylePair:
        """The embeddings of a recording, in arrays of the caller's own.

        However many ask at once, `compute` runs once in this process, in a task of its own: a caller that is cancelled
        takes nothing from the others. Its exception reaches all of them and is not kept.

        Args:
            key: see `key`.
            compute: called when no entry is found.

        Raises:
            ServingError: `unavailable` when the cache is closed.
            Exception: what `compute` raises.
        """
        found = self._memory.get(key)
        if found is not None:
            self.counters.hits_memory += 1
            return found.copied()
        if self._is_closed:
            raise _stopping()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.get_running_loop().create_future()
            flight.add_done_callback(lambda done: done.exception())  # Perhaps nobody is left to look.
            task = asyncio.create_task(self._fly(key, compute, flight))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self.counters.joined += 1
        return (await asyncio.shield(flight)).copied()

    async def close(self) -> None:
        """Ends what is under way; who waits for it gets `unavailable`."""
        self._is_closed = True
        tasks, flights = list(self._tasks), list(self._flights.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for flight in flights:
            if not flight.done():  # Its task was cancelled before it began.
                flight.set_exception(_stopping())
        if self._shared is not None:
            await self._shared.close()

    async def _fly(self, key: str, compute: Compute, flight: asyncio.Future[StylePair]) -> None:
        has_turn = False
        try:
            pair = await self._find(key)
            if pair is None:
                pair, has_turn = await self._take_turn(key)
            if pair is not None:
                self.counters.hits_shared += 1
                self._land(key, pair, flight)
                return
            self.counters.misses += 1
            pair = checked_pair(*await compute())
            self.counters.computed += 1
            self._land(key, pair, flight)
            if self._shared is not None:
                await self._shared.write(key, encode_entry(pair, key=key, bundle_digest=self._digest))
        except asyncio.CancelledError:
            if not flight.done():
                flight.set_exception(_stopping())
            raise
        except Exception as error:
            if flight.done():
                raise
            flight.set_exception(error)
        finally:
            self._flights.pop(key, None)
            if self._shared is not None and has_turn:
                await self._shared.unlock(key)

    def _land(self, key: str, pair: StylePair, flight: asyncio.Future[StylePair]) -> None:
        self.counters.evictions += self._memory.put(key, pair)
        flight.set_result(pair)

    async def _find(self, key: str) -> StylePair | None:
        """The shared entry, if there is a sound one."""
        content = None if self._shared is None else await self._shared.read(key)
        if content is None:
            return None
        try:
            return decode_entry(content, key=key, bundle_digest=self._digest)
        except EntryError as error:
            self.counters.damaged += 1
            level = logging.WARNING if self.counters.damaged == 1 else logging.DEBUG
            logger.log(level, "shared style entry %s %s; it is computed again and replaced", key, error)
            return None

    async def _take_turn(self, key: str) -> tuple[StylePair | None, bool]:
        """Waits until another replica has stored the entry, or it is this one's turn or time to compute."""
        if self._shared is None:
            return None, False
        give_up_at = self._clock() + self._config.lock_wait_s
        has_waited = False
        while True:
            has_turn = await self._shared.try_lock(key)
            pair = await self._find(key) if has_waited else None
            if pair is not None or has_turn or self._clock() >= give_up_at:
                return pair, has_turn
            has_waited = True
            await asyncio.sleep(_POLL_S)

    def _count_error(self) -> None:
        self.counters.shared_errors += 1


class _Memory:
    """The least recently used entries go first when the budget is exceeded; none outlives its time."""

    def __init__(self, *, max_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._max_bytes, self._ttl_s, self._clock = max_bytes, ttl_s, clock
        self._entries: OrderedDict[str, tuple[float, StylePair]] = OrderedDict()
        self.used_bytes = 0

    def get(self, key: str) -> StylePair | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock() >= entry[0]:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, pair: StylePair) -> int:
        """Keeps an entry; gives the number of others that had to go."""
        self._drop(key)
        num_bytes = _cost(pair)
        if num_bytes > self._max_bytes:
            return 0
        num_evicted = 0
        while self.used_bytes + num_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
            num_evicted += 1
        self._entries[key] = (self._clock() + self._ttl_s, pair)
        self.used_bytes += num_bytes
        return num_evicted

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used_bytes -= _cost(entry[1])


def _stopping() -> ServingError:
    return ServingError("unavailable", "the server is stopping; try again", retry_after_s=1.0)


def _cost(pair: StylePair) -> int:
    return pair.nbytes + ENTRY_OVERHEAD_BYTES
