"""`ClipSource`: one clip of somebody's recordings, named and labelled, not yet read.

A format (`folder`, `beat` ...) lists its clips as these. They are small and can be pickled, so that any process may
read any of them. Knows nothing about checks, corpora or how a format is recognized.
"""

import abc
import dataclasses
from collections.abc import Collection
from pathlib import Path

from jaxtyping import Float32
from numpy import ndarray

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.face import CHANNELS, MotionClip, read_motion


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
    def read(self) -> tuple[Float32[ndarray, "samples"], MotionClip]:
        """Sound (16 kHz mono) and face (its own rate and channels) of the clip; nothing is kept between calls.

        Raises:
            AudioError: for sound that cannot be used.
            MotionError: for motion that cannot be used.
            CorpusError: for anything else.
        """


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FilePair(ClipSource):
    """A clip that is an audio file and a motion file."""

    audio: Path
    """Audio file."""
    motion: Path
    """Motion file."""
    fps: float | None = None
    """Frames per second, if known from elsewhere than the motion file."""

    def read(self) -> tuple[Float32[ndarray, "samples"], MotionClip]:
        """Both files, whole."""
        return read_waveform(self.audio), read_motion(self.motion, fps=self.fps)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UnusableClip(ClipSource):
    """A clip that the list of recordings already shows to be of no use; it is rejected when its turn comes."""

    reason: str
    """What is wrong and what to do about it."""

    def read(self) -> tuple[Float32[ndarray, "samples"], MotionClip]:
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
    documents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    """Files to put beside the shards of the corpus, by name."""


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files with one of these suffixes (lower case, with the dot), subfolders included, sorted by path.

    Hidden files are left out: macOS puts a `._name` beside every file it copies.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())
