"""What a corpus holds, in numbers: who speaks how much, which channels move, how sound and face stand.

Plain data and text; pictures are drawn in `evaluation.plots`.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from diffusiontalker.data.corpus import Corpus, CorpusInfo
from diffusiontalker.data.importers.sync_summary import SyncSummary, summarize_sync
from diffusiontalker.data.normalize import smallest_scale
from diffusiontalker.data.sync import SyncEstimate, estimate_sync
from diffusiontalker.face.arkit import is_arkit

_MOST_ACTIVE = 12


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
    sync: SyncSummary | None
    """How sound and face stand against each other; None where no clip tells."""

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
        if not is_arkit(info.channel_names):
            moving = ", ".join(f"{channel.name} {1000 * channel.std:.2g} mm" for channel in active)
            return "\n".join(
                [
                    *lines,
                    f"  moves most (std): {moving}",
                    f"  hardly moves: {len(self.still_channels)} of {len(info.channel_names)} channels",
                    "  sound and face: vertices do not tell how they stand",
                ]
            )
        lines.append("  moves most (std): " + ", ".join(f"{channel.name} {channel.std:.3f}" for channel in active))
        lines.append(f"  hardly moves: {', '.join(self.still_channels) or 'no channel'}")
        lines.append(f"  missing in some or all of the source: {', '.join(info.missing_channels) or 'no channel'}")
        unknown = "sound and face: no clip tells how they stand, as none lasts 2 s or no mouth moves"
        lines.append(f"  {self.sync.text() if self.sync else unknown}")
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


def inspect_corpus(corpus: Corpus) -> CorpusSummary:
    """Reads every clip once and sums up; also checks the content against the digest of the index.

    Raises:
        CorpusError: when a shard cannot be read or does not hold what the index says.
    """
    corpus.verify()
    counts: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    channels = _ChannelMoments(len(corpus.info.channel_names))
    syncs: dict[str, SyncEstimate] = {}
    for clip in corpus.clips():
        counts[(clip.split, clip.speaker, clip.emotion)].append(clip.seconds)
        channels.add(clip.motion.coefficients)
        if sync := estimate_sync(clip.waveform, clip.motion):
            syncs[clip.clip_id] = sync
    seconds = [value for values in counts.values() for value in values]
    activity = channels.activity(corpus.info.channel_names)
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
        sync=summarize_sync(syncs, num_corrected=0),
    )


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
