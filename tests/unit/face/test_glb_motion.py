"""Motion out of GLB files: ours, those of other programs, and damaged ones."""

import json
import struct

import numpy as np
import pytest

from diffusiontalker.face import CHANNELS, MotionClip, MotionError, decode_motion, encode_motion


def parts(content):
    """The JSON chunk as data, and the binary chunk."""
    size = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def glb(document, binary):
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def animated(values, times_s, *, names=("JawOpen", "Mouth_Smile_L"), interpolation="LINEAR", dtype="f4", **document):
    """What another program may write: no extras beside the names of the morph targets."""
    keys = np.asarray(times_s, "<f4").tobytes()
    weights = np.asarray(values, f"<{dtype}")
    output = {"bufferView": 1, "componentType": 5126, "count": weights.size, "type": "SCALAR"}
    if dtype == "u1":
        output |= {"componentType": 5121, "normalized": True}
    content = {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}, {"mesh": 0}],
        "meshes": [{"name": "face", "primitives": [], "extras": {"targetNames": list(names)}}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(times_s), "type": "SCALAR"},
            output,
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(keys)},
            {"buffer": 0, "byteOffset": len(keys), "byteLength": weights.nbytes},
        ],
        "buffers": [{"byteLength": len(keys) + weights.nbytes}],
        "animations": [
            {
                "samplers": [{"input": 0, "output": 1, "interpolation": interpolation}],
                "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
            }
        ],
    }
    return content | document, keys + weights.tobytes()


TIMES_S = np.arange(6) / 24
VALUES = np.random.default_rng(0).random((6, 2)).astype(np.float32)


def read(document, binary, **options):
    return decode_motion(glb(document, binary), "glb", name="head.glb", **options)


def test_an_animation_of_another_program_is_read_by_name_and_key_time():
    clip = read(*animated(VALUES, TIMES_S))
    assert (clip.fps, clip.channel_names) == (24, ("jawOpen", "mouthSmileLeft"))
    np.testing.assert_array_equal(clip.coefficients, VALUES)


def test_spline_keys_and_numbers_in_bytes_are_understood():
    splines = np.stack([np.full_like(VALUES, 9), VALUES, np.full_like(VALUES, -9)], axis=1)
    np.testing.assert_array_equal(read(*animated(splines, TIMES_S, interpolation="CUBICSPLINE")).coefficients, VALUES)
    steps = np.round(VALUES * 255)
    clip = read(*animated(steps, TIMES_S, dtype="u1", interpolation="STEP"))
    np.testing.assert_allclose(clip.coefficients, steps / 255, atol=1e-7)


def test_several_meshes_must_agree():
    document, binary = animated(VALUES, TIMES_S)
    channels = document["animations"][0]["channels"]
    channels.append({"sampler": 0, "target": {"node": 1, "path": "weights"}})
    np.testing.assert_array_equal(read(document, binary).coefficients, VALUES)
    document["nodes"][1]["mesh"] = 1
    document["meshes"].append({"name": "teeth", "extras": {"targetNames": ["mouthSmileLeft", "jawOpen"]}})
    with pytest.raises(MotionError, match=r"head\.glb: two meshes animate 'mouthSmileLeft' differently"):
        read(document, binary)


def changed(change):
    document, binary = animated(VALUES, TIMES_S)
    change(document)
    return document, binary


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (animated(VALUES, TIMES_S, animations=[]), "holds no animation of morph target weights"),
        (animated(VALUES, TIMES_S, names=("JawOpen",)), "mesh 'face' has 2 morph targets but 1 names"),
        (animated(VALUES, TIMES_S, names=("A", "B")), "no column is named after an ARKit channel"),
        (animated(VALUES, TIMES_S, names=("JawOpen", "jaw_open")), "two meshes animate 'jaw_open' differently"),
        (animated(VALUES[:5, :1], TIMES_S), "5 weights do not fit 6 keys"),
        (animated(VALUES * 100, TIMES_S), "values lie outside .*in key 0 "),
        (animated(np.where(VALUES.min() < VALUES, VALUES, np.nan), TIMES_S), "1 value is NaN or infinite"),
        (animated(VALUES, [0, 1, 2, 3, 4, 9]), "key time steps from .* at key 1 .*expected even, growing steps"),
        (animated(VALUES, np.zeros(6)), "expected even, growing steps"),
        (animated(VALUES, TIMES_S, buffers=[{"uri": "head.bin", "byteLength": 72}]), "keeps data outside the file"),
        (animated(VALUES, TIMES_S, accessors=[]), "parts do not fit together"),
        (animated(VALUES, TIMES_S, meshes=[]), "parts do not fit together"),
        (animated(VALUES, TIMES_S, nodes=None), "parts do not fit together"),
        (changed(lambda document: document["accessors"][1].update(componentType=5125)), "no dense list of numbers"),
        (changed(lambda document: document["accessors"][1].update(type="VEC2")), "no dense list of numbers"),
        (changed(lambda document: document["accessors"][1].update(count=10**6)), "it is cut off"),
        (changed(lambda document: document["accessors"][1].update(count=-4)), "it is cut off"),
        (changed(lambda document: document["animations"][0].update(extras={"fps": "fast"})), "frame rate is 'fast'"),
        (
            changed(lambda document: document["animations"][0].update(extras={"fps": 30})),
            "file says 30 fps but key time",
        ),
    ],
)
def test_a_damaged_animation_is_refused_with_its_place(content, message):
    with pytest.raises(MotionError, match=message) as caught:
        read(*content)
    assert str(caught.value).startswith("head.glb: ")


@pytest.mark.parametrize("length", [0, 3, 15, 19, 60, 2000, -4])
def test_a_cut_off_file_is_refused(length):
    clip = MotionClip(coefficients=VALUES, fps=24, channel_names=CHANNELS[:2])
    with pytest.raises(MotionError, match=r"head\.glb: (the file is empty|.*begin with 'glTF'|.*header declares)"):
        decode_motion(encode_motion(clip, "glb")[:length], "glb", name="head.glb")


def test_our_own_files_remember_which_channels_the_clip_had():
    clip = MotionClip(coefficients=VALUES, fps=24, channel_names=("tongueOut", "jawOpen"))
    content = encode_motion(clip, "glb")
    assert decode_motion(content, "glb").channel_names == ("tongueOut", "jawOpen")
    document, binary = parts(content)
    del document["animations"][0]["extras"]
    everything = decode_motion(glb(document, binary), "glb")
    assert (set(everything.channel_names), everything.fps) == (set(CHANNELS), 24)
