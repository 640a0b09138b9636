"""From faces at the presentation times of pictures to motion at a constant rate, cut where the face was lost."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from diffusiontalker.audio import SAMPLE_RATE_HZ, timebase
from diffusiontalker.data.tracking.video import Sound
from diffusiontalker.face import MotionClip

_USUAL_RATES = (24_000 / 1001, 24.0, 25.0, 30_000 / 1001, 30.0, 48.0, 50.0, 60_000 / 1001, 60.0, 120.0)
_STEADY = 0.6
"""Steps between pictures of a video of constant rate differ from their mean by less than this share of it."""
_SNAP = {True: 0.0008, False: 0.03}
"""How near to a usual rate the rate of a steady and of an unsteady video must be to be taken for it; 29.97 and 30 are
0.1 % apart."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FaceTrack:
    """What a tracker saw in one video."""

    times_s: np.ndarray
    """(pictures,) float64, growing: when each picture is shown."""
    is_found: np.ndarray
    """(pictures,) bool: whether a face was found in it."""
    coefficients: np.ndarray
    """(pictures, channels) float32; rows without a face are 0 and mean nothing."""
    channel_names: tuple[str, ...]
    """ARKit names of the columns."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Take:
    """A stretch of a video in which the face was never lost for long: sound and motion that begin together."""

    motion: MotionClip
    """The face at a constant rate."""
    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono."""
    start_s: float
    """Where it begins, in seconds on the video's clock."""
    num_filled: int
    """Pictures inside it without a face, which were interpolated."""


def frame_rate(times_s: Float[np.ndarray, " pictures"]) -> float:
    """The rate that presentation times stand for: their mean rate if steady, else the usual step; 1 for one picture.

    Times are often rounded to milliseconds, so a rate next to a usual one (23.976 to 120 Hz) is taken for it.
    """
    if len(times_s) < 2:
        return 1.0
    steps = np.diff(times_s)
    mean = float(steps.mean())
    is_steady = bool((np.abs(steps - mean) < _STEADY * mean).all())
    rate = 1 / (mean if is_steady else float(np.median(steps)))
    nearest = min(_USUAL_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest - rate) <= _SNAP[is_steady] * rate else round(rate, 3)


def takes(track: FaceTrack, sound: Sound, *, fps: float, max_gap_s: float, min_seconds: float) -> list[Take]:
    """The stretches of a video that can be used, each at a constant rate.

    Args:
        track: what the tracker saw.
        sound: the video's sound; what lies outside of it is cut off.
        fps: rate of the motion, in Hz. Between pictures, and where a picture shows no face, motion is interpolated.
        max_gap_s: longest time without a face that is interpolated; a longer one ends the stretch.
        min_seconds: shorter stretches are left out.
    """
    found = []
    step_s = 1 / frame_rate(track.times_s)
    for first, last in stretches(track.is_found, track.times_s, max_gap_s=max_gap_s):
        inside = slice(first, last + 1)
        take = _take(track, sound, inside=inside, fps=fps, step_s=step_s)
        if take is not None and len(take.waveform) >= min_seconds * SAMPLE_RATE_HZ:
            found.append(take)
    return found


def stretches(
    is_found: Bool[np.ndarray, " pictures"], times_s: Float[np.ndarray, " pictures"], *, max_gap_s: float
) -> list[tuple[int, int]]:
    """First and last picture of each stretch that begins and ends with a face and loses it for `max_gap_s` at most.

    The time without a face is what lies between the end of the last picture with one and the next: one picture without
    a face at 25 Hz is 0.04 s.
    """
    pictures = np.nonzero(is_found)[0]
    if not len(pictures):
        return []
    step_s = 1 / frame_rate(times_s)
    lost = np.nonzero(np.diff(times_s[pictures]) - step_s > max_gap_s + 1e-6)[0]
    firsts, lasts = [pictures[0], *pictures[lost + 1]], [*pictures[lost], pictures[-1]]
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _take(track: FaceTrack, sound: Sound, *, inside: slice, fps: float, step_s: float) -> Take | None:
    times_s, is_found = track.times_s[inside], track.is_found[inside]
    heard = times_s[times_s >= sound.start_s - 0.5 * step_s]  # so that motion begins on a picture
    if not len(heard):
        return None
    begin_s = float(heard[0])
    end_s = min(float(times_s[-1]) + step_s, sound.end_s)
    num_samples = round((end_s - begin_s) * SAMPLE_RATE_HZ)
    if num_samples <= 0:
        return None
    offset = round((begin_s - sound.start_s) * SAMPLE_RATE_HZ)
    waveform = np.zeros(num_samples, dtype=np.float32)
    piece = sound.waveform[max(0, offset) : offset + num_samples]
    waveform[max(0, -offset) : max(0, -offset) + len(piece)] = piece
    target_s = begin_s + np.arange(timebase.motion_frames(num_samples, motion_fps=fps)) / fps
    source_s, rows = times_s[is_found], track.coefficients[inside][is_found]
    columns = [np.interp(target_s, source_s, column) for column in rows.T]
    motion = MotionClip(coefficients=np.stack(columns, axis=1), fps=fps, channel_names=track.channel_names)
    return Take(motion=motion, waveform=waveform, start_s=begin_s, num_filled=int((~is_found).sum()))
