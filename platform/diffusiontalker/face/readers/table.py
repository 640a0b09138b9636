"""`MotionTable`: what a file says about motion before names, values and time are judged; and that judgement.

Everything that would silently give a wrong face is an error: missing names, NaN, uneven time, a contradicting rate.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from diffusiontalker.face.arkit import canonical_name
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.readers.timestamps import even_rate, on_even_frames

LOWEST_VALUE, HIGHEST_VALUE = -0.5, 1.5
"""Trackers overshoot [0, 1] a little; beyond these bounds a file holds something else (percent, angles)."""

TIME_NAMES = ("time_s", "time", "timecode")
_RATE_TOLERANCE = 0.01
_PERCENT, _LARGEST_BYTE = 100, 255


class NoMotionError(MotionError):
    """A file that holds something else than motion of a face, such as notes or settings."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionTable:
    """Named columns and one row per frame, under the file's own names and in the file's own order."""

    names: Sequence[str]
    """Of the columns; those that are no ARKit channel are ignored."""
    values: np.ndarray
    """(frames, columns) float64."""
    fps: float | None = None
    """The frame rate that the file says, if it does."""
    times_s: np.ndarray | None = None
    """(frames,) when each frame is valid, if the file says so."""
    time_name: str = "time_s"
    """What the file calls them."""
    rows: Sequence[int] | None = None
    """The number of each row as the file counts; frames from 0 when None."""
    row_word: str = "frame"
    """What the file calls a row: line, frame, row."""
    may_drop_frames: bool = False
    """Whether recorders of this format drop frames: gaps are then filled, and times may waver."""
    notes: Sequence[str] = ()
    """What the caller should know about how the file was read."""

    def place_of(self, frame: int) -> str:
        """Where a frame stands in the file, for messages."""
        return (
            f"{self.row_word} {frame} (counted from 0)" if self.rows is None else f"{self.row_word} {self.rows[frame]}"
        )


def to_clip(
    table: MotionTable,
    place: str,
    *,
    fps: float | None,
    fps_name: str = "the caller",
    max_gap_s: float,
    report: Callable[[str], None],
) -> MotionClip:
    """The clip that a table means.

    Args:
        table: as read.
        place: what messages call the file.
        fps: frames per second, if the caller knows.
        fps_name: what messages call the one who gave `fps`.
        max_gap_s: longest gap that is filled, in seconds, where `may_drop_frames`.
        report: told about gaps that were filled, and the table's notes.

    Raises:
        MotionError: says where in the file, what was found and what is expected.
    """
    for note in table.notes:
        report(note)
    channels = _channels(table.names, place)
    values = table.values[:, list(channels)]
    _check_values(values, [table.names[column] for column in channels], table, place)
    if table.may_drop_frames and table.times_s is not None and len(values) > 1:
        values, measured = on_even_frames(
            values, table.times_s, max_gap_s=max_gap_s, place=place, place_of=table.place_of, report=report
        )
    else:
        measured = even_rate(table.times_s, place=place, name=table.time_name, place_of=table.place_of)
    rate = _agreed_rate(table, fps, measured, place, fps_name=fps_name)
    return MotionClip(coefficients=values, fps=rate, channel_names=tuple(channels.values()))


def split_time(names: Sequence[str], values: np.ndarray, place: str) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Names and values without the time column, and that column in seconds if there is one.

    Raises:
        MotionError: when there are several.
    """
    time_columns = [column for column, name in enumerate(names) if name.lower() in TIME_NAMES]
    if len(time_columns) > 1:
        raise MotionError(f"{place}: has {len(time_columns)} time columns, expected one called 'time_s'")
    if not time_columns:
        return list(names), values, None
    rest = [column for column in range(len(names)) if column != time_columns[0]]
    return [names[column] for column in rest], values[:, rest], values[:, time_columns[0]]


def require_channels(names: Sequence[str], place: str) -> None:
    """Refuses a file none of whose columns is of a face.

    Raises:
        NoMotionError: names the columns.
    """
    if not any(map(canonical_name, names)):
        shown = ", ".join(names[:8]) or "none"
        raise NoMotionError(f"{place}: no column is named after an ARKit channel such as jawOpen (columns: {shown})")


def checked_rate(value: object, place: str) -> float | None:
    """A frame rate as a file or caller gives it; None stays None.

    Raises:
        MotionError: when it is no positive number.
    """
    if value is None:
        return None
    try:
        rate = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        rate = float("nan")
    if not np.isfinite(rate) or rate <= 0:
        raise MotionError(f"{place}: its frame rate is {value!r}, expected a positive number such as 25, 30 or 60")
    return rate


def _channels(names: Sequence[str], place: str) -> dict[int, str]:
    """Column -> ARKit name."""
    require_channels(names, place)
    channels = {column: known for column, name in enumerate(names) if (known := canonical_name(name))}
    for known in set(channels.values()):
        columns = [names[column] for column, found in channels.items() if found == known]
        if len(columns) > 1:
            raise MotionError(f"{place}: columns {', '.join(columns)} all mean {known}; keep one of them")
    return channels


def _check_values(values: np.ndarray, names: Sequence[str], table: MotionTable, place: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        frame, column = map(int, bad[0])
        raise MotionError(
            f"{place}: {'1 value is' if len(bad) == 1 else f'{len(bad)} values are'} NaN or infinite, the first in "
            f"{table.place_of(frame)}, column '{names[column]}'; repair or drop the clip"
        )
    bad = np.argwhere((values < LOWEST_VALUE) | (values > HIGHEST_VALUE))
    if len(bad):
        frame, column = map(int, bad[0])
        raise MotionError(
            f"{place}: {'1 value lies' if len(bad) == 1 else f'{len(bad)} values lie'} outside "
            f"[{LOWEST_VALUE}, {HIGHEST_VALUE}], the first, "
            f"{values[frame, column]:.6g}, in {table.place_of(frame)}, column '{names[column]}'; "
            f"ARKit weights lie in [0, 1]: {_scaling(float(np.abs(values).max()))}"
        )


def _scaling(largest: float) -> str:
    """What to do with numbers that reach so far."""
    if largest > _LARGEST_BYTE:
        return "this column holds something else, or is damaged; export it again"
    return "divide percentages by 100" if largest <= _PERCENT else f"divide bytes by {_LARGEST_BYTE}"


def _agreed_rate(
    table: MotionTable, given: float | None, measured: float | None, place: str, *, fps_name: str
) -> float:
    """The one rate that file, caller and times agree on; the most exact of them."""
    known = {
        "the file says": checked_rate(table.fps, place),
        f"{fps_name} says": checked_rate(given, place),
        f"{table.time_name} says": measured,
    }
    rates = {source: rate for source, rate in known.items() if rate is not None}
    if not rates:
        remedy = "pass fps" if fps_name == "the caller" else f"give {fps_name}"
        raise MotionError(f"{place}: tells no frame rate (no time_s column, no fps); {remedy}")
    (first, rate), *others = rates.items()
    for source, other in others:
        if abs(other - rate) > _RATE_TOLERANCE * rate:
            raise MotionError(f"{place}: {first} {rate:g} fps but {source} {other:g} fps; correct the wrong one")
    return rate
