"""`ClipSource`: one clip of somebody's recordings, named and labelled, not yet read.

A format (`folder`, `beat` ...) lists its clips as these. They are small and can be pickled, so that any process may
read any of them. Knows nothing about checks, corpora or how a format is recognized.
"""

import abc
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.face import CHANNELS, MotionClip, MotionError, read_motion

_SHOWN = 5
_SAME_RATE = 0.01
"""Share by which a format's rate may differ from that of the times in a file."""
_CHANNELS_OF: dict[str, tuple[str, ...]] = {
    "beat": tuple(name for name in CHANNELS if name != "tongueOut"),
    "livelink": CHANNELS,
}
"""What every recording of a motion format has; a face without one of them would rest where it moved."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RecordedClip:
    """What the files of a clip hold."""

    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono in [-1, 1]."""
    motion: MotionClip
    """The face, at its own rate and with its own channels."""
    place: str = ""
    """What messages call the file of the face; empty where there is none of this clip alone."""
    warnings: tuple[str, ...] = ()
    """What a person should know about how the files were read."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClipSource(abc.ABC):
    """Where one clip comes from and what it is called."""

    clip_id: str
    """Name of the clip in the corpus."""
    speaker: str
    """Name of the speaker."""
    emotion: str
    """Name of the emotion, `neutral` where the recordings tell none."""
    split: str
    """Split the clip belongs to."""
    source: str
    """Begins a message about the clip, such as `manifest.csv, row 5`."""

    @abc.abstractmethod
    def read(self) -> RecordedClip:
        """Reads the clip.

        Raises:
            AudioError: for sound that cannot be used.
            MotionError: for motion that cannot be used.
            CorpusError: for anything else.
        """


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FilePair(ClipSource):
    """A clip that is an audio file and a motion file, or a stretch of them."""

    audio: Path
    """Audio file."""
    motion: Path
    """Motion file."""
    motion_format: str | None = None
    """Its format, where its name does not tell."""
    fps: float | None = None
    """Frames per second, if known from elsewhere than the motion file."""
    fps_name: str = "the format"
    """What messages call where `fps` is from, such as a column."""
    usual_fps: float | None = None
    """Frames per second of the format; times in the motion file that clearly tell another rate count more."""
    begin_s: float = 0.0
    """Where the clip begins, in seconds."""
    end_s: float | None = None
    """Where it ends, in seconds; None: with the files."""

    def read(self) -> RecordedClip:
        """Both files, or the stretch of them."""
        warnings: list[str] = []
        waveform = read_waveform(self.audio)
        motion = read_motion(
            self.motion,
            motion_format=self.motion_format,
            fps=self.fps,
            fps_name=self.fps_name,
            report=warnings.append,
        )
        wanted = _CHANNELS_OF.get(self.motion_format or "", ())
        if lacking := [name for name in wanted if name not in motion.channel_names]:
            raise MotionError(
                f"{self.motion}: lacks {', '.join(lacking)}, which every recording of this format has; export it "
                "again, or drop the clip"
            )
        if self.usual_fps and abs(motion.fps - self.usual_fps) <= _SAME_RATE * self.usual_fps:
            motion = dataclasses.replace(motion, fps=self.usual_fps)
        elif self.usual_fps:
            warnings.append(
                f"{self.motion}: its times say {motion.fps:g} fps, the format has {self.usual_fps:g}; the times were "
                "followed"
            )
        if self.begin_s or self.end_s is not None:
            waveform, motion = self._cut(waveform, motion)
        return RecordedClip(waveform=waveform, motion=motion, place=str(self.motion), warnings=tuple(warnings))

    def _cut(self, waveform: np.ndarray, motion: MotionClip) -> tuple[np.ndarray, MotionClip]:
        cut_s = self.begin_s or self.end_s or 0.0
        lengths = {self.audio: len(waveform) / SAMPLE_RATE_HZ, self.motion: motion.duration_s}
        for path, seconds in lengths.items():
            if seconds <= cut_s:
                raise CorpusError(
                    f"{path}: lasts {seconds:.2f} s, but the format cuts it at {cut_s:g} s; re-export the whole "
                    "recording or take it away"
                )
        samples, frames = (
            slice(round(self.begin_s * rate), None if self.end_s is None else round(self.end_s * rate))
            for rate in (SAMPLE_RATE_HZ, motion.fps)
        )
        return waveform[samples], dataclasses.replace(motion, coefficients=motion.coefficients[frames])


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UnusableClip(ClipSource):
    """A clip that the list of recordings already shows to be of no use; it is rejected when its turn comes."""

    reason: str
    """What is wrong and what to do about it."""

    def read(self) -> RecordedClip:
        """Raises the reason as a `CorpusError`."""
        raise CorpusError(self.reason)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClipList:
    """All clips of a folder of recordings, in the order of the corpus."""

    format: str
    """Name of the format."""
    clips: tuple[ClipSource, ...]
    """The clips, at least one."""
    channel_names: tuple[str, ...] = CHANNELS
    """Channels of the corpus they become."""
    notes: tuple[str, ...] = ()
    """What a person should know, such as recordings that belong to no split and were left out."""
    strays: tuple[str, ...] = ()
    """Files that look like recordings but are none of the format; a note tells of them, a strict import fails."""
    documents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    """Files to put beside the shards of the corpus, by name."""


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files with one of these suffixes (lower case, with the dot), subfolders included, sorted by path.

    Hidden files are left out: macOS puts a `._name` beside every file it copies.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())


def shown(names: Sequence[str]) -> str:
    """A few names for a message, and how many there are besides."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
