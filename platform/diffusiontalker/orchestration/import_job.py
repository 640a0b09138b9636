"""The import job: recordings of any format through a pool of actors on Ray Data into one corpus.

Actors read, check and compress clips, 64 to a file, below `checked/` in the run folder; this process puts them into the
corpus in the order of the recordings, so that the corpus is the one that `import_corpus` writes. A job that was killed
goes on with the files that are not there.
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from diffusiontalker.config import ConfigError, expanded_path, publish_file
from diffusiontalker.data import (
    CORPUS_FORMATS,
    CheckedClip,
    ClipList,
    Corpus,
    ImportConfig,
    ImportReport,
    MissingCorpusError,
    RejectedClip,
    checked_or_rejected,
    discard_unfinished_corpus,
    list_clips,
    open_intake,
)
from diffusiontalker.data.importers.staged import decode_outcomes, encode_outcomes
from diffusiontalker.orchestration.actor_pool import BulkError, PoolConfig, PoolWork, pool_results, worker_pool
from diffusiontalker.orchestration.bulk_progress import BulkProgress
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
_FILE_CLIPS = 64
_MAX_FILES = 4
_CRASHED = "every process that read it died, perhaps for want of memory, or its files are made to do that; take it away"
_RESULTS = pa.schema(
    [("file", pa.string()), ("seconds", pa.float64()), ("rejected", pa.int64()), ("unwritable", pa.string())]
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportJobConfig:
    """Which recordings become a corpus, and how."""

    recordings: str = ""
    """Folder of the recordings, on a disk that all nodes see; may name environment variables, as in ${DATA}/beat."""
    format: str = "auto"
    """Format of the recordings, as of `diffusiontalker corpus import`; auto: recognized."""
    uri: str = ""
    """Where the corpus goes: a folder or URL; empty: `corpus/` in the run folder."""
    importing: ImportConfig = dataclasses.field(default_factory=ImportConfig)
    """Frame rate and strictness."""
    name: str = "import"
    """Name of the run folder under runs/."""
    orchestration: PoolConfig = dataclasses.field(default_factory=PoolConfig)
    """Where to read and check."""

    def __post_init__(self) -> None:
        """Checks names."""
        if self.format not in CORPUS_FORMATS:
            raise ValueError(f"format is '{self.format}', expected one of {', '.join(CORPUS_FORMATS)}")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'import'")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Neighbouring clips that are checked at once and kept in one file."""

    first: int
    end: int

    @property
    def file(self) -> str:
        return f"{self.first:09d}-{self.end:09d}.parquet"


class ClipChecker:
    """Reads, checks and compresses clips, file by file."""

    def __init__(self, config: ImportConfig, folder_uri: str) -> None:
        self._config = config
        self._filesystem, self._root = open_filesystem(folder_uri)

    def __call__(self, items: pa.Table) -> pa.Table:
        """Makes the files of a table; its column `sources` holds the pickled `ClipSource`s of each."""
        rows = [self._checked(item["file"], pickle.loads(item["sources"])) for item in items.to_pylist()]
        return pa.Table.from_pylist(rows, schema=_RESULTS)

    def _checked(self, file: str, sources: Sequence[Any]) -> dict[str, Any]:
        outcomes = [checked_or_rejected(source, config=self._config) for source in sources]
        accepted = [outcome for outcome in outcomes if isinstance(outcome, CheckedClip)]
        row = {"file": file, "rejected": len(outcomes) - len(accepted), "unwritable": None}
        try:
            write_file(self._filesystem, joined(self._root, file), encode_outcomes(outcomes))
        except StorageError as error:
            row["unwritable"] = str(error)
        return row | {"seconds": sum(outcome.clip.seconds for outcome in accepted)}


