"""The formats that can be imported, and how each is recognized by what lies in the folder."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from diffusiontalker.data.clip import CorpusError, suggestion
from diffusiontalker.data.importers.folder import MANIFEST_NAME, list_folder
from diffusiontalker.data.importers.source import ClipList

logger = logging.getLogger(__name__)

AUTO = "auto"


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


_FORMATS: dict[str, _Format] = {
    "folder": _Format(list_clips=list_folder, found_in=_has(MANIFEST_NAME), sign=MANIFEST_NAME),
}

CORPUS_FORMATS: tuple[str, ...] = (AUTO, *_FORMATS)
"""What a caller may ask for; `auto` is recognized by what lies in the folder."""


def list_clips(folder: Path, *, corpus_format: str = AUTO) -> ClipList:
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
    if corpus_format == AUTO:
        corpus_format = _recognized(folder)
    return _FORMATS[corpus_format].list_clips(folder)


def _recognized(folder: Path) -> str:
    for name, candidate in _FORMATS.items():
        if reason := candidate.found_in(folder):
            logger.info("%s: read as '%s', because %s", folder, name, reason)
            return name
    looked_for = "; ".join(f"{name}: {candidate.sign}" for name, candidate in _FORMATS.items())
    raise CorpusError(f"{folder}: the format is not recognized, looked for {looked_for}; name it with --format")
