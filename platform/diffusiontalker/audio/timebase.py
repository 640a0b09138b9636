"""All arithmetic between seconds, samples and frames; one rounding rule, used everywhere.

The rule: frame `i` of a stream at rate `r` is valid at the instant `i / r`, and a signal of `n` items at rate `a`
has `ceil(n / a * r - 1e-6)` frames at rate `r` (every started frame counts; the small tolerance absorbs float error),
at least one. Resampling therefore never drops sound, and a round trip never loses a frame; over a lower rate it may
add some: 355 frames at 60 are 148 at 25, and those are 356 at 60.
"""

import math

import numpy as np

SAMPLE_RATE_HZ = 16_000
"""Rate of every waveform inside the package."""

SPEECH_FPS = 50
"""Rate of speech features, in frames per second."""

_TOLERANCE = 1e-6


def num_frames(length: int, *, rate_hz: float, fps: float) -> int:
    """Frames at `fps` that cover `length` items at `rate_hz`; 0 only for length 0."""
    if length <= 0:
        return 0
    return max(1, math.ceil(length * (fps / rate_hz) - _TOLERANCE))


def motion_frames(num_samples: int, *, motion_fps: float) -> int:
    """Motion frames that cover `num_samples` samples at 16 kHz."""
    return num_frames(num_samples, rate_hz=SAMPLE_RATE_HZ, fps=motion_fps)


def speech_frames(num_samples: int) -> int:
    """Speech feature frames (50 Hz) that cover `num_samples` samples at 16 kHz."""
    return num_frames(num_samples, rate_hz=SAMPLE_RATE_HZ, fps=SPEECH_FPS)


def speech_positions(num_samples: int, *, start_s: float) -> np.ndarray:
    """(speech_frames,) positions among the features of a whole sound that cover `num_samples` samples from `start_s`.

    They are fractional where the stretch does not begin on a frame of features.
    """
    return start_s * SPEECH_FPS + np.arange(speech_frames(num_samples))


def samples_of_frames(frames: int, *, fps: float) -> int:
    """Samples at 16 kHz that `frames` frames last, to the nearest sample."""
    return round(frames * SAMPLE_RATE_HZ / fps)


def interpolation(
    target_frames: int, *, target_fps: float, source_frames: int, source_fps: float, first_frame: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Linear interpolation from one frame grid to another, for `target_frames` frames from `first_frame` on.

    Returns:
        `(lower, weight)`, each (target_frames,): sample `i` is `(1 - weight) * x[lower] + weight * x[lower + 1]`;
        positions past the last source frame hold it (`lower + 1` is then clipped by the caller via `weight = 0`).
    """
    position = np.arange(first_frame, first_frame + target_frames, dtype=np.float64) * (source_fps / target_fps)
    position = np.minimum(position, source_frames - 1)
    lower = np.floor(position + _TOLERANCE).astype(np.int64)
    weight = np.maximum(position - lower, 0.0)
    weight[weight < _TOLERANCE] = 0.0
    return lower, weight.astype(np.float32)
