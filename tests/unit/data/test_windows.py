import dataclasses

import numpy as np
import pytest
import tiny
import torch

from diffusiontalker.audio import AugmentConfig
from diffusiontalker.data import WindowConfig, WindowSource, channel_statistics
from diffusiontalker.data.collate import collate
from diffusiontalker.data.windows import mirror_columns
from diffusiontalker.face import CHANNELS

SILENT = AugmentConfig(
    speed_probability=0, noise_probability=0, gain_db=0, muted_probability=0, mirror_probability=0
)  # fmt: skip


def source(augment=None, *, seconds=0.4, **options):
    clips = [clip for clip in tiny.tiny_clips(**options) if clip.split == "train"]
    names = {"speakers": ["speaker0", "speaker1"], "emotions": ["neutral", "happy"]}
    return clips, WindowSource(
        clips, **names, config=WindowConfig(seconds=seconds, reference_seconds=0.3), augment=augment
    )


def test_sound_and_face_of_a_window_stay_together():
    clips, windows = source(seconds=0.4)
    for seed in range(20):
        window = windows.window(0, seed=seed)
        assert window.motion.shape == (10, len(CHANNELS))
        assert len(window.speech) == 6_400
        start = next(
            first for first in range(clips[0].motion.num_frames)
            if np.array_equal(clips[0].motion.coefficients[first : first + 10], window.motion)
        )  # fmt: skip
        np.testing.assert_array_equal(window.speech, clips[0].waveform[start * 640 : start * 640 + 6_400])


def test_a_window_is_a_function_of_its_seed():
    _, windows = source(AugmentConfig())
    first, again, other = windows.window(1, seed=7), windows.window(1, seed=7), windows.window(1, seed=8)
    np.testing.assert_array_equal(first.speech, again.speech)
    assert first.seed == again.seed != other.seed


def test_a_faster_window_plays_sound_and_face_faster():
    augment = AugmentConfig(
        speed_probability=1, max_speed_change=0.3, noise_probability=0, gain_db=0, muted_probability=0,
        mirror_probability=0,
    )  # fmt: skip
    _, windows = source(augment, seconds=0.5)
    for seed in range(10):
        window = windows.window(0, seed=seed)
        loudness = np.abs(window.speech).reshape(-1, 640).max(axis=1)[: len(window.motion)]
        assert abs(len(window.speech) - len(window.motion) * 640) <= 1
        assert np.corrcoef(loudness, window.motion[: len(loudness), tiny.JAW])[0, 1] > 0.7


def test_a_reference_in_another_voice_is_the_crop_played_at_another_speed():
    """A tone of 400 Hz is heard anywhere between 400 / 1.5 and 400 * 1.5 Hz, the window itself stays at 400 Hz."""
    clips, _ = source(seconds=0.4)
    tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000).astype(np.float32)
    clip = dataclasses.replace(clips[0], waveform=tone)
    windows = WindowSource(
        [clip], speakers=[], emotions=[], config=WindowConfig(reference_seconds=0.5), augment=None, voice_range=1.5
    )
    cut = [windows.window(0, seed=seed) for seed in range(30)]
    references = [window.reference for window in cut]
    assert all(abs(np.count_nonzero(np.diff(np.signbit(w.speech))) / len(w.speech) - 0.05) < 1e-3 for w in cut)
    lengths = {len(reference) for reference in references}
    assert 7_990 < min(lengths) <= max(lengths) < 8_010
    heard = [np.count_nonzero(np.diff(np.signbit(reference))) for reference in references]
    assert 266 < min(heard) < 300 < 550 < max(heard) < 602


def test_mirroring_swaps_left_and_right():
    clips, windows = source(AugmentConfig(mirror_probability=1, muted_probability=0, speed_probability=0), seconds=0.8)
    window = windows.window(0, seed=0)
    np.testing.assert_array_equal(window.motion, clips[0].motion.coefficients[:, mirror_columns(CHANNELS)])
    assert mirror_columns(("x", "y")) is None


def test_a_muted_window_is_silent_and_still():
    _, windows = source(AugmentConfig(muted_probability=1))
    window = windows.window(0, seed=0)
    assert not window.speech.any()
    assert np.ptp(window.motion, axis=0).max() == 0.0


def test_short_clips_are_padded_and_masked_in_a_batch():
    _, windows = source(seconds=5.0)
    _, shorter = source(seconds=0.4)
    batch = collate([windows.window(0, seed=0), shorter.window(0, seed=0)])
    assert batch.frames.tolist() == [20, 10]
    assert batch.lengths.tolist() == [12_800, 6_400]
    assert not batch.motion[1, 10:].any()
    assert not batch.speech[1, 6_400:].any()
    assert batch.to(torch.device("cpu")).motion.shape == (2, 20, 52)


def test_unlabelled_speakers_get_no_index():
    clips, _ = source()
    windows = WindowSource(clips, speakers=["else"], emotions=[], config=WindowConfig(), augment=None)
    assert (windows.window(0, seed=0).speaker, windows.window(0, seed=0).emotion) == (-1, -1)


def test_statistics_need_a_clip_and_keep_quiet_channels_small():
    clips, _ = source()
    mean, scale = channel_statistics(clip.motion for clip in clips)
    assert scale.min() == pytest.approx(0.005)
    assert mean[tiny.JAW] == pytest.approx(0.25, abs=0.1)
    with pytest.raises(ValueError, match="split 'train' is empty"):
        channel_statistics([])
