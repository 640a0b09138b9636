"""What we write, as programs that we did not write read it: OpenFaceFX and PyLiveLinkFace.

The glTF validator and OpenUSD's own have their say in test_glb.py and test_usd.py.
"""

import numpy as np
import pytest
from small_rig import REAL_RIG

from diffusiontalker.face import CHANNELS, MotionClip, decode_motion, load_rig, write_motion
from diffusiontalker.face.live_link import PACKET_CHANNELS, packet

openfacefx = pytest.importorskip("openfacefx", reason="openfacefx is not installed (a development dependency)")
from openfacefx.edits import sample  # noqa: E402
from openfacefx.export_a2f import read_a2f, write_a2f  # noqa: E402
from openfacefx.export_livelink import write_livelink_csv  # noqa: E402
from openfacefx.importers_csv import read_csv  # noqa: E402
from openfacefx.importers_gltf import read_gltf  # noqa: E402

ROUNDED = 2e-4
"""OpenFaceFX keeps four decimals of the values and times that it reads."""


def make_clip(num_frames=90, fps=30.0, names=CHANNELS):
    values = np.random.default_rng(7).random((num_frames, len(names)))
    return MotionClip(coefficients=values, fps=fps, channel_names=names)


def columns(track, clip):
    """Lower-case name -> (frames,) of a track, at the times of the clip's frames."""
    times_s = np.arange(clip.num_frames) / clip.fps
    return {channel.name.lower(): np.asarray(sample(channel, times_s)) for channel in track.channels}


def assert_same(track, clip):
    read = columns(track, clip)
    for name in clip.channel_names:
        np.testing.assert_allclose(read[name.lower()], clip.column(name), atol=ROUNDED, err_msg=name)


def test_openfacefx_reads_our_recordings_of_live_link_face(tmp_path):
    clip = make_clip()
    write_motion(clip, tmp_path / "clip.livelink.csv")
    track, warnings = read_csv(str(tmp_path / "clip.livelink.csv"), fps=30, epsilon=0)
    assert warnings == []
    assert_same(track, clip)
    assert {channel.name.lower() for channel in track.channels} == {name.lower() for name in CHANNELS}


def test_openfacefx_reads_our_exports_for_audio2face(tmp_path):
    clip = make_clip()
    write_motion(clip, tmp_path / "clip.a2f.json")
    track, warnings = read_a2f(str(tmp_path / "clip.a2f.json"), epsilon=0)
    assert (warnings, track.fps) == ([], 30)
    assert_same(track, clip)


@pytest.mark.parametrize("rig", ["builtin", "real"])
def test_openfacefx_reads_our_animated_heads(tmp_path, rig):
    if rig == "real" and not REAL_RIG.exists():
        pytest.skip(f"the real head is not at {REAL_RIG}")
    head = load_rig(REAL_RIG if rig == "real" else None)
    clip = make_clip(names=head.shape_names)
    write_motion(clip, tmp_path / "clip.glb", rig=head)
    track, warnings = read_gltf(str(tmp_path / "clip.glb"), epsilon=0)
    assert warnings == []
    assert_same(track, clip)


def test_we_read_what_openfacefx_writes(tmp_path):
    clip = make_clip()
    write_motion(clip, tmp_path / "clip.livelink.csv")
    track, _ = read_csv(str(tmp_path / "clip.livelink.csv"), fps=30, epsilon=0)
    write_livelink_csv(track, str(tmp_path / "theirs.csv"), fps=30)
    write_a2f(track, str(tmp_path / "theirs.json"), fps=30)
    for name, motion_format in (("theirs.csv", "csv"), ("theirs.json", "json")):
        back = decode_motion((tmp_path / name).read_bytes(), motion_format)
        assert (back.fps, back.num_frames) == (30, 90)
        np.testing.assert_allclose(back.with_channels().coefficients, clip.coefficients, atol=ROUNDED)


@pytest.mark.parametrize(("fps", "numerator", "denominator"), [(60, 60, 1), (30000 / 1001, 30000, 1001), (25, 25, 1)])
def test_pylivelinkface_decodes_our_packets(fps, numerator, denominator):
    module = pytest.importorskip("pylivelinkface", reason="PyLiveLinkFace is not installed (a development dependency)")
    weights = dict(zip(PACKET_CHANNELS, np.random.default_rng(5).random(52).tolist(), strict=True))
    device_id = "8E7441F6-C3B0-4283-AF06-FE1CFC58647C"
    content = packet(weights, frame=123_456, fps=fps, subject="Anna", device_id=device_id)
    is_face, decoded = module.PyLiveLinkFace.decode(content)
    assert is_face
    assert (decoded.name, decoded.uuid, decoded.fps) == ("Anna", f"${device_id}", numerator)
    assert (decoded._frames, decoded._sub_frame, decoded._denominator) == (123_456, 0, denominator)
    for shape in module.FaceBlendShape:
        name = shape.name[0].lower() + shape.name[1:]
        assert decoded.get_blendshape(shape) == pytest.approx(weights.get(name, 0.0), abs=1e-7), name


def test_pylivelinkface_packs_the_same_bytes():
    module = pytest.importorskip("pylivelinkface", reason="PyLiveLinkFace is not installed (a development dependency)")
    device_id = "8E7441F6-C3B0-4283-AF06-FE1CFC58647C"
    theirs = module.PyLiveLinkFace(name="Anna", uuid=device_id, fps=60)
    theirs.set_blendshape(module.FaceBlendShape.JawOpen, 0.75, no_filter=True)
    ours = packet({"jawOpen": 0.75}, frame=0, fps=60, subject="Anna", device_id=device_id)
    at_time = 45 + 4 + len("Anna")  # frame number and part of it are the clock's
    encoded = theirs.encode()
    assert ours[: at_time - 4] == encoded[: at_time - 4]
    assert ours[at_time + 4 :] == encoded[at_time + 4 :]
