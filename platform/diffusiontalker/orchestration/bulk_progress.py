"""Where bulk work stands: for the terminal while it runs, in figures when it has ended."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

logger = logging.getLogger(__name__)

_LINE_SECONDS = 5.0


class BulkProgress:
    """Counts results, lists failures in a file as they come, and logs a line every few seconds.

    A context manager: the clock runs, and the file of failures is open, for the length of the block.

    Args:
        noun: what is counted, such as `recordings`.
        num_pending: how many there are to do now.
        weight: how much work they are in all, in any unit.
        failures_path: gets a JSON object (file, reason) for every failure; there is no such file without any.
    """

    def __init__(self, noun: str, *, num_pending: int, weight: int, failures_path: Path) -> None:
        self.num_done = self.num_failed = 0
        self.audio_s = self.wall_s = 0.0
        self._noun, self._num_pending, self._weight_left = noun, num_pending, weight
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

    def done(self, *, seconds: float, weight: int, count: int = 1) -> None:
        """One more, or several, are done: seconds of sound, and their part of the work."""
        self.num_done += count
        self.audio_s += seconds
        self._count(weight)

    def failed(self, name: str, *, reason: str, weight: int) -> None:
        """One more has failed."""
        self.num_failed += 1
        if self._stream is None:
            self._stream = self._path.open("w", encoding="utf-8")
        line = {"file": name, "reason": reason}
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()
        self._count(weight)

    def rates(self) -> dict[str, float]:
        """Files a second, and seconds of sound a second, since the start; failures do not count."""
        seconds = max(1e-9, self.wall_s or time.monotonic() - self._start_s)
        return {"files_per_s": self.num_done / seconds, "x_real_time": self.audio_s / seconds}

    def _count(self, weight: int) -> None:
        self._weight_left -= weight
        now, done = time.monotonic(), self.num_done + self.num_failed
        if self._first is None:
            self._first = (now, self._weight_left)
        if now - self._last_line_s >= _LINE_SECONDS or done == self._num_pending:
            self._last_line_s = now
            self._log(now, done)

    def _log(self, now: float, done: int) -> None:
        rates = self.rates()
        logger.info(
            "%d of %d %s (%d %%), %.1f/s, %.1f x real time, %s%s",
            done,
            self._num_pending,
            self._noun,
            100 * done // self._num_pending,
            rates["files_per_s"],
            rates["x_real_time"],
            self._remaining(now),
            f", {self.num_failed} failed" if self.num_failed else "",
        )

    def _remaining(self, now: float) -> str:
        first_s, weight_then = self._first or (now, self._weight_left)
        if self._weight_left <= 0:
            return "done"
        if weight_then == self._weight_left:
            return "remaining time not known yet"
        seconds = (now - first_s) / (weight_then - self._weight_left) * self._weight_left
        return f"{clock(seconds)} remaining"


def clock(seconds: float) -> str:
    """A duration as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def progress_lines(what: str) -> Callable[[int, int], None]:
    """To be told (clips done, clips in all); logs a line every few seconds."""
    last_line_s = time.monotonic()

    def take(done: int, total: int) -> None:
        nonlocal last_line_s
        now = time.monotonic()
        if done == total or now - last_line_s >= _LINE_SECONDS:
            last_line_s = now
            logger.info("%s: clip %d of %d", what, done, total)

    return take
