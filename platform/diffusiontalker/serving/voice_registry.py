"""Enrolled voices at any fsspec URL, shared by all replicas: list, get, create, rename, blend, delete.

One JSON file a voice, as `inference.VoiceStore` keeps them, so a folder of voices can be served as it is. Replicas see
each other's changes after `cache_seconds`. Two replicas that change one voice at the same time: the later one wins.
Knows no protocol and no audio: enrolling is the caller's.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from diffusiontalker.inference import Voice, VoiceError, blend
from diffusiontalker.inference.voices import check_voice_id, voice_from_json, voice_to_json
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.folder_store import FolderStore, StoreError

logger = logging.getLogger(__name__)

MAX_PAGE = 1000
"""Most voices of one page."""

_MAX_BLENDED = 32
_MAX_CACHED = 4096
_SUFFIX = ".json"
_RETRY_S = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoiceEntry:
    """A stored voice, or why it is none."""

    voice_id: str
    """Address."""
    voice: Voice | None = None
    """The voice; None: damaged."""
    problem: str | None = None
    """What is wrong with its file and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoicePage:
    """Some of the stored voices, sorted by id."""

    entries: tuple[VoiceEntry, ...]
    """At most as many as asked for; fewer when some were deleted meanwhile."""
    next_after: str | None
    """What to give as `after` for the next page; None: there is none."""


