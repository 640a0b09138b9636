"""`CorpusWriter`: clips in, Parquet shards and an index out; see `corpus` for the layout.

A local corpus appears under its name only when it is whole. On an object store the index is written last and the
shards of a failed attempt are removed.
"""

import contextlib
import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from diffusiontalker.audio import timebase
from diffusiontalker.audio.waveform import encode_flac
from diffusiontalker.config import ArtefactError, publish_directory
from diffusiontalker.data.clip import SPLITS, Clip, CorpusError
from diffusiontalker.data.corpus import BLOCK_CLIPS, FORMAT, INDEX_NAME, VERSION, CorpusInfo, ShardInfo
from diffusiontalker.data.digest import clip_digest, corpus_digest
from diffusiontalker.data.storage import file_names, new_file, open_filesystem
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.storage import joined

_SHARD_BYTES = 32 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedClip:
    """A clip as a shard holds it: a row."""

    clip_id: str
    """As of `Clip`."""
    audio: bytes
    """FLAC."""
    motion: np.ndarray
    """(frames * channels,) float32."""
    num_frames: int
    """Frames of the motion."""
    speaker: str
    """As of `Clip`."""
    emotion: str
    """As of `Clip`."""
    split: str
    """As of `Clip`."""
    num_samples: int
    """Samples of the sound."""

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.num_samples / timebase.SAMPLE_RATE_HZ


def encode_clip(clip: Clip) -> EncodedClip:
    """What is slow about writing a clip, which any process may do; the clip must be `aligned` to its corpus."""
    return EncodedClip(
        clip_id=clip.clip_id,
        audio=encode_flac(clip.waveform),
        motion=clip.motion.coefficients.ravel(),
        num_frames=clip.motion.num_frames,
        speaker=clip.speaker,
        emotion=clip.emotion,
        split=clip.split,
        num_samples=len(clip.waveform),
    )


class CorpusWriter:
    """Writes one corpus, clip by clip; memory is bounded by one shard (32 MiB) per split.

    `info` stands once the block of `CorpusWriter.create` has ended without an error.
    """

    info: CorpusInfo

    def __init__(
        self,
        filesystem: fs.FileSystem,
        root: str,
        *,
        motion_fps: float,
        channel_names: Sequence[str] = CHANNELS,
        source: dict[str, Any] | None = None,
        uri: str = "",
    ) -> None:
        self.motion_fps = float(motion_fps)
        self.channel_names = tuple(channel_names)
        self.missing_channels: set[str] = set()
        """Channels that the source lacks; add to it while writing."""
        self.source = source or {}
        self._filesystem = filesystem
        self._root = root
        self._uri = uri or root
        self._schema = _schema(self.motion_fps, self.channel_names)
        self._pending: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._pending_bytes = Counter[str]()
        self._shards: list[ShardInfo] = []
        self._digests: dict[str, str] = {}
        self._speakers: set[str] = set()
        self._emotions: set[str] = set()
        self._samples = 0

    @classmethod
    @contextlib.contextmanager
    def create(cls, uri: str | Path, **settings: Any) -> Iterator["CorpusWriter"]:
        """Opens a writer on a new corpus; takes the keywords of the class.

        The corpus is finished when the block ends; when it ends in an error nothing stays at `uri`.

        Raises:
            CorpusError: when something already stands at `uri`, it cannot be written, or no clip was added.
        """
        with _new_folder(uri) as (filesystem, root):
            writer = cls(filesystem, root, uri=str(uri), **settings)
            yield writer
            writer.info = writer._finish(uri=str(uri))

    def add(self, clip: Clip) -> None:
        """Adds one clip, which must be `aligned` to this corpus.

        Raises:
            CorpusError: for a repeated id or a clip of another rate, length or channel order.
        """
        motion = clip.motion
        if (motion.fps, motion.channel_names, motion.num_frames) != (
            self.motion_fps, self.channel_names, clip.num_frames,
        ):  # fmt: skip
            raise CorpusError(
                f"clip '{clip.clip_id}': motion has {motion.num_frames} frames of {len(motion.channel_names)} channels "
                f"at {motion.fps:g} fps, expected {clip.num_frames} frames of the {len(self.channel_names)} channels "
                f"of this corpus at {self.motion_fps:g} fps; use Clip.aligned"
            )
        self.add_encoded(encode_clip(clip))

    def add_encoded(self, clip: EncodedClip) -> None:
        """Adds one clip that was aligned to this corpus and encoded before.

        Raises:
            CorpusError: for a repeated id.
        """
        if clip.clip_id in self._digests:
            raise CorpusError(f"clip '{clip.clip_id}': this id was already written; give every clip its own")
        row = {field.name: getattr(clip, field.name) for field in dataclasses.fields(clip)}
        samples = row.pop("num_samples")
        facts = {name: row[name] for name in ("speaker", "emotion", "split", "num_frames")}
        self._digests[clip.clip_id] = clip_digest(audio=clip.audio, motion=clip.motion.tobytes(), **facts)
        self._speakers.add(clip.speaker)
        self._emotions.add(clip.emotion)
        self._samples += samples
        self._pending[clip.split].append(row)
        self._pending_bytes[clip.split] += len(clip.audio) + clip.motion.nbytes
        if self._pending_bytes[clip.split] >= _SHARD_BYTES:
            self._flush(clip.split)

    def add_document(self, name: str, content: str | bytes) -> None:
        """Puts a file (a report, a licence, the heads of the speakers) beside the shards."""
        with self._new_file(name) as stream:
            stream.write(content.encode() if isinstance(content, str) else content)

    def _new_file(self, name: str) -> AbstractContextManager[pa.NativeFile]:
        """A file beside the shards; messages call it by where it will be, not by the temporary folder."""
        return new_file(self._filesystem, joined(self._root, name), name=f"{self._uri.rstrip('/')}/{name}")

    def _flush(self, split: str) -> None:
        rows = self._pending[split]
        if not rows:
            return
        number = sum(shard.split == split for shard in self._shards)
        shard = ShardInfo(file=f"{split}-{number:05d}.parquet", split=split, num_clips=len(rows))
        table = pa.Table.from_pylist(rows, schema=self._schema)
        with self._new_file(shard.file) as stream:
            pq.write_table(table, stream, compression="zstd", row_group_size=BLOCK_CLIPS)
        self._shards.append(shard)
        rows.clear()
        self._pending_bytes[split] = 0

    def _finish(self, *, uri: str) -> CorpusInfo:
        if not self._digests:
            raise CorpusError(f"{uri}: no clip was written and an empty corpus is of no use; check the source")
        for split in SPLITS:
            self._flush(split)
        self._shards.sort(key=lambda shard: (SPLITS.index(shard.split), shard.file))
        counts = Counter[str]()
        for shard in self._shards:
            counts[shard.split] += shard.num_clips
        info = CorpusInfo(
            motion_fps=self.motion_fps,
            channel_names=self.channel_names,
            missing_channels=tuple(name for name in self.channel_names if name in self.missing_channels),
            speakers=tuple(sorted(self._speakers)),
            emotions=tuple(sorted(self._emotions, key=lambda name: (name != "neutral", name))),
            splits=dict(counts),
            num_clips=len(self._digests),
            seconds=self._samples / timebase.SAMPLE_RATE_HZ,
            digest=corpus_digest(self._digests, motion_fps=self.motion_fps, channel_names=self.channel_names),
            shards=tuple(self._shards),
            source=self.source,
        )
        index = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(info)}
        self.add_document(INDEX_NAME, json.dumps(index, indent=1) + "\n")
        return info


