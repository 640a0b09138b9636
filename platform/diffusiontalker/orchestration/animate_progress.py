"""Where a bulk animation stands: for the terminal while it runs, for `summary.json` when it has ended."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from diffusiontalker.data import Recording
from diffusiontalker.orchestration.progress import clock

logger = logging.getLogger(__name__)

_LINE_SECONDS = 5.0
_UNKNOWN_BYTES = 1 << 18
"""What a file counts whose size is not known: 8 s at 16 kHz."""


def weight(recording: Recording) -> int:
    """How much work a recording is, in bytes of its file."""
    return recording.num_bytes or _UNKNOWN_BYTES


class BulkProgress:
    """Counts results, lists failures in a file as they come, and logs a line every few seconds.

    A context manager: the clock runs, and the file of failures is open, for the length of the block.

    Args:
        pending: what is to be animated now.
        failures_path: gets a JSON object (file, reason) for every failure; there is no such file without any.
    """

    def __init__(self, pending: Sequence[Recording], *, failures_path: Path) -> None:
        self.num_animated = self.num_failed = 0
        self.audio_s = self.wall_s = 0.0
        self._num_pending = len(pending)
        self._bytes_left = sum(map(weight, pending))
        self._path = failures_path
        self._stream: TextIO | None = None
        self._start_s = self._last_line_s = 0.0
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> "BulkProgress":
        self._path.unlink(missing_ok=True)
        self._start_s = self._last_line_s = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall_s = time.monotonic() - self._start_s
        if self._stream is not None:
            self._stream.close()

    def animated(self, recording: Recording, *, seconds: float) -> None:
        """One more is done."""
        self.num_animated += 1
        self.audio_s += seconds
        self._count(recording)

    def failed(self, recording: Recording, *, reason: str) -> None:
        """One more has failed."""
        self.num_failed += 1
        if self._stream is None:
            self._stream = self._path.open("w", encoding="utf-8")
        line = {"file": recording.name, "reason": reason}
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()
        self._count(recording)

    def rates(self) -> dict[str, float]:
        """Files a second, and seconds of sound a second, since the start; failures do not count."""
        seconds = max(1e-9, self.wall_s or time.monotonic() - self._start_s)
        return {"files_per_s": self.num_animated / seconds, "x_real_time": self.audio_s / seconds}

    def _count(self, recording: Recording) -> None:
        self._bytes_left -= weight(recording)
        now, done = time.monotonic(), self.num_animated + self.num_failed
        if self._first is None:
            self._first = (now, self._bytes_left)
        if now - self._last_line_s >= _LINE_SECONDS or done == self._num_pending:
            self._last_line_s = now
            self._log(now, done)

    def _log(self, now: float, done: int) -> None:
        rates = self.rates()
        logger.info(
            "%d of %d recordings (%d %%), %.1f files/s, %.1f x real time, %s%s",
            done,
            self._num_pending,
            100 * done // self._num_pending,
            rates["files_per_s"],
            rates["x_real_time"],
            self._remaining(now),
            f", {self.num_failed} failed" if self.num_failed else "",
        )

    def _remaining(self, now: float) -> str:
        first_s, bytes_then = self._first or (now, self._bytes_left)
        if self._bytes_left <= 0:
            return "done"
        if bytes_then == self._bytes_left:
            return "remaining time not known yet"
        seconds = (now - first_s) / (bytes_then - self._bytes_left) * self._bytes_left
        return f"{clock(seconds)} remaining"


def summary(progress: BulkProgress, *, num_recordings: int, num_before: int, about: dict[str, Any]) -> dict[str, Any]:
    """The figures of a start that has ended; plain data.

    Args:
        progress: of this start.
        num_recordings: all that were asked for.
        num_before: what earlier starts had finished.
        about: how it was computed.
    """
    return {
        "recordings": num_recordings,
        "finished": num_before + progress.num_animated,
        "failed": progress.num_failed,
        "this_start": {
            "animated": progress.num_animated,
            "audio_s": round(progress.audio_s, 3),
            "wall_s": round(progress.wall_s, 3),
            **{name: round(value, 3) for name, value in progress.rates().items()},
        },
        **about,
    }
