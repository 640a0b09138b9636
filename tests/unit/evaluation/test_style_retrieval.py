import dataclasses

import numpy as np
import pytest

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.style_retrieval import StyleClassifier, StyleTest, upper_face_features
from diffusiontalker.face import MotionClip
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.inference import Bundle


def points(*, clips: int, shift: float, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Three classes of very different sizes, `shift` standard deviations apart along their own axes."""
    generator = np.random.default_rng(seed)
    labels = ["a"] * clips + ["b"] * (clips // 8) + ["c"] * (clips // 8)
    centres = {name: shift * np.eye(6)[number] for number, name in enumerate("abc")}
    return np.stack([generator.normal(size=6) + centres[name] for name in labels]), labels


def test_separable_classes_are_recognized_whatever_their_sizes():
    classifier = StyleClassifier.fit(*points(clips=400, shift=8.0))
    assert classifier.labels == ("a", "b", "c")
    assert classifier.balanced_accuracy(*points(clips=80, shift=8.0, seed=1)) == 1.0


def test_shuffled_labels_are_recognized_at_chance():
    generator = np.random.default_rng(3)
    features, labels = points(clips=800, shift=8.0)
    other, other_labels = points(clips=800, shift=8.0, seed=1)
    shuffled, other_shuffled = (list(generator.permutation(names)) for names in (labels, other_labels))
    classifier = StyleClassifier.fit(features, shuffled)
    assert classifier.balanced_accuracy(other, other_shuffled) == pytest.approx(1 / 3, abs=0.1)


def test_equal_priors_put_the_boundary_in_the_middle_although_one_class_is_larger():
    features = np.concatenate([np.tile([[-1.0], [-3.0]], (100, 1)), [[1.0], [3.0]]])
    classifier = StyleClassifier.fit(features, ["many"] * 200 + ["few"] * 2)
    assert classifier.predict(np.array([[-0.1], [0.1]])) == ["many", "few"]


def test_units_of_the_features_do_not_matter():
    features, labels = points(clips=40, shift=1.0)
    scale = np.array([1e-3, 1.0, 1e3, 1.0, 5.0, 0.1])
    other, _ = points(clips=40, shift=1.0, seed=1)
    assert StyleClassifier.fit(features, labels).predict(other) == StyleClassifier.fit(
        features * scale, labels
    ).predict(other * scale)


def test_one_class_cannot_be_told_apart():
    with pytest.raises(ValueError, match=r"got the classes \['a'\]"):
        StyleClassifier.fit(np.zeros((3, 2)), ["a", "a", "a"])


def test_features_are_means_and_deviations_of_the_upper_face_alone():
    coefficients = np.zeros((4, len(CHANNELS)))
    coefficients[:, CHANNELS.index("browInnerUp")] = [0.0, 0.2, 0.0, 0.2]
    coefficients[:, CHANNELS.index("jawOpen")] = 1.0
    features = upper_face_features([MotionClip(coefficients=coefficients, fps=25)], ("browInnerUp", "jawOpen"))
    np.testing.assert_allclose(features, [[0.1, 0.1]], rtol=1e-6)


@pytest.fixture(scope="module")
def style_test(corpus: Corpus) -> StyleTest:
    return StyleTest.fit(corpus, corpus.load("test"), num_clips=3)


def test_voices_and_emotions_of_the_corpus_are_tested_on_evenly_spaced_clips(style_test: StyleTest):
    assert {kind: classifier.labels for kind, classifier in style_test.classifiers.items()} == {
        "voice": ("anna", "bert"), "emotion": ("joy", "neutral")
    }  # fmt: skip
    assert [clip.clip_id[-3:] for clip in style_test.clips] == ["010", "011", "013"]
    assert set(style_test.ceiling) == {"voice", "emotion"}


def test_a_talker_is_scored_once_per_seed_and_moves_with_the_voice(style_test: StyleTest, bundle: Bundle):
    scores = style_test.scores(bundle, num_samples=2)
    assert set(scores) == {"voice", "emotion"}
    for figures in scores.values():
        assert (figures["chance"], figures["classes"], figures["clips"]) == (0.5, 2, 3)
        assert figures["accuracy"] == pytest.approx(np.mean(figures["accuracy_by_seed"]))
        assert len(figures["accuracy_by_seed"]) == 2
        assert figures["upper_face_displacement"] == pytest.approx(np.mean(figures["upper_face_displacement_by_seed"]))
        assert min(figures["upper_face_displacement_by_seed"]) > 0.0
        assert figures["lip_displacement"] > 0.0


def test_a_deterministic_talker_is_scored_once(style_test: StyleTest, regression_bundle: Bundle):
    assert len(style_test.scores(regression_bundle, num_samples=5)["voice"]["accuracy_by_seed"]) == 1


def test_a_corpus_of_one_emotion_has_no_emotion_test(style_test: StyleTest, bundle: Bundle, clips: list[Clip]):
    only_voice = dataclasses.replace(style_test, classifiers={"voice": style_test.classifiers["voice"]})
    assert set(only_voice.scores(bundle, num_samples=1)) == {"voice"}
