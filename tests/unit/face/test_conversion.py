"""From every format to every other: names, frame rate and motion stay, as far as a format can hold them."""

import importlib.util
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.face import (
    CHANNELS,
    FORMATS,
    MOTION_FORMATS,
    MotionClip,
    MotionError,
    decode_motion,
    encode_motion,
    format_of,
    load_rig,
    read_motion,
)

WITHOUT_TONGUE = CHANNELS[:51]
USABLE = [name for name in MOTION_FORMATS if not FORMATS[name].needs_usd or importlib.util.find_spec("pxr") is not None]
FIXED = {"livelink": CHANNELS, "beat": WITHOUT_TONGUE}
"""Formats that always hold the same channels; what a clip lacks is 0 there."""
PRECISION = {name: 6e-8 if name == "livelink" else 0.0 for name in MOTION_FORMATS}
"""Largest change of a value: 10 decimals then float32; all others are exact."""


def make_clip(num_frames=70, fps=29.97, names=WITHOUT_TONGUE):
    values = np.random.default_rng(4).random((num_frames, len(names)))
    return MotionClip(coefficients=values, fps=fps, channel_names=names)


def through(clip, motion_format, **options):
    return decode_motion(encode_motion(clip, motion_format, **options), motion_format)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(USABLE, USABLE)))
def test_motion_survives_the_way_through_two_formats(first, second):
    clip = make_clip()
    back = through(through(clip, first), second)
    assert back.fps == pytest.approx(clip.fps, rel=1e-5)
    assert back.num_frames == clip.num_frames
    np.testing.assert_allclose(
        back.with_channels(clip.channel_names).coefficients,
        clip.coefficients,
        rtol=0,
        atol=PRECISION[first] + PRECISION[second],
    )
    fixed = FIXED.get(second, FIXED.get(first))
    if fixed is None:
        assert back.channel_names == clip.channel_names
    elif "tongueOut" in back.channel_names:
        assert not back.column("tongueOut").any()


@pytest.mark.parametrize("motion_format", USABLE)
def test_a_real_recording_survives_every_format(real_data, motion_format):
    clip = read_motion(sorted((real_data / "grid_faces" / "clips").glob("s1_*.csv"))[0])
    back = through(clip, motion_format)
    assert (back.fps, back.num_frames) == (25, clip.num_frames)
    assert "tongueOut" not in clip.channel_names
    assert set(back.channel_names) - set(clip.channel_names) <= {"tongueOut"} & set(FIXED.get(motion_format, ()))
    np.testing.assert_allclose(
        back.with_channels(clip.channel_names).coefficients, clip.coefficients, rtol=0, atol=PRECISION[motion_format]
    )


@pytest.mark.parametrize("motion_format", [name for name in USABLE if name not in FIXED])
@settings(max_examples=8, deadline=None)
@given(
    names=st.permutations(CHANNELS).flatmap(lambda order: st.integers(1, 6).map(lambda count: tuple(order[:count]))),
    fps=st.sampled_from([23.976, 24, 25, 29.97, 30000 / 1001, 30, 50, 59.94, 60, 100, 120]),
    num_frames=st.integers(2, 40),
)
def test_names_order_and_rate_are_kept(motion_format, names, fps, num_frames):
    clip = make_clip(num_frames=num_frames, fps=fps, names=names)
    back = through(clip, motion_format)
    assert back.channel_names == names
    assert back.fps == pytest.approx(fps, rel=1e-6)
    np.testing.assert_array_equal(back.coefficients, clip.coefficients)


@pytest.mark.parametrize("motion_format", USABLE)
def test_an_hour_keeps_its_frames_and_rate(motion_format):
    clip = make_clip(num_frames=3600 * 25, fps=25, names=("jawOpen",))
    if motion_format in ("beat", "livelink") or FORMATS[motion_format].has_head:
        clip = make_clip(num_frames=3000, fps=25, names=("jawOpen",))
    back = through(clip, motion_format)
    assert (back.num_frames, back.fps) == (clip.num_frames, 25)


def test_what_a_format_cannot_hold_is_known_beforehand(real_data):
    moving, still = make_clip(names=CHANNELS), make_clip()
    head = load_rig(real_data / "ict_face_rig" / "rig.npz")
    lost = {name: known.lost_channels(moving) for name, known in FORMATS.items()}
    assert {name for name, channels in lost.items() if channels} == {"beat"}
    assert lost["beat"] == ("tongueOut",)
    assert FORMATS["beat"].lost_channels(still) == ()
    assert FORMATS["beat"].lost_channels(moving.with_channels(WITHOUT_TONGUE).with_channels(CHANNELS)) == ()
    assert FORMATS["glb"].lost_channels(moving, rig=head) == ("tongueOut",)
    assert through(moving, "glb", rig=head).channel_names == WITHOUT_TONGUE


def test_a_name_s_longest_fitting_end_is_its_format():
    names = ("a.csv", "A.CSV", "a.livelink.csv", "livelink.csv", "a.b.json", "a.beat.json", "a.a2f.JSON", "a.usdc")
    found = [format_of(name).name for name in names]
    assert found == ["csv", "csv", "livelink", "csv", "json", "beat", "a2f", "usdc"]
    assert format_of("a.fbx") is None


@pytest.mark.parametrize("motion_format", ["livelink", "beat", "glb"])
def test_motion_of_vertices_is_not_written_as_a_face_at_rest(motion_format):
    clip = MotionClip(coefficients=np.ones((2, 2)), fps=25, channel_names=("v0000_x", "v0000_y"))
    with pytest.raises(MotionError, match=r"and the like, but none of v0000_x to v0000_y; write them as npz"):
        encode_motion(clip, motion_format)
