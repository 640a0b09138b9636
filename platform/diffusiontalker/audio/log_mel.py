"""Log-mel spectrograms at 100 frames per second: the input of every encoder trained from scratch.

Frame `i` is centred on sample `160 * i`, so it looks 12.5 ms ahead; padding at the ends is silence. Nothing is
normalized per clip: a frame never depends on sound outside its 25 ms window, so streaming can equal one-shot.
Source: HTK mel scale (2595 log10(1 + f / 700)); triangular filters of unit height over the power spectrum.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from diffusiontalker.audio import timebase
from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ

NUM_MELS = 80
MEL_FPS = 2 * timebase.SPEECH_FPS
"""Mel frames per second: two for each speech frame."""
HOP_SAMPLES = SAMPLE_RATE_HZ // MEL_FPS
WINDOW_SAMPLES = 400
_FFT_SIZE = 512
_AT_ONCE = 1024
"""Windows whose spectra are computed together on a CPU."""
_FLOOR = 1e-5
_CENTRE, _SPREAD = -6.0, 4.0  # log power of conversational speech: brings features near zero mean, unit spread


def log_mel(
    waveforms: Float[Tensor, "batch samples"], *, num_mels: int = NUM_MELS
) -> Float[Tensor, "batch mels num_mels"]:
    """Log-mel frames, two for each 50 Hz speech frame: `mels = 2 * timebase.speech_frames(samples)`.

    Args:
        waveforms: mono, 16 kHz, in [-1, 1].
        num_mels: bands between 0 and 8 kHz.
    """
    frames = 2 * timebase.speech_frames(waveforms.shape[-1])
    left = WINDOW_SAMPLES // 2
    right = max(0, (frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES - left - waveforms.shape[-1])
    padded = torch.nn.functional.pad(waveforms, (left, right))
    return log_mel_of_windows(padded.unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES)[:, :frames], num_mels=num_mels)


def log_mel_of_windows(
    windows: Float[Tensor, "batch mels window"], *, num_mels: int = NUM_MELS
) -> Float[Tensor, "batch mels num_mels"]:
    """One mel frame for each stretch of `WINDOW_SAMPLES` samples, in whose middle it stands."""
    if windows.device.type != "cpu":
        return _log_mel(windows, num_mels)
    # A few at a time, whose spectra stay in the cache: 1.6 times faster on a CPU (18.5 -> 11.9 ms), in bounded memory.
    rows = max(1, _AT_ONCE // max(1, windows.shape[1]))
    parts = [
        torch.cat([_log_mel(part, num_mels) for part in clips.split(_AT_ONCE, dim=1)], dim=1)
        for clips in windows.split(rows)
    ]
    return torch.cat(parts)


def _log_mel(windows: Tensor, num_mels: int) -> Tensor:
    spectrum = torch.fft.rfft(windows * _window(windows.device), n=_FFT_SIZE)
    power = spectrum.real.square() + spectrum.imag.square()
    energy = power @ _filters(num_mels, windows.device)
    return (energy.clamp_min(_FLOOR).log() - _CENTRE) / _SPREAD


@functools.lru_cache(maxsize=8)
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW_SAMPLES, periodic=False, device=device)


@functools.lru_cache(maxsize=8)
def _filters(num_mels: int, device: torch.device) -> Tensor:
    """(bins, num_mels) triangular filters."""
    top = 2595.0 * math.log10(1.0 + SAMPLE_RATE_HZ / 2 / 700.0)
    edges_hz = 700.0 * (10.0 ** (torch.linspace(0.0, top, num_mels + 2, dtype=torch.float64) / 2595.0) - 1.0)
    bins_hz = torch.arange(_FFT_SIZE // 2 + 1, dtype=torch.float64)[:, None] * (SAMPLE_RATE_HZ / _FFT_SIZE)
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.minimum(rising, falling).clamp_min(0.0).float().to(device)
