import dataclasses

import numpy as np
import pytest
from loudness import loudness_db

from diffusiontalker.data import Corpus, CorpusError, inspect_corpus, write_corpus
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip

FPS = 25.0


def babble(make_clip, clip_id, *, delay_frames, seed):
    """A clip whose jaw opens `delay_frames` after each of its noise bursts."""
    generator = np.random.default_rng(seed)
    clip = make_clip(clip_id, seconds=4.0, seed=seed)
    gates = np.repeat(generator.random(25) > 0.5, 4)[: clip.num_frames].astype(float)
    samples = np.repeat(gates, 640)[: len(clip.waveform)]
    samples = np.roll(samples, -320)  # frame i is the instant i / fps: the middle of its burst
    coefficients = np.full((clip.num_frames, len(CHANNELS)), 0.25)
    coefficients[:, CHANNELS.index("jawOpen")] = 0.5 * np.roll(gates, delay_frames)
    motion = MotionClip(coefficients=coefficients, fps=FPS)
    return dataclasses.replace(clip, waveform=clip.waveform * samples, motion=motion)


@pytest.mark.parametrize("delay_frames", [-3, 0, 2])
def test_the_lag_between_sound_and_jaw_is_found(delay_frames, make_clip, tmp_path):
    clips = [babble(make_clip, f"c{seed}", delay_frames=delay_frames, seed=seed) for seed in range(4)]
    write_corpus(clips, tmp_path / "corpus", motion_fps=FPS)
    summary = inspect_corpus(Corpus.open(tmp_path / "corpus"))
    assert summary.sync.num_clear
    assert summary.sync.median_lag_s == pytest.approx(0.04 * delay_frames, abs=0.03)
    assert summary.sync.text() in summary.text()


def test_motion_unrelated_to_the_sound_has_no_lag(make_clip, tmp_path):
    write_corpus([make_clip(f"c{n}", seconds=4.0, seed=n) for n in range(6)], tmp_path / "corpus", motion_fps=FPS)
    summary = inspect_corpus(Corpus.open(tmp_path / "corpus"))
    assert "sound and face: of 6 clips none tells clearly how they stand" in summary.text()


def test_clips_are_counted_by_split_speaker_and_emotion(make_clip, tmp_path):
    clips = [make_clip("a"), make_clip("b"), make_clip("c", emotion="sad"), make_clip("d", split="test", seconds=0.3)]
    write_corpus(clips, tmp_path / "corpus", motion_fps=FPS, missing_channels=["tongueOut"])
    summary = inspect_corpus(Corpus.open(tmp_path / "corpus"))
    counts = {(group.split, group.speaker, group.emotion): group.clips for group in summary.groups}
    assert counts == {("train", "ada", "neutral"): 2, ("train", "ada", "sad"): 1, ("test", "ada", "neutral"): 1}
    assert (summary.shortest_s, summary.longest_s) == (0.3, 0.5)
    assert "missing in some or all of the source: tongueOut" in summary.text()
    assert "no clip tells how they stand, as none lasts 2 s" in summary.text()


def test_channel_activity_is_that_of_all_frames_together(make_clip, tmp_path):
    clips = [make_clip("a"), make_clip("b", split="test")]
    write_corpus(clips, tmp_path / "corpus", motion_fps=FPS)
    summary = inspect_corpus(Corpus.open(tmp_path / "corpus"))
    frames = np.concatenate([clip.motion.coefficients for clip in clips])
    got = np.array([[c.mean, c.std, c.minimum, c.maximum] for c in summary.channels]).T
    wanted = [frames.mean(axis=0), frames.std(axis=0), frames.min(axis=0), frames.max(axis=0)]
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert summary.still_channels == ()


def test_inspection_notices_a_changed_corpus(make_clip, tmp_path):
    for name, seed in (("one", 1), ("two", 2)):
        write_corpus([make_clip("a", seed=seed)], tmp_path / name, motion_fps=FPS)
    (tmp_path / "two" / "train-00000.parquet").replace(tmp_path / "one" / "train-00000.parquet")
    with pytest.raises(CorpusError, match="the files were changed"):
        inspect_corpus(Corpus.open(tmp_path / "one"))


def test_loudness_is_relative_to_the_loudest_frame():
    waveform = np.repeat(np.array([1.0, 0.1, 0.0], dtype=np.float32), 6400)
    loudness = loudness_db(waveform, num_frames=30, motion_fps=FPS)
    np.testing.assert_allclose(loudness[[5, 15, 25]], [0.0, -20.0, -50.0], atol=1e-3)
