"""What a talker costs, trained or not: parameters, bytes and operations counted exactly, speed measured.

None of it depends on what the weights are, so a network can be turned down without training it.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.evaluation.latency import measure_side_by_side
from diffusiontalker.inference import Bundle, animate

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


def operations_per_s(bundle: Bundle) -> float:
    """Multiplications and additions of matrix products per second of audio, counted in one pass."""
    with FlopCounterMode(display=False) as counter:
        animate(bundle, _waveform())
    return counter.get_total_flops() / _AUDIO_S


def one_core_speeds(bundles: Mapping[str, Bundle], *, repeats: int = 5) -> dict[str, float]:
    """Real-time factors of several bundles on one CPU core, each the median of runs taken in turns."""
    waveform, threads = _waveform(), torch.get_num_threads()
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


def _waveform() -> np.ndarray:
    """Some sound; what is said does not matter."""
    return 0.1 * np.random.default_rng(0).standard_normal(round(_AUDIO_S * SAMPLE_RATE_HZ)).astype(np.float32)
