import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.audio import SAMPLE_RATE_HZ, SPEECH_FPS, timebase

LENGTHS = st.integers(1, 20_000_000)
RATES = st.sampled_from([24, 25, 29.97, 30, 50, 60, 100])


@given(LENGTHS, RATES)
def test_frames_cover_the_signal_and_not_one_frame_more(length, fps):
    frames = timebase.num_frames(length, rate_hz=SAMPLE_RATE_HZ, fps=fps)
    assert frames / fps >= length / SAMPLE_RATE_HZ - 1e-6
    assert frames == 1 or (frames - 1) / fps < length / SAMPLE_RATE_HZ


@given(st.integers(1, 100_000), RATES)
def test_a_span_of_frames_has_that_many_frames(frames, fps):
    samples = timebase.samples_of_frames(frames, fps=fps)
    assert abs(timebase.motion_frames(samples, motion_fps=fps) - frames) <= (0 if SAMPLE_RATE_HZ % fps == 0 else 1)


@given(LENGTHS, st.integers(0, 1_000_000), RATES)
def test_more_sound_never_has_fewer_frames(length, more, fps):
    assert timebase.motion_frames(length + more, motion_fps=fps) >= timebase.motion_frames(length, motion_fps=fps)


@pytest.mark.parametrize(
    ("samples", "fps", "frames"),
    [(0, 25, 0), (1, 25, 1), (47_648, 25, 75), (48_000, 25, 75), (48_001, 25, 76), (16_000, 60, 60)],
)
def test_known_lengths(samples, fps, frames):
    assert timebase.motion_frames(samples, motion_fps=fps) == frames


def test_speech_frames_are_the_integer_ceiling():
    for samples in (1, 319, 320, 321, 15_999, 16_000, 47_648):
        assert timebase.speech_frames(samples) == -(-samples * SPEECH_FPS // SAMPLE_RATE_HZ)


@given(st.integers(1, 2000), st.integers(1, 4000), RATES)
def test_interpolation_stays_inside_and_reproduces_a_ramp(target, source, fps):
    lower, weight = timebase.interpolation(target, target_fps=fps, source_frames=source, source_fps=50)
    assert lower.min() >= 0
    assert lower.max() <= source - 1
    assert ((weight >= 0) & (weight < 1)).all()
    assert (weight[lower == source - 1] == 0).all()
    expected = np.minimum(np.arange(target) * (50 / fps), source - 1)
    np.testing.assert_allclose(lower + weight, expected, atol=1e-4, rtol=1e-6)
