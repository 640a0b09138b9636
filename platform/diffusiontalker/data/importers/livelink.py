"""Recordings of the Live Link Face app: a csv per take, its sound beside it as an audio file of the same name.

The app keeps the sound inside the video of a take; it has to be taken out first. A calibrated take, `_cal`, has the
sound of the take it was made from, and is taken instead of it. The first folder inside the recordings
is the performer; below it takes may have folders of their own, as the app exports them. There is no official split, so
the takes of each performer are split, unless a `splits.csv` says otherwise; all count as neutral. Where emotions were
played, write a folder corpus instead.
"""

import dataclasses
import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import counted
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.own_splits import with_own_splits
from diffusiontalker.data.importers.pairs import NamedPair, named_pairs, split_of_takes
from diffusiontalker.data.importers.source import ClipList, ClipSource, FilePair, UnusableClip, shown
from diffusiontalker.face.csv_text import first_csv_line

_HEADER_BYTES = 4096
_VIDEO_SUFFIXES = (".mov", ".mp4")
_CALIBRATED = "_cal"
_UNCALIBRATED = ("_raw", "_neutral")
"""Ends of the names of what a calibrated take has besides: the same face before calibration, and the face at rest."""


def is_livelink_csv(path: Path) -> bool:
    """Whether the first line of a csv is that of Live Link Face, even as a spreadsheet saved it."""
    try:
        with path.open("rb") as stream:
            header = first_csv_line(stream.read(_HEADER_BYTES))
    except OSError:
        return False
    return {"timecode", "blendshapecount"} <= {name.strip(' "') for name in re.split("[,;\t]", header.lower())}


def list_livelink(folder: Path) -> ClipList:
    """The takes below a folder, by path; a csv that is damaged, but empty or beside a sound or video, is one too.

    Raises:
        CorpusError: when no csv is one of Live Link Face.
    """
    pairs = {pair.name: pair for pair in named_pairs(folder, motion_suffixes={".csv"})}
    recordings = {name: take for name, pair in pairs.items() if _is_take(take := _with_sound(pair, pairs))}
    if not recordings:
        raise CorpusError(f"{folder}: holds no csv of Live Link Face; its first line begins Timecode,BlendShapeCount")
    besides = [name for name in recordings if _is_beside(name, recordings)]
    takes = [take for name, take in recordings.items() if name not in besides]
    heard = {take.audio for take in takes}
    strays = tuple(name for name, pair in pairs.items() if pair.motion is None and pair.audio not in heard)
    of_performer: dict[str, list[str]] = defaultdict(list)
    for take in takes:
        of_performer[_performer(take, folder)].append(take.name)
    splits = split_of_takes(of_performer)
    clips = tuple(_clip(take, speaker=_performer(take, folder), split=splits[take.name]) for take in takes)
    notes = tuple(_notes(folder, takes, besides, strays=strays, of_performer=of_performer))
    return with_own_splits(ClipList(format="livelink", clips=clips, notes=notes, strays=strays), folder)


def _with_sound(pair: NamedPair, pairs: Mapping[str, NamedPair]) -> NamedPair:
    """A calibrated take with the sound of the take it was made from, if it has none of its own."""
    plain = pairs.get(pair.name.removesuffix(_CALIBRATED))
    return dataclasses.replace(pair, audio=plain.audio) if plain and pair.audio is None else pair


def _is_take(pair: NamedPair) -> bool:
    if pair.motion is None:
        return False
    is_empty = not pair.motion.stat().st_size
    return is_livelink_csv(pair.motion) or is_empty or pair.audio is not None or _video(pair.motion) is not None


def _is_beside(name: str, names: Collection[str]) -> bool:
    """Whether a recording is the uncalibrated face, or the face at rest, of another one."""
    if f"{name}{_CALIBRATED}" in names:
        return True
    plain = [name.removesuffix(end) for end in _UNCALIBRATED if name.endswith(end)]
    return any(other in names or f"{other}{_CALIBRATED}" in names for other in plain)


def _video(recording: Path) -> Path | None:
    """The video of a take."""
    path = recording.with_name(recording.stem.removesuffix(_CALIBRATED))
    videos = (path.with_name(path.name + suffix) for suffix in _VIDEO_SUFFIXES)
    return next((video for video in videos if video.exists()), None)


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
    video = _video(take.motion)
    hint = f"; its sound is still in the video {video.name}" if video else ""
    return UnusableClip(**labels, reason=take.lack + hint)


def _notes(
    folder: Path,
    takes: Sequence[NamedPair],
    besides: Sequence[str],
    *,
    strays: Sequence[str],
    of_performer: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    if besides:
        yield f"recordings of a face before calibration or at rest were left out: {shown(besides)}"
    if strays:
        yield f"{counted(len(strays), 'sound')} left out, without a csv of this name beside it: {shown(strays)}"
    silent = [take for take in takes if take.audio is None and take.motion and _video(take.motion)]
    if silent:
        of_takes = f"the sound of {counted(len(silent), 'take')} is still in the video; to take it out of all videos"
        names = " -o ".join(f"-iname '*{suffix}'" for suffix in _VIDEO_SUFFIXES)
        command = 'ffmpeg -nostdin -n -i "$1" "${1%.*}.wav"'
        yield f"{of_takes}: find {shlex.quote(str(folder))} \\( {names} \\) -exec sh -c '{command}' _ {{}} \\;"
    if len(of_performer) > 1 and all(len(takes) == 1 for takes in of_performer.values()):
        yield (
            f"each of {len(of_performer)} performers has one take ({shown(list(of_performer))}); if these are "
            "the takes of one performer, put their folders into one folder with the name of the performer"
        )
