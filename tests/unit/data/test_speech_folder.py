"""A folder of speech comes out whole and in order; what is left out is said."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.data import CorpusError, SpeechFolder, cut_at_quiet

RATE = 16_000


def noise(seconds, *, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def with_pause(waveform, *, at_s, seconds=0.2):
    paused = waveform.copy()
    paused[round(at_s * RATE) : round((at_s + seconds) * RATE)] *= 0.01
    return paused


@pytest.mark.parametrize("seconds", [0.3, 11.9, 12.0, 12.01, 12.9, 13.5, 24.0, 24.5, 61.3])
def test_cutting_loses_no_sample_and_keeps_the_lengths(seconds):
    waveform = noise(seconds)
    pieces = cut_at_quiet(waveform, max_seconds=12.0, min_seconds=1.0)
    np.testing.assert_array_equal(np.concatenate(pieces), waveform)
    assert max(map(len, pieces)) <= 12 * RATE
    if seconds <= 12.0:
        assert len(pieces) == 1
    else:
        assert len(pieces) >= seconds / 12.0
        assert min(map(len, pieces)) >= RATE


def test_a_cut_lies_in_the_pause():
    waveform = with_pause(with_pause(noise(20.0), at_s=10.4), at_s=4.0, seconds=1.0)
    first, second = cut_at_quiet(waveform, max_seconds=12.0, min_seconds=1.0)
    # The longer pause at 4 s is not near the end of the piece, and must not be preferred.
    assert 10.4 * RATE <= len(first) <= 10.6 * RATE
    assert len(first) + len(second) == len(waveform)


def test_files_are_found_everywhere_in_natural_order(tmp_path):
    for name in ("b/2.wav", "b/10.wav", "a/deep/x.WAV", "top.wav"):
        write_wav(noise(1.5), tmp_path / name)
    soundfile.write(tmp_path / "a" / "y.ogg", noise(1.5), RATE)
    (tmp_path / "a" / "words.txt").write_text("no sound")
    pieces = list(SpeechFolder(path=tmp_path).pieces())
    assert [(piece.name, piece.folder) for piece in pieces] == [
        ("a/deep/x.WAV", "a/deep"),
        ("a/y.ogg", "a"),
        ("b/2.wav", "b"),
        ("b/10.wav", "b"),
        ("top.wav", ""),
    ]
    assert [piece.file_index for piece in pieces] == list(range(5))


def test_a_long_file_becomes_numbered_pieces_that_are_the_file(tmp_path):
    waveform = np.round(noise(9.0) * 32768) / 32768
    write_wav(waveform, tmp_path / "long.wav")
    pieces = list(SpeechFolder(path=tmp_path, max_seconds=4.0).pieces())
    assert [piece.name for piece in pieces] == [f"long.wav#{number}" for number in range(1, len(pieces) + 1)]
    np.testing.assert_array_equal(np.concatenate([piece.waveform for piece in pieces]), waveform)


def test_what_is_left_out_is_counted_and_named_once(tmp_path, caplog):
    write_wav(noise(2.0), tmp_path / "good.wav")
    write_wav(noise(0.5), tmp_path / "short.wav")
    (tmp_path / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    (tmp_path / "phone.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A ")
    with caplog.at_level(logging.WARNING):
        assert [piece.name for piece in SpeechFolder(path=tmp_path).pieces()] == ["good.wav"]
    unreadable, short = caplog.messages
    assert "2 of 4 files cannot be read" in unreadable
    assert "broken.flac: " in unreadable
    assert "phone.m4a: unknown format" in unreadable
    assert "1 of 4 files are shorter than 1 s: short.wav (0.50 s)" in short


def test_nothing_is_said_when_nothing_is_left_out(tmp_path, caplog):
    write_wav(noise(2.0), tmp_path / "good.wav")
    assert len(list(SpeechFolder(path=tmp_path).pieces())) == 1
    assert not caplog.messages


def test_a_folder_without_usable_speech_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match=r"nowhere: is no folder"):
        SpeechFolder(path=tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"no audio file in it or in its subfolders; expected wav"):
        SpeechFolder(path=tmp_path)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    write_wav(noise(0.5), tmp_path / "short.wav")
    with pytest.raises(CorpusError, match=r"no speech to use; 1 of 2 files cannot be read: broken.*; 1 of 2 files"):
        list(SpeechFolder(path=tmp_path).pieces())


@pytest.mark.parametrize(("longest", "shortest"), [(12.0, 0.0), (12.0, 3.1), (0.0, 0.0)])
def test_lengths_that_leave_no_room_to_cut_are_refused(tmp_path, longest, shortest):
    with pytest.raises(ValueError, match="expected 0 < min <= max / 4"):
        SpeechFolder(path=tmp_path, max_seconds=longest, min_seconds=shortest)


def test_real_speech_is_read_whole(real_data):
    folder = SpeechFolder(path=Path(real_data) / "speech")
    pieces = list(folder.pieces())
    assert {piece.file_index for piece in pieces} == set(range(len(folder.files)))
    assert all(1.0 <= len(piece.waveform) / RATE <= 12.0 for piece in pieces)
