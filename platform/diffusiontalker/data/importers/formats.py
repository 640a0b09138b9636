"""The formats that can be imported, and how each is recognized by what lies in the folder."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from diffusiontalker.data.clip import CorpusError, suggestion
from diffusiontalker.data.importers.beat import is_beat_name, list_beat
from diffusiontalker.data.importers.etf import is_etf_name, list_etf
from diffusiontalker.data.importers.folder import MANIFEST_NAME, list_folder
from diffusiontalker.data.importers.livelink import is_livelink_csv, list_livelink
from diffusiontalker.data.importers.source import ClipList, files_below
from diffusiontalker.data.importers.vocaset import AUDIO_NAME, INDEX_NAME, TEMPLATES_NAME, VERTICES_NAME, list_vocaset

logger = logging.getLogger(__name__)

CorpusFormat = Literal["auto", "folder", "vocaset", "beat", "3d-etf", "livelink"]
"""What a caller may ask for; `auto` is recognized by what lies in the folder."""
CORPUS_FORMATS: tuple[CorpusFormat, ...] = get_args(CorpusFormat)

_AUTO = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Format:
    """One way in which people keep recordings."""

    list_clips: Callable[[Path], ClipList]
    """Lists the clips of a folder."""
    found_in: Callable[[Path], str]
    """What shows that a folder is of this format, such as `it has manifest.csv`; empty when nothing does."""
    sign: str
    """What is looked for, for people."""


def _has(*names: str) -> Callable[[Path], str]:
    return lambda folder: f"it has {', '.join(names)}" if all((folder / name).is_file() for name in names) else ""


def _has_files(suffix: str, is_of_format: Callable[[Path], bool]) -> Callable[[Path], str]:
    """Finds the first file of a suffix, subfolders included, that a format takes for its own."""

    def found_in(folder: Path) -> str:
        path = next((path for path in files_below(folder, {suffix}) if is_of_format(path)), None)
        return f"it has {path.relative_to(folder)}" if path else ""

    return found_in


_FORMATS: dict[str, _Format] = {
    "folder": _Format(list_clips=list_folder, found_in=_has(MANIFEST_NAME), sign=MANIFEST_NAME),
    "vocaset": _Format(
        list_clips=list_vocaset,
        found_in=_has(VERTICES_NAME, INDEX_NAME, AUDIO_NAME, TEMPLATES_NAME),
        sign=", ".join((VERTICES_NAME, INDEX_NAME, AUDIO_NAME, TEMPLATES_NAME)),
    ),
    "beat": _Format(
        list_clips=list_beat,
        found_in=_has_files(".json", lambda path: is_beat_name(path.stem)),
        sign="a json file named as 1_wayne_0_1_1.json",
    ),
    "3d-etf": _Format(
        list_clips=list_etf,
        found_in=_has_files(".npy", lambda path: is_etf_name(path.stem)),
        sign="an npy file named as 03-01-05-01-02-01-12.npy or RD_Radio11_000.npy",
    ),
    "livelink": _Format(
        list_clips=list_livelink,
        found_in=_has_files(".csv", is_livelink_csv),
        sign="a csv file whose first line begins Timecode,BlendShapeCount",
    ),
}


def list_clips(folder: Path, *, corpus_format: str = _AUTO) -> ClipList:
    """The clips of a folder of recordings, in the order of the corpus they become; none of them is read.

    Args:
        folder: the recordings.
        corpus_format: one of `CORPUS_FORMATS`.

    Raises:
        CorpusError: when the format is unknown or not recognized, or the folder as a whole cannot be used.
    """
    if corpus_format not in CORPUS_FORMATS:
        raise CorpusError(f"unknown format '{corpus_format}'{suggestion(corpus_format, CORPUS_FORMATS)}")
    if not folder.is_dir():
        raise CorpusError(f"{folder}: is no folder; give the folder that holds the recordings")
    if corpus_format == _AUTO:
        corpus_format = _recognized(folder)
    return _FORMATS[corpus_format].list_clips(folder)


def _recognized(folder: Path) -> str:
    for name, candidate in _FORMATS.items():
        if reason := candidate.found_in(folder):
            logger.info("%s: read as '%s', because %s", folder, name, reason)
            return name
    files = (VERTICES_NAME, INDEX_NAME, AUDIO_NAME, TEMPLATES_NAME)
    there = [name for name in files if (folder / name).is_file()]
    if there:
        lacking = [name for name in files if name not in there]
        raise CorpusError(
            f"{folder}: looks like vocaset, as it has {', '.join(there)}, but lacks {', '.join(lacking)}; copy the "
            "whole corpus"
        )
    looked_for = "; ".join(f"{name}: {candidate.sign}" for name, candidate in _FORMATS.items())
    raise CorpusError(f"{folder}: the format is not recognized, looked for {looked_for}; name it with --format")
