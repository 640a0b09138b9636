"""Bearer keys: who may ask, and how often. Only hashes of keys are stored.

The text with the keys holds one `name:sha256hex[:requests_per_minute]` a line; blank lines and what follows a `#` are
ignored. 0 requests per minute switches a key off. It is a file (a mounted Kubernetes secret, reread when it changes) or
the value of an environment variable. Limits hold per process. Knows no protocol: edges hand in the header.
"""

import dataclasses
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from diffusiontalker.serving.errors import ANONYMOUS, Caller, ServingError

logger = logging.getLogger(__name__)

KEYS_VARIABLE = "DIFFUSIONTALKER_KEYS"
"""Environment variable that may hold the text with the keys."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT = re.compile(r"[0-9]{1,7}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_LOOK_EVERY_S = 1.0


class KeysError(ValueError):
    """Keys that cannot be used; the message names the source and the line, never what a line holds."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One accepted key, by its hash."""

    name: str
    """Whose it is; unique."""
    digest: str
    """Hex SHA-256 of the key."""
    requests_per_minute: int | None = None
    """How many requests a minute it is good for, all of them at once if they like; None: any number; 0: none."""


def new_key(name: str, *, requests_per_minute: int | None = None) -> tuple[str, str]:
    """A new random key for its owner, and the line that lets it in, for the file with the keys.

    Raises:
        KeysError: for a name or a limit that the file cannot hold.
    """
    key = f"dt_{secrets.token_urlsafe(32)}"
    line = f"{name}:{_sha256(key)}" + ("" if requests_per_minute is None else f":{requests_per_minute}")
    _parse_line(line, where=f"new key for {name!r}")
    return key, line


