"""Sounds to a whole face: mouth from the articulators, brows, eyes and corners from speaker, emotion and chance.

The mouth follows the speech alone. The upper face has seeded randomness of its own (blinks, gaze, which stressed
syllable raises the brows, slow drift), as real faces do: the same sound has many right answers there.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from diffusiontalker.data.synthetic.coarticulation import Sound, articulate
from diffusiontalker.data.synthetic.performers import Emotion, Speaker
from diffusiontalker.data.synthetic.visemes import ARTICULATORS
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip

Curves = dict[str, np.ndarray]
"""Channel name -> (frames,) curve; names without a side stand for both sides."""

_BLINK_CLOSING_S, _BLINK_OPENING_S, _BLINK_PAUSE_S = 0.08, 0.16, 0.35
_ACCENT_WIDTH_S = 0.11
_SACCADE_S = 0.04
_MEAN_FIXATION_S = 0.9
_DRIFT = {"browInnerUp": 0.035, "browOuterUp": 0.025, "browDown": 0.025, "cheekSquint": 0.015, "eyeSquint": 0.02,
          "mouthSmile": 0.012, "mouthFrown": 0.012, "jawLeft": 0.01, "jawRight": 0.01}  # fmt: skip


def perform(
    sounds: Sequence[Sound],
    *,
    speaker: Speaker,
    emotion: Emotion,
    intensity: float,
    num_frames: int,
    fps: float,
    generator: np.random.Generator,
) -> MotionClip:
    """The face of `speaker` saying `sounds`.

    Args:
        sounds: what is said and when.
        speaker: habits.
        emotion: pose and liveliness.
        intensity: 0 (neutral face) to 1 (full pose).
        num_frames: length of the result.
        fps: frame rate of the result.
        generator: decides blinks, gaze, accents and drift.
    """
    times = np.arange(num_frames) / fps
    total: Curves = defaultdict(lambda: np.zeros(num_frames))
    parts = (
        _mouth(articulate(sounds, num_frames=num_frames, fps=fps).T, speaker=speaker, emotion=emotion),
        _pose(times, speaker=speaker, emotion=emotion, intensity=intensity, generator=generator),
        _accents(sounds, times, speaker=speaker, emotion=emotion, generator=generator),
        _gaze(times, speaker=speaker, generator=generator),
        _blinks(times, blinks_per_s=speaker.blinks_per_s * emotion.blinking, generator=generator),
        {name: _drift(times, std=std, generator=generator) for name, std in _DRIFT.items()},
    )
    for part in parts:
        for name, curve in part.items():
            total[name] = total[name] + curve
    return MotionClip(coefficients=_sided(total, speaker=speaker, num_frames=num_frames), fps=fps)


def _mouth(curves: np.ndarray, *, speaker: Speaker, emotion: Emotion) -> Curves:
    """Articulators to channels. `mouthClose` shuts the lips over an open jaw, so it equals `jawOpen` in a closure."""
    jaw, closure, pucker, funnel, spread, lower, upper, tuck, tongue = curves
    assert len(curves) == len(ARTICULATORS)
    opening, lips, apart = speaker.jaw * emotion.articulation, speaker.lips * emotion.articulation, 1.0 - closure
    jaw = np.minimum(opening * jaw, 1.0)
    return {
        "jawOpen": jaw,
        "jawForward": 0.08 * lips * funnel,
        "mouthClose": closure * jaw,
        "mouthPucker": lips * pucker,
        "mouthFunnel": lips * funnel,
        "mouthStretch": 0.5 * lips * spread,
        "mouthSmile": 0.16 * lips * spread,
        "mouthDimple": 0.14 * lips * spread,
        "mouthLowerDown": opening * lower * apart * (1.0 - tuck),
        "mouthUpperUp": opening * upper * apart,
        "mouthRollLower": 0.6 * tuck + 0.22 * closure,
        "mouthRollUpper": 0.18 * closure,
        "mouthPress": 0.38 * closure,
        "mouthShrugUpper": 0.14 * closure + 0.12 * tuck,
        "mouthShrugLower": 0.12 * closure,
        "tongueOut": 0.3 * tongue,
    }


def _pose(
    times: np.ndarray, *, speaker: Speaker, emotion: Emotion, intensity: float, generator: np.random.Generator
) -> Curves:
    swell = np.clip(1.0 + _drift(times, std=0.1, generator=generator), 0.6, 1.4)
    pose = {name: np.full_like(times, value) for name, value in speaker.rest.items()}
    for name, value in emotion.face.items():
        pose[name] = pose.get(name, 0.0) + value * speaker.expressiveness * intensity * swell
    return pose


def _accents(
    sounds: Sequence[Sound],
    times: np.ndarray,
    *,
    speaker: Speaker,
    emotion: Emotion,
    generator: np.random.Generator,
) -> Curves:
    raised = np.zeros_like(times)
    for sound in sounds:
        is_taken, size, delay_s = generator.random(), generator.uniform(0.6, 1.4), generator.normal(0.0, 0.04)
        if sound.gain > 1.0 and is_taken < speaker.accent_share:
            middle_s = (sound.start_s + sound.end_s) / 2 + delay_s
            pulse = np.exp(-0.5 * ((times - middle_s) / _ACCENT_WIDTH_S) ** 2)
            raised = np.maximum(raised, speaker.accent * emotion.accents * size * pulse)
    return {"browInnerUp": 0.8 * raised, "browOuterUp": raised, "eyeWide": 0.25 * raised}


def _gaze(times: np.ndarray, *, speaker: Speaker, generator: np.random.Generator) -> Curves:
    horizontal, vertical = np.zeros_like(times), np.zeros_like(times)
    start_s, end_s, here = 0.0, float(times[-1]), generator.normal(0.0, speaker.gaze, 2)
    horizontal += here[0]
    vertical += here[1]
    while (start_s := start_s + 0.2 + generator.exponential(_MEAN_FIXATION_S)) < end_s:
        there = generator.normal(0.0, speaker.gaze, 2)
        step = np.clip((times - start_s) / _SACCADE_S, 0.0, 1.0)
        horizontal += step * (there[0] - here[0])
        vertical += step * (there[1] - here[1])
        here = there
    left, right = np.maximum(horizontal, 0.0), np.maximum(-horizontal, 0.0)
    return {
        "eyeLookOutLeft": left, "eyeLookInRight": left, "eyeLookOutRight": right, "eyeLookInLeft": right,
        "eyeLookUp": np.maximum(vertical, 0.0), "eyeLookDown": np.maximum(-vertical, 0.0),
    }  # fmt: skip


def _blinks(times: np.ndarray, *, blinks_per_s: float, generator: np.random.Generator) -> Curves:
    lids = np.zeros_like(times)
    start_s, end_s = -_BLINK_PAUSE_S, float(times[-1])
    while (start_s := start_s + _BLINK_PAUSE_S + generator.exponential(1.0 / blinks_per_s)) < end_s:
        since = times - start_s
        closing = np.clip(since / _BLINK_CLOSING_S, 0.0, 1.0)
        opening = np.clip((since - _BLINK_CLOSING_S) / _BLINK_OPENING_S, 0.0, 1.0)
        lids = np.maximum(lids, generator.uniform(0.85, 1.0) * (_eased(closing) - _eased(opening)))
    return {"eyeBlink": lids, "eyeLookDown": 0.12 * lids}


def _eased(fraction: np.ndarray) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * fraction)


def _drift(times: np.ndarray, *, std: float, generator: np.random.Generator) -> np.ndarray:
    """Slow noise: six sinusoids of 0.15 to 1.5 Hz with random phases, the same at every frame rate."""
    rates_hz, phases = generator.uniform(0.15, 1.5, 6), generator.uniform(0.0, 2 * np.pi, 6)
    waves = np.sin(2 * np.pi * rates_hz[:, None] * times + phases[:, None])
    return std * waves.sum(axis=0) / np.sqrt(len(rates_hz) / 2)


def _sided(total: Curves, *, speaker: Speaker, num_frames: int) -> np.ndarray:
    coefficients = np.zeros((num_frames, len(CHANNELS)))
    for name, curve in total.items():
        lean = speaker.asymmetry.get(name, 0.0)
        for side, factor in (("", 1.0), ("Left", 1.0 + lean), ("Right", 1.0 - lean)):
            if name + side in CHANNELS:
                coefficients[:, CHANNELS.index(name + side)] += factor * curve
    return np.clip(coefficients, 0.0, 1.0)
