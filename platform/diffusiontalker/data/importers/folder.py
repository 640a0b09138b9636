"""The folder corpus: `manifest.csv` with one row per clip, audio files, and motion files with named columns.

The manifest is checked as a whole before any clip is read; a row that cannot be used becomes an `UnusableClip`.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.data.clip import SPLITS, CorpusError, suggestion
from diffusiontalker.data.importers.csv_rows import read_csv_rows
from diffusiontalker.data.importers.source import ClipList, ClipSource, FilePair, UnusableClip

MANIFEST_NAME = "manifest.csv"
MANIFEST_COLUMNS: tuple[str, ...] = ("clip_id", "audio", "motion", "speaker", "emotion", "fps", "split")
"""Columns a manifest must have; further ones are ignored."""

_UNSEEN = "test_unseen_speaker"


def list_folder(folder: Path) -> ClipList:
    """The clips of `folder/manifest.csv`, paths resolved against the folder.

    Raises:
        CorpusError: when the manifest is missing, unreadable, empty, lacks columns, or shares a speaker between
            `test_unseen_speaker` and another split.
    """
    path = folder / MANIFEST_NAME
    clips = [_clip(cells, folder=folder, source=f"{MANIFEST_NAME}, row {row}") for row, cells in _rows(path)]
    _check_unseen_speakers(clips, path=path)
    return ClipList(format="folder", clips=tuple(clips))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(row as counted in the file, cells) of every clip."""
    try:
        columns, raw_rows = read_csv_rows(path)
    except FileNotFoundError:
        raise CorpusError(
            f"{path.parent}: has no {MANIFEST_NAME}; write one, a row per clip, columns {', '.join(MANIFEST_COLUMNS)}"
        ) from None
    if lacking := [name for name in MANIFEST_COLUMNS if name not in columns]:
        raise CorpusError(
            f"{path}: lacks the column{'s'[: len(lacking) > 1]} {', '.join(lacking)} (it has {', '.join(columns)}); "
            f"expected {', '.join(MANIFEST_COLUMNS)}; a split is one of {', '.join(SPLITS)}"
        )
    if not raw_rows:
        raise CorpusError(f"{path}: lists no clips; write one row per clip")
    for row, raw in raw_rows:
        if None in raw:
            raise CorpusError(
                f"{path}, row {row}: has more cells than there are columns; quote cells that hold a comma"
            )
    return [(row, {name: (raw[name] or "").strip() for name in MANIFEST_COLUMNS}) for row, raw in raw_rows]


def _clip(cells: dict[str, str], *, folder: Path, source: str) -> ClipSource:
    labels: dict[str, Any] = {name: cells[name] for name in ("clip_id", "speaker", "emotion", "split")}
    if problem := _problem(cells):
        return UnusableClip(**labels, source=source, reason=problem)
    files: dict[str, Any] = {name: folder / cells[name] for name in ("audio", "motion")}
    return FilePair(**labels, **files, source=source, fps=float(cells["fps"]), fps_name="column fps")


def _problem(cells: dict[str, str]) -> str:
    """What makes a row useless whatever the files hold; empty for a good one."""
    for name in MANIFEST_COLUMNS:
        if not cells[name]:
            return f"column {name} is empty; fill it in"
    if cells["split"] not in SPLITS:
        return f"column split: unknown split '{cells['split']}'{suggestion(cells['split'], SPLITS)}"
    try:
        fps = float(cells["fps"])
    except ValueError:
        fps = 0.0
    if not 0 < fps < float("inf"):
        hint = "; write a decimal point instead of the comma" if "," in cells["fps"] else ""
        return f"column fps is '{cells['fps']}', expected a positive number such as 25, 30 or 29.97{hint}"
    return ""


def _check_unseen_speakers(clips: Sequence[ClipSource], *, path: Path) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        splits[clip.speaker].add(clip.split)
    leaking = sorted(speaker for speaker, names in splits.items() if _UNSEEN in names and len(names) > 1)
    if leaking:
        raise CorpusError(
            f"{path}: speakers {', '.join(leaking)} are in split {_UNSEEN} and in others too; an unseen speaker must "
            "occur in no other split, move those clips to 'test'"
        )
