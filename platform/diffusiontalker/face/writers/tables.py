"""Writers of motion as named columns: CSV, JSON, NPZ, Parquet. Frame rate and names are inside every file."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diffusiontalker.face.motion import MotionClip

TIME_COLUMN = "time_s"


def write_csv(clip: MotionClip, path: Path) -> None:
    """`time_s` and one column per channel; values with the 9 digits that give float32 back exactly."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([TIME_COLUMN, *clip.channel_names])
    for time_s, frame in zip(frame_times_s(clip), clip.coefficients, strict=True):
        writer.writerow([f"{time_s:.9g}", *(f"{value:.9g}" for value in frame)])
    path.write_text(buffer.getvalue(), encoding="utf-8")


def write_json(clip: MotionClip, path: Path, *, audio_name: str | None = None) -> None:
    """An object with `fps`, `names`, `frames` (one list of weights per frame) and, when known, `audio`."""
    frames = [[float(f"{value:.9g}") for value in frame] for frame in clip.coefficients]
    audio = {"audio": audio_name} if audio_name else {}
    content = {"fps": clip.fps, **audio, "names": list(clip.channel_names), "frames": frames}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def write_npz(clip: MotionClip, path: Path) -> None:
    """Arrays `coefficients` (frames, channels), `fps` and `names`; readable without pickle."""
    with path.open("wb") as stream:
        np.savez_compressed(
            stream, coefficients=clip.coefficients, fps=np.float64(clip.fps), names=np.array(clip.channel_names)
        )


def write_parquet(clip: MotionClip, path: Path) -> None:
    """`time_s` and one float32 column per channel; `fps` and `names` (JSON) in the schema's metadata."""
    columns = {TIME_COLUMN: frame_times_s(clip)} | {
        name: np.ascontiguousarray(column) for name, column in zip(clip.channel_names, clip.coefficients.T, strict=True)
    }
    table = pa.table(columns)
    metadata = {"fps": repr(float(clip.fps)), "names": json.dumps(clip.channel_names)}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def frame_times_s(clip: MotionClip) -> np.ndarray:
    """(frames,) float64: when each frame is valid."""
    return np.arange(clip.num_frames) / clip.fps
