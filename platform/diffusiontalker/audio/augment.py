"""Waveform augmentation for training: gain, noise, and pitch-and-speed change by resampling.

Speed changes move the sound in time, so the caller must stretch the motion by the same factor.
"""

import dataclasses

import numpy as np
import soxr
from jaxtyping import Float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How training sound is varied. Probabilities are per window."""

    speed_probability: float = 0.3
    """Chance that a window is played faster or slower (pitch moves with it)."""
    max_speed_change: float = 0.12
    """Largest relative speed change; 0.12 moves the pitch by up to 2 semitones."""
    noise_probability: float = 0.3
    """Chance of added white noise."""
    noise_snr_db: tuple[float, float] = (15.0, 40.0)
    """Range of the signal-to-noise ratio in dB."""
    gain_db: float = 6.0
    """Largest gain change, up or down, in dB."""
    muted_probability: float = 0.02
    """Chance that a window is silenced and its face held in the pose of its clip's quietest frame (waveforms only)."""
    mirror_probability: float = 0.3
    """Chance that the face is mirrored left to right."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for field in ("speed_probability", "noise_probability", "muted_probability", "mirror_probability"):
            value = getattr(self, field)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{field} is {value}, expected a probability between 0 and 1")
        if not 0.0 <= self.max_speed_change < 0.5:
            raise ValueError(f"max_speed_change is {self.max_speed_change}, expected 0 to 0.5")


def change_speed(waveform: Float[np.ndarray, " samples"], factor: float) -> Float[np.ndarray, " changed"]:
    """Plays the waveform `factor` times faster; the result has about `samples / factor` samples."""
    return soxr.resample(waveform, factor, 1.0, quality="LQ").astype(np.float32)


def add_noise(
    waveform: Float[np.ndarray, " samples"], *, snr_db: float, generator: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Adds white noise at a signal-to-noise ratio measured over the whole window (at least 0.001)."""
    level = max(float(np.sqrt(np.mean(np.square(waveform)))), 1e-3)
    noise = generator.standard_normal(len(waveform)).astype(np.float32)
    return waveform + noise * np.float32(level * 10.0 ** (-snr_db / 20.0))


def change_gain(waveform: Float[np.ndarray, " samples"], *, gain_db: float) -> Float[np.ndarray, " samples"]:
    """Scales the waveform by a gain in dB."""
    return waveform * np.float32(10.0 ** (gain_db / 20.0))
