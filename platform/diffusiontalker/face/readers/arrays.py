"""Arrays and columns: NPZ, NPY, Parquet, Arrow. None of them is unpickled.

The libraries raise errors of many kinds on damaged bytes; all mean that the file cannot be read.
"""

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diffusiontalker.face.arkit import CHANNELS, canonical_name
from diffusiontalker.face.motion import MotionError
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import TIME_NAMES, MotionTable, checked_rate, split_time


def read_npz(source: MotionSource) -> MotionTable:
    """Arrays `coefficients` (frames, channels), `names` and `fps`."""
    place = source.place
    try:
        archive = np.load(io.BytesIO(source.content), allow_pickle=False)
        content = {key: archive[key] for key in archive.files} if isinstance(archive, np.lib.npyio.NpzFile) else {}
    except Exception as error:
        raise MotionError(f"{place}: cannot be read as NPZ without pickle: {error}") from None
    missing = [key for key in ("coefficients", "names") if key not in content]
    if missing:
        raise MotionError(
            f"{place}: lacks {', '.join(missing)}; expected arrays coefficients (frames, channels), names, fps"
        )
    names = [str(name) for name in np.atleast_1d(content["names"])]
    values = _floats(content["coefficients"], "coefficients", place)
    if values.ndim != 2 or values.shape[1] != len(names) or not len(values):
        raise MotionError(f"{place}: coefficients are {values.shape}, expected (frames, {len(names)}), not empty")
    fps = checked_rate(content.get("fps"), place)
    return MotionTable(names=names, values=values, fps=fps)


def read_npy(source: MotionSource) -> MotionTable:
    """A bare array (frames, 52), as in 3D-ETF corpora: alphabetical order with tongueOut last, and no frame rate."""
    place = source.place
    try:
        array = np.load(io.BytesIO(source.content), allow_pickle=False)
    except Exception as error:
        raise MotionError(
            f"{place}: cannot be read as NPY without pickle: {error}; save it as numbers: "
            "np.save(path, array.astype(np.float32))"
        ) from None
    shape = getattr(array, "shape", None)
    if shape is None or len(shape) != 2 or shape[1] != len(CHANNELS) or not shape[0]:
        raise MotionError(
            f"{place}: holds {'an archive' if shape is None else f'an array {shape}'}, expected (frames, "
            f"{len(CHANNELS)}), not empty: a file without names must hold all ARKit channels, alphabetically and "
            "tongueOut last"
        )
    return MotionTable(names=CHANNELS, values=_floats(array, "the array", place))


def read_parquet(source: MotionSource) -> MotionTable:
    """Named columns; the rate from `time_s` or from `fps` in the schema's metadata."""
    return _columns(source, "Parquet", lambda: pq.read_table(pa.BufferReader(source.content)))


def read_arrow(source: MotionSource) -> MotionTable:
    """The same table as an Arrow IPC stream or file."""

    def read() -> pa.Table:
        opened = pa.ipc.open_file if source.content.startswith(b"ARROW1") else pa.ipc.open_stream
        with opened(pa.BufferReader(source.content)) as reader:
            return reader.read_all()

    return _columns(source, "Arrow", read)


def _columns(source: MotionSource, kind: str, read: Callable[[], pa.Table]) -> MotionTable:
    place = source.place
    try:
        table = read()
        column_names, metadata = table.column_names, table.schema.metadata or {}
    except Exception as error:
        raise MotionError(f"{place}: cannot be read as {kind}: {error}") from None
    fps = checked_rate(metadata[b"fps"].decode(errors="replace") if b"fps" in metadata else None, place)
    if not table.num_rows:
        raise MotionError(f"{place}: holds no frames")
    wanted = [index for index, name in enumerate(column_names) if canonical_name(name) or name.lower() in TIME_NAMES]
    for index in wanted:
        column_type = table.schema.field(index).type
        if not (pa.types.is_floating(column_type) or pa.types.is_integer(column_type)):
            raise MotionError(f"{place}: column '{column_names[index]}' holds {column_type}, expected numbers")
    columns = [table.column(index).to_numpy().astype(np.float64) for index in wanted]
    values = np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0))
    names, values, times_s = split_time([column_names[index] for index in wanted], values, place)
    return MotionTable(names=names or column_names, values=values, fps=fps, times_s=times_s, row_word="row")


def _floats(array: np.ndarray, what: str, place: str) -> np.ndarray:
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told by its place
            return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise MotionError(f"{place}: {what} holds {array.dtype}, expected numbers") from None
