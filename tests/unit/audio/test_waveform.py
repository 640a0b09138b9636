"""Decoding: exact where it can be, in sync where it is lossy, and a clear refusal for every bad file."""

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import encoded, tone, with_data_size, with_rate

from diffusiontalker.audio.waveform import AudioError, AudioLimits, encode_flac, read_waveform, write_wav
from diffusiontalker.config import ArtefactError

REAL_SPEECH = Path(os.environ.get("DIFFUSIONTALKER_REAL_DATA", "../shared/data")) / "speech"


def bursts(*, rate_hz: int) -> np.ndarray:
    """Noise bursts at irregular times: their envelope shows a delay that a steady tone hides."""
    generator = np.random.default_rng(0)
    signal = np.zeros(2 * rate_hz, dtype=np.float32)
    for start in (0.31, 0.55, 1.02, 1.43):
        first = round(start * rate_hz)
        signal[first : first + rate_hz // 10] = generator.uniform(-0.6, 0.6, rate_hz // 10)
    return signal


def with_flac_length(flac: bytes, total_samples: int) -> bytes:
    """Patches the 36-bit sample count of the STREAMINFO block."""
    changed = bytearray(flac)
    changed[21] = (changed[21] & 0xF0) | (total_samples >> 32)
    changed[22:26] = struct.pack(">I", total_samples & 0xFFFF_FFFF)
    return bytes(changed)


@given(st.lists(st.integers(-32768, 32767), min_size=16, max_size=400))
@settings(deadline=None, max_examples=30)
def test_flac_gives_back_every_16_bit_waveform_exactly(values: list[int]) -> None:
    waveform = np.array(values, dtype=np.float32) / 32768
    limits = AudioLimits(min_seconds=0.0)
    assert np.array_equal(read_waveform(encode_flac(waveform), limits=limits), waveform)


def test_wav_round_trip_is_exact_and_full_scale_does_not_wrap(tmp_path: Path) -> None:
    waveform = tone()
    waveform[:2] = 1.0, -1.0
    write_wav(waveform, tmp_path / "tone.wav")
    again = read_waveform(tmp_path / "tone.wav")
    assert again.dtype == np.float32
    assert np.abs(again - waveform).max() <= 1 / 32768
    write_wav(again, tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "tone.wav").read_bytes()


def test_writing_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    write_wav(tone(), tmp_path / "tone.wav")
    with pytest.raises(ArtefactError, match="already exists"):
        write_wav(tone(), tmp_path / "tone.wav")
    write_wav(tone(2.0), tmp_path / "tone.wav", overwrite=True)
    assert len(read_waveform(tmp_path / "tone.wav")) == 32_000


@pytest.mark.parametrize("waveform", [np.full(100, np.nan, np.float32), np.full(100, np.inf, np.float32)])
def test_writing_refuses_samples_that_are_not_finite(waveform: np.ndarray) -> None:
    with pytest.raises(AudioError, match="NaN or infinite"):
        encode_flac(waveform)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_becomes_16_khz_with_the_tone_unchanged(rate_hz: int) -> None:
    waveform = read_waveform(encoded(tone(1.6, rate_hz=rate_hz), rate_hz=rate_hz, subtype="FLOAT"))
    assert len(waveform) == 25_600
    inner = slice(1_000, 23_000)
    assert np.abs(waveform[inner] - tone(1.6)[inner]).max() < 1e-3


def test_a_tone_above_8_khz_does_not_alias() -> None:
    waveform = read_waveform(encoded(tone(1.0, rate_hz=48_000, frequency_hz=11_000), rate_hz=48_000))
    assert np.abs(waveform[1_000:-1_000]).max() < 1e-3


def test_decoding_in_blocks_leaves_no_seams() -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 700_001).astype(np.float32)  # several decoding blocks
    assert np.array_equal(read_waveform(encoded(noise, subtype="FLOAT")), noise)


