"""Presentation times become a constant rate; where the face is lost for long, a take ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data.tracking.timeline import FaceTrack, frame_rate, stretches, takes
from diffusiontalker.data.tracking.video import Sound

SECONDS = 4.0
WAVEFORM = np.arange(round(SECONDS * SAMPLE_RATE_HZ), dtype=np.float32) / (SECONDS * SAMPLE_RATE_HZ)
"""Every sample says when it is heard."""


def make_track(times_s, *, is_found=None, value=lambda times: times / SECONDS):
    """A jaw whose weight says when it was seen, or is what `value` makes of the time."""
    times_s = np.asarray(times_s, dtype=np.float64)
    found = np.ones(len(times_s), dtype=bool) if is_found is None else np.asarray(is_found)
    weights = np.where(found, value(times_s), 0.0).astype(np.float32)
    return FaceTrack(times_s=times_s, is_found=found, coefficients=weights[:, None], channel_names=("jawOpen",))


def made(track, *, fps=25.0, start_s=0.0, max_gap_s=0.2, min_seconds=0.5, seconds=SECONDS):
    sound = Sound(waveform=WAVEFORM[: round(seconds * SAMPLE_RATE_HZ)], start_s=start_s)
    return takes(track, sound, fps=fps, max_gap_s=max_gap_s, min_seconds=min_seconds)


@pytest.mark.parametrize("fps", [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 50, 60_000 / 1001, 60])
@pytest.mark.parametrize("decimals", [3, 9])
@pytest.mark.parametrize("start_s", [0.0, 0.54])
def test_the_rate_is_found_in_rounded_times(fps, decimals, start_s):
    times_s = np.round(start_s + np.arange(400) / fps, decimals)
    assert frame_rate(times_s) == pytest.approx(fps, abs=1e-9)


def test_unusual_and_uneven_rates():
    assert frame_rate(np.arange(100) / 15) == 15.0
    assert frame_rate(np.array([0.0])) == 1.0
    uneven = np.delete(np.arange(200) / 30, np.arange(7, 190, 9))  # as phones drop pictures
    assert frame_rate(uneven) == 30.0


def test_a_steady_video_keeps_every_weight():
    times_s = np.arange(100) / 25
    weights = np.random.default_rng(0).random(100)
    (take,) = made(make_track(times_s, value=lambda _: weights))
    np.testing.assert_array_equal(take.motion.coefficients[:, 0], weights.astype(np.float32))
    np.testing.assert_array_equal(take.waveform, WAVEFORM)
    assert (take.motion.fps, take.start_s, take.num_filled) == (25.0, 0.0, 0)


@given(
    st.lists(st.floats(0.005, 0.1), min_size=60, max_size=200),
    st.floats(-0.3, 0.3),
    st.sampled_from([12.0, 25.0, 30_000 / 1001, 60.0]),
)
def test_whatever_the_steps_motion_and_sound_keep_their_time(steps, start_s, fps):
    """Jaw and samples both tell their time, so in a take they must agree frame by frame."""
    times_s = np.concatenate([[0.0], np.cumsum(steps)])
    times_s = times_s[times_s < SECONDS + start_s]
    for take in made(make_track(times_s), fps=fps, start_s=start_s, max_gap_s=0.5):
        assert take.motion.num_frames == np.ceil(len(take.waveform) / SAMPLE_RATE_HZ * fps - 1e-6)
        seen_s = SECONDS * take.motion.coefficients[:, 0]
        asked_s = take.start_s + np.arange(take.motion.num_frames) / fps
        np.testing.assert_allclose(seen_s, np.minimum(asked_s, times_s[-1]), atol=1e-4)
        heard_s = start_s + SECONDS * take.waveform[0]
        assert heard_s == pytest.approx(max(take.start_s, start_s), abs=1e-3)


def test_short_gaps_are_interpolated_and_counted():
    found = np.ones(100, dtype=bool)
    found[[10, 11, 12, 50]] = False
    (take,) = made(make_track(np.arange(100) / 25, is_found=found))
    assert take.num_filled == 4
    np.testing.assert_allclose(take.motion.coefficients[:, 0], np.arange(100) / 100, atol=1e-6)


def test_long_gaps_end_a_take_and_short_takes_are_left_out():
    found = np.ones(100, dtype=bool)
    found[:5] = found[30:36] = found[40:50] = False
    first, last = made(make_track(np.arange(100) / 25, is_found=found))
    assert (first.start_s, last.start_s) == (0.2, 2.0)
    assert (first.motion.num_frames, last.motion.num_frames) == (25, 50)
    np.testing.assert_allclose(first.motion.coefficients[:, 0], np.arange(5, 30) / 100, atol=1e-6)
    np.testing.assert_array_equal(first.waveform, WAVEFORM[3200:19200])
    assert len(made(make_track(np.arange(100) / 25, is_found=found), min_seconds=0.1)) == 3
    assert len(made(make_track(np.arange(100) / 25, is_found=found), max_gap_s=0.24)) == 2
    assert len(made(make_track(np.arange(100) / 25, is_found=found), max_gap_s=0.4)) == 1


def test_the_limit_of_a_gap_is_exact():
    times_s = np.arange(20) / 25
    found = np.ones(20, dtype=bool)
    found[5:10] = False  # 5 pictures, 0.2 s
    assert stretches(found, times_s, max_gap_s=0.2) == [(0, 19)]
    assert stretches(found, times_s, max_gap_s=0.19) == [(0, 4), (10, 19)]
    assert stretches(np.zeros(20, dtype=bool), times_s, max_gap_s=0.2) == []


def test_pictures_before_and_after_the_sound_are_left_out():
    (take,) = made(make_track(np.arange(100) / 25), start_s=0.21, seconds=2.0)
    assert take.start_s == 0.2  # the picture next to the beginning of the sound; 10 ms of silence are added
    assert (take.waveform[:160] == 0).all()
    assert take.waveform[160] == WAVEFORM[0]
    assert len(take.waveform) == round(2.01 * SAMPLE_RATE_HZ)
    assert take.motion.num_frames == 51
    assert made(make_track(np.arange(100) / 25), start_s=10.0) == []
    assert made(make_track(np.arange(100) / 25 + 10)) == []
