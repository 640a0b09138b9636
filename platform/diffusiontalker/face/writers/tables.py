"""Motion as named columns: CSV, JSON, NDJSON, NPZ, Parquet, Arrow. Frame rate and names are inside every one."""

import csv
import io
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diffusiontalker.face.motion import MotionClip

TIME_COLUMN = "time_s"
_AT_ONCE = 1024
"""Frames."""


def csv_bytes(clip: MotionClip) -> bytes:
    """`time_s` and one column per channel."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([TIME_COLUMN, *clip.channel_names])
    writer.writerows(
        [f"{time_s:.9g}", *frame] for time_s, frame in zip(frame_times_s(clip), decimals(clip), strict=True)
    )
    return buffer.getvalue().encode()


def json_bytes(clip: MotionClip, *, audio_name: str | None = None) -> bytes:
    """An object with `fps`, `names`, `frames` (one list of weights per frame) and, when known, `audio`."""
    audio = {"audio": audio_name} if audio_name else {}
    head = json.dumps({"fps": clip.fps, **audio, "names": list(clip.channel_names)})
    return f'{head[:-1]}, "frames": [{", ".join(json_lists(clip))}]}}\n'.encode()


def ndjson_bytes(clip: MotionClip) -> bytes:
    """A line with `fps` and `names`, then one line per frame: `frame`, `time_s`, `weights`."""
    lines = [json.dumps({"fps": clip.fps, "names": list(clip.channel_names), "num_frames": clip.num_frames})]
    lines += [
        f'{{"frame": {number}, "time_s": {time_s:.9g}, "weights": {weights}}}'
        for number, (time_s, weights) in enumerate(zip(frame_times_s(clip), json_lists(clip), strict=True))
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def npz_bytes(clip: MotionClip) -> bytes:
    """Arrays `coefficients` (frames, channels), `fps` and `names`; readable without pickle."""
    buffer = io.BytesIO()
    np.savez(buffer, coefficients=clip.coefficients, fps=np.float64(clip.fps), names=np.array(clip.channel_names))
    return buffer.getvalue()


def parquet_bytes(clip: MotionClip) -> bytes:
    """`time_s` and one float32 column per channel; `fps` and `names` (JSON) in the schema's metadata."""
    sink = pa.BufferOutputStream()
    pq.write_table(_table(clip), sink)
    return sink.getvalue().to_pybytes()


def arrow_bytes(clip: MotionClip) -> bytes:
    """The same table as Parquet's, as an Arrow IPC stream."""
    table, sink = _table(clip), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _table(clip: MotionClip) -> pa.Table:
    columns = {TIME_COLUMN: frame_times_s(clip)} | {
        name: np.ascontiguousarray(column) for name, column in zip(clip.channel_names, clip.coefficients.T, strict=True)
    }
    metadata = {"fps": repr(float(clip.fps)), "names": json.dumps(clip.channel_names)}
    return pa.table(columns).replace_schema_metadata(metadata)


def decimals(clip: MotionClip) -> Iterator[list[str]]:
    """The weights of every frame as decimal numbers, in as few digits as give float32 back exactly."""
    # Arrow writes them some times faster than Python does; in pieces, so that other threads have turns.
    for first in range(0, clip.num_frames, _AT_ONCE):
        piece = clip.coefficients[first : first + _AT_ONCE]
        written = pa.array(piece.reshape(-1)).cast(pa.string()).to_numpy(zero_copy_only=False)
        yield from written.reshape(piece.shape).tolist()


def json_lists(clip: MotionClip) -> Iterator[str]:
    """A JSON list of weights for every frame."""
    return (f"[{', '.join(frame)}]" for frame in decimals(clip))


def frame_times_s(clip: MotionClip) -> np.ndarray:
    """(frames,) float64: when each frame is valid."""
    return np.arange(clip.num_frames) / clip.fps
