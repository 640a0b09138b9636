"""Speech without faces: a folder of audio files, cut into pieces short enough to learn from.

What a teacher makes of the pieces (`inference.pseudo_labels`) becomes a corpus. Knows nothing about the teacher.
"""

import dataclasses
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import CLIP_LIMITS, AudioError, read_waveform
from diffusiontalker.data.clip import CorpusError

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"})
"""Files that are tried; what then cannot be read, m4a say, is reported instead of overlooked."""
_SEARCHED_SHARE = 0.25
"""The last quarter of a piece is searched for the quietest instant."""
_QUIET_SAMPLES = SAMPLE_RATE_HZ // 20
"""50 ms: longer than the closure of a plosive, shorter than a pause."""
_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpeechPiece:
    """A stretch of speech of one file."""

    name: str
    """Path of the file inside the folder, with `#1`, `#2` ... behind it where the file was cut."""
    folder: str
    """Folder of the file inside the speech folder, `""` at its top: who speaks, if folders are kept by speaker."""
    file_index: int
    """Which of `SpeechFolder.files`."""
    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono in [-1, 1]."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SpeechFolder:
    """The audio files of a folder and how they are cut.

    Raises:
        CorpusError: when there is no audio file.
    """

    path: Path
    """The folder; subfolders count."""
    max_seconds: float = 12.0
    """Longest piece, in seconds."""
    min_seconds: float = 1.0
    """Shortest file that is used, in seconds; no cut leaves a shorter piece. At most a quarter of `max_seconds`."""
    files: tuple[Path, ...] = dataclasses.field(init=False)
    """Audio files in natural order: 2 before 10."""

    def __post_init__(self) -> None:
        """Checks the lengths and lists the files."""
        if not 0 < self.min_seconds <= _SEARCHED_SHARE * self.max_seconds:
            raise ValueError(
                f"min_seconds is {self.min_seconds} and max_seconds {self.max_seconds}: expected 0 < min <= max / 4"
            )
        if not self.path.is_dir():
            raise CorpusError(f"{self.path}: is no folder; give the folder that holds the audio files")
        files = [path for path in self.path.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]
        if not files:
            raise CorpusError(f"{self.path}: no audio file in it or in its subfolders; expected wav, flac, ogg or mp3")
        object.__setattr__(self, "files", tuple(sorted(files, key=self._order)))

    def pieces(self) -> Iterator[SpeechPiece]:
        """Streams the pieces of all files, one file in memory at a time; what was left out is then logged as warnings.

        Raises:
            CorpusError: at the end, when not a single piece could be made.
        """
        unreadable, short, num_pieces = [], [], 0
        for file_index, path in enumerate(self.files):
            inside = path.relative_to(self.path)
            try:
                waveform = read_waveform(path, limits=CLIP_LIMITS, name=inside.as_posix())
            except AudioError as error:
                unreadable.append(str(error))
                continue
            if len(waveform) < self.min_seconds * SAMPLE_RATE_HZ:
                short.append(f"{inside.as_posix()} ({len(waveform) / SAMPLE_RATE_HZ:.2f} s)")
                continue
            cut = cut_at_quiet(waveform, max_seconds=self.max_seconds, min_seconds=self.min_seconds)
            folder = "" if inside.parent == Path() else inside.parent.as_posix()
            for number, piece in enumerate(cut, start=1):
                name = inside.as_posix() + (f"#{number}" if len(cut) > 1 else "")
                yield SpeechPiece(name=name, folder=folder, file_index=file_index, waveform=piece)
            num_pieces += len(cut)
        self._report(unreadable, short, is_empty=not num_pieces)

    def _order(self, path: Path) -> tuple[list[str | int], str]:
        name = path.relative_to(self.path).as_posix()
        parts = re.split(r"([0-9]+)", name.casefold())  # text, digits, text, ...: like is compared with like
        return [int(part) if index % 2 else part for index, part in enumerate(parts)], name

    def _report(self, unreadable: list[str], short: list[str], *, is_empty: bool) -> None:
        problems = []
        if unreadable:
            problems.append(f"{len(unreadable)} of {len(self.files)} files cannot be read: {_listed(unreadable)}")
        if short:
            problems.append(
                f"{len(short)} of {len(self.files)} files are shorter than {self.min_seconds:g} s: {_listed(short)}"
            )
        if is_empty:
            raise CorpusError(f"{self.path}: no speech to use; {'; '.join(problems)}; convert or replace the files")
        for problem in problems:
            logger.warning("%s: %s; they were left out", self.path, problem)


def cut_at_quiet(
    waveform: Float32[np.ndarray, "samples"], *, max_seconds: float, min_seconds: float
) -> list[Float32[np.ndarray, "_"]]:
    """Consecutive pieces that together are the waveform, each between `min_seconds` and `max_seconds` long.

    Each cut is at the quietest 50 ms of the last quarter that a piece may have. A waveform up to `max_seconds` stays
    whole, however short it is.
    """
    longest, shortest = int(max_seconds * SAMPLE_RATE_HZ), int(min_seconds * SAMPLE_RATE_HZ)
    pieces = []
    while len(waveform) > longest:
        first = int((1.0 - _SEARCHED_SHARE) * longest)
        last = min(longest, len(waveform) - shortest)
        cut = _quietest_instant(waveform, first=first, last=last)
        pieces.append(waveform[:cut])
        waveform = waveform[cut:]
    return [*pieces, waveform]


def _quietest_instant(waveform: np.ndarray, *, first: int, last: int) -> int:
    """The sample in [first, last] around which `_QUIET_SAMPLES` samples have the least energy."""
    half = _QUIET_SAMPLES // 2
    start = max(0, first - half)
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform[start : last + half], dtype=np.float64))])
    centre = np.arange(first, last + 1) - start
    upper = np.minimum(centre + half, len(energy) - 1)
    return first + int(np.argmin(energy[upper] - energy[np.maximum(centre - half, 0)]))


def _listed(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
