"""Audio and motion files that belong together because their names are alike, and splits where none is official."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from diffusiontalker.data.importers.source import files_below
from diffusiontalker.data.speech_folder import AUDIO_SUFFIXES


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NamedPair:
    """The files of one name."""

    name: str
    """Their common path inside the folder, without a suffix."""
    audio: Path | None
    """The audio file; None where there is none."""
    motion: Path | None
    """The motion file; None where there is none."""

    @property
    def stem(self) -> str:
        """The name without its folders."""
        return self.name.rpartition("/")[2]

    @property
    def lack(self) -> str:
        """What is missing and what to do; empty for a whole pair."""
        if self.motion is None:
            return f"{self.audio}: has no motion file of this name beside it; add it, or take the audio away"
        if self.audio is None:
            return f"{self.motion}: has no audio file of this name beside it; add it (wav, flac, ogg or mp3)"
        return ""


def named_pairs(folder: Path, *, motion_suffixes: Collection[str]) -> list[NamedPair]:
    """Every name below a folder that an audio or a motion file has, sorted; several of one kind: the first."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for kind, suffixes in (("audio", AUDIO_SUFFIXES), ("motion", motion_suffixes)):
        for path in files_below(folder, suffixes):
            found[path.relative_to(folder).with_suffix("").as_posix()].setdefault(kind, path)
    return [
        NamedPair(name=name, audio=files.get("audio"), motion=files.get("motion"))
        for name, files in sorted(found.items())
    ]


def split_of_names(names: Iterable[str]) -> dict[str, str]:
    """A split for each name (of a speaker, of a take): about 80 % train, 10 % validation, 10 % test.

    The names decide, not their order: the same names are split alike everywhere. Two names are train and test, one
    is train.
    """
    ranked = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    num_test = 0 if len(ranked) < 2 else max(1, round(0.1 * len(ranked)))
    num_validation = 0 if len(ranked) < 3 else num_test
    splits = ["test"] * num_test + ["validation"] * num_validation
    return dict(zip(ranked, splits + ["train"] * (len(ranked) - len(splits)), strict=True))


def split_of_takes(takes_of_speaker: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """`split_of_names` of the takes of each speaker on their own, so that every speaker is in every split."""
    return {name: split for takes in takes_of_speaker.values() for name, split in split_of_names(takes).items()}
