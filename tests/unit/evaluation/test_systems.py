import dataclasses

import numpy as np
import pytest

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import BundleSystem, measure_rtf
from diffusiontalker.evaluation.latency import joined_clip
from diffusiontalker.inference import Bundle


def test_a_bundle_predicts_clips_alike_alone_and_in_batches(bundle: Bundle, clips: list[Clip]):
    batched = BundleSystem(bundle=bundle, name="talker", batch_size=3).predict(clips[:4], seeds=[1, 2, 3, 4])
    alone = BundleSystem(bundle=bundle, name="talker").predict(clips[3:4], seeds=[4])
    np.testing.assert_allclose(batched[3].coefficients, alone[0].coefficients, atol=1e-5)
    assert [motion.num_frames for motion in batched] == [clip.motion.num_frames for clip in clips[:4]]


def test_temperature_0_does_not_depend_on_the_seed_and_1_does(bundle: Bundle, clips: list[Clip]):
    still = BundleSystem(bundle=bundle, name="still", temperature=0.0)
    lively = BundleSystem(bundle=bundle, name="lively")
    (first,), (second,) = (still.predict(clips[:1], seeds=[seed]) for seed in (1, 2))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    (first,), (second,) = (lively.predict(clips[:1], seeds=[seed]) for seed in (1, 2))
    assert np.abs(first.coefficients - second.coefficients).max() > 1e-3


def test_a_system_shows_the_settings_and_sizes_of_its_bundle(bundle: Bundle):
    system = BundleSystem(bundle=bundle, name="talker")
    assert (system.num_steps, system.temperature, system.is_stochastic) == (2, 1.0, True)
    assert (system.parameters, system.file_bytes) == (bundle.parameters, bundle.file_bytes)
    assert str(system.device) == "cpu"
    assert not BundleSystem(bundle=bundle, name="talker", num_steps=5, temperature=0.0).is_stochastic


def test_training_steps_come_from_the_card(bundle: Bundle):
    trained = dataclasses.replace(bundle, card={"training": {"num_steps": 30}})
    assert BundleSystem(bundle=trained, name="talker").training_steps == 30
    assert BundleSystem(bundle=dataclasses.replace(bundle, card={}), name="talker").training_steps is None


def test_the_real_time_factor_is_timed_after_one_warm_up_run():
    calls: list[int] = []
    latency = measure_rtf(lambda: calls.append(1), audio_seconds=2.0, repeats=3)
    assert len(calls) == 4
    assert 0.0 < latency.rtf_min <= latency.rtf <= latency.rtf_max
    assert latency.threads >= 1
    assert latency.device == "cpu"


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="0 s of audio"):
        measure_rtf(lambda: None, audio_seconds=0)


def test_clips_are_joined_to_the_length_asked_for(clips: list[Clip]):
    joined = joined_clip(clips[:2], seconds=3.0)
    assert len(joined.waveform) == 48_000
    assert joined.motion.num_frames == joined.num_frames == 75
    np.testing.assert_array_equal(joined.waveform[: len(clips[0].waveform)], clips[0].waveform)