def run_import_job(config: ImportJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Imports recordings and returns what to tell the user.

    Args:
        config: what becomes a corpus, and where.
        out: run folder, a path that all nodes see or a URL; `runs/<name>` when None.
        resume: go on with what is missing; None: if it was begun.

    Raises:
        ArtefactError: when the run folder exists (without `resume`) or cannot be written.
        BulkError: when a file cannot be written, or Ray fails.
        ConfigError: without recordings, or when they changed since the job was begun.
        CorpusError: when recordings or destination cannot be used, or too many clips are rejected.
    """
    if not config.recordings:
        raise ConfigError("recordings is empty; say what becomes a corpus: --recordings FOLDER")
    source = Path(expanded_path(config.recordings, field="recordings")).expanduser().resolve()
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        uri = config.uri or folder.corpus
        if folder.is_resumed:
            with contextlib.suppress(MissingCorpusError):
                text = f"corpus       {Corpus.open(uri).uri} is finished already"
                _discard(folder)
                return text
            discard_unfinished_corpus(uri)
        clips = list_clips(source, corpus_format=config.format)
        _check_listing(clips, folder)
        parts = _check(clips, folder, config=config)
        report = _write(clips, parts, uri, source=source, folder=folder, config=config)
        _discard(folder)
    return f"{report.text()}\ncorpus       {uri}"


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


def _check(clips: ClipList, folder: RunFolder, *, config: ImportJobConfig) -> list[_Part]:
    """Makes what is missing below `checked/`; gives the parts that are there, in order."""
    uri = folder.published(folder.root / _CHECKED)
    filesystem, root = open_filesystem(uri)
    parts = [
        _Part(first=first, end=min(first + _FILE_CLIPS, len(clips.clips)))
        for first in range(0, len(clips.clips), _FILE_CLIPS)
    ]
    done = files_below(filesystem, root).keys()
    pending = {part.file: part for part in parts if part.file not in done}
    if len(pending) < len(parts):
        logger.info("%d of %d parts are checked already", len(parts) - len(pending), len(parts))
    if not pending:
        return parts

    def work(items: dict[str, _Part]) -> PoolWork:
        def table(files: Sequence[str]) -> pa.Table:
            sources = [pickle.dumps(clips.clips[items[file].first : items[file].end]) for file in files]
            return pa.table({"file": list(files), "sources": sources})

        return PoolWork(
            make=functools.partial(ClipChecker, config.importing, uri),
            results=_RESULTS,
            table=table,
            weight=lambda file: items[file].end - items[file].first,
            max_items=_MAX_FILES,
        )

    total = sum(part.end - part.first for part in pending.values())
    progress = BulkProgress("clips", num_pending=total, weight=total, failures_path=folder.root / _FAILED)
    with progress, worker_pool(config.orchestration) as num_actors:
        logger.info("checking %d clips with %d actors", total, num_actors)

        def run(items: dict[str, _Part]) -> None:
            for part, row in pool_results(work(dict(items)), items, config=config.orchestration):
                if row["unwritable"]:
                    raise BulkError(f"{row['unwritable']}; what is there is kept, mend this and go on with --resume")
                count = part.end - part.first
                progress.done(seconds=row["seconds"], weight=count, count=count)

        run(pending)
        # What killed every process is looked for clip by clip.
        singles = [_Part(first=one, end=one + 1) for part in pending.values() for one in range(part.first, part.end)]
        deadly = {part.file: part for part in singles}
        if deadly:
            run(deadly)
        for part in deadly.values():
            progress.failed(clips.clips[part.first].clip_id, reason=_CRASHED, weight=1)
            write_file(filesystem, joined(root, part.file), encode_outcomes([RejectedClip(reason=_CRASHED)]))
    return sorted([part for part in parts if part.file not in pending] + singles, key=lambda part: part.first)


def _write(
    clips: ClipList, parts: Sequence[_Part], uri: str, *, source: Path, folder: RunFolder, config: ImportJobConfig
) -> ImportReport:
    with open_intake(clips, uri, folder=source, config=config.importing) as intake:
        for part, outcomes in _outcomes(parts, folder):
            for clip, outcome in zip(clips.clips[part.first : part.end], outcomes, strict=True):
                intake.take(clip, outcome)
    return intake.report()


def _outcomes(
    parts: Sequence[_Part], folder: RunFolder
) -> Iterator[tuple[_Part, Sequence[CheckedClip | RejectedClip]]]:
    filesystem, root = open_filesystem(folder.copy.address(folder.root / _CHECKED))
    for part in parts:
        yield part, decode_outcomes(read_bytes(filesystem, joined(root, part.file)))


def _discard(folder: RunFolder) -> None:
    """Takes the checked clips away: the corpus holds them."""
    filesystem, root = open_filesystem(folder.copy.address(folder.root / _CHECKED))
    with contextlib.suppress(FileNotFoundError):
        filesystem.delete_dir(root)
