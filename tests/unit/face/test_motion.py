import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.face import CHANNELS, MotionClip, MotionError


def make_clip(num_frames=10, fps=25.0, names=("jawOpen", "mouthClose")):
    ramp = np.linspace(0, 1, num_frames)[:, None] * np.ones(len(names))
    return MotionClip(coefficients=ramp, fps=fps, channel_names=names)


def test_a_clip_knows_its_length_and_columns():
    clip = make_clip()
    assert clip.num_frames == 10
    assert clip.duration_s == pytest.approx(0.4)
    assert clip.coefficients.dtype == np.float32
    np.testing.assert_array_equal(clip.column("jawOpen"), clip.coefficients[:, 0])


def test_resampling_a_ramp_gives_the_ramp_and_holds_the_last_frame():
    clip = make_clip(num_frames=11, fps=10.0)
    faster = clip.resampled(20.0)
    assert faster.num_frames == 22
    np.testing.assert_allclose(faster.column("jawOpen"), np.minimum(np.arange(22) / 20.0, 1.0), atol=1e-6)
    assert clip.resampled(10.0) is clip


@settings(deadline=None)
@given(
    source=st.sampled_from([24, 25, 30, 48, 50, 60, 120]),
    target=st.sampled_from([24, 25, 30, 48, 50, 60, 120]),
    num_frames=st.integers(1, 400),
    seed=st.integers(0, 9),
)
def test_frames_of_both_rates_that_coincide_are_equal(source, target, num_frames, seed):
    values = np.random.default_rng(seed).random((num_frames, 3))
    clip = MotionClip(coefficients=values, fps=source, channel_names=CHANNELS[:3])
    resampled = clip.resampled(target)
    assert resampled.num_frames == math.ceil(num_frames * target / source)
    together = math.gcd(source, target)
    from_source = clip.coefficients[:: source // together]
    from_target = resampled.coefficients[:: target // together]
    shared = min(len(from_source), len(from_target))
    np.testing.assert_array_equal(from_target[:shared], from_source[:shared])


@pytest.mark.parametrize(
    ("source", "target"), [(60, 25), (30, 29.97), (29.97, 30), (25, 60000 / 1001), (30000 / 1001, 25)]
)
def test_an_hour_resampled_stays_in_time(source, target):
    num_frames = round(3600 * source)
    ramp = np.arange(num_frames, dtype=np.float64)[:, None] / num_frames
    clip = MotionClip(coefficients=ramp, fps=source, channel_names=("jawOpen",))
    resampled = clip.resampled(target)
    assert abs(resampled.duration_s - clip.duration_s) <= 1 / target
    expected = np.minimum(np.arange(resampled.num_frames) / target * source, num_frames - 1) / num_frames
    # A drift of a tenth of a frame by the end of the hour would be more.
    np.testing.assert_allclose(resampled.column("jawOpen"), expected, atol=2 * np.finfo(np.float32).eps)


def test_there_and_back_again_loses_no_more_than_linear_interpolation_does():
    times_s = np.arange(600) / 60
    smooth = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * times_s)[:, None]
    clip = MotionClip(coefficients=smooth, fps=60, channel_names=("jawOpen",))
    back = clip.resampled(25).resampled(60)
    assert back.num_frames == clip.num_frames
    # Twice the bound of linear interpolation at 25 fps, step^2 / 8 * |second derivative|.
    bound = 2 * (1 / 25) ** 2 / 8 * 0.5 * (2 * np.pi * 3) ** 2
    held = round(60 / 25)
    assert np.abs(back.coefficients - clip.coefficients)[:-held].max() < bound
    np.testing.assert_array_equal(back.coefficients[:-held:12], clip.coefficients[:-held:12])


@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf")])
def test_a_clip_is_not_resampled_to_what_is_no_rate(fps):
    with pytest.raises(MotionError, match="expected a positive number"):
        make_clip().resampled(fps)


def test_other_channel_orders_are_matched_by_name_and_filled():
    clip = make_clip(names=("tongueOut", "jawOpen")).with_channels(CHANNELS, fill=0.25)
    assert clip.channel_names == CHANNELS
    assert (clip.column("browInnerUp") == 0.25).all()
    np.testing.assert_array_equal(clip.column("jawOpen"), make_clip().column("jawOpen"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficients": np.zeros((3, 5))}, r"\(3, 5\), expected \(frames, 2\)"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"coefficients": np.array([[0, 0], [0, np.nan]])}, "frame 1, channel mouthClose"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    arguments = {"coefficients": np.zeros((2, 2)), "fps": 25.0, "channel_names": ("jawOpen", "mouthClose")}
    with pytest.raises(MotionError, match=message):
        MotionClip(**{**arguments, **changes})


def test_an_unknown_channel_is_named_in_the_error():
    with pytest.raises(MotionError, match="no channel 'jawopen'; this clip has jawOpen, mouthClose"):
        make_clip().column("jawopen")
