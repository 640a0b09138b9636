"""`Corpus`: paired recordings as Parquet shards at a local path or URL, readable as a stream.

One row is one clip: its audio as FLAC, its motion as a list of floats, its labels. A shard holds clips of one split
and is named after it (`train-00000.parquet`), so reading a split opens only its own files. Rate and channel names stand
in every shard's schema and in the index `corpus.json`, which is written last: a folder without it is unfinished.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from diffusiontalker.audio.waveform import CLIP_LIMITS, AudioError, read_waveform
from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data.clip import Clip, CorpusError, suggestion
from diffusiontalker.data.digest import clip_digest, corpus_digest
from diffusiontalker.data.storage import file_names, open_filesystem
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.storage import joined, read_bytes, read_through

INDEX_NAME = "corpus.json"
FORMAT = "diffusiontalker-corpus"
VERSION = 1
TEACHER_GENERATOR = "teacher"
"""`source["generator"]` of a corpus whose motion a teacher made."""

BLOCK_CLIPS = 64
"""Clips of a block: a row group of a shard."""

_READ_CLIPS = 16


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShardInfo:
    """One Parquet file of a corpus."""

    file: str
    """Name inside the corpus folder."""
    split: str
    """The split all of its clips belong to."""
    num_clips: int
    """Rows."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Neighbouring clips of a shard, which are read at once."""

    shard: str
    """File name of the shard."""
    number: int
    """Row group inside it."""
    num_clips: int
    """Rows."""

    @property
    def name(self) -> str:
        """Such as `train-00000-0003`; no other block of the corpus has it."""
        return f"{self.shard.removesuffix('.parquet')}-{self.number:04d}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CorpusInfo:
    """What the index of a corpus says."""

    motion_fps: float
    """Frame rate of every motion."""
    channel_names: tuple[str, ...]
    """Columns of every motion."""
    missing_channels: tuple[str, ...]
    """Channels that the source of at least one clip lacks: they hold 0 there and must be left out of an evaluation."""
    speakers: tuple[str, ...]
    """Names of the speakers, sorted."""
    emotions: tuple[str, ...]
    """Names of the emotions, sorted, `neutral` first."""
    splits: dict[str, int]
    """Clips per split, in the order of `SPLITS`; splits without clips are absent."""
    num_clips: int
    """Clips in all."""
    seconds: float
    """Seconds of audio in all."""
    digest: str
    """SHA-256 over labels, audio and motion of every clip, whatever their order."""
    shards: tuple[ShardInfo, ...]
    """The Parquet files."""
    source: dict[str, Any]
    """Where the clips come from: importer or generator, its settings, licence; free form."""

    @property
    def is_pseudo_labelled(self) -> bool:
        """Whether a teacher made up the motion, so that it is no truth to measure or to learn from directly."""
        return self.source.get("generator") == TEACHER_GENERATOR


class MissingCorpusError(CorpusError):
    """No corpus at an address, or an unfinished one."""


