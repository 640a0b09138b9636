"""What an Audio2Face-3D client may ask for besides sound: blend shapes and emotions."""

import math

import numpy as np
import pytest

from diffusiontalker.face import CHANNELS
from diffusiontalker.serving.a2f.blendshapes import A2F_ORDER, BlendShapes
from diffusiontalker.serving.a2f.emotions import CANDIDATES, choose_emotion, count_changes
from diffusiontalker.serving.a2f.generated.a2f_pb2 import (
    AudioWithEmotion,
    BlendShapeParameters,
    EmotionParameters,
    EmotionPostProcessingParameters,
)
from diffusiontalker.serving.a2f.generated.controller_pb2 import AudioStreamHeader
from diffusiontalker.serving.a2f.generated.emotion_with_timecode_pb2 import EmotionWithTimeCode
from diffusiontalker.serving.errors import ServingError

EMOTIONS = ("neutral", "happy", "sad", "angry", "Surprised", "sleepy")


def header(*, beginning: dict[str, float] | None = None, strength: float | None = None) -> AudioStreamHeader:
    return AudioStreamHeader(
        emotion_params=EmotionParameters(beginning_emotion=beginning or {}),
        emotion_post_processing_params=EmotionPostProcessingParameters(emotion_strength=strength),
    )


def sound(*entries: tuple[float, dict[str, float]]) -> AudioWithEmotion:
    return AudioWithEmotion(emotions=[EmotionWithTimeCode(time_code=at, emotion=what) for at, what in entries])


def by_name(shapes: BlendShapes, **coefficients: float) -> dict[str, float]:
    frame = np.float32([[coefficients.get(name, 0.0) for name in CHANNELS]])
    return dict(zip(shapes.names, shapes.weights(frame)[0].tolist(), strict=True))


def test_the_order_holds_every_arkit_channel_once():
    assert sorted(A2F_ORDER) == sorted(CHANNELS)
    shapes = BlendShapes(CHANNELS, BlendShapeParameters())
    assert (len(shapes.names), shapes.names[0], shapes.names[17], shapes.names[-1]) == (
        52, "EyeBlinkLeft", "JawOpen", "TongueOut",
    )  # fmt: skip


def test_every_coefficient_arrives_under_its_own_name():
    amounts = {name: float(np.float32(0.01 * position)) for position, name in enumerate(CHANNELS)}
    weights = by_name(BlendShapes(CHANNELS, BlendShapeParameters()), **amounts)
    assert weights == {name[0].upper() + name[1:]: amount for name, amount in amounts.items()}


def test_multipliers_come_before_offsets_and_nothing_is_clamped_unless_asked_for():
    asked = {"bs_weight_multipliers": {"JawOpen": 2.0, "mouthPucker": 0.5}, "bs_weight_offsets": {"JawOpen": -0.25}}
    amounts = {"jawOpen": 0.75, "mouthPucker": 0.5, "jawLeft": 0.125}
    weights = by_name(BlendShapes(CHANNELS, BlendShapeParameters(**asked)), **amounts)
    assert (weights["JawOpen"], weights["MouthPucker"], weights["JawLeft"]) == (1.25, 0.25, 0.125)
    clamped = BlendShapes(CHANNELS, BlendShapeParameters(**asked, enable_clamping_bs_weight=True))
    assert by_name(clamped, **amounts)["JawOpen"] == 1.0
    assert by_name(clamped)["JawOpen"] == 0.0  # -0.25 before clamping


def test_a_smaller_model_still_sends_52_weights_and_a_larger_one_more():
    shapes = BlendShapes(("jawOpen", "headYaw"), BlendShapeParameters(bs_weight_offsets={"TongueOut": 0.5}))
    assert (len(shapes.names), shapes.names[-1]) == (53, "HeadYaw")
    weights = dict(zip(shapes.names, shapes.weights(np.float32([[0.25, 0.75]]))[0].tolist(), strict=True))
    assert {name: weight for name, weight in weights.items() if weight} == {
        "JawOpen": 0.25, "TongueOut": 0.5, "HeadYaw": 0.75,
    }  # fmt: skip


def test_unknown_blend_shapes_count_only_where_something_was_to_change():
    asked = BlendShapeParameters(
        bs_weight_multipliers={"TongueTipUp": 1.0, "TongueRollUp": 0.5, "JawOpen": 0.5},
        bs_weight_offsets={"TongueTipUp": 0.0, "Ears": 0.1},
    )
    assert BlendShapes(CHANNELS, asked).unknown_names == ("Ears", "TongueRollUp")


