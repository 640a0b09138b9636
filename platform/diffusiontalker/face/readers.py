"""Readers of motion: CSV, JSON, NPZ and Parquet with named columns, in any order and any capitalisation.

Everything that would silently give a wrong face is an error: missing names, NaN, uneven time, a contradicting rate.
"""

import csv
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diffusiontalker.face.arkit import canonical_name
from diffusiontalker.face.motion import MotionClip, MotionError

LOWEST_VALUE, HIGHEST_VALUE = -0.5, 1.5
"""Trackers overshoot [0, 1] a little; beyond these bounds a file holds something else (percent, angles)."""

_TIME_NAMES = ("time_s", "time")
_RATE_TOLERANCE = 0.01
_STEP_TOLERANCE = 0.25


def read_motion(path: Path | str, *, fps: float | None = None, name: str | None = None) -> MotionClip:
    """Reads a clip; its channels keep the file's order under their ARKit names.

    Args:
        path: a .csv, .json, .npz or .parquet file. Columns that are no ARKit channel (head rotation, ids) are ignored.
        fps: frames per second, if known. Needed where the file tells none; an error where it tells another.
        name: what to call the file in messages (its path when None).

    Raises:
        MotionError: says which file, row and column, what was found and what is expected.
    """
    path = Path(path)
    place = name or str(path)
    readers = {".csv": _read_csv, ".json": _read_json, ".npz": _read_npz, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise MotionError(f"{place}: unknown motion format '{path.suffix}'; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise MotionError(f"{place}: there is no such file")
    if path.stat().st_size == 0:
        raise MotionError(f"{place}: the file is empty (0 bytes)")
    names, values, file_fps, times = reader(path, place)
    channels = _channels(names, place)
    coefficients = values[:, list(channels)]
    _check_values(coefficients, [names[column] for column in channels], place)
    rate = _frame_rate(times, file_fps, fps, place)
    return MotionClip(coefficients=coefficients, fps=rate, channel_names=tuple(channels.values()))


_Table = tuple[list[str], np.ndarray, float | None, np.ndarray | None]
"""Column names, (frames, columns) values, stored rate, (frames,) times in seconds."""


def _read_csv(path: Path, place: str) -> _Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MotionError(f"{place}: cannot be read as CSV: {error}") from None
    if len(rows) < 2:
        raise MotionError(f"{place}: holds {len(rows)} lines, expected channel names and one line a frame")
    header = [cell.strip() for cell in rows[0]]
    wanted = [column for column, cell in enumerate(header) if canonical_name(cell) or cell.lower() in _TIME_NAMES]
    values = np.empty((len(rows) - 1, len(wanted)))
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise MotionError(f"{place}: line {line} has {len(row)} cells, the header {len(header)}; repair the line")
        for target, column in enumerate(wanted):
            try:
                values[line - 2, target] = float(row[column])
            except ValueError:
                raise MotionError(
                    f"{place}: line {line}, column '{header[column]}' is '{row[column]}', expected a number"
                ) from None
    return _split_time([header[column] for column in wanted], values, None, place)


def _read_json(path: Path, place: str) -> _Table:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise MotionError(f"{place}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict) or not {"names", "frames"} <= content.keys():
        raise MotionError(f"{place}: expected an object with 'fps', 'names' and 'frames' (a list of weights per frame)")
    names, frames = content["names"], content["frames"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MotionError(f"{place}: 'names' must be a list of channel names")
    if not isinstance(frames, list) or not frames:
        raise MotionError(f"{place}: 'frames' must be a list with at least one frame")
    for frame, weights in enumerate(frames):
        if not isinstance(weights, list) or len(weights) != len(names):
            count = len(weights) if isinstance(weights, list) else f"a {type(weights).__name__}"
            raise MotionError(f"{place}: frame {frame} holds {count}, expected {len(names)} weights, one per name")
    return names, _numbers(frames, place), _stored_rate(content.get("fps"), place), None


def _read_npz(path: Path, place: str) -> _Table:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MotionError(f"{place}: cannot be read as NPZ without pickle: {error}") from None
    missing = [key for key in ("coefficients", "names") if key not in content]
    if missing:
        raise MotionError(
            f"{place}: lacks {', '.join(missing)}; expected arrays coefficients (frames, channels), names, fps"
        )
    names = [str(name) for name in np.atleast_1d(content["names"])]
    values = _numbers(content["coefficients"], place)
    if values.ndim != 2 or values.shape[1] != len(names) or not len(values):
        raise MotionError(f"{place}: coefficients are {values.shape}, expected (frames, {len(names)}), not empty")
    return names, values, _stored_rate(content["fps"].item() if "fps" in content else None, place), None


def _read_parquet(path: Path, place: str) -> _Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise MotionError(f"{place}: cannot be read as Parquet: {error}") from None
    metadata = table.schema.metadata or {}
    rate = _stored_rate(metadata[b"fps"].decode() if b"fps" in metadata else None, place)
    if not table.num_rows:
        raise MotionError(f"{place}: holds no frames")
    wanted = [name for name in table.column_names if canonical_name(name) or name.lower() in _TIME_NAMES]
    columns = [_numbers(table.column(index).to_numpy(), place)
               for index, name in enumerate(table.column_names) if name in wanted]  # fmt: skip
    values = np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0))
    return _split_time(wanted, values, rate, place)


def _numbers(values: object, place: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise MotionError(f"{place}: holds a weight that is not a number") from None


def _stored_rate(value: object, place: str) -> float | None:
    if value is None:
        return None
    try:
        rate = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        rate = float("nan")
    if not np.isfinite(rate) or rate <= 0:
        raise MotionError(f"{place}: its frame rate is {value!r}, expected a positive number such as 25, 30 or 60")
    return rate


def _split_time(names: Sequence[str], values: np.ndarray, fps: float | None, place: str) -> _Table:
    time_columns = [column for column, name in enumerate(names) if name.lower() in _TIME_NAMES]
    if len(time_columns) > 1:
        raise MotionError(f"{place}: has {len(time_columns)} time columns, expected one called 'time_s'")
    if not time_columns:
        return list(names), values, fps, None
    rest = [column for column in range(len(names)) if column != time_columns[0]]
    return [names[column] for column in rest], values[:, rest], fps, values[:, time_columns[0]]


def _channels(names: Sequence[str], place: str) -> dict[int, str]:
    """Column -> ARKit name."""
    channels = {column: known for column, name in enumerate(names) if (known := canonical_name(name))}
    if not channels:
        shown = ", ".join(names[:8]) or "none"
        raise MotionError(f"{place}: no column is named after an ARKit channel such as jawOpen (columns: {shown})")
    for known in set(channels.values()):
        columns = [names[column] for column, found in channels.items() if found == known]
        if len(columns) > 1:
            raise MotionError(f"{place}: columns {', '.join(columns)} all mean {known}; keep one of them")
    return channels


def _check_values(values: np.ndarray, names: Sequence[str], place: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        frame, column = bad[0]
        raise MotionError(
            f"{place}: {len(bad)} values are NaN or infinite, the first in row {frame} (counted from 0), "
            f"column '{names[column]}'; repair or drop the clip"
        )
    bad = np.argwhere((values < LOWEST_VALUE) | (values > HIGHEST_VALUE))
    if len(bad):
        frame, column = bad[0]
        raise MotionError(
            f"{place}: {len(bad)} values lie outside [{LOWEST_VALUE}, {HIGHEST_VALUE}], the first, "
            f"{values[frame, column]:.6g}, in row {frame} (counted from 0), column '{names[column]}'; "
            "ARKit weights lie in [0, 1]: divide percentages by 100"
        )


def _frame_rate(times: np.ndarray | None, stored: float | None, given: float | None, place: str) -> float:
    """The one rate that times, file and caller agree on."""
    known = {
        "the file says": stored,
        "the caller says": _stored_rate(given, place),
        "time_s says": _rate_of(times, place),
    }
    rates = {source: rate for source, rate in known.items() if rate is not None}
    if not rates:
        raise MotionError(f"{place}: tells no frame rate (no time_s column, no fps); pass fps")
    (first, rate), *others = rates.items()
    for source, other in others:
        if abs(other - rate) > _RATE_TOLERANCE * rate:
            raise MotionError(f"{place}: {first} {rate:g} fps but {source} {other:g} fps; correct the wrong one")
    return rate


def _rate_of(times: np.ndarray | None, place: str) -> float | None:
    """Rate of evenly spaced times; None for a single frame, which has none."""
    if times is None:
        return None
    if not np.isfinite(times).all():
        row = int(np.argmax(~np.isfinite(times)))
        raise MotionError(f"{place}: time_s is {times[row]} in row {row} (counted from 0); expected seconds")
    if len(times) < 2:
        return None
    steps = np.diff(times)
    step = float((times[-1] - times[0]) / (len(times) - 1))
    wrong = np.nonzero(np.abs(steps - step) > _STEP_TOLERANCE * abs(step))[0] if step > 0 else np.array([0])
    if len(wrong):
        row = int(wrong[0]) + 1
        raise MotionError(
            f"{place}: time_s steps from {times[row - 1]:g} to {times[row]:g} s at row {row} (counted from 0), "
            f"expected even, growing steps (here {step:.6g} s on average); resample the clip to a fixed rate"
        )
    rate = 1.0 / step
    return round(rate) if abs(rate - round(rate)) < 1e-3 * rate else rate
