"""From the times of frames to a frame rate, and from recordings with dropped frames to an even grid."""

from collections.abc import Callable

import numpy as np

from diffusiontalker.face.motion import MotionError

MAX_GAP_S = 0.25
"""Longest gap in a recording that is filled by interpolation, in seconds, unless asked otherwise: a blink lasts about
this long, so anything might have happened in a longer one."""

_UNEVEN = 0.25
"""Largest deviation of a step from the average one, as a share of it, that still counts as even."""
_WHOLE_RATE = 5e-4
"""Rates this close to a whole number are that number; 29.97 and its relatives are twice as far away."""
_WAVERING_RATE = 0.02
"""The same where times waver."""
_LOWEST_RATE, _HIGHEST_RATE = 1, 1000
"""Of recordings: beyond these, times are in another unit, and filling a gap would take all memory."""
_JITTER = 0.1
"""Deviation from the grid, in frames, up to which a frame counts as being on it."""


def even_rate(times_s: np.ndarray | None, *, place: str, name: str, place_of: Callable[[int], str]) -> float | None:
    """Rate of evenly spaced times; None without times, and for a single frame, which has none.

    Raises:
        MotionError: names the first row that is not finite, or whose step differs by more than a quarter.
    """
    if times_s is None:
        return None
    _check_finite(times_s, place=place, name=name, place_of=place_of)
    if len(times_s) < 2:
        return None
    steps = np.diff(times_s)
    step = float((times_s[-1] - times_s[0]) / (len(times_s) - 1))
    wrong = np.nonzero(np.abs(steps - step) > _UNEVEN * abs(step))[0] if step > 0 else np.array([0])
    if len(wrong):
        frame = int(wrong[0]) + 1
        raise MotionError(
            f"{place}: {name} steps from {times_s[frame - 1]:g} to {times_s[frame]:g} s at {place_of(frame)}, "
            f"expected even, growing steps (here {step:.6g} s on average); resample the clip to a fixed rate"
        )
    return _tidy(1.0 / step)


def on_even_frames(
    values: np.ndarray,
    times_s: np.ndarray,
    *,
    max_gap_s: float,
    place: str,
    place_of: Callable[[int], str],
    report: Callable[[str], None],
) -> tuple[np.ndarray, float]:
    """The frames of a recording on an even grid from its first frame on; dropped ones are interpolated linearly.

    Frames that all lie on the grid keep their values exactly; where they waver by more than a tenth of a frame, all are
    interpolated onto it.

    Args:
        values: (frames, columns), at least two frames.
        times_s: (frames,) seconds.
        max_gap_s: longest gap that is filled.
        place: what messages call the file.
        place_of: where a frame stands in the file.
        report: told how many frames were filled and where.

    Returns:
        (as many or more frames, columns) and the rate of the grid, which is that of frames without a gap between them.

    Raises:
        MotionError: for times that do not grow or are not in seconds, and for a longer gap.
    """
    _check_finite(times_s, place=place, name="its time", place_of=place_of)
    steps = np.diff(times_s)
    if (steps <= 0).any():
        frame = int(np.argmax(steps <= 0)) + 1
        raise MotionError(
            f"{place}: time goes from {times_s[frame - 1]:.4f} to {times_s[frame]:.4f} s at {place_of(frame)}, "
            "expected growing times; sort the rows or keep one take per file"
        )
    rate = _typical_rate(times_s, steps)
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise MotionError(
            f"{place}: its frames are {1 / rate:.3g} s apart, that is {rate:.3g} fps, expected {_LOWEST_RATE} to "
            f"{_HIGHEST_RATE} fps; are its times in seconds?"
        )
    missing = np.round(steps * rate).astype(int) - 1
    gaps = np.nonzero(missing > 0)[0]
    if len(gaps):
        longest = int(gaps[np.argmax(steps[gaps])])
        if missing[longest] / rate > max_gap_s:
            raise MotionError(
                f"{place}: {missing[longest]} frames ({missing[longest] / rate:.2f} s) are missing before "
                f"{place_of(longest + 1)}, at most {max_gap_s:g} s are filled; cut the recording there, or allow "
                "longer gaps"
            )
        report(
            f"{place}: dropped frames were filled by interpolation: {missing[gaps].sum()} in all, gaps: {len(gaps)}, "
            f"the longest {missing[longest] / rate:.2f} s before {place_of(longest + 1)}"
        )
    positions = (times_s - times_s[0]) * rate
    nearest = np.round(positions)
    is_steady = np.abs(positions - nearest).max() <= _JITTER and (np.diff(nearest) > 0).all()
    grid = np.arange(int(nearest[-1]) + 1)
    columns = [np.interp(grid, nearest if is_steady else positions, column) for column in values.T]
    return np.stack(columns, axis=1), rate


def _typical_rate(times_s: np.ndarray, steps: np.ndarray) -> float:
    """Rate of the frames that follow each other without a gap.

    Where times waver it is a whole number if one is near: they are then interpolated anyway.
    """
    single = steps < 1.5 * np.median(steps)
    rate = float(single.sum() / steps[single].sum())
    frames = np.maximum(np.round(steps * rate), 1.0)
    if np.abs(steps * rate - frames).max() > _JITTER:
        return _tidy(rate, tolerance=_WAVERING_RATE)
    return _tidy(float(frames.sum() / (times_s[-1] - times_s[0])))


def _tidy(rate: float, *, tolerance: float = _WHOLE_RATE) -> float:
    return float(round(rate)) if abs(rate - round(rate)) < tolerance * rate else rate


def _check_finite(times_s: np.ndarray, *, place: str, name: str, place_of: Callable[[int], str]) -> None:
    if not np.isfinite(times_s).all():
        frame = int(np.argmax(~np.isfinite(times_s)))
        raise MotionError(f"{place}: {name} is {times_s[frame]} in {place_of(frame)}; expected seconds")
