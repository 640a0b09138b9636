"""One way through: whatever the batch, the window or the file it came from, a recording moves the same."""

import copy
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from diffusiontalker.inference import (
    AnimationError,
    Bundle,
    SamplingConfig,
    Style,
    VoiceError,
    animate,
    animate_batch,
    embed,
    enroll,
    load_bundle,
    save_bundle,
    windows,
)


@pytest.fixture(scope="module")
def lively(bundle: Bundle) -> Bundle:
    """A bundle in which speaker, emotion and time matter, as after training."""
    talker = copy.deepcopy(bundle.talker)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in talker.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.3)
    return Bundle(talker=talker, sampling=SamplingConfig(num_steps=4))


def noise(samples: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


@pytest.fixture(params=[1, 3])
def threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param, "work in several threads left another number behind"
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_windows_equal_one_pass(lively, monkeypatch):
    waveform = noise(10 * 16_000 + 123)
    whole = animate(lively, waveform, seed=3)
    monkeypatch.setattr(windows, "WINDOW_S", 1)
    pieces = animate(lively, waveform, seed=3)
    assert whole.num_frames == 251
    np.testing.assert_allclose(pieces.coefficients, whole.coefficients, atol=2e-5)


@pytest.mark.usefixtures("threads")
def test_batched_equals_single_even_when_windowed(lively, monkeypatch):
    waveforms, seeds = [noise(40_000), noise(9_001, seed=1), noise(55_555, seed=2)], [4, 5, 6]
    alone = [animate(lively, waveform, seed=seed) for waveform, seed in zip(waveforms, seeds, strict=True)]
    for window_s in (20, 1):
        monkeypatch.setattr(windows, "WINDOW_S", window_s)
        for one, other in zip(animate_batch(lively, waveforms, seeds=seeds), alone, strict=True):
            np.testing.assert_allclose(one.coefficients, other.coefficients, atol=2e-5)


def test_a_reloaded_bundle_animates_the_same_bit_by_bit(lively, tmp_path):
    save_bundle(lively, tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    np.testing.assert_array_equal(
        animate(loaded, noise(20_000)).coefficients, animate(lively, noise(20_000)).coefficients
    )


def test_seeds_matter_only_with_temperature(lively):
    first, second = (animate(lively, noise(20_000), seed=seed) for seed in (0, 1))
    assert np.abs(first.coefficients - second.coefficients).max() > 1e-3
    still, again = (animate(lively, noise(20_000), seed=seed, temperature=0.0) for seed in (0, 1))
    np.testing.assert_array_equal(still.coefficients, again.coefficients)


def cost(seconds: int, *, window_s: int = windows.WINDOW_S) -> tuple[float, float]:
    """Peak memory in MB and CPU seconds of a process that animates this much sound."""
    program = Path(__file__).parents[2] / "support" / "long_audio.py"
    command = [sys.executable, str(program), str(seconds), str(window_s)]
    # What is freed goes back to the system at once: else the peak is what the allocator happened to keep.
    variables = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, env=variables).stdout
    memory_mb, cpu_s = map(float, printed.split())
    return memory_mb, cpu_s


@pytest.mark.slow
def test_ten_minutes_take_bounded_memory_and_linear_time():
    (one_mb, one_s), (ten_mb, ten_s) = cost(60), cost(600)
    whole_mb, _ = cost(600, window_s=10_000)
    # Waveform and features are kept for all frames (0.3 MB per second); activations only for a window.
    assert ten_mb - one_mb < 0.7 * (whole_mb - one_mb)
    assert ten_s < 20 * one_s


def test_voice_and_emotion_change_the_motion_and_intensity_scales_it(lively):
    waveform = noise(30_000)
    plain = animate(lively, waveform, seed=1, emotion="neutral")
    for change in ({"emotion": "joy"}, {"emotion": "neutral", "voice": "björn"}):
        assert np.abs(animate(lively, waveform, seed=1, **change).coefficients - plain.coefficients).max() > 1e-3
    none = animate(lively, waveform, seed=1, emotion="joy", emotion_intensity=0.0)
    np.testing.assert_allclose(none.coefficients, plain.coefficients, atol=1e-6)


def test_an_enrolled_voice_of_the_same_recording_is_the_recordings_own(lively):
    waveform = noise(30_000)
    voice = enroll(lively, [waveform], name="me")
    own, _ = embed(lively, waveform)
    np.testing.assert_allclose(voice.identity, own, atol=1e-6)
    np.testing.assert_allclose(
        animate(lively, waveform, voice=voice).coefficients, animate(lively, waveform).coefficients, atol=1e-5
    )


def test_progress_reaches_one(lively):
    seen = []
    animate(lively, noise(8_000), num_steps=4, on_progress=seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"emotion": "anfer"}, "perhaps you meant 'anger'"),
        ({"voice": "zoe"}, r"unknown speaker 'zoe' \(this bundle knows: anna, björn\)"),
        ({"emotion": "joy", "emotion_intensity": 3.0}, "emotion_intensity is 3.0"),
        ({"num_steps": 0}, "num_steps 0"),
        ({"temperature": -1.0}, "temperature -1.0"),
    ],
)
def test_unusable_requests_say_what_is_allowed(lively, arguments, message):
    with pytest.raises(AnimationError, match=message):
        animate(lively, noise(8_000), **arguments)


def test_empty_audio_and_uneven_batches_are_refused(lively):
    with pytest.raises(AnimationError, match="at least one sample"):
        animate(lively, np.zeros(0, np.float32))
    with pytest.raises(AnimationError, match="give one each"):
        animate_batch(lively, [noise(100)], seeds=[1], styles=[Style(), Style()])
    assert animate_batch(lively, [], seeds=[]) == []


def test_a_voice_of_another_bundle_is_refused(lively):
    voice = dataclasses.replace(enroll(lively, [noise(20_000)], name="me"), bundle_digest="else")
    with pytest.raises(VoiceError, match="enroll it again"):
        animate(lively, noise(8_000), voice=voice)
