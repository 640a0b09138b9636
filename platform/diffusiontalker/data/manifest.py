"""`manifest.csv` of a folder corpus: one row per clip, checked as a whole before any clip is read."""

import csv
import dataclasses
from collections import defaultdict
from pathlib import Path

from diffusiontalker.data.clip import CorpusError

MANIFEST_NAME = "manifest.csv"
MANIFEST_COLUMNS: tuple[str, ...] = ("clip_id", "audio", "motion", "speaker", "emotion", "fps", "split")
"""Columns a manifest must have; further ones are ignored."""

_UNSEEN = "test_unseen_speaker"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ManifestRow:
    """One clip as the manifest lists it, nothing checked yet."""

    clip_id: str
    """Name of the clip."""
    audio: Path
    """Audio file."""
    motion: Path
    """Motion file."""
    speaker: str
    """Name of the speaker."""
    emotion: str
    """Name of the emotion."""
    fps: str
    """Frame rate of the motion file, as text."""
    split: str
    """Split."""


def read_manifest(folder: Path) -> list[ManifestRow]:
    """The rows of `folder/manifest.csv`, paths resolved against the folder.

    Raises:
        CorpusError: when the manifest is missing, unreadable, empty, lacks columns, or shares a speaker between
            `test_unseen_speaker` and another split.
    """
    path = folder / MANIFEST_NAME
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or ()
            raw_rows = list(reader)
    except FileNotFoundError:
        raise CorpusError(
            f"{folder}: has no {MANIFEST_NAME}; write one, a row per clip, columns {', '.join(MANIFEST_COLUMNS)}"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
    if lacking := [name for name in MANIFEST_COLUMNS if name not in columns]:
        raise CorpusError(
            f"{path}: lacks the column{'s'[: len(lacking) > 1]} {', '.join(lacking)} (it has {', '.join(columns)}); "
            f"expected {', '.join(MANIFEST_COLUMNS)}"
        )
    if not raw_rows:
        raise CorpusError(f"{path}: lists no clips; write one row per clip")
    rows = [_row(raw, folder=folder) for raw in raw_rows]
    _check_unseen_speakers(rows, path=path)
    return rows


def _row(raw: dict[str, str | None], *, folder: Path) -> ManifestRow:
    text = {name: (raw[name] or "").strip() for name in MANIFEST_COLUMNS}
    audio, motion = folder / text.pop("audio"), folder / text.pop("motion")
    return ManifestRow(audio=audio, motion=motion, **text)


def _check_unseen_speakers(rows: list[ManifestRow], *, path: Path) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        splits[row.speaker].add(row.split)
    leaking = sorted(speaker for speaker, names in splits.items() if _UNSEEN in names and len(names) > 1)
    if leaking:
        raise CorpusError(
            f"{path}: speakers {', '.join(leaking)} are in split {_UNSEEN} and in others too; an unseen speaker must "
            "occur in no other split, move those clips to 'test'"
        )
