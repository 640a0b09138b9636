"""What a talker costs, trained or not: parameters, bytes and operations counted exactly, speed measured.

None of it depends on what the weights are, so a network can be turned down without training it.
"""

import dataclasses
from collections.abc import Mapping

import torch

from diffusiontalker.evaluation.counting import count_animation, noise
from diffusiontalker.evaluation.latency import measure_side_by_side
from diffusiontalker.inference import AnimationError, Bundle, StreamingTalker, animate

_AUDIO_S = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Size and speed of a talker at its bundle's number of steps."""

    parameters: int
    file_bytes: int
    """Bytes of the files that animation needs, as stored."""
    operations_per_s: float
    """Multiplications and additions of matrix products per second of audio."""
    rtf: float
    """Compute seconds per second of audio on one CPU core, one stream."""
    look_ahead_s: float | None
    """Seconds of sound beyond a frame's instant that a live stream waits for; None: it cannot stream."""


def operations_per_s(bundle: Bundle) -> float:
    """Multiplications and additions of matrix products per second of audio, whatever the bundle's engine."""
    return count_animation(bundle, seconds=_AUDIO_S).operations / _AUDIO_S


def look_ahead_s(bundle: Bundle) -> float | None:
    """Seconds of sound beyond a frame's instant that a live stream waits for; None for what cannot stream."""
    try:
        return round(StreamingTalker(bundle, max_streams=1).look_ahead_s(), 9)
    except AnimationError:
        return None


def one_core_speeds(bundles: Mapping[str, Bundle], *, repeats: int = 5) -> dict[str, float]:
    """Real-time factors of several bundles on one CPU core, each the median of runs taken in turns."""
    waveform, threads = noise(_AUDIO_S), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = measure_side_by_side(
            {name: lambda bundle=bundle: animate(bundle, waveform) for name, bundle in bundles.items()},
            audio_seconds=_AUDIO_S,
            repeats=repeats,
        )
    finally:
        torch.set_num_threads(threads)
    return {name: latency.rtf for name, latency in measured.items()}
