"""CSV files with one row per frame: ours (`time_s` and channel names) and the recordings of Live Link Face.

Live Link Face, Epic's app: `Timecode,BlendshapeCount`, 52 shapes and, if asked for, 9 rotations. The timecode is
`HH:MM:SS:FF.sss`, where the last number counts frames and parts of them.
"""

import csv
import dataclasses
import io
import math
import re
from collections.abc import Sequence

import numpy as np

from diffusiontalker.face.arkit import canonical_name
from diffusiontalker.face.csv_text import csv_problem
from diffusiontalker.face.live_link import DEFAULT_TIMECODE_RATE, NUM_VALUES, PACKET_CHANNELS, timecode_rate
from diffusiontalker.face.motion import MotionError
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import TIME_NAMES, MotionTable, require_channels, split_time

_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}):(\d{1,3}(?:\.\d*)?)")
_COUNTS = (len(PACKET_CHANNELS), NUM_VALUES)
_DAY_S = 24 * 3600


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sheet:
    """The cells of a CSV file."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    """The line that each row ends in, from 1."""


def read_csv(source: MotionSource) -> MotionTable:
    """A CSV file of either kind: that of Live Link Face has a column `Timecode` that no number stands in.

    (The `timeCode` of Audio2Face's services is in seconds.)
    """
    sheet = _sheet(source)
    timecode = _column(sheet, "timecode")
    if timecode is not None and not _is_number(sheet.rows[0][timecode]):
        return _live_link(sheet, source)
    wanted = [column for column, cell in enumerate(sheet.header) if canonical_name(cell) or cell.lower() in TIME_NAMES]
    values = _numbers(sheet, wanted, source.place)
    names, values, times_s = split_time([sheet.header[column] for column in wanted], values, source.place)
    return MotionTable(names=names, values=values, times_s=times_s, rows=sheet.lines, row_word="line")


def read_live_link(source: MotionSource) -> MotionTable:
    """A recording of Live Link Face.

    Raises:
        MotionError: also when the columns Timecode and BlendshapeCount are missing.
    """
    return _live_link(_sheet(source), source)


def _live_link(sheet: _Sheet, source: MotionSource) -> MotionTable:
    """Rows whose count is 0, where the face was lost, become gaps."""
    place = source.place
    timecode, count = _column(sheet, "timecode"), _column(sheet, "blendshapecount")
    if timecode is None or count is None:
        raise MotionError(
            f"{place}: has no column {'Timecode' if timecode is None else 'BlendshapeCount'}, which recordings of Live "
            f"Link Face have (columns: {', '.join(sheet.header[:8])}); name its format, or export it again"
        )
    counts = [_count(row[count], line, place) for row, line in zip(sheet.rows, sheet.lines, strict=True)]
    tracked = [index for index, number in enumerate(counts) if number]
    if not tracked:
        raise MotionError(f"{place}: no frame holds a face (BlendshapeCount is 0 in every line); record it again")
    sheet = _Sheet(
        header=sheet.header,
        rows=[sheet.rows[index] for index in tracked],
        lines=[sheet.lines[index] for index in tracked],
    )
    seconds, frames = _timecodes([row[timecode] for row in sheet.rows], sheet.lines, place)
    rate, notes = _shown_rate(seconds, frames), []
    if rate is None:
        rate = _assumed_rate(frames, source.fps)
        if source.fps is None and len(frames) > 1:
            notes.append(
                f"{place}: is too short to show how many frames a second of its timecode has; taken to be {rate}, "
                "give its frame rate if it is another"
            )
    wanted = [column for column, cell in enumerate(sheet.header) if canonical_name(cell)]
    return MotionTable(
        names=[sheet.header[column] for column in wanted],
        values=_numbers(sheet, wanted, place),
        times_s=_unwrapped(seconds + frames / rate),
        time_name="Timecode",
        rows=sheet.lines,
        row_word="line",
        may_drop_frames=True,
        notes=notes,
    )


def _sheet(source: MotionSource) -> _Sheet:
    if problem := csv_problem(source.content):
        raise MotionError(f"{source.place}: {problem}")
    reader = csv.reader(io.StringIO(source.text("CSV"), newline=""))
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise MotionError(f"{source.place}: cannot be read as CSV: line {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise MotionError(f"{source.place}: holds no frames; expected a line of channel names, then one line per frame")
    header = [cell.strip() for cell in rows[0]]
    require_channels(header, source.place)
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(header):
            raise MotionError(
                f"{source.place}: line {line} has {len(row)} cells, the header {len(header)}; repair the line"
            )
    return _Sheet(header=header, rows=rows[1:], lines=lines[1:])


def _column(sheet: _Sheet, name: str) -> int | None:
    return next((column for column, cell in enumerate(sheet.header) if cell.lower() == name), None)


def _numbers(sheet: _Sheet, wanted: Sequence[int], place: str) -> np.ndarray:
    values = np.empty((len(sheet.rows), len(wanted)))
    for index, row in enumerate(sheet.rows):
        try:
            values[index] = [float(row[column]) for column in wanted]
        except ValueError:
            column = next(column for column in wanted if not _is_number(row[column]))
            raise MotionError(
                f"{place}: line {sheet.lines[index]}, column '{sheet.header[column]}' is '{row[column]}', "
                f"expected a number{' with a decimal point' if ',' in row[column] else ''}"
            ) from None
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _count(cell: str, line: int, place: str) -> int:
    if cell.strip() not in ("0", *map(str, _COUNTS)):
        raise MotionError(
            f"{place}: line {line}, column 'BlendshapeCount' is '{cell}', expected 61, 52 (no rotations) or 0 (no face)"
        )
    return int(cell)


def _timecodes(cells: Sequence[str], lines: Sequence[int], place: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the day, and frames since that second."""
    seconds, frames = np.empty(len(cells)), np.empty(len(cells))
    for index, (cell, line) in enumerate(zip(cells, lines, strict=True)):
        match = _TIMECODE.fullmatch(cell.strip())
        hour, minute, second = map(int, match.groups()[:3]) if match else (24, 0, 0)
        if match is None or hour > 23 or minute > 59 or second > 59:
            raise MotionError(
                f"{place}: line {line}, column 'Timecode' is '{cell}', expected hours:minutes:seconds:frames such as "
                "14:03:52:28.207"
            )
        seconds[index], frames[index] = 3600 * hour + 60 * minute + second, float(match[4])
    return seconds, frames


def _shown_rate(seconds: np.ndarray, frames: np.ndarray) -> int | None:
    """Frames that a second of the timecode has, as the step into each new second shows; None where none does."""
    elapsed, steps = np.diff(seconds) % _DAY_S, np.diff(frames)
    if not (elapsed == 0).any() or not (elapsed == 1).any():
        return None
    step = np.median(steps[elapsed == 0])
    shown = float(np.median((step - steps)[elapsed == 1]))
    return timecode_rate(max(shown - 0.5, math.floor(frames.max()) + 1))


def _assumed_rate(frames: np.ndarray, fps: float | None) -> int:
    """The same where the timecode does not show it: what fits the caller's rate, or the app's own."""
    least = math.floor(frames.max()) + 1
    step = float(np.median(np.diff(frames))) if len(frames) > 1 else 1.0
    asked = DEFAULT_TIMECODE_RATE if fps is None or step <= 0 else round(fps * step)
    return asked if asked >= least else timecode_rate(least)


def _unwrapped(times_s: np.ndarray) -> np.ndarray:
    """Times that go on growing past midnight."""
    is_midnight = np.diff(times_s, prepend=times_s[0]) < -_DAY_S / 2
    return times_s + _DAY_S * np.cumsum(is_midnight)
