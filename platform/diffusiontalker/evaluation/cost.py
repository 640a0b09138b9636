"""What a talker costs before it is trained: parameters, bytes and operations counted exactly, speed measured.

None of it depends on what the weights are, so a network can be turned down without training it.
"""

import dataclasses

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.evaluation.latency import measure_rtf
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
    """Compute seconds per second of audio on one CPU core, one stream: median of `repeats`."""


def cost_of(bundle: Bundle, *, repeats: int = 5) -> Cost:
    """Counts and times a bundle on the CPU, whatever its weights are."""
    waveform = 0.1 * np.random.default_rng(0).standard_normal(round(_AUDIO_S * SAMPLE_RATE_HZ)).astype(np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with FlopCounterMode(display=False) as counter:
            animate(bundle, waveform)
        latency = measure_rtf(lambda: animate(bundle, waveform), audio_seconds=_AUDIO_S, repeats=repeats)
    finally:
        torch.set_num_threads(threads)
    return Cost(
        parameters=bundle.parameters,
        file_bytes=bundle.file_bytes,
        operations_per_s=counter.get_total_flops() / _AUDIO_S,
        rtf=latency.rtf,
    )
