"""The import job: recordings of any format through a pool of actors on Ray Data into one corpus.

Actors read, check and compress clips, 64 to a file, below `checked/` in the run folder; this process puts them into
`corpus/` in the order of the recordings, so that the corpus is the one that `import_corpus` writes. A job that was
killed goes on with the files that are not there.
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from diffusiontalker.config import ConfigError, expanded_path, publish_file
from diffusiontalker.data import (
    CheckedClip,
    ClipList,
    ClipSource,
    Corpus,
    CorpusError,
    CorpusFormat,
    ImportConfig,
    ImportReport,
    MissingCorpusError,
    RejectedClip,
    checked_or_rejected,
    discard_unfinished_corpus,
    list_clips,
    open_intake,
)
from diffusiontalker.data.importers.staged import compressed, decode_outcomes, encode_outcomes
from diffusiontalker.face import CHANNELS
from diffusiontalker.orchestration.actor_pool import BulkError, PoolConfig, PoolWork, pool_results, worker_pool
from diffusiontalker.orchestration.bulk_progress import BulkProgress, progress_lines
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.storage import (
    StorageError,
    files_below,
    joined,
    open_filesystem,
    read_bytes,
    write_file,
)

logger = logging.getLogger(__name__)

_LISTING = "recordings.sha256"
_FAILED = "failed.jsonl"
_CHECKED = "checked"
_PART_CLIPS = 64
_MAX_PARTS = 4
_CRASHED = "every process that read it died, perhaps for want of memory, or its files are made to do that; take it away"
_RESULTS = pa.schema([("file", pa.string()), ("seconds", pa.float64()), ("unwritable", pa.string())])


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportJobConfig:
    """Which recordings become a corpus, and how."""

    recordings: str = ""
    """Folder of the recordings, on a disk that all nodes see; may name environment variables, as in ${DATA}/beat."""
    format: CorpusFormat = "auto"
    """What the folder holds; `auto` looks."""
    importing: ImportConfig = dataclasses.field(default_factory=ImportConfig)
    """Frame rate and strictness."""
    name: str = "import"
    """Name of the run folder under runs/."""
    orchestration: PoolConfig = dataclasses.field(default_factory=PoolConfig)
    """Where to read and check."""

    def __post_init__(self) -> None:
        """Checks the name."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'import'")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Neighbouring clips that are checked at once and kept in one file."""

    first: int
    end: int

    @property
    def num_clips(self) -> int:
        return self.end - self.first

    @property
    def file(self) -> str:
        return f"{self.first:09d}-{self.end:09d}.parquet"

    def cut(self, num_clips: int) -> list["_Part"]:
        """The same clips in smaller parts."""
        starts = range(self.first, self.end, num_clips)
        return [_Part(first=first, end=min(first + num_clips, self.end)) for first in starts]


class ClipChecker:
    """Reads, checks and compresses clips, file by file."""

    def __init__(self, config: ImportConfig, folder_uri: str) -> None:
        self._config = config
        self._filesystem, self._root = open_filesystem(folder_uri)

    def __call__(self, items: pa.Table) -> pa.Table:
        """Makes the files of a table; its column `sources` holds the pickled `ClipSource`s of each."""
        rows = [self._checked(item["file"], pickle.loads(item["sources"])) for item in items.to_pylist()]
        return pa.Table.from_pylist(rows, schema=_RESULTS)

    def _checked(self, file: str, sources: Sequence[ClipSource]) -> dict[str, Any]:
        outcomes = [compressed(checked_or_rejected(source, config=self._config)) for source in sources]
        row = {"file": file, "seconds": 0.0, "unwritable": None}
        try:
            write_file(self._filesystem, joined(self._root, file), encode_outcomes(outcomes))
        except StorageError as error:
            return row | {"unwritable": str(error)}
        return row | {"seconds": sum(one.clip.seconds for one in outcomes if isinstance(one, CheckedClip))}


def run_import_job(config: ImportJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Imports recordings and returns what to tell the user.

    Args:
        config: what becomes a corpus.
        out: run folder, a path that all nodes see or a URL; `runs/<name>` when None.
        resume: go on with what is missing; None: if it was begun.

    Raises:
        ArtefactError: when the run folder exists (without `resume`) or cannot be written.
        BulkError: when a file cannot be written, or Ray fails.
        ConfigError: without recordings, or when their list changed since the job was begun.
        CorpusError: when recordings cannot be used, or too many clips are rejected.
    """
    if not config.recordings:
        raise ConfigError("recordings is empty; say what becomes a corpus: --recordings FOLDER")
    source = Path(expanded_path(config.recordings, field="recordings")).expanduser().resolve()
    clips = list_clips(source, corpus_format=config.format)
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        _check_listing(clips, folder)
        checked_uri = folder.published(folder.root / _CHECKED)
        try:
            text = f"{Corpus.open(folder.corpus).info.num_clips} clips were imported before"
        except MissingCorpusError:
            discard_unfinished_corpus(folder.corpus)
            parts = _check(clips, checked_uri, failures=folder.root / _FAILED, config=config)
            text = _write(clips, parts, checked_uri, folder.corpus, source=source, config=config.importing).text()
        filesystem, root = open_filesystem(checked_uri)
        with contextlib.suppress(FileNotFoundError):
            filesystem.delete_dir(root)
    return f"{text}\ncorpus       {folder.corpus}"


