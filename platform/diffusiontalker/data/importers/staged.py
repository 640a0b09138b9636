"""Checked clips on their way from the process that checked them to the one that writes the corpus: a Parquet file.

A row is what a shard will hold of the clip and, as JSON, what else is known about it; or why it was rejected.
"""

import dataclasses
import functools
import io
import json
from collections.abc import Sequence
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from diffusiontalker.config import to_plain
from diffusiontalker.data.corpus_writer import EncodedClip, encode_clip
from diffusiontalker.data.importers.checked import CheckedClip, RejectedClip

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("clip_id", "speaker", "emotion", "split")),
        ("audio", pa.binary()),
        ("motion", pa.list_(pa.float32())),
        *((name, pa.int64()) for name in ("num_frames", "num_samples")),
        ("about", pa.string()),
        ("rejected", pa.string()),
    ]
)


def compressed(outcome: CheckedClip | RejectedClip) -> CheckedClip | RejectedClip:
    """The same with its clip as an `EncodedClip`, an eighth of the memory."""
    if isinstance(outcome, RejectedClip) or isinstance(outcome.clip, EncodedClip):
        return outcome
    return dataclasses.replace(outcome, clip=encode_clip(outcome.clip))


def encode_outcomes(outcomes: Sequence[CheckedClip | RejectedClip]) -> bytes:
    """The content of a file.

    Args:
        outcomes: `compressed`.
    """
    table = pa.Table.from_pylist([_row(outcome) for outcome in outcomes], schema=_SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def decode_outcomes(content: bytes) -> list[CheckedClip | RejectedClip]:
    """What `encode_outcomes` was given."""
    table = pq.read_table(io.BytesIO(content))
    motions = table["motion"].combine_chunks()
    rows = table.drop_columns(["motion"]).to_pylist()
    return [_outcome(row, motions[number]) for number, row in enumerate(rows)]


def _row(outcome: CheckedClip | RejectedClip) -> dict[str, Any]:
    if isinstance(outcome, RejectedClip):
        return {"rejected": outcome.reason}
    clip = outcome.clip
    assert isinstance(clip, EncodedClip)
    about = {name: to_plain(getattr(outcome, name)) for name in _about()}
    return {
        **{field.name: getattr(clip, field.name) for field in dataclasses.fields(clip)},
        "about": json.dumps(about),
    }


def _outcome(row: dict[str, Any], motion: pa.ListScalar) -> CheckedClip | RejectedClip:
    if row["rejected"] is not None:
        return RejectedClip(reason=row["rejected"])
    about = json.loads(row["about"])
    encoded = {field.name: row[field.name] for field in dataclasses.fields(EncodedClip) if field.name != "motion"}
    clip = EncodedClip(motion=motion.values.to_numpy().copy(), **encoded)  # or it would hold all motion of the file
    return CheckedClip(clip=clip, **{name: adapter.validate_python(about[name]) for name, adapter in _about().items()})


@functools.cache
def _about() -> dict[str, Any]:
    """Everything that is known about a checked clip beside the clip, with what reads it back."""
    return {name: TypeAdapter(kind) for name, kind in get_type_hints(CheckedClip).items() if name != "clip"}
