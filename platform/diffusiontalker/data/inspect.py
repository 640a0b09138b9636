"""What a corpus holds, in numbers: who speaks how much, which channels move, whether sound and jaw keep time.

Plain data and text; pictures are drawn in `evaluation.plots`.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import timebase
from diffusiontalker.data.clip import Clip
from diffusiontalker.data.corpus import Corpus, CorpusInfo
from diffusiontalker.data.normalize import smallest_scale
from diffusiontalker.face.arkit import is_arkit

_FLOOR_DB = -50.0
_MAX_LAG_S = 0.4
_MOST_ACTIVE = 12
_MOST_STILL = 52
"""A face of vertices has thousands of channels; no more are listed."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GroupCount:
    """Clips of one speaker in one emotion in one split."""

    split: str
    """Split."""
    speaker: str
    """Speaker."""
    emotion: str
    """Emotion."""
    clips: int
    """Number of clips."""
    seconds: float
    """Seconds of audio."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ChannelActivity:
    """How one channel moves over all frames."""

    name: str
    """Channel."""
    mean: float
    """Mean coefficient."""
    std: float
    """Standard deviation."""
    minimum: float
    """Smallest coefficient."""
    maximum: float
    """Largest coefficient."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CorpusSummary:
    """Everything `inspect_corpus` finds."""

    uri: str
    """The corpus."""
    info: CorpusInfo
    """Its index."""
    groups: tuple[GroupCount, ...]
    """Counts by split, speaker and emotion."""
    shortest_s: float
    """Shortest clip, in seconds."""
    longest_s: float
    """Longest clip, in seconds."""
    channels: tuple[ChannelActivity, ...]
    """Activity of every channel."""
    still_channels: tuple[str, ...]
    """Channels that hardly move: the standard deviation is below `smallest_scale`."""
    jaw_lag_ms: float | None
    """By how much the jaw follows the loudness, in ms (negative: it leads); None when nothing correlates."""
    jaw_loudness_r: float | None
    """Correlation of jawOpen and loudness at that lag."""

    def text(self) -> str:
        """The summary for people."""
        info = self.info
        lines = [
            self.uri,
            f"  {info.num_clips} clips, {info.seconds / 60:.1f} min, {self.shortest_s:.2f} to {self.longest_s:.2f} s "
            f"each; motion {info.motion_fps:g} fps, {len(info.channel_names)} channels; digest {info.digest[:16]}",
            *self._count_table(),
        ]
        active = sorted(self.channels, key=lambda channel: -channel.std)[:_MOST_ACTIVE]
        digits = ".3f" if is_arkit(info.channel_names) else ".2g"
        lines.append("  moves most (std): " + ", ".join(f"{channel.name} {channel.std:{digits}}" for channel in active))
        lines.append(f"  hardly moves: {_listed(self.still_channels)}")
        lines.append(f"  missing in the source: {', '.join(info.missing_channels) or 'no channel'}")
        if "jawOpen" not in info.channel_names:
            return "\n".join(lines)
        if self.jaw_lag_ms is None:
            lines.append(
                "  jawOpen does not follow the loudness at any lag: check that audio and motion belong together"
            )
        else:
            who = "the face follows the sound" if self.jaw_lag_ms > 0 else "the face leads the sound"
            lines.append(
                f"  jawOpen against loudness: {who} by {abs(self.jaw_lag_ms):.0f} ms (r = {self.jaw_loudness_r:.2f})"
            )
        return "\n".join(lines)

    def _count_table(self) -> Iterator[str]:
        """Minutes and clips of every speaker in every split, clips by emotion."""
        emotions = self.info.emotions
        yield f"  {'split':<20} {'speaker':<12} {'minutes':>8} {'clips':>6}  of which {', '.join(emotions)}"
        rows: dict[tuple[str, str], list[GroupCount]] = defaultdict(list)
        for group in self.groups:
            rows[(group.split, group.speaker)].append(group)
        for (split, speaker), groups in rows.items():
            clips = {group.emotion: group.clips for group in groups}
            minutes = sum(group.seconds for group in groups) / 60
            shares = ", ".join(str(clips.get(emotion, 0)) for emotion in emotions)
            yield f"  {split:<20} {speaker:<12} {minutes:>8.2f} {sum(clips.values()):>6}  {shares}"


def _listed(channels: tuple[str, ...]) -> str:
    more = f" and {len(channels) - _MOST_STILL} more" if len(channels) > _MOST_STILL else ""
    return ", ".join(channels[:_MOST_STILL]) + more or "no channel"