class Corpus:
    """A finished corpus, opened for reading; shards are streamed, nothing is held in memory."""

    def __init__(self, uri: str, info: CorpusInfo, *, filesystem: fs.FileSystem, root: str) -> None:
        self.uri = uri
        self.info = info
        self._filesystem = filesystem
        self._root = root
        self._metadata: dict[str, pq.FileMetaData] = {}

    @classmethod
    def open(cls, uri: str | Path) -> "Corpus":
        """Reads the index of the corpus at a local path or URL.

        Raises:
            MissingCorpusError: when nothing is there, or the corpus is unfinished.
            CorpusError: when its index cannot be read.
        """
        filesystem, root = open_filesystem(uri)
        try:
            raw = json.loads(read_bytes(filesystem, joined(root, INDEX_NAME)))
        except FileNotFoundError:
            raise MissingCorpusError(_missing_index(filesystem, root, uri=str(uri))) from None
        except (OSError, ValueError) as error:
            raise CorpusError(f"{uri}: index {INDEX_NAME} cannot be read ({error}); import the corpus again") from None
        return cls(str(uri), _read_index(raw, uri=str(uri)), filesystem=filesystem, root=root)

    def clips(self, split: str | None = None) -> Iterator[Clip]:
        """Streams the clips of one split (all of them for None), in the order they were written.

        Raises:
            CorpusError: at once for a split this corpus lacks; while iterating for a shard that cannot be read.
        """
        if split is not None:
            self._require_split(split)
        return (
            self._clip(row) for shard in self.info.shards if split in (None, shard.split) for row in self._rows(shard)
        )

    def faces(self, split: str) -> Iterator[tuple[str, str, MotionClip]]:
        """Streams speaker, emotion and motion of the clips of a split; no sound is read or decoded.

        Raises:
            CorpusError: as `clips`.
        """
        self._require_split(split)
        columns = ["clip_id", "speaker", "emotion", "motion", "num_frames"]
        for row in (row for shard in self.info.shards if shard.split == split for row in self._rows(shard, columns)):
            with self._damage_told(row):
                face = row["speaker"].as_py(), row["emotion"].as_py(), self._motion(row)
            yield face

    def load(self, split: str | None = None) -> list[Clip]:
        """All clips of one split (of the corpus for None) in memory: about 85 kB per second of speech."""
        return list(self.clips(split))

    def blocks(self, split: str) -> list[Block]:
        """All clips of a split in the order they were written, in pieces that `read_block` reads.

        Raises:
            CorpusError: for a split this corpus lacks.
        """
        self._require_split(split)
        return [
            Block(shard=shard.file, number=number, num_clips=min(BLOCK_CLIPS, shard.num_clips - number * BLOCK_CLIPS))
            for shard in self.info.shards
            if shard.split == split
            for number in range(math.ceil(shard.num_clips / BLOCK_CLIPS))
        ]

    def read_block(self, block: Block) -> list[Clip]:
        """The clips of a block; no other part of its shard is read.

        Raises:
            CorpusError: when it cannot be read, or the shard is another one than the index says.
        """
        where, path = f"{self.uri}/{block.shard}", joined(self._root, block.shard)
        try:
            if block.shard not in self._metadata:
                self._metadata[block.shard] = read_through(self._filesystem, path, pq.read_metadata, at_random=True)
            metadata = self._metadata[block.shard]
            table = read_through(
                self._filesystem,
                path,  # a store is asked once for a block
                lambda stream: pq.ParquetFile(stream, metadata=metadata, pre_buffer=True).read_row_group(block.number),
                at_random=True,
            )
        except (OSError, pa.ArrowException, IndexError) as error:
            raise CorpusError(f"{where}: shard cannot be read ({error}); copy or import the corpus again") from None
        if len(table) != block.num_clips:
            raise CorpusError(
                f"{where}: row group {block.number} holds {len(table)} clips, expected {block.num_clips}; the shard "
                "was replaced, import the corpus again"
            )
        return [self._clip(row) for row in _rows_of(table)]

    def verify(self) -> None:
        """Reads everything and compares it with the digest in the index.

        Raises:
            CorpusError: when a shard cannot be read, or the content is not what was written.
        """
        digests = {}
        for row in (row for shard in self.info.shards for row in self._rows(shard)):
            facts = {name: row[name].as_py() for name in ("speaker", "emotion", "split", "num_frames", "audio")}
            motion = row["motion"].values.to_numpy().tobytes()
            digests[row["clip_id"].as_py()] = clip_digest(**facts, motion=motion)
        found = corpus_digest(digests, motion_fps=self.info.motion_fps, channel_names=self.info.channel_names)
        if found != self.info.digest:
            raise CorpusError(
                f"{self.uri}: content has digest {found[:16]}, the index says {self.info.digest[:16]}; the files were "
                "changed after they were written, copy or import the corpus again"
            )

    def _require_split(self, split: str) -> None:
        if split not in self.info.splits:
            raise CorpusError(f"{self.uri}: no split '{split}'{suggestion(split, self.info.splits)}")

    def _rows(self, shard: ShardInfo, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        where = f"{self.uri}/{shard.file}"
        try:
            with self._opened(shard) as stream:
                parquet = pq.ParquetFile(stream)
                if parquet.metadata.num_rows != shard.num_clips:
                    raise CorpusError(
                        f"{where}: holds {parquet.metadata.num_rows} clips, the index says {shard.num_clips}; "
                        "the shard was replaced, import the corpus again"
                    )
                for batch in parquet.iter_batches(batch_size=_READ_CLIPS, columns=columns):
                    yield from _rows_of(batch)
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(f"{where}: shard cannot be read ({error}); copy or import the corpus again") from None

    def _opened(self, shard: ShardInfo) -> pa.NativeFile:
        """A shard, of a store as a whole (32 MiB): what breaks off while it comes is asked for again."""
        path = joined(self._root, shard.file)
        if isinstance(self._filesystem, fs.LocalFileSystem):
            return self._filesystem.open_input_file(path)
        return pa.BufferReader(read_bytes(self._filesystem, path))

    def _clip(self, row: dict[str, Any]) -> Clip:
        with self._damage_told(row):
            labels = {name: row[name].as_py() for name in ("clip_id", "speaker", "emotion", "split")}
            waveform = read_waveform(row["audio"].as_py(), limits=CLIP_LIMITS, name=labels["clip_id"])
            return Clip(waveform=waveform, motion=self._motion(row), **labels)

    def _motion(self, row: dict[str, Any]) -> MotionClip:
        return MotionClip(
            coefficients=row["motion"].values.to_numpy().reshape(row["num_frames"].as_py(), -1),
            fps=self.info.motion_fps,
            channel_names=self.info.channel_names,
        )

    @contextlib.contextmanager
    def _damage_told(self, row: dict[str, Any]) -> Iterator[None]:
        try:
            yield
        except (AudioError, MotionError, ValueError) as error:
            raise CorpusError(
                f"{self.uri}: clip '{row['clip_id'].as_py()}' is damaged ({error}); copy or import the corpus again"
            ) from None


def _rows_of(table: pa.Table | pa.RecordBatch) -> Iterator[dict[str, Any]]:
    for index in range(table.num_rows):
        yield {name: table.column(name)[index] for name in table.schema.names}


def _read_index(raw: Any, *, uri: str) -> CorpusInfo:
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or raw.get("version") != VERSION:
        raise CorpusError(
            f"{uri}: {INDEX_NAME} is not the index of a {FORMAT} of version {VERSION}; "
            "open a folder made by 'corpus import' or 'corpus synthesize'"
        )
    fields = {key: value for key, value in raw.items() if key not in ("format", "version")}
    try:
        return from_plain(CorpusInfo, fields, source=f"{uri}/{INDEX_NAME}")
    except ConfigError as error:
        raise CorpusError(f"{error}; import the corpus again") from None


def _missing_index(filesystem: fs.FileSystem, root: str, *, uri: str) -> str:
    if file_names(filesystem, root):
        return (
            f"{uri}: has no {INDEX_NAME}, so this is no corpus or an unfinished one (the index is written last); "
            "remove the folder and import or synthesize again"
        )
    return f"{uri}: there is no corpus; make one with 'corpus import' or 'corpus synthesize'"
