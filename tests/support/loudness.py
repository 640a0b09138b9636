"""How loud a sound is at the frames of a motion."""

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import timebase

_FLOOR_DB = -50.0


def loudness_db(
    waveform: Float32[np.ndarray, "samples"], *, num_frames: int, motion_fps: float
) -> Float32[np.ndarray, "frames"]:
    """Loudness at the motion frames, in dB below the loudest of them, floored at -50 dB."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    half = timebase.SAMPLE_RATE_HZ / motion_fps / 2
    centres = np.arange(num_frames) * (2 * half)
    first, last = (np.clip(np.rint(centres + side), 0, len(waveform)).astype(int) for side in (-half, half))
    power = (energy[last] - energy[first]) / np.maximum(last - first, 1)
    loudest = max(float(power.max(initial=0.0)), 1e-12)
    return np.maximum(10.0 * np.log10(power / loudest + 1e-12), _FLOOR_DB).astype(np.float32)
