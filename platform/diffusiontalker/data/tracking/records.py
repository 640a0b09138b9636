"""What is kept about each video of a tracking folder, so that a finished one is never tracked again."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable
from pathlib import Path

from diffusiontalker.config import ArtefactError, ConfigError, from_plain, publish_file, to_plain
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.folder import MANIFEST_COLUMNS, MANIFEST_NAME

RECORDS_FOLDER = "videos"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What is not to be seen in a video."""

    speaker: str
    """Who speaks."""
    emotion: str
    """In which emotion."""
    split: str
    """Which split its clips belong to."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ClipRecord:
    """One clip that was made of a video."""

    clip_id: str
    """Its name, and that of its files."""
    fps: float
    """Rate of the motion, in Hz."""
    seconds: float
    """Length of the sound."""
    start_s: float
    """Where in the video it begins."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VideoRecord:
    """A finished video: its clips, or why there are none."""

    video: str
    """File name."""
    sha256: str
    """Digest of the file."""
    settings: str
    """Tracker and settings it was tracked with."""
    labels: Labels
    """Speaker, emotion and split."""
    num_pictures: int = 0
    """Pictures in the video."""
    num_found: int = 0
    """Pictures in which a face was found."""
    num_several: int = 0
    """Pictures with several faces."""
    num_filled: int = 0
    """Pictures without a face inside clips, which were interpolated."""
    clips: tuple[ClipRecord, ...] = ()
    """The clips."""
    reason: str = ""
    """Why the video was rejected; empty if it was not."""


def prepare(out: Path) -> None:
    """Makes a tracking folder, or checks that `out` is one.

    Raises:
        ArtefactError: when something else stands there, or it cannot be written.
    """
    if out.exists() and not (out / RECORDS_FOLDER).is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise ArtefactError(
            f"{out} already exists and is no folder of tracked videos; choose another --out or move it away"
        )
    try:
        (out / RECORDS_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"{out} cannot be written: {error.strerror}; choose a writable folder") from None


def read_records(out: Path) -> dict[str, VideoRecord]:
    """Name of a video's clips -> its record, by name.

    Raises:
        CorpusError: when a record is damaged.
    """
    records = {}
    for path in sorted((out / RECORDS_FOLDER).glob("[!.]*.json")):
        try:
            records[path.stem] = from_plain(VideoRecord, json.loads(path.read_text(encoding="utf-8")), source=str(path))
        except (OSError, ValueError, ConfigError) as error:
            raise CorpusError(f"{path}: cannot be read ({error}); remove it, and its video is tracked again") from None
    return records


def write_record(out: Path, name: str, record: VideoRecord) -> None:
    """Stores what was made of a video; its clips must already be there, so that a record means that they are whole."""
    with publish_file(out / RECORDS_FOLDER / f"{name}.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(to_plain(record), indent=1) + "\n", encoding="utf-8")


def remove_record(out: Path, name: str) -> None:
    """Forgets a video, before its clips are written again."""
    (out / RECORDS_FOLDER / f"{name}.json").unlink(missing_ok=True)


def remove_clips(out: Path, clips: Iterable[ClipRecord]) -> None:
    """Removes the files of clips that are no more."""
    for clip in clips:
        for name in (audio_name(clip.clip_id), motion_name(clip.clip_id)):
            (out / name).unlink(missing_ok=True)


def write_manifest(out: Path, records: Iterable[VideoRecord]) -> None:
    """`manifest.csv` of all clips, as `corpus import` reads it; removed when there is no clip."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(MANIFEST_COLUMNS)
    is_empty = True
    for record in records:
        for clip in record.clips:
            is_empty = False
            labels = (record.labels.speaker, record.labels.emotion, f"{clip.fps:.9g}", record.labels.split)
            writer.writerow([clip.clip_id, audio_name(clip.clip_id), motion_name(clip.clip_id), *labels])
    if is_empty:
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        return
    with publish_file(out / MANIFEST_NAME, overwrite=True) as temporary:
        temporary.write_text(buffer.getvalue(), encoding="utf-8")


def audio_name(clip_id: str) -> str:
    """Path of a clip's sound inside the folder."""
    return f"audio/{clip_id}.flac"


def motion_name(clip_id: str) -> str:
    """Path of a clip's motion inside the folder."""
    return f"motion/{clip_id}.csv"
