"""What a load run does: whom it asks, with what, how hard and for how long. Refuses machines that are not this one."""

import dataclasses
import ipaddress
import urllib.parse
from pathlib import Path
from typing import Any, Literal

Mode = Literal["closed", "open", "streams"]
CHUNK_MS = 33.0
"""Sound of one message of a live stream, in ms: one motion frame at 30 fps, as microphones deliver it."""


class LoadError(ValueError):
    """A load run that cannot be made as asked for; the message says what to change."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LoadConfig:
    """One run: a target, a kind of load, and how much of it."""

    url: str = "http://127.0.0.1:8000"
    """The endpoint, without a path."""
    key: str | None = dataclasses.field(default=None, repr=False)
    """Bearer key, where the endpoint asks for one; never stored with results."""
    allow_remote: bool = False
    """Whether the endpoint may be another machine."""
    mode: Mode = "closed"
    """`closed`: each of N workers sends when its last request is answered. `open`: requests arrive at random, N a
    second, whether or not earlier ones are answered. `streams`: N live streams in real time."""
    levels: tuple[float, ...] = (1, 4, 16)
    """The N, one after another."""
    speech: Path | None = None
    """Folder of speech; None: a made-up signal."""
    seconds: float = 3.0
    """Length of one recording, in seconds."""
    voice: str = "none"
    """`none`: the audio's own (streams: the learnt unknown speaker); `reference`: a recording that is sent along with
    every request; else the id of a voice."""
    motion_format: str = "npz"
    """Of the answers over HTTP."""
    duration_s: float = 10.0
    """Measured time of a level, in seconds."""
    warm_up_s: float = 2.0
    """Time before it that is not counted, in seconds."""
    stagger_s: float = 1.0
    """Streams begin one after another within so long, before the warm-up; in seconds."""
    timeout_s: float = 30.0
    """A request, or the end of a stream, that takes longer has failed; in seconds."""
    seed: int = 0
    """Decides arrival times and the stagger of streams."""
    find_max: bool = False
    """Whether to search, from the first level on, for the largest level whose 99th percentile is below `target_ms`; one
    that misses it is tried a second time."""
    target_ms: float = 100.0
    """Of latencies, or of frame lags."""
    most: int = 256
    """Where that search ends."""

    def __post_init__(self) -> None:
        """Checks everything that can be checked without the endpoint."""
        _check_url(self.url, allow_remote=self.allow_remote)
        for name in ("seconds", "duration_s", "timeout_s", "target_ms", "most"):
            if not getattr(self, name) > 0:
                raise LoadError(f"{name} is {getattr(self, name)}, expected a number above 0")
        if self.warm_up_s < 0 or self.stagger_s < 0:
            raise LoadError(f"warm_up_s is {self.warm_up_s}, stagger_s {self.stagger_s}: expected 0 or more")
        if not self.levels or not all(level > 0 for level in self.levels):
            raise LoadError(f"levels are {list(self.levels)}, expected at least one, all above 0")
        if self.mode != "open" and any(level != int(level) for level in self.levels):
            raise LoadError(f"levels are {list(self.levels)}, expected whole numbers of workers or streams")
        if self.mode == "streams" and self.voice == "reference":
            raise LoadError("voice 'reference' cannot be had live, as streams carry no reference; enroll a voice first")

    def plain(self) -> dict[str, Any]:
        """For JSON; without the key."""
        content = {**dataclasses.asdict(self), "speech": None if self.speech is None else str(self.speech)}
        del content["key"]
        return content


def _check_url(url: str, *, allow_remote: bool) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        host, has_port = parts.hostname, parts.port is None or parts.port > 0
    except ValueError:
        parts, host, has_port = urllib.parse.urlsplit(""), None, False
    if parts.scheme not in ("http", "https") or not host or not has_port or parts.path.rstrip("/") or parts.query:
        raise LoadError(f"url '{url}': expected http://HOST:PORT without a path, such as http://127.0.0.1:8000")
    if not allow_remote and not _is_loopback(host):
        raise LoadError(
            f"url '{url}': {host} is another machine, and load may keep it from its work; if it is yours to load, "
            "add --allow-remote"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
