"""`splits.csv`: somebody's own split of recordings that have no official one, by speaker or by clip."""

import dataclasses
import difflib
from collections import defaultdict
from pathlib import Path

from diffusiontalker.config import counted
from diffusiontalker.data.clip import SPLITS, CorpusError, suggestion
from diffusiontalker.data.importers.csv_rows import read_csv_rows
from diffusiontalker.data.importers.source import ClipList, shown

OWN_SPLITS_NAME = "splits.csv"
_COLUMNS = ("name", "split")


def with_own_splits(clips: ClipList, folder: Path) -> ClipList:
    """The clips in the splits that `folder/splits.csv` gives them; as they are where there is no such file.

    It has the columns name (of a speaker or a clip; what is said of a clip counts more) and split. Where clips are in
    folders, the last part of a clip's name will do if no other clip has it.

    Raises:
        CorpusError: when the file cannot be used, names what is not there, or leaves a clip without a split.
    """
    path = folder / OWN_SPLITS_NAME
    if not path.is_file():
        return clips
    splits: dict[str, tuple[int, str]] = {}
    meanings = _meanings(clips)
    for row, name, split in _rows(path):
        found = meanings.get(name)
        if not found:
            close = difflib.get_close_matches(name, meanings, n=1)
            hint = f"; perhaps you meant '{close[0]}'" if close else ""
            raise CorpusError(
                f"{path}, row {row}, column name: no clip or speaker '{name}'{hint} (there are "
                f"{shown(sorted({meant for several in meanings.values() for meant in several}))})"
            )
        if len(found) > 1:
            raise CorpusError(
                f"{path}, row {row}, column name: '{name}' may be {shown(found)}; write the name with its folders"
            )
        if found[0] in splits:
            raise CorpusError(
                f"{path}, row {row}, column name: '{found[0]}' stands in row {splits[found[0]][0]} already"
            )
        splits[found[0]] = row, split
    lacking = [clip.clip_id for clip in clips.clips if clip.clip_id not in splits and clip.speaker not in splits]
    if lacking:
        raise CorpusError(
            f"{path}: gives no split to {counted(len(lacking), 'clip')}: {shown(lacking)}; add rows for them or for "
            "their speakers, or take the file away"
        )
    return dataclasses.replace(
        clips,
        clips=tuple(
            dataclasses.replace(clip, split=(splits.get(clip.clip_id) or splits[clip.speaker])[1])
            for clip in clips.clips
        ),
    )


def _meanings(clips: ClipList) -> dict[str, list[str]]:
    """What a name in the file may mean: a clip or speaker of this name, else clips whose last part it is."""
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for clip in clips.clips:
        by_last_part[clip.clip_id.rpartition("/")[2]].append(clip.clip_id)
    known = {name: [name] for clip in clips.clips for name in (clip.clip_id, clip.speaker)}
    return by_last_part | known


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Row as counted in the file, name and split."""
    columns, rows = read_csv_rows(path)
    if lacking := [name for name in _COLUMNS if name not in columns]:
        raise CorpusError(f"{path}, row 1: lacks the column {lacking[0]} (it has {', '.join(columns)}); add it")
    named = [(row, (raw["name"] or "").strip(), (raw["split"] or "").strip()) for row, raw in rows]
    for row, _, split in named:
        if split not in SPLITS:
            raise CorpusError(f"{path}, row {row}, column split: unknown '{split}'{suggestion(split, SPLITS)}")
    return named
