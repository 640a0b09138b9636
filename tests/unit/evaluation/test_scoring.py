import dataclasses

import numpy as np
import pytest

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import EvaluationError
from diffusiontalker.evaluation.scoring import ClipScorer, pool
from diffusiontalker.face import MotionClip, Rig
from diffusiontalker.face.arkit import CHANNELS


@pytest.fixture
def scorer(rig: Rig) -> ClipScorer:
    return ClipScorer(rig, channel_names=CHANNELS, missing_channels=("tongueOut",))


def changed(clip: Clip, **offsets: float) -> MotionClip:
    coefficients = clip.motion.coefficients.copy()
    for name, offset in offsets.items():
        coefficients[:, CHANNELS.index(name)] += offset
    return dataclasses.replace(clip.motion, coefficients=coefficients)


def row_of(scorer: ClipScorer, clip: Clip, *predictions: MotionClip) -> dict:
    samples = scorer.samples(clip, list(predictions), system="test")
    return pool(scorer.terms(clip, samples), channel_names=scorer.channel_names)


def test_lip_vertex_error_is_the_worst_lip_vertex_in_square_metres(scorer: ClipScorer, clips: list[Clip]):
    """0.1 too much jawOpen moves the second lip vertex by 2 mm."""
    row = row_of(scorer, clips[0], changed(clips[0], jawOpen=0.1))
    assert row["lve_m2"] == pytest.approx(4e-6, rel=1e-4)
    assert row["lve_mm"] == pytest.approx(2.0, rel=1e-4)
    assert row["eve_m2"] == 0.0
    assert row["lve_coefficients"] == pytest.approx(0.01, rel=1e-4)
    assert row["mae"] == pytest.approx(0.1 / 51, rel=1e-4)
    assert row["channel_mae"]["jawOpen"] == pytest.approx(0.1, rel=1e-4)
    assert row["jaw_open_r"] == pytest.approx(1.0)


def test_upper_face_error_does_not_see_the_lips(scorer: ClipScorer, clips: list[Clip]):
    row = row_of(scorer, clips[0], changed(clips[0], browInnerUp=0.2))
    assert row["eve_m2"] == pytest.approx(1e-6, rel=1e-3)
    assert row["lve_m2"] == 0.0
    assert row["eve_coefficients"] == pytest.approx(0.04, rel=1e-4)


def test_dynamics_deviation_is_positive_for_a_still_upper_face(scorer: ClipScorer, clips: list[Clip]):
    brow = clips[0].motion.column("browInnerUp")
    still = clips[0].motion.coefficients.copy()
    still[:, CHANNELS.index("browInnerUp")] = 0.0
    row = row_of(scorer, clips[0], dataclasses.replace(clips[0].motion, coefficients=still))
    assert row["fdd"] == pytest.approx(np.std((0.005 * brow) ** 2), rel=1e-4)
    assert row["fdd_abs"] == row["fdd"]


def test_a_channel_the_source_lacks_counts_nowhere(scorer: ClipScorer, clips: list[Clip]):
    row = row_of(scorer, clips[0], changed(clips[0], tongueOut=0.9))
    assert row["mae"] == 0.0
    assert "tongueOut" not in row["channel_mae"]


def test_errors_are_means_over_frames_and_dynamics_over_clips(scorer: ClipScorer, clips: list[Clip]):
    short = dataclasses.replace(
        clips[1], motion=dataclasses.replace(clips[1].motion, coefficients=clips[1].motion.coefficients[:10])
    )
    terms = [
        *scorer.terms(clips[0], scorer.samples(clips[0], [changed(clips[0], jawOpen=0.1)], system="test")),
        *scorer.terms(short, scorer.samples(short, [short.motion], system="test")),
    ]
    row = pool(terms, channel_names=scorer.channel_names)
    assert row["lve_m2"] == pytest.approx(4e-6 * 30 / 40, rel=1e-4)
    assert row["mae"] == pytest.approx(0.1 / 51 * 30 / 40, rel=1e-4)


def test_samples_count_as_clips(scorer: ClipScorer, clips: list[Clip]):
    row = row_of(scorer, clips[0], changed(clips[0], jawOpen=0.1), clips[0].motion)
    assert row["lve_m2"] == pytest.approx(2e-6, rel=1e-4)


def test_the_truth_closes_its_lips_in_silence_and_an_open_mouth_does_not(scorer: ClipScorer, clips: list[Clip]):
    row = row_of(scorer, clips[0], changed(clips[0], jawOpen=0.2))
    assert row["silent_frames"] >= 4
    assert row["silence_closure_truth"] == 1.0
    assert row["silence_closure"] == 0.0


def test_correlation_within_clips_ignores_their_level_and_constant_ones(scorer: ClipScorer, clips: list[Clip]):
    still = dataclasses.replace(clips[2].motion, coefficients=np.zeros_like(clips[2].motion.coefficients))
    predictions = [changed(clips[0], jawOpen=0.3), clips[1].motion, still]
    terms = [
        term
        for clip, motion in zip(clips[:3], predictions, strict=True)
        for term in scorer.terms(clip, scorer.samples(clip, [motion], system="test"))
    ]
    row = pool(terms, channel_names=scorer.channel_names)
    assert row["jaw_open_r_clip"] == pytest.approx(1.0)
    assert row["jaw_open_r"] < 0.9


def test_a_still_prediction_has_no_correlation(scorer: ClipScorer, clips: list[Clip]):
    still = dataclasses.replace(clips[0].motion, coefficients=np.zeros_like(clips[0].motion.coefficients))
    row = row_of(scorer, clips[0], still)
    assert row["jaw_open_r"] is None
    assert row["jaw_open_r_clip"] is None


def test_diversity_is_told_apart_by_region(scorer: ClipScorer, clips: list[Clip]):
    motions = [clips[0].motion, changed(clips[0], browInnerUp=0.2)]
    spread = scorer.diversity([scorer.samples(clips[0], motions, system="test")])
    assert spread["diversity_lips"] == 0.0
    assert spread["diversity_upper"] == pytest.approx(0.2 / np.sqrt(2) / 23, rel=1e-3)


def test_predictions_of_another_length_are_refused(scorer: ClipScorer, clips: list[Clip]):
    short = dataclasses.replace(clips[0].motion, coefficients=clips[0].motion.coefficients[:-1])
    with pytest.raises(EvaluationError, match=r"'mine', clip 'anna_000': predicted 29 frames at 25 fps, expected 30"):
        scorer.samples(clips[0], [short], system="mine")


@pytest.mark.parametrize(("field", "region"), [("lip_vertices", "lip"), ("upper_face_vertices", "upper-face")])
def test_a_rig_without_a_region_is_refused(rig: Rig, field: str, region: str):
    with pytest.raises(EvaluationError, match=f"'tetrahedron' has 0 {region} vertices"):
        ClipScorer(dataclasses.replace(rig, **{field: np.zeros(0, dtype=int)}), channel_names=CHANNELS)


def test_a_rig_whose_lips_nothing_moves_is_refused_instead_of_praising_every_talker(rig: Rig):
    with pytest.raises(EvaluationError, match="has 2 lip vertices and the corpus' channels move none"):
        ClipScorer(rig, channel_names=CHANNELS, missing_channels=("jawOpen", "mouthFunnel"))


def test_a_corpus_without_upper_face_channels_is_refused(rig: Rig):
    with pytest.raises(EvaluationError, match="the corpus has 0 upper-face channels"):
        ClipScorer(rig, channel_names=("jawOpen", "mouthFunnel"))
