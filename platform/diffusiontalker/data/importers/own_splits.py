"""`splits.csv`: somebody's own split of recordings that have no official one, by speaker or by clip."""

import csv
import dataclasses
from pathlib import Path

from diffusiontalker.data.clip import SPLITS, CorpusError, suggestion
from diffusiontalker.data.importers.source import ClipList, shown

OWN_SPLITS_NAME = "splits.csv"
_COLUMNS = ("name", "split")


def with_own_splits(clips: ClipList, folder: Path) -> ClipList:
    """The clips in the splits that `folder/splits.csv` gives them; as they are where there is no such file.

    It has the columns name (of a speaker or a clip; what is said of a clip counts more) and split.

    Raises:
        CorpusError: when the file cannot be used, names what is not there, or leaves a clip without a split.
    """
    path = folder / OWN_SPLITS_NAME
    if not path.is_file():
        return clips
    splits = _splits(path)
    known = {name for clip in clips.clips for name in (clip.clip_id, clip.speaker)}
    for name, (row, _) in splits.items():
        if name not in known:
            raise CorpusError(f"{path}, row {row}, column name: no clip or speaker '{name}'{suggestion(name, known)}")
    lacking = [clip.clip_id for clip in clips.clips if clip.clip_id not in splits and clip.speaker not in splits]
    if lacking:
        raise CorpusError(
            f"{path}: gives no split to {len(lacking)} clips: {shown(lacking)}; add rows for them or for their "
            "speakers, or take the file away"
        )
    return dataclasses.replace(
        clips,
        clips=tuple(
            dataclasses.replace(clip, split=(splits.get(clip.clip_id) or splits[clip.speaker])[1])
            for clip in clips.clips
        ),
    )


def _splits(path: Path) -> dict[str, tuple[int, str]]:
    """Name -> row as counted in the file, and split."""
    splits: dict[str, tuple[int, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or ()
            rows = [(reader.line_num, raw) for raw in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
    if lacking := [name for name in _COLUMNS if name not in columns]:
        raise CorpusError(f"{path}, row 1: lacks the column {lacking[0]} (it has {', '.join(columns)}); add it")
    for row, raw in rows:
        name, split = ((raw[column] or "").strip() for column in _COLUMNS)
        if name in splits:
            raise CorpusError(f"{path}, row {row}, column name: '{name}' stands in row {splits[name][0]} already")
        if split not in SPLITS:
            raise CorpusError(f"{path}, row {row}, column split: unknown '{split}'{suggestion(split, SPLITS)}")
        splits[name] = row, split
    return splits