@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_channels_are_averaged(channels: int) -> None:
    samples = np.random.default_rng(2).uniform(-0.9, 0.9, (16_000, channels)).astype(np.float32)
    waveform = read_waveform(encoded(samples, subtype="FLOAT"))
    np.testing.assert_allclose(waveform, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_24"), ("WAVEX", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)]
)
def test_every_format_keeps_the_sound_in_place(kind: str, subtype: str | None) -> None:
    truth = read_waveform(encoded(bursts(rate_hz=44_100), rate_hz=44_100, subtype="FLOAT"))
    waveform = read_waveform(encoded(bursts(rate_hz=44_100), rate_hz=44_100, kind=kind, subtype=subtype))
    assert abs(len(waveform) - len(truth)) <= 16
    size = min(len(waveform), len(truth))
    envelope = [np.convolve(np.abs(signal[:size]), np.ones(160) / 160, mode="same") for signal in (truth, waveform)]
    correlation = np.correlate(envelope[1], envelope[0][800:-800], mode="valid")
    assert abs(int(correlation.argmax()) - 800) <= 80  # 5 ms


def test_bytes_paths_and_strings_are_the_same_source(tmp_path: Path) -> None:
    path = tmp_path / "tone.raw"  # the suffix says nothing: the first bytes do
    path.write_bytes(encoded(tone(), kind="FLAC"))
    waveforms = [read_waveform(source) for source in (path, str(path), path.read_bytes())]
    assert all(np.array_equal(waveform, waveforms[0]) for waveform in waveforms)


def test_the_open_lengths_of_streams_are_accepted() -> None:
    wav, flac = encoded(tone()), encoded(tone(), kind="FLAC")
    for stream in (with_data_size(wav, 0xFFFF_FFFF), with_data_size(wav, 0x7FFF_FFFF), with_flac_length(flac, 0)):
        assert len(read_waveform(stream)) == 16_000


def test_samples_beyond_full_scale_are_clipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    waveform = read_waveform(encoded(tone() * 3, subtype="FLOAT"), name="loud.wav")
    assert np.abs(waveform).max() == 1.0
    assert "loud.wav" in caplog.text
    assert "clipped" in caplog.text