def parse_keys(text: str, *, source: str) -> tuple[Key, ...]:
    """The keys of a text with one `name:sha256hex[:requests_per_minute]` a line.

    Args:
        text: see above.
        source: what messages call it.

    Raises:
        KeysError: for a malformed line, a name or key twice, or no key at all, as that would let nobody in.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        key = _parse_line(content, where=f"{source}, line {number}")
        if key.name in keys or any(key.digest == other.digest for other in keys.values()):
            raise KeysError(f"{source}, line {number}: the name or the key stands on an earlier line too; remove one")
        keys[key.name] = key
    if not keys:
        raise KeysError(f"{source}: holds no key, so nobody could get in; add one or do not configure keys at all")
    return tuple(keys.values())


class Authenticator:
    """Tells who asks from the `authorization` header. For one event loop or thread; reads at most a small local file.

    Args:
        path: file with the keys; looked at again at most once a second. A new version that is broken or gone is logged
            and the keys known so far stay.
        text: the same text instead of a file; with neither, everybody is let in as `anonymous`.
        anonymous_per_minute: limit of requests without keys, all callers together; None: no limit.
        clock: seconds, never going back.

    Raises:
        KeysError: when path and text are both given, the keys cannot be used, or the limit is below 1.
    """

    def __init__(
        self,
        *,
        path: Path | None = None,
        text: str | None = None,
        anonymous_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if path is not None and text is not None:
            raise KeysError(f"keys are given twice, in {path} and as text (${KEYS_VARIABLE}); give one of them")
        if anonymous_per_minute is not None and anonymous_per_minute < 1:
            raise KeysError(
                f"anonymous_per_minute is {anonymous_per_minute}, expected at least 1, or None for no limit"
            )
        self._path, self._clock, self._looked_at = path, clock, clock()
        self._version: object = None
        self._buckets: dict[str, _Bucket] = {}
        self._anonymous = None if anonymous_per_minute is None else _Bucket(anonymous_per_minute, now=clock())
        if path is not None:
            self._version = _version(path)
            text = _read(path)
        self._keys = () if text is None else parse_keys(text, source=str(path or f"${KEYS_VARIABLE}"))

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return not self._keys

    def authenticate(self, header: str | None) -> Caller:
        """Who asks, and takes one request from their allowance.

        Args:
            header: value of `authorization`, or None where there is none.

        Raises:
            ServingError: `unauthenticated` without a header, a bearer key or a known key; `forbidden` for a key that is
                switched off; `busy` when its allowance is used up.
        """
        now = self._clock()
        self._look_again(now)
        if self.is_open:
            if self._anonymous is not None:
                self._anonymous.take(now, name="all callers together")
            return ANONYMOUS
        key = self._known(_bearer(header))
        if key.requests_per_minute == 0:
            raise ServingError("forbidden", f"key '{key.name}' is switched off; ask the operator")
        if key.requests_per_minute is not None:
            bucket = self._buckets.get(key.name)
            if bucket is None or bucket.per_minute != key.requests_per_minute:
                bucket = self._buckets[key.name] = _Bucket(key.requests_per_minute, now=now)
            bucket.take(now, name=f"key '{key.name}'")
        return Caller(name=key.name)

    def _known(self, given: str) -> Key:
        digest, found = _sha256(given), None
        for key in self._keys:  # All of them, whatever matches: the time taken says nothing.
            found = key if hmac.compare_digest(key.digest, digest) else found
        if found is None:
            raise ServingError("unauthenticated", "this key is not known here; check it or ask the operator for one")
        return found

    def _look_again(self, now: float) -> None:
        if self._path is None or now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = parse_keys(_read(self._path), source=str(self._path))
        except KeysError as error:
            logger.warning("%s; the %d keys known so far stay", error, len(self._keys))
            return
        names = {key.name for key in self._keys}
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if name in names}
        logger.info("%s: read again, %d keys", self._path, len(self._keys))


def make_authenticator(
    path: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    anonymous_per_minute: int | None = None,
) -> Authenticator:
    """The authenticator of a keys file or of `$DIFFUSIONTALKER_KEYS`.

    Raises:
        KeysError: see `Authenticator`; a variable that is set but empty is one too: a lost secret opens nothing.
    """
    return Authenticator(path=path, text=environment.get(KEYS_VARIABLE), anonymous_per_minute=anonymous_per_minute)


class _Bucket:
    """Allowance of one caller: a minute's worth of requests at most, refilled steadily."""

    def __init__(self, per_minute: int, *, now: float) -> None:
        self.per_minute = per_minute
        self._tokens, self._filled_at = float(per_minute), now

    def take(self, now: float, *, name: str) -> None:
        """Takes one request, or raises `busy`."""
        rate = self.per_minute / 60.0
        self._tokens = min(float(self.per_minute), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1.0:
            wait_s = (1.0 - self._tokens) / rate
            raise ServingError(
                "busy",
                f"{name}: more than {self.per_minute} requests a minute; try again in {wait_s:.1f} s",
                retry_after_s=wait_s,
            )
        self._tokens -= 1.0


def _parse_line(content: str, *, where: str) -> Key:
    fields = [field.strip() for field in content.split(":")]
    if len(fields) not in (2, 3) or not _NAME.fullmatch(fields[0]) or not _SHA256.fullmatch(fields[1].lower()):
        raise KeysError(
            f"{where}: expected name:sha256hex[:requests_per_minute], the name of 1 to 64 letters, digits, '.', '_' "
            "and '-' and the SHA-256 of the key as 64 hex digits (not the key itself)"
        )
    if len(fields) == 3 and not _LIMIT.fullmatch(fields[2]):
        raise KeysError(f"{where}: requests per minute are no whole number from 0 to 9999999; leave them out for none")
    limit = int(fields[2]) if len(fields) == 3 else None
    return Key(name=fields[0], digest=fields[1].lower(), requests_per_minute=limit)


def _bearer(header: str | None) -> str:
    if not header:
        raise ServingError("unauthenticated", "a key is needed; send 'authorization: Bearer <key>'")
    match = _BEARER.fullmatch(header)
    if match is None:
        raise ServingError("unauthenticated", "the authorization header holds no key; expected 'Bearer <key>'")
    return match[1]


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _version(path: Path) -> tuple[int, int, int] | None:
    """Changes when the file does; Kubernetes swaps a link, so the inode counts too."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise KeysError(f"{path}: the keys cannot be read ({reason}); check the path and its rights") from None
