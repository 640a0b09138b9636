"""What is measured, as pure functions and plain data: percentiles, frame lags, one level's numbers."""

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from diffusiontalker.load.sound import SAMPLE_RATE_HZ

LATE_MS = 10.0
"""A client that sends later than this (99th percentile) measures itself: a third of a chunk."""
BUSY_SHARE = 0.8
"""A client that computes for more than this share of the time does so, too: its one thread has no room left."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Percentiles:
    """Of some durations, in ms; every one is a value that occurred (nearest rank, the upper one)."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float] | np.ndarray) -> "Percentiles | None":
        """Of durations in seconds; None when there are none."""
        if not len(seconds):
            return None
        p50, p95, p99, most = np.percentile(np.asarray(seconds) * 1e3, (50, 95, 99, 100), method="inverted_cdf")
        return cls(
            count=len(seconds),
            p50=round(float(p50), 3),
            p95=round(float(p95), 3),
            p99=round(float(p99), 3),
            max=round(float(most), 3),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """The time of a level, on the clock of `time.perf_counter`."""

    begin: float
    counted_from: float
    """End of the warm-up."""
    end: float

    @classmethod
    def starting(cls, begin: float, *, warm_up_s: float, counted_s: float) -> "Window":
        """From its lengths."""
        return cls(begin, begin + warm_up_s, begin + warm_up_s + counted_s)

    @property
    def counted_s(self) -> float:
        """Measured seconds."""
        return max(self.end - self.counted_from, 1e-9)


def frame_lags(
    arrivals: Sequence[tuple[int, int, float]],
    sends: Sequence[tuple[int, float]],
    *,
    fps: float,
    look_ahead_s: float,
    counted_from: float = float("-inf"),
) -> Float64[np.ndarray, " frames"]:
    """Seconds from the sending of the last sample that a frame needs to the frame's arrival.

    Frame `i` needs the sound up to its instant and the look-ahead, `i / fps + look_ahead_s`. Frames that need more
    than was ever sent came out because the stream ended, and are left out. A lag may be a little below zero, as the
    look-ahead is a bound and some frames need less.

    Args:
        arrivals: first frame, frames and time of every message.
        sends: samples sent in all, and time, after every chunk.
        fps: motion frames per second.
        look_ahead_s: as the endpoint says.
        counted_from: frames whose last sample was sent earlier are left out.
    """
    if not arrivals or not sends:
        return np.zeros(0)
    first, counts, times = (np.asarray(column) for column in zip(*arrivals, strict=True))
    frames = np.concatenate([np.arange(one, one + count) for one, count in zip(first, counts, strict=True)])
    arrived = np.repeat(times, counts)
    sent_samples, sent_at = (np.asarray(column) for column in zip(*sends, strict=True))
    needed = (frames / fps + look_ahead_s) * SAMPLE_RATE_HZ - 1.0  # the endpoint rounds its look-ahead
    chunk = np.searchsorted(sent_samples, needed)
    is_known = chunk < len(sent_samples)
    lags, since = arrived[is_known] - sent_at[chunk[is_known]], sent_at[chunk[is_known]]
    return lags[since >= counted_from]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """What one level of load measured."""

    level: float
    """Workers, requests per second, or streams."""
    seconds: float
    """Measured time, without warm-up."""
    throughput: float
    """Requests answered, or frames received, per second."""
    audio_s_per_s: float
    """Seconds of speech animated per second."""
    latency: Percentiles | None
    """Of requests, in open mode from the instant they should have been sent; of streams, the lag of frames."""
    errors: dict[str, int]
    """Code -> how often."""
    refused: int = 0
    """Streams that could not begin."""
    lost: int = 0
    """Streams that did not reach their end."""
    held_up: int = 0
    """Chunks that the endpoint did not take at once (back pressure)."""
    late: Percentiles | None = None
    """How much later than planned the client sent, in ms; its own fault, not the endpoint's."""
    client_cpu_share: float
    """CPU seconds of this client per second; it has one thread."""
    machine_cpu_share: float | None = None
    """Share of the machine's CPU time that was used, by anybody; near 1 nothing is measured but a queue for it."""
    server_cpu_ms: float | None = None
    """CPU time of the endpoint's processes per request, in ms, where they are ours to look at."""
    is_complete: bool = True
    """Whether the level ran to its end."""

    @property
    def is_client_late(self) -> bool:
        """Whether the client was so late or so busy itself that its numbers are partly its own."""
        return self.client_cpu_share > BUSY_SHARE or (self.late is not None and self.late.p99 > LATE_MS)

    def would_hold(self, target_ms: float) -> bool:
        """Whether the level misses the target by no more than what a late or busy client may have added."""
        if self.errors or self.latency is None or not self.is_client_late:
            return False
        return self.client_cpu_share > BUSY_SHARE or self.latency.p99 - (self.late.p99 if self.late else 0) <= target_ms

    def holds(self, target_ms: float) -> bool:
        """Whether everything was answered and the 99th percentile is below the target."""
        is_good = self.is_complete and not self.errors and not self.refused and not self.lost
        return is_good and self.latency is not None and self.latency.p99 <= target_ms

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**dataclasses.asdict(self), "is_client_late": self.is_client_late}


@dataclasses.dataclass(kw_only=True, slots=True)
class Tally:
    """What has come of a level so far; the one thing that changes while it runs."""

    window: Window
    """What is counted."""
    latencies: list[float] = dataclasses.field(default_factory=list)
    """Seconds, counted ones alone."""
    errors: Counter[str] = dataclasses.field(default_factory=Counter)
    late: list[float] = dataclasses.field(default_factory=list)
    ends: list[float] = dataclasses.field(default_factory=list)
    """When each request was answered, warm-up included."""
    frames: int = 0
    """Counted frames of streams."""
    fps: float = 0.0
    """Of the streams."""
    refused: int = 0
    lost: int = 0
    held_up: int = 0

    def level(
        self,
        level: float,
        *,
        clip_s: float,
        wall_s: float,
        client_cpu_s: float,
        server_cpu_s: float | None = None,
        machine_cpu_share: float | None = None,
        is_complete: bool = True,
    ) -> Level:
        """The numbers of a level that has ended, or of one that is cut short now.

        Args:
            level: its number.
            clip_s: speech of one request, in seconds.
            wall_s: how long all of it took, in seconds.
            client_cpu_s: CPU time of this process in all of it, in seconds.
            server_cpu_s: of the endpoint, likewise.
            machine_cpu_share: of all processes, as a share of the machine.
            is_complete: whether it ran to its end.
        """
        window = self.window
        if not is_complete:
            window = dataclasses.replace(window, end=min(window.end, max(time.perf_counter(), window.counted_from)))
        answered = sum(window.counted_from <= end <= window.end for end in self.ends)
        audio_s = answered * clip_s + (self.frames / self.fps if self.frames else 0.0)
        return Level(
            level=level,
            seconds=round(window.counted_s, 3),
            throughput=round((answered or self.frames) / window.counted_s, 3),
            audio_s_per_s=round(audio_s / window.counted_s, 3),
            latency=Percentiles.of(self.latencies),
            errors=dict(self.errors),
            refused=self.refused,
            lost=self.lost,
            held_up=self.held_up,
            late=Percentiles.of(self.late),
            client_cpu_share=round(client_cpu_s / wall_s, 4),
            machine_cpu_share=machine_cpu_share,
            server_cpu_ms=(
                None if server_cpu_s is None or not self.ends else round(1e3 * server_cpu_s / len(self.ends), 3)
            ),
            is_complete=is_complete,
        )
