"""Phonemes to articulator curves: each sound pulls the mouth towards its targets, with a dominance that fades in time.

The curve of articulator p is the dominance-weighted mean of the targets of all sounds,

    F_p(t) = sum_s D_sp(t) T_sp / sum_s D_sp(t),    D_sp(t) = a_sp exp(-theta_p tau_s(t)),

with T_sp `Viseme.targets`, a_sp `Viseme.strengths`, theta_p `_FADE_PER_S`. tau_s(t) is the time from the middle of
sound s; ours differs from the source in being 0 throughout the sound's core (half of a sound, all of a pause but its
edges), so that long vowels and pauses are held. A Hann window of 50 ms then stands for the inertia of the lips.

Source: M. M. Cohen and D. W. Massaro, "Modeling Coarticulation in Synthetic Visual Speech" (1993), dominance functions.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from diffusiontalker.data.synthetic.espeak import Phoneme
from diffusiontalker.data.synthetic.visemes import ARTICULATORS, VISEMES, Viseme, is_stressed, visemes_of

_FINE_HZ = 250
_INERTIA_S = 0.05
_PAUSE_EDGE_S = 0.07
_STRESS_GAIN, _UNSTRESSED_GAIN = 1.15, 0.88
_FADE_PER_S = np.array(
    [{"jaw": 32.0, "closure": 75.0, "pucker": 26.0, "tuck": 55.0}.get(name, 36.0) for name in ARTICULATORS]
)
_STRESSABLE = np.array([name in ("jaw", "spread", "lower", "upper") for name in ARTICULATORS])
_SMALLEST = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """A viseme with the span of time it owns."""

    viseme: str
    """Name in `VISEMES`."""
    start_s: float
    """Seconds."""
    end_s: float
    """Seconds."""
    gain: float = 1.0
    """Scales the openings: above 1 in stressed syllables."""


def sounds_of(phonemes: Sequence[Phoneme], *, duration_s: float) -> list[Sound]:
    """Splits phonemes into visemes, lets voiceless stops close before their burst and fills both ends with silence.

    Args:
        phonemes: in time order.
        duration_s: length of the recording, in seconds.
    """
    first_s = phonemes[0].start_s if phonemes else duration_s
    sounds = [Sound(viseme="silence", start_s=0.0, end_s=first_s)]
    for phoneme in phonemes:
        names = visemes_of(phoneme.symbol)
        gain = _STRESS_GAIN if is_stressed(phoneme.symbol) else _UNSTRESSED_GAIN
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(names) + 1)
        for name, start_s, end_s in zip(names, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            closure_s = min(VISEMES[name].closure_s, 0.45 * (start_s - sounds[-1].start_s))
            sounds[-1] = dataclasses.replace(sounds[-1], end_s=start_s - closure_s)
            sounds.append(Sound(viseme=name, start_s=start_s - closure_s, end_s=end_s, gain=gain))
    if sounds[-1].end_s < duration_s:
        sounds.append(Sound(viseme="silence", start_s=sounds[-1].end_s, end_s=duration_s))
    return list(_merged(sounds))


def articulate(sounds: Sequence[Sound], *, num_frames: int, fps: float) -> Float32[np.ndarray, "frames articulators"]:
    """Curves of `ARTICULATORS` at the frame instants, in [0, 1]."""
    pad_s = _INERTIA_S
    times = np.arange(-pad_s, num_frames / fps + pad_s, 1.0 / _FINE_HZ)
    visemes = [VISEMES[sound.viseme] for sound in sounds]
    gains = np.array([sound.gain for sound in sounds])[:, None]
    targets = _table(visemes, "targets") * np.where(_STRESSABLE, gains, 1.0)
    distance = np.stack([_distance(sound, times) for sound in sounds], axis=1)  # (times, sounds)
    dominance = _table(visemes, "strengths") * np.exp(-distance[:, :, None] * _FADE_PER_S) + _SMALLEST
    curves = (dominance * targets).sum(axis=1) / dominance.sum(axis=1)
    smooth = _smoothed(curves)
    frames = np.arange(num_frames) / fps
    sampled = np.stack([np.interp(frames, times, column) for column in smooth.T], axis=1)
    return np.clip(sampled, 0.0, 1.0).astype(np.float32)


def _merged(sounds: Sequence[Sound]) -> Iterator[Sound]:
    """Joins neighbouring silences and drops sounds without duration."""
    pending: Sound | None = None
    for sound in sounds:
        if sound.end_s <= sound.start_s:
            continue
        if pending is not None and pending.viseme == sound.viseme == "silence":
            pending = dataclasses.replace(pending, end_s=sound.end_s)
            continue
        if pending is not None:
            yield pending
        pending = sound
    if pending is not None:
        yield pending


def _distance(sound: Sound, times: np.ndarray) -> np.ndarray:
    half_s = (sound.end_s - sound.start_s) / 2
    core_s = max(half_s - _PAUSE_EDGE_S, half_s / 2) if sound.viseme == "silence" else half_s / 2
    return np.maximum(np.abs(times - (sound.start_s + sound.end_s) / 2) - core_s, 0.0)


def _table(visemes: Sequence[Viseme], field: str) -> np.ndarray:
    rows = [(getattr(viseme, field), viseme.strength if field == "strengths" else 0.0) for viseme in visemes]
    return np.array([[values.get(name, default) for name in ARTICULATORS] for values, default in rows])


def _smoothed(curves: np.ndarray) -> np.ndarray:
    window = np.hanning(round(_INERTIA_S * _FINE_HZ) + 2)[1:-1]
    window /= window.sum()
    half = len(window) // 2
    padded = np.pad(curves, ((half, len(window) - 1 - half), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)
