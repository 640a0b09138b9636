import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.audio import timebase
from diffusiontalker.data import Clip, CorpusError
from diffusiontalker.face.motion import MotionClip


def a_clip(**changes):
    fields = {
        "clip_id": "c1",
        "waveform": np.full(16_000, 0.1, dtype=np.float32),
        "motion": MotionClip(coefficients=np.zeros((25, 52)), fps=25.0),
        "speaker": "ada",
        "emotion": "neutral",
        "split": "train",
    }
    return Clip(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "tset"}, "unknown split 'tset'; perhaps you meant 'test'"),
        ({"speaker": " "}, "speaker is empty"),
        ({"waveform": np.zeros(0, dtype=np.float32)}, "at least one sample"),
        ({"waveform": np.zeros((2, 10), dtype=np.float32)}, r"shape \(2, 10\)"),
        ({"waveform": np.array([0.0, np.nan])}, "NaN"),
    ],
)
def test_a_clip_refuses_what_no_corpus_can_hold(changes, message):
    with pytest.raises(CorpusError, match=message):
        a_clip(**changes)


def test_alignment_holds_the_last_frame_where_motion_is_short():
    motion = MotionClip(coefficients=np.arange(24 * 52).reshape(24, 52), fps=25.0)
    aligned = a_clip(motion=motion).aligned(motion_fps=25.0)
    assert aligned.motion.num_frames == 25
    np.testing.assert_array_equal(aligned.motion.coefficients[:24], motion.coefficients)
    np.testing.assert_array_equal(aligned.motion.coefficients[24], motion.coefficients[23])


def test_alignment_cuts_what_lies_beyond_the_sound():
    motion = MotionClip(coefficients=np.arange(30 * 52).reshape(30, 52), fps=25.0)
    aligned = a_clip(motion=motion).aligned(motion_fps=25.0)
    np.testing.assert_array_equal(aligned.motion.coefficients, motion.coefficients[:25])


def test_alignment_maps_channels_by_name_and_fills_the_missing_with_zero():
    motion = MotionClip(coefficients=np.full((25, 2), [0.3, 0.7]), fps=25.0, channel_names=("jawOpen", "browInnerUp"))
    aligned = a_clip(motion=motion).aligned(motion_fps=25.0)
    assert aligned.motion.column("jawOpen")[3] == pytest.approx(0.3)
    assert aligned.motion.column("browInnerUp")[3] == pytest.approx(0.7)
    assert not aligned.motion.column("tongueOut").any()


@given(
    samples=st.integers(1, 50_000),
    frames=st.integers(1, 120),
    source_fps=st.sampled_from([24.0, 25.0, 29.97, 30.0, 60.0]),
    target_fps=st.sampled_from([25.0, 30.0, 60.0]),
)
def test_aligned_motion_covers_the_waveform_exactly_at_any_rate(samples, frames, source_fps, target_fps):
    clip = a_clip(
        waveform=np.zeros(samples, dtype=np.float32),
        motion=MotionClip(coefficients=np.ones((frames, 52)), fps=source_fps),
    )
    aligned = clip.aligned(motion_fps=target_fps)
    assert aligned.motion.num_frames == timebase.motion_frames(samples, motion_fps=target_fps) == aligned.num_frames
    assert aligned.motion.fps == target_fps


def test_motion_without_frames_cannot_be_aligned():
    clip = a_clip(motion=MotionClip(coefficients=np.zeros((0, 52)), fps=25.0))
    with pytest.raises(CorpusError, match="no frames"):
        clip.aligned(motion_fps=25.0)