@pytest.mark.parametrize("field", ["bs_weight_multipliers", "bs_weight_offsets"])
def test_scaling_by_no_number_is_refused(field):
    with pytest.raises(ServingError, match=rf"{field}\['JawOpen'\] is nan") as caught:
        BlendShapes(CHANNELS, BlendShapeParameters(**{field: {"JawOpen": math.nan}}))
    assert caught.value.code == "invalid_parameter"


@pytest.mark.parametrize(
    ("wanted", "name", "intensity"),
    [
        ({"joy": 1.0}, "happy", 1.0),
        ({"joy": 0.25, "anger": 0.5}, "angry", 0.5),
        ({"sadness": 0.5, "anger": 0.5}, "angry", 0.5),  # alphabetically first among equals
        ({"grief": 0.5, "joy": 0.0}, "sad", 0.5),
        ({"amazement": 5.0}, "Surprised", 2.0),
        ({"sleepy": 0.5}, "sleepy", 0.5),  # the model's own
        ({"joy": 0.0, "anger": 0.0}, "neutral", 1.0),
        ({}, "neutral", 1.0),
    ],
)
def test_the_strongest_emotion_of_the_first_sound_is_chosen(wanted, name, intensity):
    chosen = choose_emotion(header(beginning={"fear": 1.0}), sound((0.0, wanted)), emotions=EMOTIONS)
    assert (chosen.name, chosen.intensity, chosen.remarks) == (name, intensity, ())


def test_the_earliest_entry_counts_wherever_it_stands():
    later_first = sound((1.0, {"anger": 1.0}), (0.0, {"joy": 1.0}))
    assert choose_emotion(header(), later_first, emotions=EMOTIONS).name == "happy"


def test_the_beginning_emotion_is_for_streams_whose_sound_has_none():
    chosen = choose_emotion(header(beginning={"anger": 0.5}, strength=0.5), sound(), emotions=EMOTIONS)
    assert (chosen.name, chosen.intensity) == ("angry", 0.25)


@pytest.mark.parametrize("beginning", [{}, {"anger": 0.0, "joy": 0.0}])
def test_without_any_emotion_the_voice_has_its_own(beginning):
    chosen = choose_emotion(header(beginning=beginning, strength=0.5), sound(), emotions=EMOTIONS)
    assert (chosen.name, chosen.intensity, chosen.remarks) == (None, 1.0, ())


def test_strength_0_is_neutral_and_a_negative_one_no_less():
    for strength in (0.0, -1.0):
        chosen = choose_emotion(header(strength=strength), sound((0.0, {"joy": 1.0})), emotions=EMOTIONS)
        assert (chosen.name, chosen.intensity) == ("happy", 0.0)


def test_an_emotion_the_model_has_not_is_said():
    chosen = choose_emotion(header(), sound((0.0, {"fear": 1.0})), emotions=EMOTIONS)
    assert chosen.name is None
    assert "no emotion for 'fear' (it has neutral, happy, sad" in chosen.remarks[0]


def test_every_emotion_of_audio2face_3d_has_candidates():
    ten = ["amazement", "anger", "cheekiness", "disgust", "fear", "grief", "joy", "outofbreath", "pain", "sadness"]
    assert sorted(CANDIDATES) == sorted([*ten, "neutral"])


def test_only_other_emotions_are_changes():
    entries = sound((0.0, {"joy": 1.0}), (1.0, {"joy": 0.5}), (2.0, {"anger": 1.0}), (3.0, {})).emotions
    assert count_changes(entries, chosen="happy", emotions=EMOTIONS) == 2


@pytest.mark.parametrize(
    ("of_header", "of_sound", "message"),
    [
        (header(), sound((0.0, {"joy": math.inf})), "emotion 'joy' is inf"),
        (header(), sound((math.nan, {"joy": 1.0})), "time_code of emotions is nan"),
        (header(strength=math.nan), sound((0.0, {"joy": 1.0})), "emotion_strength is nan"),
        (header(beginning={"joy": math.nan}), sound(), "emotion 'joy' is nan"),
    ],
)
def test_emotions_that_are_no_numbers_are_refused(of_header, of_sound, message):
    with pytest.raises(ServingError, match=message) as caught:
        choose_emotion(of_header, of_sound, emotions=EMOTIONS)
    assert caught.value.code == "invalid_parameter"
