import numpy as np
import pytest

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