def inspect_corpus(corpus: Corpus) -> CorpusSummary:
    """Reads every clip once and sums up; also checks the content against the digest of the index.

    Raises:
        CorpusError: when a shard cannot be read or does not hold what the index says.
    """
    corpus.verify()
    counts: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    channels = _ChannelMoments(len(corpus.info.channel_names))
    lags = _LagCurve(motion_fps=corpus.info.motion_fps)
    for clip in corpus.clips():
        counts[(clip.split, clip.speaker, clip.emotion)].append(clip.seconds)
        channels.add(clip.motion.coefficients)
        lags.add(clip)
    seconds = [value for values in counts.values() for value in values]
    activity = channels.activity(corpus.info.channel_names)
    lag_ms, correlation = lags.peak()
    still_std = smallest_scale(corpus.info.channel_names)
    return CorpusSummary(
        uri=corpus.uri,
        info=corpus.info,
        groups=tuple(
            GroupCount(split=split, speaker=speaker, emotion=emotion, clips=len(values), seconds=sum(values))
            for (split, speaker, emotion), values in counts.items()
        ),
        shortest_s=min(seconds),
        longest_s=max(seconds),
        channels=activity,
        still_channels=tuple(channel.name for channel in activity if channel.std < still_std),
        jaw_lag_ms=lag_ms,
        jaw_loudness_r=correlation,
    )


def loudness_db(
    waveform: Float32[np.ndarray, "samples"], *, num_frames: int, motion_fps: float
) -> Float32[np.ndarray, "frames"]:
    """Loudness at the motion frames, in dB below the loudest of them, floored at -50 dB."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    half = timebase.SAMPLE_RATE_HZ / motion_fps / 2
    centres = np.arange(num_frames) * (2 * half)
    first, last = (np.clip(np.rint(centres + side), 0, len(waveform)).astype(int) for side in (-half, half))
    power = (energy[last] - energy[first]) / np.maximum(last - first, 1)
    loudest = max(float(power.max(initial=0.0)), 1e-12)
    return np.maximum(10.0 * np.log10(power / loudest + 1e-12), _FLOOR_DB).astype(np.float32)


class _ChannelMoments:
    def __init__(self, num_channels: int) -> None:
        self._frames = 0
        self._sum, self._square_sum = np.zeros(num_channels), np.zeros(num_channels)
        self._minimum, self._maximum = np.full(num_channels, np.inf), np.full(num_channels, -np.inf)

    def add(self, coefficients: np.ndarray) -> None:
        values = coefficients.astype(np.float64)
        self._frames += len(values)
        self._sum += values.sum(axis=0)
        self._square_sum += np.square(values).sum(axis=0)
        self._minimum = np.minimum(self._minimum, values.min(axis=0))
        self._maximum = np.maximum(self._maximum, values.max(axis=0))

    def activity(self, names: tuple[str, ...]) -> tuple[ChannelActivity, ...]:
        mean = self._sum / self._frames
        std = np.sqrt(np.maximum(self._square_sum / self._frames - np.square(mean), 0.0))
        columns = (mean.tolist(), std.tolist(), self._minimum.tolist(), self._maximum.tolist())
        return tuple(
            ChannelActivity(name=name, mean=mean, std=std, minimum=minimum, maximum=maximum)
            for name, mean, std, minimum, maximum in zip(names, *columns, strict=True)
        )


class _LagCurve:
    """Correlation of jawOpen with loudness as a function of lag, averaged over clips."""

    def __init__(self, *, motion_fps: float) -> None:
        self._fps = motion_fps
        self._reach = round(_MAX_LAG_S * motion_fps)
        self._curves: list[list[float]] = []

    def add(self, clip: Clip) -> None:
        if "jawOpen" not in clip.motion.channel_names or clip.motion.num_frames <= 3 * self._reach:
            return
        sound = loudness_db(clip.waveform, num_frames=clip.motion.num_frames, motion_fps=self._fps)
        self._curves.append(_correlations(sound, clip.motion.column("jawOpen"), reach=self._reach))

    def peak(self) -> tuple[float | None, float | None]:
        """Lag in ms and correlation at the maximum, refined by a parabola through its neighbours."""
        if not self._curves:
            return None, None
        curve = np.mean(self._curves, axis=0)
        top = int(curve.argmax())
        if curve[top] < 0.1:
            return None, None
        offset = 0.0
        if 0 < top < len(curve) - 1:
            before, here, after = curve[top - 1 : top + 2]
            offset = 0.5 * (before - after) / (before - 2 * here + after)
        return 1000.0 * (top + offset - self._reach) / self._fps, float(curve[top])


def _correlations(sound: np.ndarray, jaw: np.ndarray, *, reach: int) -> list[float]:
    """Correlation for the jaw lagging by -reach .. reach frames."""
    return [
        _correlation(sound[max(0, -lag) : len(sound) - max(0, lag)], jaw[max(0, lag) : len(jaw) - max(0, -lag)])
        for lag in range(-reach, reach + 1)
    ]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0
