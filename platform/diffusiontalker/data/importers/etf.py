"""3D-ETF: `.npy` motion (frames, 52) at 30 fps beside `.wav`, of two parts that are named differently.

RAVDESS: `modality-channel-emotion-intensity-statement-repetition-actor`. HDTF: `RD_Radio11_000`, the speaker and the
number of a piece. There is no official split, so speakers are split: `validation` and `test` hold people whom training
never sees, of each part about a tenth. A `splits.csv` may say otherwise.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusiontalker.config import counted
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.own_splits import with_own_splits
from diffusiontalker.data.importers.pairs import NamedPair, named_pairs, split_of_names
from diffusiontalker.data.importers.source import ClipList, ClipSource, FilePair, UnusableClip, shown

FPS = 30.0

_RAVDESS = re.compile(r"[0-9]{2}(-[0-9]{2}){6}")
_HDTF = re.compile(r"(?P<speaker>[A-Za-z]+_.+)_[0-9]+")
_EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
    "08": "surprised",
}  # fmt: skip


def is_etf_name(stem: str) -> bool:
    """Whether a file of this name, without its suffix, would belong to the corpus."""
    return bool(_RAVDESS.fullmatch(stem) or _HDTF.fullmatch(stem))


def list_etf(folder: Path) -> ClipList:
    """The clips below a folder, by path.

    Raises:
        CorpusError: when no file is named as in 3D-ETF.
    """
    pairs = named_pairs(folder, motion_suffixes={".npy"})
    named = {pair: labels for pair in pairs if (labels := _labels(pair.stem))}
    if not named:
        raise CorpusError(f"{folder}: holds no recording of 3D-ETF, such as 03-01-05-01-02-01-12 or RD_Radio11_000")
    by_part: dict[str, set[str]] = defaultdict(set)
    for part, speaker, _ in named.values():
        by_part[part].add(speaker)
    splits = {speaker: split for part in by_part.values() for speaker, split in split_of_names(part).items()}
    clips = [
        _clip(pair, speaker=speaker, emotion=emotion, split=splits[speaker])
        for pair, (_, speaker, emotion) in named.items()
    ]
    foreign = [pair.name for pair in pairs if pair not in named]
    notes = tuple(_notes(foreign))
    listed = ClipList(format="3d-etf", clips=tuple(clips), notes=notes, strays=tuple(foreign))
    return with_own_splits(listed, folder)


def _clip(pair: NamedPair, *, speaker: str, emotion: str, split: str) -> ClipSource:
    labels: dict[str, Any] = {"clip_id": pair.stem, "speaker": speaker, "split": split, "source": pair.name}
    problem = pair.lack or ("" if emotion else f"its third number is none of {', '.join(_EMOTIONS)}; correct the name")
    if problem or pair.audio is None or pair.motion is None:
        return UnusableClip(**labels, emotion=emotion or "neutral", reason=problem)
    return FilePair(**labels, emotion=emotion, audio=pair.audio, motion=pair.motion, motion_format="npy", fps=FPS)


def _labels(stem: str) -> tuple[str, str, str] | None:
    """(part, speaker, emotion) of a name; an emotion that does not exist is empty."""
    if _RAVDESS.fullmatch(stem):
        parts = stem.split("-")
        return "ravdess", f"actor_{parts[6]}", _EMOTIONS.get(parts[2], "")
    match = _HDTF.fullmatch(stem)
    return ("hdtf", match["speaker"], "neutral") if match else None


def _notes(foreign: list[str]) -> Iterator[str]:
    if foreign:
        what = counted(len(foreign), "recording")
        yield f"{what} left out, not named as in RAVDESS or HDTF: {shown(foreign)}"