def _check_listing(clips: ClipList, folder: RunFolder) -> None:
    """Refuses to go on with other recordings than those that were begun with."""
    path, now = folder.root / _LISTING, hashlib.sha256(repr(clips.clips).encode()).hexdigest()
    if path.is_file() and path.read_text(encoding="utf-8") != now:
        raise ConfigError(
            f"{folder.shown(path)}: the list of recordings changed since this import was begun; put it back, or start "
            "anew with another --out"
        )
    with publish_file(path, overwrite=True) as temporary:
        temporary.write_text(now, encoding="utf-8")


def _check(clips: ClipList, uri: str, *, failures: Path, config: ImportJobConfig) -> list[_Part]:
    """Makes what is missing below `uri`; gives the parts that are there, in order."""
    filesystem, root = open_filesystem(uri)
    done = files_below(filesystem, root).keys()
    # A clip of vertices takes as much as hundreds of others.
    size = max(1, _PART_CLIPS * len(CHANNELS) // max(len(CHANNELS), len(clips.channel_names)))
    parts: list[_Part] = []
    for part in _Part(first=0, end=len(clips.clips)).cut(size):
        singles = part.cut(1)
        parts += singles if all(one.file in done for one in singles) else [part]
    pending = {part.file: part for part in parts if part.file not in done}
    if len(pending) < len(parts):
        logger.info("%d of %d parts are checked already", len(parts) - len(pending), len(parts))
    if not pending:
        return parts
    total = sum(part.num_clips for part in pending.values())
    progress = BulkProgress("clips", num_pending=total, weight=total, failures_path=failures)
    with progress, worker_pool(config.orchestration) as num_actors:
        logger.info("checking %d clips with %d actors", total, num_actors)
        _run(clips, pending, uri, progress=progress, config=config)
        # What killed every process is looked for clip by clip.
        deadly = {single.file: single for part in pending.values() for single in part.cut(1)}
        parts = [part for part in parts if part.file not in pending] + list(deadly.values())
        if deadly:
            _run(clips, deadly, uri, progress=progress, config=config)
        for part in deadly.values():
            progress.failed(clips.clips[part.first].clip_id, reason=_CRASHED, weight=1)
            write_file(filesystem, joined(root, part.file), encode_outcomes([RejectedClip(reason=_CRASHED)]))
    return sorted(parts, key=lambda part: part.first)


def _run(
    clips: ClipList, pending: dict[str, _Part], uri: str, *, progress: BulkProgress, config: ImportJobConfig
) -> None:
    """Has parts checked; takes out those that are done."""
    parts = dict(pending)

    def table(files: Sequence[str]) -> pa.Table:
        sources = [pickle.dumps(clips.clips[parts[file].first : parts[file].end]) for file in files]
        return pa.table({"file": list(files), "sources": sources})

    work = PoolWork(
        make=functools.partial(ClipChecker, config.importing, uri),
        results=_RESULTS,
        table=table,
        weight=lambda file: parts[file].num_clips,
        max_items=_MAX_PARTS,
    )
    for part, row in pool_results(work, pending, config=config.orchestration):
        if row["unwritable"]:
            raise BulkError(f"{row['unwritable']}; what is there is kept, mend this and go on with --resume")
        progress.done(seconds=row["seconds"], weight=part.num_clips, count=part.num_clips)


def _write(
    clips: ClipList, parts: Sequence[_Part], checked_uri: str, uri: str, *, source: Path, config: ImportConfig
) -> ImportReport:
    """Puts what was checked into the corpus.

    Raises:
        CorpusError: when too many clips are rejected; they will be checked again.
    """
    filesystem, root = open_filesystem(checked_uri)
    rejected: list[_Part] = []
    show = progress_lines("writing")
    try:
        with open_intake(clips, uri, folder=source, config=config) as intake:
            for part in parts:
                outcomes = decode_outcomes(read_bytes(filesystem, joined(root, part.file)))
                if any(isinstance(outcome, RejectedClip) for outcome in outcomes):
                    rejected.append(part)
                for clip, outcome in zip(clips.clips[part.first : part.end], outcomes, strict=True):
                    intake.take(clip, outcome)
                show(part.end, len(clips.clips))
    except CorpusError:
        for part in rejected:
            filesystem.delete_file(joined(root, part.file))
        raise
    return intake.report()
