import math

import numpy as np
import pytest
import torch

from diffusiontalker.audio import SAMPLE_RATE_HZ, AugmentConfig, add_noise, change_gain, change_speed, timebase
from diffusiontalker.audio.log_mel import log_mel


def test_two_mel_frames_for_each_speech_frame():
    for samples in (1, 319, 320, 321, 47_648):
        assert log_mel(torch.zeros(2, samples)).shape == (2, 2 * timebase.speech_frames(samples), 80)


def test_a_tone_lights_the_band_that_holds_it():
    time = torch.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for hz in (200.0, 1000.0, 4000.0):
        band = int(log_mel(0.5 * torch.sin(2 * math.pi * hz * time)[None])[0, 50].argmax())
        top = 2595 * math.log10(1 + 8000 / 700)
        expected = 2595 * math.log10(1 + hz / 700) / top * 81 - 1
        assert abs(band - expected) <= 1


def test_a_frame_hears_only_its_window():
    waveform = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    changed = waveform.clone()
    changed[:, 8200:] = 0.0
    assert torch.equal(log_mel(waveform)[:, :50], log_mel(changed)[:, :50])
    assert not torch.equal(log_mel(waveform)[:, 51], log_mel(changed)[:, 51])


def test_speed_change_moves_length_and_pitch():
    tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / SAMPLE_RATE_HZ).astype(np.float32)
    fast = change_speed(tone, 1.25)
    assert abs(len(fast) - 12_800) <= 2
    spectrum = np.abs(np.fft.rfft(fast))
    assert abs(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(fast) - 500) < 5


def test_noise_has_the_asked_level_and_gain_scales():
    waveform = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    noise = add_noise(waveform, snr_db=20.0, generator=np.random.default_rng(0)) - waveform
    assert 10 * np.log10(np.mean(waveform**2) / np.mean(noise**2)) == pytest.approx(20.0, abs=0.2)
    np.testing.assert_allclose(change_gain(waveform, gain_db=20.0), 10 * waveform, rtol=1e-6)


def test_augmentation_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match=r"mirror_probability is 1\.5"):
        AugmentConfig(mirror_probability=1.5)