def write_corpus(
    clips: Iterable[Clip],
    uri: str | Path,
    *,
    motion_fps: float,
    channel_names: Sequence[str] = CHANNELS,
    source: dict[str, Any] | None = None,
    missing_channels: Iterable[str] = (),
) -> CorpusInfo:
    """Writes a corpus of `clips`, each aligned to `motion_fps` and `channel_names` on the way.

    Raises:
        CorpusError: as `CorpusWriter`; nothing stays at `uri` then.
    """
    with CorpusWriter.create(uri, motion_fps=motion_fps, channel_names=channel_names, source=source) as writer:
        writer.missing_channels.update(missing_channels)
        for clip in clips:
            writer.add(clip.aligned(motion_fps=motion_fps, channel_names=channel_names))
    return writer.info


def discard_unfinished_corpus(uri: str | Path) -> None:
    """Removes what a writer that was killed has left of a corpus, in a folder that is the caller's own.

    Raises:
        CorpusError: when the folder cannot be listed.
    """
    filesystem, root = open_filesystem(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        for folder in Path(root).parent.glob(f".{Path(root).name}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        return
    names = file_names(filesystem, root)
    for name in names if INDEX_NAME not in names else ():
        filesystem.delete_file(joined(root, name))


def _schema(motion_fps: float, channel_names: Sequence[str]) -> pa.Schema:
    text = pa.string()
    return pa.schema(
        [
            ("clip_id", text), ("audio", pa.binary()), ("motion", pa.list_(pa.float32())), ("num_frames", pa.int32()),
            ("speaker", text), ("emotion", text), ("split", text),
        ],
        metadata={"motion_fps": repr(motion_fps), "channel_names": json.dumps(list(channel_names)), "audio": "flac"},
    )  # fmt: skip


@contextlib.contextmanager
def _new_folder(uri: str | Path) -> Iterator[tuple[fs.FileSystem, str]]:
    filesystem, root = open_filesystem(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        try:
            with publish_directory(Path(root)) as temporary:
                yield filesystem, str(temporary)
        except ArtefactError as error:
            raise CorpusError(f"corpus cannot be written: {error}") from None
        return
    if file_names(filesystem, root):
        raise CorpusError(f"{uri} already exists and nothing is overwritten; choose another URL or remove it")
    try:
        yield filesystem, root
    except BaseException:
        for name in file_names(filesystem, root):
            filesystem.delete_file(joined(root, name))
        raise
