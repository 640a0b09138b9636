"""What is checked about a paired recording before it enters a corpus; each check says what to do about a failure.

Every function raises `CorpusError` with a reason that does not repeat the clip's name, which the caller knows.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from diffusiontalker.audio import timebase
from diffusiontalker.data.clip import Clip, CorpusError
from diffusiontalker.data.corpus_writer import EncodedClip
from diffusiontalker.face.motion import MotionClip
from diffusiontalker.face.readers import HIGHEST_VALUE, LOWEST_VALUE

_SILENT_PEAK = 1e-3
"""Peak below which a recording holds no speech: -60 dB of full scale."""
_STILL_RANGE = 1e-4
"""A channel moves when its range in a clip exceeds this."""
_USUAL_FPS = (24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 120.0)


def check_audible(waveform: Float32[np.ndarray, "samples"]) -> None:
    """Refuses a recording without sound."""
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak < _SILENT_PEAK:
        raise CorpusError(
            f"audio is silent (peak {peak:.1g} of full scale, expected at least {_SILENT_PEAK:g}); record it again or "
            "drop the clip"
        )


def check_range(motion: MotionClip, *, tolerance: float, place: str = "") -> None:
    """Refuses coefficients outside [-tolerance, 1 + tolerance].

    Args:
        motion: as read.
        tolerance: how far coefficients may lie outside [0, 1].
        place: what messages call its file.
    """
    outside = np.maximum(motion.coefficients - 1.0, -motion.coefficients)
    frame, channel = np.unravel_index(outside.argmax(), outside.shape)
    if outside[frame, channel] > tolerance:
        raise CorpusError(
            f"{place}{': ' if place else ''}motion reaches {motion.coefficients[frame, channel]:.3g} in channel "
            f"{motion.channel_names[channel]} at {frame / motion.fps:.2f} s (frame {frame} counted from 0, frames that "
            f"were filled in included), expected [0, 1]; files may hold {LOWEST_VALUE:g} to {HIGHEST_VALUE:g}, as "
            f"trackers overshoot, but a corpus takes {tolerance:g} beyond [0, 1] at most: rescale the channel, or "
            "raise --range-tolerance"
        )


def check_drift(motion: MotionClip, waveform: Float32[np.ndarray, "samples"], *, max_drift_s: float) -> None:
    """Refuses a pair whose sound and motion differ in length by more than `max_drift_s` and half a frame.

    Half a frame is what a correct export can be off, as lengths are whole frames.
    """
    seconds = len(waveform) / timebase.SAMPLE_RATE_HZ
    limit_s = max_drift_s + 0.5 / motion.fps
    if abs(motion.duration_s - seconds) > limit_s:
        fitting = [rate for rate in _USUAL_FPS if abs(motion.num_frames / rate - seconds) <= limit_s]
        hint = f"at {' or '.join(f'{rate:g}' for rate in fitting)} fps it would fit"
        per_second = f"it has {motion.num_frames / seconds:.3g} frames per second of the sound"
        raise CorpusError(
            f"motion lasts {motion.duration_s:.2f} s but audio {seconds:.2f} s (limit {limit_s:.3f} s: {max_drift_s:g} "
            f"s and half a frame at {motion.fps:g} fps); {hint if fitting else per_second}; correct its rate or the "
            "pairing, re-export the pair, or raise --max-drift-s"
        )


def is_still(motion: MotionClip) -> bool:
    """Whether no channel moves at all, as after a tracker that lost the face."""
    return bool((np.ptp(motion.coefficients, axis=0) <= _STILL_RANGE).all())


def content_keys(clip: Clip) -> tuple[tuple[str, str], ...]:
    """(`audio`, digest) and, if it moves, (`motion`, digest) of a clip."""
    content = {"audio": clip.waveform}
    if not is_still(clip.motion):
        content["motion"] = clip.motion.coefficients
    return tuple((kind, hashlib.sha256(array.tobytes()).hexdigest()) for kind, array in content.items())


class ContentRegistry:
    """Finds the same sound or the same motion under two names, by what `content_keys` says of each clip."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[str, str]] = {}

    def check(self, clip: Clip | EncodedClip, content: Sequence[tuple[str, str]]) -> None:
        """Refuses a clip that another split already has: testing on training data."""
        for key in content:
            other_id, other_split = self._first.get(key, (clip.clip_id, clip.split))
            if other_split != clip.split:
                raise CorpusError(
                    f"{key[0]} is identical to that of clip '{other_id}' in split {other_split}, this one is in "
                    f"{clip.split}; keep it in one split"
                )

    def add(self, clip: Clip | EncodedClip, content: Sequence[tuple[str, str]]) -> list[str]:
        """Remembers a clip; returns a warning for each part of it that an earlier clip has too."""
        warnings = []
        for key in content:
            if key in self._first:
                warnings.append(f"{key[0]} is identical to that of clip '{self._first[key][0]}'")
            self._first.setdefault(key, (clip.clip_id, clip.split))
        return warnings