class VoiceRegistry:
    """The voices of one folder. For one event loop.

    Args:
        uri: a local folder, or a URL such as s3://bucket/voices.
        cache_seconds: how long changes by others may stay unseen.
        clock: seconds, never going back.
        now: the time of day, for `created_at`.

    Raises:
        StoreError: when no installed file system knows the URL.
    """

    def __init__(
        self,
        uri: str | Path,
        *,
        cache_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._store = FolderStore(uri)
        self._cache_seconds, self._clock, self._now = cache_seconds, clock, now
        self._entries: OrderedDict[str, tuple[float, VoiceEntry]] = OrderedDict()
        self._ids: tuple[float, tuple[str, ...]] | None = None
        self._num_changes = 0
        self._changing = asyncio.Lock()

    async def list(self, *, limit: int = 100, after: str | None = None) -> VoicePage:
        """The stored voices, sorted by id, damaged ones marked as such.

        Args:
            limit: most voices to give, 1 to `MAX_PAGE`.
            after: the id behind which to begin.

        Raises:
            ServingError: `invalid_parameter` for a bad limit or id, `unavailable` when the store does not answer.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ServingError("invalid_parameter", f"limit is {limit}, expected 1 to {MAX_PAGE}")
        if after is not None:
            _checked_id(after)
        with self._mapped_errors("listed"):
            ids = [voice_id for voice_id in await self._voice_ids() if after is None or voice_id > after]
            entries = await asyncio.gather(*(self._entry(voice_id) for voice_id in ids[:limit]))
        return VoicePage(
            entries=tuple(entry for entry in entries if entry is not None),
            next_after=ids[limit - 1] if len(ids) > limit else None,
        )

    async def get(self, voice_id: str) -> Voice:
        """The voice with this id.

        Raises:
            ServingError: `unknown_voice` when there is none or its file is damaged, `invalid_parameter` for an id that
                cannot be one, `unavailable` when the store does not answer.
        """
        _checked_id(voice_id)
        with self._mapped_errors("read"):
            return _sound(await self._entry(voice_id), voice_id)

    async def create(self, voice: Voice) -> Voice:
        """Stores a new voice and gives it as stored: with `created_at` in its provenance.

        Raises:
            ServingError: `voice_exists` when there is one with this id, `unavailable` when the store does not answer.
        """
        created_at = self._now().astimezone(datetime.UTC).isoformat(timespec="seconds")
        voice = dataclasses.replace(voice, provenance={"created_at": created_at} | voice.provenance)
        async with self._change(voice.voice_id):
            if await self._store.read(voice.voice_id + _SUFFIX) is not None:
                raise ServingError(
                    "voice_exists",
                    f"there is a voice '{voice.voice_id}' already; use it, or delete it before it is made again",
                )
            await self._store.write(voice.voice_id + _SUFFIX, voice_to_json(voice))
        return voice

    async def rename(self, voice_id: str, *, name: str) -> Voice:
        """Gives a voice another name; its id stays.

        Raises:
            ServingError: as `get`, and `invalid_parameter` for an unusable name.
        """
        _checked_id(voice_id)
        async with self._change(voice_id):
            voice = _sound(await self._read(voice_id), voice_id)
            try:
                voice = dataclasses.replace(voice, name=name)
            except VoiceError as error:
                raise ServingError("invalid_parameter", str(error)) from None
            await self._store.write(voice_id + _SUFFIX, voice_to_json(voice))
        return voice

    async def blend(self, voice_ids: Sequence[str], *, weights: Sequence[float], name: str) -> Voice:
        """Makes and stores a voice between voices, see `inference.blend`.

        Raises:
            ServingError: as `get` and `create`, and `invalid_parameter` for weights, names or voices that do not go
                together.
        """
        if len(voice_ids) > _MAX_BLENDED:
            raise ServingError("invalid_parameter", f"blend of {len(voice_ids)} voices, at most {_MAX_BLENDED} can be")
        voices = [await self.get(voice_id) for voice_id in voice_ids]
        try:
            voice = blend(voices, weights=weights, name=name)
        except VoiceError as error:
            raise ServingError("invalid_parameter", str(error)) from None
        return await self.create(voice)

    async def delete(self, voice_id: str) -> None:
        """Removes a voice, damaged or not.

        Raises:
            ServingError: `unknown_voice` when there is none, `invalid_parameter` for an id that cannot be one,
                `unavailable` when the store does not answer.
        """
        _checked_id(voice_id)
        async with self._change(voice_id):
            if await self._store.read(voice_id + _SUFFIX) is None:
                raise _unknown(voice_id)
            await self._store.delete(voice_id + _SUFFIX)

    def close(self) -> None:
        """Frees the threads."""
        self._store.close()

    async def _voice_ids(self) -> tuple[str, ...]:
        asked_at, num_changes = self._clock(), self._num_changes
        if self._ids is not None and asked_at < self._ids[0]:
            return self._ids[1]
        stems = [name.removesuffix(_SUFFIX) for name in await self._store.names() if name.endswith(_SUFFIX)]
        ids = tuple(sorted(filter(_is_voice_id, stems)))
        if num_changes == self._num_changes:
            self._ids = (asked_at + self._cache_seconds, ids)
        return ids

    async def _entry(self, voice_id: str) -> VoiceEntry | None:
        asked_at, num_changes = self._clock(), self._num_changes
        cached = self._entries.get(voice_id)
        if cached is not None and asked_at < cached[0]:
            return cached[1]
        entry = await self._read(voice_id)
        self._entries.pop(voice_id, None)
        if entry is not None and num_changes == self._num_changes:
            self._entries[voice_id] = (asked_at + self._cache_seconds, entry)
            if len(self._entries) > _MAX_CACHED:
                self._entries.popitem(last=False)
        return entry

    async def _read(self, voice_id: str) -> VoiceEntry | None:
        content = await self._store.read(voice_id + _SUFFIX)
        if content is None:
            return None
        try:
            voice = voice_from_json(content, source=f"voice '{voice_id}'")
        except VoiceError as error:
            return VoiceEntry(voice_id=voice_id, problem=str(error))
        if voice.voice_id != voice_id:
            return VoiceEntry(voice_id=voice_id, problem=f"voice '{voice_id}': its file holds '{voice.voice_id}'")
        return VoiceEntry(voice_id=voice_id, voice=voice)

    @contextlib.asynccontextmanager
    async def _change(self, voice_id: str) -> AsyncIterator[None]:
        """One change at a time; what was read before it ended is not kept."""
        async with self._changing:
            try:
                with self._mapped_errors("changed"):
                    yield
            finally:
                self._num_changes += 1
                self._entries.pop(voice_id, None)
                self._ids = None

    @contextlib.contextmanager
    def _mapped_errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            logger.error("voices cannot be %s: %s", done, error)
            raise ServingError(
                "unavailable",
                f"the stored voices cannot be {done} at the moment; try again in {_RETRY_S:g} s",
                retry_after_s=_RETRY_S,
            ) from None


def _checked_id(voice_id: str) -> None:
    try:
        check_voice_id(voice_id)
    except VoiceError as error:
        raise ServingError("invalid_parameter", str(error)) from None


def _is_voice_id(text: str) -> bool:
    try:
        check_voice_id(text)
    except VoiceError:
        return False
    return True


def _unknown(voice_id: str) -> ServingError:
    return ServingError("unknown_voice", f"there is no voice '{voice_id}'; list the voices, or enroll one")


def _sound(entry: VoiceEntry | None, voice_id: str) -> Voice:
    if entry is None:
        raise _unknown(voice_id)
    if entry.voice is None:
        raise ServingError("unknown_voice", f"{entry.problem}; the stored voice is damaged, delete it")
    return entry.voice
