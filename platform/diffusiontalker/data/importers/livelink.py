"""Recordings of the Live Link Face app: a csv per take, its sound beside it as an audio file of the same name.

The app keeps the sound inside the video of a take; it has to be taken out first. The first folder inside the recordings
is the performer; below it takes may have folders of their own, as the app exports them. There is no official split, so
the takes of each performer are split, unless a `splits.csv` says otherwise; all count as neutral. Where emotions were
played, write a folder corpus instead.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.own_splits import with_own_splits
from diffusiontalker.data.importers.pairs import NamedPair, named_pairs, split_of_takes
from diffusiontalker.data.importers.source import ClipList, ClipSource, FilePair, UnusableClip, files_below, shown

_HEADER_BYTES = 4096
_VIDEO_SUFFIXES = (".mov", ".mp4")
_UNCALIBRATED = ("_raw", "_neutral")
"""Ends of the names of what a calibrated take has besides: the same face before calibration, and the face at rest."""


def is_livelink_csv(path: Path) -> bool:
    """Whether the first line of a csv is that of Live Link Face."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES).splitlines()[:1]
    except OSError:
        return False
    names = header[0].decode("utf-8-sig", errors="replace").lower().split(",") if header else []
    return {"timecode", "blendshapecount"} <= {name.strip() for name in names}


def list_livelink(folder: Path) -> ClipList:
    """The takes below a folder, by path.

    Raises:
        CorpusError: when no csv is one of Live Link Face.
    """
    recordings = {path for path in files_below(folder, {".csv"}) if is_livelink_csv(path)}
    if not recordings:
        raise CorpusError(f"{folder}: holds no csv of Live Link Face; its first line begins Timecode,BlendShapeCount")
    pairs = [pair for pair in named_pairs(folder, motion_suffixes={".csv"}) if pair.motion in recordings]
    names = {pair.name for pair in pairs}
    besides = {name for name in names if any(name.removesuffix(end) in names - {name} for end in _UNCALIBRATED)}
    takes = [pair for pair in pairs if pair.name not in besides]
    of_performer: dict[str, list[str]] = defaultdict(list)
    for take in takes:
        of_performer[_performer(take, folder)].append(take.name)
    splits = split_of_takes(of_performer)
    clips = tuple(_clip(take, speaker=_performer(take, folder), split=splits[take.name]) for take in takes)
    listed = ClipList(format="livelink", clips=clips, notes=tuple(_notes(sorted(besides), of_performer)))
    return with_own_splits(listed, folder)


def _performer(take: NamedPair, folder: Path) -> str:
    """The first folder of a take inside the recordings, or the name of these."""
    return take.name.partition("/")[0] if "/" in take.name else folder.resolve().name


def _clip(take: NamedPair, *, speaker: str, split: str) -> ClipSource:
    labels: dict[str, Any] = {
        "clip_id": take.name,
        "speaker": speaker,
        "emotion": "neutral",
        "split": split,
        "source": take.name,
    }
    if take.motion is not None and take.audio is not None:
        return FilePair(**labels, audio=take.audio, motion=take.motion, motion_format="livelink")
    assert take.motion is not None
    videos = [take.motion.with_suffix(suffix) for suffix in _VIDEO_SUFFIXES if take.motion.with_suffix(suffix).exists()]
    hint = f"; take it out of the video: ffmpeg -i {videos[0]} {take.motion.with_suffix('.wav')}" if videos else ""
    return UnusableClip(**labels, reason=take.lack + hint)


def _notes(besides: list[str], of_performer: dict[str, list[str]]) -> Iterator[str]:
    if besides:
        yield f"recordings of a face before calibration or at rest were left out: {shown(besides)}"
    if len(of_performer) > 1 and all(len(takes) == 1 for takes in of_performer.values()):
        yield (
            f"each of {len(of_performer)} performers has one take ({shown(list(of_performer))}); if these are "
            "the takes of one performer, put their folders into one folder with the name of the performer"
        )
