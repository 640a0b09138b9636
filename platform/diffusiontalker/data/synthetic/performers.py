"""Who speaks and how: the synthetic speakers, with voice and facial habits, and the emotions.

A speaker is the same in every corpus, whatever its seed: habits are drawn from the speaker's place in the list.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from diffusiontalker.data.clip import CorpusError, suggestion


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Emotion:
    """How an emotion sounds and what it does to the face at full intensity."""

    rate: float = 1.0
    """Factor on the speaking rate."""
    pitch: float = 0.0
    """Added to the pitch (espeak scale, 0 to 99)."""
    pitch_range: float = 1.0
    """Factor on the pitch range."""
    loudness: float = 1.0
    """Factor on the amplitude."""
    tilt_db: float = 0.0
    """Spectral tilt in dB per octave around 1 kHz: vocal effort brightens a voice, sadness dulls it."""
    articulation: float = 1.0
    """Factor on the mouth's openings."""
    blinking: float = 1.0
    """Factor on the blink rate."""
    accents: float = 1.0
    """Factor on the brow movements that go with stressed syllables."""
    face: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Pose: channel name without side -> coefficient."""


EMOTIONS: Mapping[str, Emotion] = {
    "neutral": Emotion(),
    "happy": Emotion(
        rate=1.08, pitch=14.0, pitch_range=1.5, loudness=1.15, tilt_db=1.0, articulation=1.1, accents=1.4,
        face={"mouthSmile": 0.62, "cheekSquint": 0.38, "mouthDimple": 0.15, "browOuterUp": 0.14, "eyeSquint": 0.18},
    ),
    "sad": Emotion(
        rate=0.82, pitch=-14.0, pitch_range=0.45, loudness=0.6, tilt_db=-2.5, articulation=0.8, blinking=1.3,
        accents=0.5,
        face={"browInnerUp": 0.55, "mouthFrown": 0.42, "eyeLookDown": 0.14, "mouthShrugLower": 0.14, "eyeSquint": 0.1},
    ),
    "angry": Emotion(
        rate=1.14, pitch=2.0, pitch_range=1.2, loudness=1.5, tilt_db=2.5, articulation=1.2, blinking=0.6, accents=0.8,
        face={"browDown": 0.68, "noseSneer": 0.3, "eyeSquint": 0.3, "eyeWide": 0.12, "mouthPress": 0.12,
              "mouthFrown": 0.12},
    ),
    "surprised": Emotion(
        rate=1.0, pitch=24.0, pitch_range=1.9, loudness=1.15, tilt_db=0.5, articulation=1.12, blinking=0.5, accents=1.6,
        face={"browInnerUp": 0.5, "browOuterUp": 0.62, "eyeWide": 0.55},
    ),
}  # fmt: skip
"""Name -> emotion."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """A synthetic person: a voice of espeak-ng and habits of the face."""

    name: str
    """Name in a corpus."""
    voice: str
    """espeak language and variant."""
    words_per_minute: float
    """Usual speaking rate."""
    pitch: float
    """Usual pitch on espeak's scale, 50 is the variant's own."""
    pitch_range: float
    """Usual pitch range on espeak's scale."""
    jaw: float
    """Factor on jaw and lip openings."""
    lips: float
    """Factor on rounding and spreading."""
    expressiveness: float
    """Factor on the emotions' poses."""
    accent: float
    """Size of the brow raise on a stressed syllable."""
    accent_share: float
    """Share of stressed syllables that get one."""
    blinks_per_s: float
    """Blinks per second in neutral speech."""
    gaze: float
    """Size of the eye movements."""
    rest: Mapping[str, float]
    """Resting face: channel name -> coefficient added."""
    asymmetry: Mapping[str, float]
    """Channel name without side -> factor minus 1 on the left side, and 1 minus it on the right."""


