import dataclasses

import numpy as np
import pytest

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import personalization
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.inference import Bundle


def test_embeddings_come_from_the_audio_alone(bundle: Bundle, clips: list[Clip]):
    blank = dataclasses.replace(clips[0].motion, coefficients=np.zeros_like(clips[0].motion.coefficients))
    anonymous = dataclasses.replace(clips[0], motion=blank, speaker="nobody")
    embeddings = personalization.embed_clips(bundle, [clips[0], anonymous])
    np.testing.assert_array_equal(embeddings.identity[0], embeddings.identity[1])
    np.testing.assert_allclose(np.linalg.norm(embeddings.identity, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings.emotion_prototypes, axis=1), 1.0, rtol=1e-5)


def test_scores_of_embeddings_that_sit_on_their_prototypes_are_perfect(bundle: Bundle, clips: list[Clip]):
    axes = np.eye(4)
    places = {"anna": 0, "bert": 1, "new0": 2, "new1": 3, "neutral": 0, "joy": 1}
    embeddings = personalization.Embeddings(
        clips=clips,
        identity=np.stack([axes[places[clip.speaker]] for clip in clips]),
        emotion=np.stack([axes[places[clip.emotion]] for clip in clips]),
        identity_prototypes=axes[:2],
        emotion_prototypes=axes[:2],
    )
    scores = personalization.personalizer_scores(bundle, embeddings)
    assert (scores["identity_accuracy"], scores["emotion_accuracy"], scores["verification_eer"]) == (1.0, 1.0, 0.0)
    assert scores["verification_speakers"] == ["new0", "new1"]
    assert (scores["identity_clips"], scores["verification_genuine_pairs"]) == (13, 2)


def test_without_unseen_speakers_there_is_no_verification(bundle: Bundle, clips: list[Clip]):
    known = [clip for clip in clips if clip.split == "test"]
    scores = personalization.personalizer_scores(bundle, personalization.embed_clips(bundle, known))
    assert scores["verification_eer"] is None
    assert 0.0 <= scores["identity_accuracy"] <= 1.0


def test_one_clip_is_spoken_in_every_emotion_and_voice(bundle: Bundle, clips: list[Clip]):
    panels = personalization.spoken_in_variants(bundle, clips[0], seed=0)
    assert [list(motions) for motions in panels.values()] == [["neutral", "joy"], ["anna", "bert"]]
    first, second = panels["same audio, other voice"].values()
    assert np.abs(first.coefficients - second.coefficients).max() > 0.0


def test_variants_are_compared_with_the_first_of_their_panel():
    jaw, brow = CHANNELS.index("jawOpen"), CHANNELS.index("browInnerUp")
    coefficients = np.zeros((20, len(CHANNELS)))
    coefficients[:, jaw] = np.linspace(0, 1, 20)
    other = coefficients.copy()
    other[:, brow] = 0.46
    panels = {"emotion": {name: MotionClip(coefficients=x, fps=25) for name, x in (("a", coefficients), ("b", other))}}
    first, second = personalization.variant_scores(panels)
    assert first["upper_face_difference_to_first"] == 0.0
    assert second["jaw_open_r_to_first"] == pytest.approx(1.0)
    assert second["upper_face_difference_to_first"] == pytest.approx(0.46 / 23, rel=1e-4)


def test_the_liveliest_channels_are_those_that_variants_change_most():
    motions = {}
    for number, name in enumerate(("a", "b")):
        coefficients = np.zeros((5, len(CHANNELS)))
        coefficients[:, CHANNELS.index("browInnerUp")] = 0.5 * number
        coefficients[:, CHANNELS.index("eyeWideLeft")] = 0.1 * number
        coefficients[:, CHANNELS.index("jawOpen")] = number
        motions[name] = MotionClip(coefficients=coefficients, fps=25)
    assert personalization.liveliest_channels({"x": motions}, count=2) == ("browInnerUp", "eyeWideLeft")
