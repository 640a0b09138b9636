"""What is checked about a paired recording before it enters a corpus; each check says what to do about a failure.

Every function raises `CorpusError` with a reason that does not repeat the clip's name, which the caller knows.
"""

import hashlib

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import timebase
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip

_SILENT_PEAK = 1e-3
"""Peak below which a recording holds no speech: -60 dB of full scale."""
_STILL_RANGE = 1e-4
"""A channel moves when its range in a clip exceeds this."""


def check_audible(waveform: Float32[np.ndarray, "samples"]) -> None:
    """Refuses a recording without sound."""
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak < _SILENT_PEAK:
        raise CorpusError(
            f"audio is silent (peak {peak:.1g} of full scale, expected at least {_SILENT_PEAK:g}); record it again or "
            "drop the clip"
        )


def check_channels(motion: MotionClip) -> None:
    """Refuses motion without any ARKit channel."""
    if not set(motion.channel_names) & set(CHANNELS):
        raise CorpusError(
            f"motion has the columns {', '.join(motion.channel_names[:5])}, none of them an ARKit channel; name the "
            f"columns {', '.join(CHANNELS[:3])}, ..., {CHANNELS[-1]}"
        )


def check_range(motion: MotionClip, *, tolerance: float) -> None:
    """Refuses coefficients outside [-tolerance, 1 + tolerance]."""
    outside = np.maximum(motion.coefficients - 1.0, -motion.coefficients)
    frame, channel = np.unravel_index(outside.argmax(), outside.shape)
    if outside[frame, channel] > tolerance:
        value = float(motion.coefficients[frame, channel])
        hint = "divide percentages by 100" if value > 10 else "repair it or raise range_tolerance"
        raise CorpusError(
            f"motion reaches {value:.3g} in channel {motion.channel_names[channel]} at frame {frame}, expected [0, 1] "
            f"(tolerance {tolerance:g}); {hint}"
        )


def check_drift(motion: MotionClip, waveform: Float32[np.ndarray, "samples"], *, max_drift_s: float) -> None:
    """Refuses a pair whose sound and motion differ in length by more than `max_drift_s` and half a frame.

    Half a frame is what a correct export can be off, as lengths are whole frames.
    """
    seconds = len(waveform) / timebase.SAMPLE_RATE_HZ
    limit_s = max_drift_s + 0.5 / motion.fps
    if abs(motion.duration_s - seconds) > limit_s:
        raise CorpusError(
            f"motion lasts {motion.duration_s:.2f} s but audio {seconds:.2f} s (limit {limit_s:.3f} s at "
            f"{motion.fps:g} fps); correct fps or the pairing, re-export the pair, or raise max_drift_s"
        )


def is_still(motion: MotionClip) -> bool:
    """Whether no channel moves at all, as after a tracker that lost the face."""
    return bool((np.ptp(motion.coefficients, axis=0) <= _STILL_RANGE).all())


class ContentRegistry:
    """Finds the same sound or the same motion under two names."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str]] = {}

    def register(self, *, clip_id: str, split: str, waveform: np.ndarray, motion: MotionClip) -> str | None:
        """Remembers a clip's content.

        Returns:
            A warning when a clip of the same split has the same sound or motion, else None.

        Raises:
            CorpusError: when a clip of another split has it: training on test data.
        """
        content = {"audio": waveform}
        if not is_still(motion):
            content["motion"] = motion.coefficients
        keys = {kind: kind + hashlib.sha256(array.tobytes()).hexdigest() for kind, array in content.items()}
        warning = None
        for kind, key in keys.items():
            other, other_split = self._first.get(key, (clip_id, split))
            if other_split != split:
                raise CorpusError(
                    f"{kind} is identical to that of clip '{other}' in split {other_split}, this one is in {split}; "
                    "keep it in one split"
                )
            if other != clip_id:
                warning = f"{kind} is identical to that of clip '{other}' in the same split"
        for key in keys.values():
            self._first.setdefault(key, (clip_id, split))
        return warning
