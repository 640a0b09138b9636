"""Where replicas share cached embeddings: Redis, or files at any fsspec URL; and the guard that keeps both harmless.

A store may fail in any way. `GuardedStore` turns failures into misses, waits only briefly, and after a few failures
asks once per `retry_s` until the store answers again. Knows nothing about what is stored.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast, runtime_checkable

from diffusiontalker.serving.folder_store import FolderStore

logger = logging.getLogger(__name__)

_PREFIX = "diffusiontalker:style:"
_MAX_CONNECTIONS = 32
_FAILURES_TO_OPEN = 3
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"

ResultT = TypeVar("ResultT")


@runtime_checkable
class StyleStore(Protocol):
    """Bytes under keys; every method may raise anything."""

    name: str
    """For logs; holds no password."""
    has_turns: bool
    """Whether processes can agree on who computes; without, `try_lock` and `unlock` are not called."""

    async def read(self, key: str) -> bytes | None:
        """What is stored under a key."""
        ...

    async def write(self, key: str, content: bytes) -> None:
        """Stores, whether or not there was something."""
        ...

    async def try_lock(self, key: str) -> bool:
        """Whether this process is the one to compute what belongs to a key."""
        ...

    async def unlock(self, key: str) -> None:
        """Gives the turn back, if this process still has it."""
        ...

    async def close(self) -> None:
        """Frees connections and threads."""
        ...


def open_style_store(url: str, *, ttl_s: float, timeout_s: float, lock_s: float) -> StyleStore:
    """The store behind a URL: redis://, rediss:// or unix://, else a folder as fsspec understands it.

    Raises:
        StoreError: when no installed file system knows the URL.
        ImportError: for Redis where the package `redis` is not installed.
    """
    if url.partition("://")[0] in ("redis", "rediss", "unix"):
        return RedisStyleStore(url, ttl_s=ttl_s, timeout_s=timeout_s, lock_s=lock_s)
    return FolderStyleStore(url, timeout_s=timeout_s)


class RedisStyleStore:
    """Entries as Redis strings that expire; a turn is a key that expires on its own when its process dies."""

    has_turns = True

    def __init__(self, url: str, *, ttl_s: float, timeout_s: float, lock_s: float) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError

        self.name = _without_password(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),  # A connection may have died unnoticed.
        )
        self._client = Redis.from_pool(pool)
        self._ttl_ms, self._lock_ms = max(1, round(1000 * ttl_s)), max(1, round(1000 * lock_s))
        self._token = secrets.token_hex(16)

    async def read(self, key: str) -> bytes | None:
        """What is stored under a key."""
        return cast(bytes | None, await self._client.get(_PREFIX + key))

    async def write(self, key: str, content: bytes) -> None:
        """Stores for `ttl_s`."""
        await self._client.set(_PREFIX + key, content, px=self._ttl_ms)

    async def try_lock(self, key: str) -> bool:
        """Takes the turn for `lock_s`, unless another process has it."""
        return bool(await self._client.set(f"{_PREFIX}lock:{key}", self._token, nx=True, px=self._lock_ms))

    async def unlock(self, key: str) -> None:
        """Gives the turn back, unless it ran out and another process has it."""
        await self._client.eval(_UNLOCK, 1, f"{_PREFIX}lock:{key}", self._token)  # pyright: ignore[reportGeneralTypeIssues]

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


class FolderStyleStore:
    """Entries as files that stay until somebody removes them; without turns, so that replicas may compute the same."""

    has_turns = False

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.name, self._folder = _without_password(url), FolderStore(url, timeout_s=timeout_s)

    async def read(self, key: str) -> bytes | None:
        """What is stored under a key."""
        return await self._folder.read(f"{key}.style")

    async def write(self, key: str, content: bytes) -> None:
        """Stores, atomically."""
        await self._folder.write(f"{key}.style", content)

    async def try_lock(self, key: str) -> bool:
        """Says yes to everybody."""
        return True

    async def unlock(self, key: str) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Frees the threads."""
        self._folder.close()


class GuardedStore:
    """A store that never raises and never takes long.

    Args:
        store: what to guard.
        timeout_s: longest time of one operation.
        retry_s: how long a store that failed several times in a row is left alone.
        clock: seconds, never going back.
        on_error: called for every failure.
    """

    def __init__(
        self,
        store: StyleStore,
        *,
        timeout_s: float,
        retry_s: float,
        clock: Callable[[], float],
        on_error: Callable[[], None],
    ) -> None:
        self._store, self._timeout_s, self._retry_s = store, timeout_s, retry_s
        self._clock, self._on_error = clock, on_error
        self._num_failures, self._asleep_until = 0, float("-inf")
        self._locked: set[str] = set()

    @property
    def is_well(self) -> bool:
        """Whether the last operation succeeded."""
        return self._num_failures == 0

    async def read(self, key: str) -> bytes | None:
        """What is stored under a key; None when that cannot be told."""
        return await self._attempt(lambda: self._store.read(key), otherwise=None)

    async def write(self, key: str, content: bytes) -> None:
        """Stores, if possible."""
        await self._attempt(lambda: self._store.write(key, content), otherwise=None)

    async def try_lock(self, key: str) -> bool:
        """Whether it is this process's turn; it is, when that cannot be told."""
        if not self._store.has_turns or not self.is_well:
            return True
        has_lock = await self._attempt(lambda: self._store.try_lock(key), otherwise=None)
        if has_lock:
            self._locked.add(key)
        return has_lock is not False

    async def unlock(self, key: str) -> None:
        """Gives the turn back, if it was taken and that is possible."""
        if key in self._locked:
            self._locked.remove(key)
            await self._attempt(lambda: self._store.unlock(key), otherwise=None)

    async def close(self) -> None:
        """Frees everything, if possible."""
        await self._attempt(self._store.close, otherwise=None)

    async def _attempt(self, operation: Callable[[], Awaitable[ResultT]], *, otherwise: ResultT) -> ResultT:
        if self._clock() < self._asleep_until:
            return otherwise
        is_trial = self._num_failures >= _FAILURES_TO_OPEN
        if is_trial:  # One of all requests finds out; the others do not wait for it.
            self._asleep_until = self._clock() + self._retry_s
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await operation()
        except Exception as error:
            self._on_error()
            self._num_failures += 1
            if self._num_failures >= _FAILURES_TO_OPEN:
                self._asleep_until = self._clock() + self._retry_s
            if self._num_failures == _FAILURES_TO_OPEN:
                reason = f"{type(error).__name__}: {error}"
                logger.warning(
                    "%s does not answer (%s); embeddings are not shared until it does, it is asked again every %g s",
                    self._store.name, reason, self._retry_s,
                )  # fmt: skip
            return otherwise
        if is_trial:
            logger.info("%s answers again", self._store.name)
        self._num_failures, self._asleep_until = 0, float("-inf")
        return result


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2].partition("?")[0]