_WAV = encoded(tone())
_FLAC = encoded(tone(), kind="FLAC")
_OGG = encoded(tone(), kind="OGG")
_MP3 = encoded(tone(), kind="MP3")
_DAMAGED_FLAC = _FLAC[: len(_FLAC) // 2] + b"\x55" * 200 + _FLAC[len(_FLAC) // 2 + 200 :]
_NAN = tone()
_NAN[8_000] = np.nan

BAD_FILES = {
    "0 bytes": (b"", "empty (0 bytes)", "export"),
    "text": (b"hello, this is no sound" * 9, "unknown format", "convert"),
    "unsupported format": (encoded(tone(), kind="AIFF"), "unknown format", "wav, flac"),
    "damaged flac": (_DAMAGED_FLAC, "cannot be decoded", "corrupt"),
    "half a flac": (_FLAC[: len(_FLAC) // 2], "cannot be decoded", "cut off"),
    "flac header only": (_FLAC[:60], "de", "cut off"),
    "half a wav": (_WAV[: len(_WAV) // 2], "declares 32000 bytes", "cut off"),
    "half an ogg": (_OGG[: len(_OGG) // 2], "cannot be decoded", "cut off"),
    "half an mp3": (_MP3[: len(_MP3) // 2], "declares 1.00 s", "cut off"),
    "odd byte count": (with_data_size(_WAV, 31_999)[:-1], "31999 bytes", "multiple of 2"),
    "declared 74 hours": (with_flac_length(_FLAC, 2**32), "declares 268435.46 s", "only 1.00 s"),
    "no samples": (with_data_size(_WAV, 0)[:44], "holds no samples", "at least 0.1 s"),
    "too short": (encoded(tone(0.05)), "lasts 0.050 s", "at least 0.1 s"),
    "rate of 2^31 - 1": (with_rate(_WAV, 2**31 - 1), "2147483647 Hz", "8000 to 192000 Hz"),
    "rate of 0": (with_rate(_WAV, 0), "cannot be decoded", "export"),
    "rate of 4 kHz": (encoded(tone(rate_hz=4_000), rate_hz=4_000), "4000 Hz", "8000 to 192000 Hz"),
    "1024 channels": (encoded(np.zeros((100, 1024), np.float32), subtype="FLOAT"), "1024 channels", "1 to 8"),
    "NaN": (encoded(_NAN, subtype="FLOAT"), "1 samples are NaN or infinite", "at 0.500 s"),
    "infinite": (encoded(tone() + np.float32(np.inf), subtype="FLOAT"), "NaN or infinite", "export"),
    "integers as floats": (encoded(tone() * 32768, subtype="FLOAT"), "samples reach 16", "divide by full scale"),
}  # fmt: skip


@pytest.mark.parametrize("label", BAD_FILES)
def test_a_bad_file_is_refused_with_where_what_and_what_next(label: str, tmp_path: Path) -> None:
    content, got, allowed_or_next = BAD_FILES[label]
    path = tmp_path / "take_07.wav"
    path.write_bytes(content)
    for source, where in ((path, str(path)), (content, "upload 3")):
        with pytest.raises(AudioError) as caught:
            read_waveform(source, name=None if source is path else where)
        message = str(caught.value)
        assert message.startswith(f"{where}: ")
        assert got in message
        assert allowed_or_next in message


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        read_waveform(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="is a folder, expected an audio file"):
        read_waveform(tmp_path)


def test_an_hour_of_silence_in_a_few_kilobytes_stops_at_the_budget() -> None:
    bomb = encode_flac(np.zeros(16_000 * 600, dtype=np.float32))
    assert len(bomb) < 100_000
    with pytest.raises(AudioError, match="longer than 5 s"):
        read_waveform(bomb, limits=AudioLimits(max_seconds=5.0))
    assert len(read_waveform(bomb, limits=AudioLimits(max_seconds=600.0))) == 16_000 * 600


def test_limits_of_bytes_and_time_hold() -> None:
    with pytest.raises(AudioError, match=r"32044 bytes, at most 1000 are allowed"):
        read_waveform(_WAV, limits=AudioLimits(max_bytes=1_000))
    with pytest.raises(AudioError, match="decoding took longer than 1e-09 s"):
        read_waveform(_WAV, limits=AudioLimits(max_decode_seconds=1e-9))


@pytest.mark.parametrize(
    "limits", [{"min_seconds": 2.0, "max_seconds": 1.0}, {"min_rate_hz": 0}, {"max_channels": 0}, {"max_bytes": -1}]
)
def test_limits_that_accept_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        AudioLimits(**limits)  # pyright: ignore[reportArgumentType]


@given(st.binary(max_size=300), st.sampled_from([_WAV, _FLAC]), st.integers(0, 200))
@settings(deadline=None, max_examples=60)
def test_damage_anywhere_gives_a_waveform_or_an_audio_error(damage: bytes, original: bytes, position: int) -> None:
    content = original[:position] + damage + original[position + len(damage) :]
    try:
        waveform = read_waveform(content)
    except AudioError:
        return
    assert np.isfinite(waveform).all()


@pytest.mark.skipif(not REAL_SPEECH.is_dir(), reason=f"no real speech at {REAL_SPEECH}; set DIFFUSIONTALKER_REAL_DATA")
def test_real_speech_of_both_rates_and_formats_is_read() -> None:
    paths = sorted(REAL_SPEECH.glob("*.flac")) + sorted(REAL_SPEECH.glob("*.ogg"))
    for path in paths:
        waveform = read_waveform(path)
        info = soundfile.info(path)
        assert len(waveform) == pytest.approx(info.duration * 16_000, abs=1)
        assert 0.05 < np.abs(waveform).max() <= 1.0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "locked.wav"
    path.write_bytes(_WAV)
    path.chmod(0)
    with pytest.raises(AudioError, match="cannot be opened"):
        read_waveform(path)
