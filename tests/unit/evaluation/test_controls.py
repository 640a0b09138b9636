import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation import MeanFace, Ridge, ShuffledAudio, metrics, standard_systems
from diffusiontalker.evaluation.controls import derangement
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle

SEEDS = [0] * 100


def test_mean_face_is_the_mean_over_all_training_frames(clips: list[Clip]):
    mean = MeanFace.fit(clips)
    expected = np.concatenate([clip.motion.coefficients for clip in clips]).mean(axis=0)
    (predicted,) = mean.predict(clips[:1], seeds=[0])
    np.testing.assert_allclose(predicted.coefficients, np.tile(expected, (clips[0].motion.num_frames, 1)), atol=1e-6)


def test_ridge_without_a_penalty_is_least_squares(clips: list[Clip]):
    """With more inputs than frames least squares meets its targets (frames of silence are all alike to it)."""
    (predicted,) = Ridge.fit(clips[:2], penalty=1e-6).predict(clips[:1], seeds=[0])
    np.testing.assert_allclose(predicted.coefficients[:24], clips[0].motion.coefficients[:24], atol=1e-3)


def test_ridge_with_an_endless_penalty_is_the_mean_face(clips: list[Clip]):
    (ridge,) = Ridge.fit(clips, penalty=1e15).predict(clips[:1], seeds=[0])
    (mean,) = MeanFace.fit(clips).predict(clips[:1], seeds=[0])
    np.testing.assert_allclose(ridge.coefficients, mean.coefficients, atol=1e-5)


def test_ridge_follows_the_jaw_of_clips_it_has_not_seen(clips: list[Clip]):
    held_out = [clip for clip in clips if clip.split == "test"]
    predictions = Ridge.fit([clip for clip in clips if clip.split == "train"]).predict(held_out, seeds=SEEDS)
    jaws = [motion.column("jawOpen")[:, None] for motion in predictions]
    truth = [clip.motion.column("jawOpen")[:, None] for clip in held_out]
    assert metrics.pooled_correlation(jaws, truth)[0] > 0.8


@pytest.mark.parametrize("control", [MeanFace, Ridge])
def test_controls_say_that_there_is_nothing_to_learn_from(control: type[MeanFace] | type[Ridge]):
    with pytest.raises(ValueError, match="no training clips"):
        control.fit([])


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12), st.integers(0, 1000))
def test_a_derangement_gives_each_clip_once_and_none_to_itself(speakers: list[str], seed: int):
    clips = [_labelled(number, speaker) for number, speaker in enumerate(speakers)]
    partners = derangement(clips, seed=seed)
    assert sorted(partners) == list(range(len(clips)))
    assert all(index != partner for index, partner in enumerate(partners))


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=12), st.integers(0, 1000))
def test_a_derangement_leaves_a_speaker_only_where_he_has_one_clip(speakers: list[str], seed: int):
    clips = [_labelled(number, speaker) for number, speaker in enumerate(speakers)]
    partners = derangement(clips, seed=seed)
    alone = [speaker for speaker in speakers if speakers.count(speaker) == 1]
    changed = [
        clip.speaker for clip, partner in zip(clips, partners, strict=True) if clips[partner].speaker != clip.speaker
    ]
    host = [] if len(alone) != 1 else [min(set(speakers) - set(alone))]
    assert sorted(changed) == sorted(alone + host)


def test_a_derangement_does_not_depend_on_the_order_of_the_clips(clips: list[Clip]):
    def pairs(chosen: list[Clip]) -> set[tuple[str, str]]:
        partners = derangement(chosen, seed=3)
        return {(clip.clip_id, chosen[index].clip_id) for clip, index in zip(chosen, partners, strict=True)}

    assert pairs(clips) == pairs(clips[::-1])


def test_one_clip_cannot_be_shuffled(clips: list[Clip]):
    with pytest.raises(ValueError, match="got 1 clips, expected at least 2"):
        derangement(clips[:1], seed=0)


def test_shuffled_audio_hears_the_other_clip_at_this_clips_length(clips: list[Clip]):
    short = dataclasses.replace(clips[1], motion=_cut(clips[1], 20), waveform=clips[1].waveform[: 20 * 640])
    pair = [clips[0], short]
    heard: list[Clip] = []

    class Listener:
        name, num_steps, parameters, file_bytes, is_stochastic = "listener", None, None, None, False

        def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
            heard.extend(clips)
            return [clip.motion for clip in clips]

    motions = ShuffledAudio(system=Listener()).predict(pair, seeds=[0, 0])
    assert [motion.num_frames for motion in motions] == [30, 20]
    np.testing.assert_array_equal(heard[1].waveform, clips[0].waveform[: 20 * 640])
    np.testing.assert_array_equal(heard[0].waveform[: 20 * 640], short.waveform)
    np.testing.assert_array_equal(heard[0].waveform[20 * 640 :], short.waveform[: 10 * 640])


def test_a_report_shows_controls_samples_temperature_0_and_shuffled_audio(
    corpus: Corpus, bundle: Bundle, regression_bundle: Bundle
):
    systems = standard_systems(corpus, {"teacher": bundle, "regression": regression_bundle})
    assert [system.name for system in systems] == [
        "truth",
        "mean face",
        "ridge from log-mel",
        "teacher",
        "teacher (temperature 0)",
        "teacher (shuffled audio)",
        "regression",
        "regression (shuffled audio)",
    ]
    assert [system.is_stochastic for system in systems] == [False] * 3 + [True] + [False] * 4


def _labelled(number: int, speaker: str) -> Clip:
    motion = MotionClip(coefficients=np.zeros((1, 52)), fps=25.0)
    return Clip(
        clip_id=str(number), waveform=np.ones(640), motion=motion, speaker=speaker, emotion="neutral", split="test"
    )


def _cut(clip: Clip, frames: int) -> MotionClip:
    return dataclasses.replace(clip.motion, coefficients=clip.motion.coefficients[:frames])