_VOICES: tuple[tuple[str, str, float, float, float], ...] = (
    ("amber", "en-us+f2", 172.0, 52.0, 50.0),
    ("bruno", "en-us+m3", 160.0, 40.0, 40.0),
    ("clara", "en-gb-x-rp+f4", 184.0, 58.0, 60.0),
    ("derek", "en-gb-scotland+m5", 168.0, 46.0, 55.0),
    ("elena", "en-029+f5", 158.0, 62.0, 45.0),
    ("felix", "en-gb-x-rp+m1", 178.0, 56.0, 65.0),
    ("greta", "en-us-nyc+f3", 166.0, 44.0, 40.0),
    ("hugo", "en-gb-x-gbclan+m7", 186.0, 50.0, 50.0),
    ("iris", "en-gb-scotland+linda", 164.0, 40.0, 60.0),
    ("jonas", "en-us+m2", 154.0, 62.0, 35.0),
    ("kira", "en-us+steph", 180.0, 48.0, 55.0),
    ("liam", "en-029+benjamin", 170.0, 52.0, 45.0),
)
_PAIRS: tuple[str, ...] = (
    "mouthSmile", "mouthLowerDown", "mouthUpperUp", "mouthStretch", "browOuterUp", "browDown", "eyeSquint",
    "cheekSquint", "mouthFrown", "noseSneer", "mouthPress", "mouthDimple",
)  # fmt: skip
_RESTING: tuple[str, ...] = (
    "browInnerUp", "browDownLeft", "browDownRight", "eyeSquintLeft", "eyeSquintRight", "mouthPressLeft",
    "mouthPressRight", "mouthFrownLeft", "mouthFrownRight", "mouthRollLower", "mouthShrugLower",
)  # fmt: skip
_HABIT_SEED = 20_311


def _speaker(index: int) -> Speaker:
    name, voice, words_per_minute, pitch, pitch_range = _VOICES[index]
    habits = np.random.default_rng([_HABIT_SEED, index])
    rest: dict[str, float] = dict(zip(_RESTING, habits.uniform(0.0, 0.09, len(_RESTING)).tolist(), strict=True))
    lean = habits.uniform(-0.06, 0.06)
    rest["mouthLeft" if lean > 0 else "mouthRight"] = abs(float(lean))
    asymmetry = np.clip(habits.normal(0.0, 0.13, len(_PAIRS)), -0.3, 0.3)
    return Speaker(
        name=name,
        voice=voice,
        words_per_minute=words_per_minute,
        pitch=pitch,
        pitch_range=pitch_range,
        jaw=float(habits.uniform(0.72, 1.25)),
        lips=float(habits.uniform(0.72, 1.2)),
        expressiveness=float(habits.uniform(0.7, 1.2)),
        accent=float(habits.uniform(0.1, 0.4)),
        accent_share=float(habits.uniform(0.3, 0.8)),
        blinks_per_s=float(habits.uniform(0.15, 0.5)),
        gaze=float(habits.uniform(0.05, 0.2)),
        rest=rest,
        asymmetry=dict(zip(_PAIRS, asymmetry.tolist(), strict=True)),
    )


SPEAKER_NAMES: tuple[str, ...] = tuple(entry[0] for entry in _VOICES)
"""Names of the synthetic speakers."""


def speaker_named(name: str) -> Speaker:
    """The speaker of that name.

    Raises:
        CorpusError: when there is none.
    """
    if name not in SPEAKER_NAMES:
        raise CorpusError(f"no synthetic speaker '{name}'{suggestion(name, SPEAKER_NAMES)}")
    return _speaker(SPEAKER_NAMES.index(name))


def emotion_named(name: str) -> Emotion:
    """The emotion of that name.

    Raises:
        CorpusError: when there is none.
    """
    if name not in EMOTIONS:
        raise CorpusError(f"no synthetic emotion '{name}'{suggestion(name, EMOTIONS)}")
    return EMOTIONS[name]
