import numpy as np
import pytest
import soundfile

from diffusiontalker.audio.wav_copy import copy_as_wav, is_copy
from diffusiontalker.audio.waveform import AudioError
from diffusiontalker.config import ArtefactError


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 0), ("flac", 0), ("ogg", 0.2), ("mp3", 0.25)])
@pytest.mark.parametrize("channels", [1, 2])
def test_rate_channels_and_samples_stay(tmp_path, suffix, tolerance, channels):
    rate_hz = 44_100
    times_s = np.arange(rate_hz * 7) / rate_hz  # more than one block
    tones = np.stack([0.5 * np.sin(2 * np.pi * 220 * (index + 1) * times_s) for index in range(channels)], axis=1)
    samples = np.rint(tones * 32768).astype(np.int16)
    soundfile.write(tmp_path / f"in.{suffix}", samples, rate_hz)
    seconds, *kind = copy_as_wav(tmp_path / f"in.{suffix}", tmp_path / "out.wav")
    assert kind == [rate_hz, channels]
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"
    copied, _ = soundfile.read(tmp_path / "out.wav", dtype="int16", always_2d=True)
    assert seconds == len(copied) / rate_hz
    if tolerance == 0:
        np.testing.assert_array_equal(copied, samples)
    else:
        assert seconds == pytest.approx(7, abs=0.1)
        assert np.abs(copied[rate_hz : 2 * rate_hz].std() / samples[rate_hz : 2 * rate_hz].std() - 1) < tolerance


def test_damaged_sound_and_files_that_are_there_are_refused(tmp_path):
    (tmp_path / "in.wav").write_bytes(b"RIFF0000WAVEjunk")
    with pytest.raises(AudioError):
        copy_as_wav(tmp_path / "in.wav", tmp_path / "out.wav")
    soundfile.write(tmp_path / "good.wav", np.zeros(16_000), 16_000)
    (tmp_path / "out.wav").write_text("mine")
    with pytest.raises(ArtefactError, match="already exists"):
        copy_as_wav(tmp_path / "good.wav", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_text() == "mine"
    assert copy_as_wav(tmp_path / "good.wav", tmp_path / "out.wav", overwrite=True) == (1.0, 16_000, 1)


def test_a_copy_is_known_by_its_samples(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (300_000, 2))
    soundfile.write(tmp_path / "in.flac", sound, 44_100)
    copy = tmp_path / "out.wav"
    assert not is_copy(copy, tmp_path / "in.flac")
    copy_as_wav(tmp_path / "in.flac", copy)
    assert is_copy(copy, tmp_path / "in.flac")
    samples, _ = soundfile.read(copy, dtype="int16")
    others = {
        "shorter": (samples[:-1], 44_100, "PCM_16"),
        "longer": (np.concatenate([samples, samples[:1]]), 44_100, "PCM_16"),
        "another rate": (samples, 48_000, "PCM_16"),
        "another depth": (samples, 44_100, "PCM_24"),
        "one channel": (samples[:, 0], 44_100, "PCM_16"),
        "another sample": (np.where(np.arange(600_000).reshape(-1, 2) == 599_999, 7, samples), 44_100, "PCM_16"),
    }
    for name, (changed, rate_hz, subtype) in others.items():
        soundfile.write(copy, changed, rate_hz, subtype=subtype)
        assert not is_copy(copy, tmp_path / "in.flac"), name
