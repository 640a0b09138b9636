"""Which of the model's emotions a stream of an Audio2Face-3D client gets, and how strongly.

Audio2Face-3D mixes ten emotions that may change over time; this model speaks a stream in one emotion. So one is chosen
when the first sound arrives:

1. from `emotions` of the first `audio_with_emotion`: the entry with the smallest time code, in it the emotion with the
   greatest weight. An entry without any positive weight asks for `neutral`, as it does there.
2. else from `emotion_params.beginning_emotion` of the header: the emotion with the greatest weight;
3. else none: the voice's own, as the service decides.

It is looked up in `CANDIDATES`, or among the model's own emotions by name. The intensity is its weight times
`emotion_post_processing_params.emotion_strength` (1 when not sent), within [0, 2]. There are no detected emotions to
blend with, contrast or smooth, so the other parameters of emotions have no effect.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from diffusiontalker.serving.a2f.generated.a2f_pb2 import AudioWithEmotion
from diffusiontalker.serving.a2f.generated.controller_pb2 import AudioStreamHeader
from diffusiontalker.serving.a2f.generated.emotion_with_timecode_pb2 import EmotionWithTimeCode
from diffusiontalker.serving.errors import ServingError

CANDIDATES: dict[str, tuple[str, ...]] = {
    "amazement": ("surprised", "surprise", "amazed"),
    "anger": ("angry", "anger"),
    "cheekiness": ("cheeky", "playful", "contempt", "happy", "happiness"),
    "disgust": ("disgusted", "disgust"),
    "fear": ("fearful", "fear", "afraid", "scared"),
    "grief": ("grieving", "sad", "sadness"),
    "joy": ("happy", "happiness", "joyful"),
    "neutral": ("neutral", "calm"),
    "outofbreath": ("breathless", "tired", "neutral"),
    "pain": ("pained", "sad", "sadness"),
    "sadness": ("sad", "sadness"),
}
"""Emotion of Audio2Face-3D -> what corpora call it or what comes closest, best first; the model's first one wins.

`neutral` is no emotion there; clients send it all the same.
"""

_MAX_INTENSITY = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ChosenEmotion:
    """One emotion for a whole stream."""

    name: str | None
    """One of the model's; None: the voice's own."""
    intensity: float
    """0 (neutral) to 2 (exaggerated)."""
    remarks: tuple[str, ...]
    """What the client asked for and does not get."""


def choose_emotion(
    header: AudioStreamHeader, first_audio: AudioWithEmotion, *, emotions: Sequence[str]
) -> ChosenEmotion:
    """Decides as the module says.

    Args:
        header: the header of the stream.
        first_audio: the first message of sound.
        emotions: what the model knows.

    Raises:
        ServingError: `invalid_parameter` for a weight, a time code or a strength that is NaN or infinite.
    """
    if first_audio.emotions:
        wanted = _strongest(min(first_audio.emotions, key=_time_code).emotion) or ("neutral", 1.0)
    else:
        wanted = _strongest(header.emotion_params.beginning_emotion)
    strength = 1.0
    if header.emotion_post_processing_params.HasField("emotion_strength"):
        strength = _finite(header.emotion_post_processing_params.emotion_strength, what="emotion_strength")
    if wanted is None:
        return ChosenEmotion(name=None, intensity=1.0, remarks=())
    name, weight = wanted
    known = model_emotion(name, emotions=emotions)
    intensity = min(max(weight * strength, 0.0), _MAX_INTENSITY)
    if known is not None:
        return ChosenEmotion(name=known, intensity=intensity, remarks=())
    if name == "neutral":  # what a model without that label does anyway
        return ChosenEmotion(name=None, intensity=1.0, remarks=())
    remark = f"the model has no emotion for {name!r} (it has {', '.join(emotions) or 'none'}), the voice's own is used"
    return ChosenEmotion(name=None, intensity=1.0, remarks=(remark,))


def model_emotion(name: str, *, emotions: Sequence[str]) -> str | None:
    """The model's emotion behind one of Audio2Face-3D, or of its own by name; None when it has none."""
    by_name = {emotion.casefold(): emotion for emotion in emotions}
    candidates = (*CANDIDATES.get(name.casefold(), ()), name.casefold())
    return next((by_name[candidate] for candidate in candidates if candidate in by_name), None)


def count_changes(entries: Iterable[EmotionWithTimeCode], *, chosen: str | None, emotions: Sequence[str]) -> int:
    """How many of some entries ask for another emotion than the stream has.

    Raises:
        ServingError: `invalid_parameter` for a weight that is NaN or infinite.
    """
    wanted = [_strongest(entry.emotion) or ("neutral", 1.0) for entry in entries]
    return sum(model_emotion(name, emotions=emotions) != chosen for name, _ in wanted)


def _strongest(weights: Mapping[str, float]) -> tuple[str, float] | None:
    """The emotion with the greatest positive weight, alphabetically first among equals."""
    positive = [(name, value) for name, value in weights.items() if _finite(value, what=f"emotion {name!r}") > 0]
    return min(positive, key=lambda item: (-item[1], item[0]), default=None)


def _time_code(entry: EmotionWithTimeCode) -> float:
    return _finite(entry.time_code, what="time_code of emotions")


def _finite(value: float, *, what: str) -> float:
    if not math.isfinite(value):
        raise ServingError("invalid_parameter", f"{what} is {value}, expected a finite number")
    return value
