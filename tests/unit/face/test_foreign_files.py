"""What other programs and corpora write, whole and damaged: BEAT, Audio2Face, NPY, and lines and streams of our own."""

import io
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.face import (
    CHANNELS,
    FORMATS,
    MOTION_FORMATS,
    MotionClip,
    MotionError,
    Rig,
    decode_motion,
    encode_motion,
    read_motion,
)


def make_clip(num_frames=6, fps=25.0, names=CHANNELS):
    values = np.random.default_rng(3).random((num_frames, len(names)))
    return MotionClip(coefficients=values, fps=fps, channel_names=names)


def beat(**changes):
    frames = [{"weights": [index / 10, 0.5], "time": index / 60, "rotation": []} for index in range(6)]
    return {"names": ["jawOpen", "MouthSmile_L"], "frames": frames, **changes}


def beat_frame(**changes):
    """A recording whose fourth frame (number 3) is changed."""
    content = beat()
    content["frames"][3] |= changes
    return content


def a2f(**changes):
    return {
        "exportFps": 30.0,
        "trackPath": "C:/sounds/hello.wav",
        "numPoses": 2,
        "numFrames": 3,
        "facsNames": ["EyeBlinkLeft", "JawOpen"],
        "weightMat": [[0.0, 0.1], [0.0, 0.2], [0.5, 0.3]],
        "joints": ["jaw"],
        "rotations": [[[0, 0, 0, 1]]] * 3,
    } | changes


def test_a_file_of_the_beat_corpus_is_known_by_its_frames(tmp_path):
    path = tmp_path / "2_scott_0_1_1.json"
    path.write_text(json.dumps(beat()))
    clip = read_motion(path)
    assert clip.fps == 60
    assert clip.channel_names == ("jawOpen", "mouthSmileLeft")
    np.testing.assert_allclose(clip.column("jawOpen"), np.arange(6) / 10, atol=1e-7)


def test_beat_files_hold_51_channels_in_the_corpus_order():
    clip = make_clip(names=("tongueOut", "jawOpen"))
    content = json.loads(encode_motion(clip, "beat"))
    assert content["names"] == list(CHANNELS[:51])
    assert [frame["time"] for frame in content["frames"]] == pytest.approx(np.arange(6) / 25)
    assert content["frames"][2]["rotation"] == []
    assert content["frames"][2]["weights"][CHANNELS.index("jawOpen")] == pytest.approx(clip.column("jawOpen")[2])
    assert sum(map(bool, content["frames"][2]["weights"])) == 1


def test_a_beat_file_with_dropped_frames_is_filled():
    content, notes = beat(), []
    del content["frames"][2:4]
    clip = decode_motion(json.dumps(content).encode(), "beat", name="take", report=notes.append)
    np.testing.assert_allclose(clip.column("jawOpen"), np.arange(6) / 10, atol=1e-6)
    assert notes == [
        "take: dropped frames were filled by interpolation: 2 in all, gaps: 1, the longest 0.03 s before frame 2 "
        "(counted from 0)"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with 'names' and 'frames'"),
        ({"names": ["jawOpen"]}, "expected an object with 'names' and 'frames'"),
        (beat(names="jawOpen"), "'names' must be a list"),
        (beat(names=["jawOpen"]), r"frame 0 holds 2, expected 1 weights"),
        (beat(names=["a", "b"]), "no column is named after an ARKit channel"),
        (beat(frames=[]), "at least one frame"),
        (beat(frames={}), "at least one frame"),
        (beat(frames=[[0.1, 0.2]]), "frame 0 .*must be an object with 'weights' and 'time'"),
        (beat_frame(weights=[0.1]), "frame 3 holds 1, expected 2"),
        (beat_frame(weights=None), "frame 3 holds a NoneType, expected 2"),
        (beat_frame(weights=["x", 0]), "frame 3, column 'jawOpen' is 'x', expected a number"),
        (beat_frame(weights=[0, True]), "frame 3, column 'MouthSmile_L' is True, expected a number"),
        (beat_frame(weights=[0, float("nan")]), "NaN .* frame 3 .*column 'MouthSmile_L'"),
        (beat_frame(weights=[80, 0]), "the first, 80, in frame 3 .*column 'jawOpen'"),
        (beat_frame(time="now"), "'time' is 'now' in frame 3"),
        (beat_frame(time=None), "'time' is None in frame 3"),
        (beat_frame(time=2 / 60), "at frame 3 .*expected growing times"),
        (beat_frame(time=float("inf")), "time is inf in frame 3"),
        (beat_frame(time=10**400), "'time' is 1000.* in frame 3"),
        (beat_frame(weights=[0, 10**400]), "frame 3, column 'MouthSmile_L' is 1000.*, expected a number"),
        (
            beat(frames=[{"weights": [0, 0], "time": time} for time in (0, 16.7, 33.3)]),
            "are 16.6 s apart, that is 0.0601 fps, expected 1 to 1000 fps; are its times in seconds",
        ),
        (
            beat(frames=[{"weights": [0, 0], "time": time} for time in (0, 1e-9, 2e-9, 0.2)]),
            r"are 1e-09 s apart, that is 1e\+09 fps",
        ),
        (beat_frame(time=3 / 60 + 1), "at frame 4 .*expected growing times"),
        (
            beat(frames=[{"weights": [0, 0], "time": time} for time in (0, 1 / 60, 2 / 60, 1, 1 + 1 / 60)]),
            r"57 frames \(0.95 s\) are missing before frame 3 .*at most 0.25 s are filled",
        ),
    ],
)
def test_a_damaged_beat_file_is_refused_with_its_place(content, message):
    with pytest.raises(MotionError, match=message) as caught:
        decode_motion(json.dumps(content).encode(), "beat", name="take.json")
    assert str(caught.value).startswith("take.json: ")


def test_an_export_of_audio2face_is_known_by_its_matrix(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(a2f()))
    clip = read_motion(path)
    assert (clip.fps, clip.channel_names) == (30, ("eyeBlinkLeft", "jawOpen"))
    np.testing.assert_allclose(clip.column("jawOpen"), [0.1, 0.2, 0.3], atol=1e-7)


def test_exports_for_audio2face_have_its_keys():
    clip = make_clip(names=("jawOpen", "tongueOut"))
    content = json.loads(encode_motion(clip, "a2f", audio_name="hello.wav"))
    matrix = content.pop("weightMat")
    assert content == {
        "exportFps": 25.0,
        "trackPath": "hello.wav",
        "numPoses": 2,
        "numFrames": 6,
        "facsNames": ["jawOpen", "tongueOut"],
    }
    np.testing.assert_array_equal(np.float32(matrix), clip.coefficients)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with 'exportFps'"),
        ({"facsNames": []}, "lacks weightMat"),
        ({"weightMat": []}, "lacks facsNames"),
        (a2f(exportFps=10**400), "frame rate is 1000"),
        (a2f(exportFps=0), "frame rate is 0, expected a positive number"),
        (a2f(exportFps="fast"), "frame rate is 'fast'"),
        (a2f(numPoses=3), "'numPoses' is 3, but there are 2"),
        (a2f(numFrames=4), "'numFrames' is 4, but there are 3"),
        (a2f(facsNames=["JawOpen", 1]), "'facsNames' must be a list"),
        (a2f(facsNames=["browLowererL", "jawDrop"]), "no column is named after an ARKit channel"),
        (a2f(weightMat=[]), "at least one frame"),
        (a2f(weightMat=[[0, 0], [0], [0, 0]]), "frame 1 holds 1, expected 2"),
        (a2f(weightMat=[[0, 0], [0, "1"], [0, 0]]), "frame 1, column 'JawOpen' is '1', expected a number"),
    ],
)
def test_a_damaged_export_of_audio2face_is_refused_with_its_place(content, message):
    with pytest.raises(MotionError, match=message) as caught:
        decode_motion(json.dumps(content).encode(), "a2f", name="export.json")
    assert str(caught.value).startswith("export.json: ")


def test_the_table_of_audio2face_s_services_is_read_by_name(tmp_path):
    rows = [f"{index / 30},{index / 10},0.5" for index in range(5)]
    (tmp_path / "a2f.csv").write_text("\n".join(["timeCode,blendShapes.JawOpen,blendShapes.MouthSmileLeft", *rows]))
    clip = read_motion(tmp_path / "a2f.csv")
    assert (clip.fps, clip.channel_names) == (30, ("jawOpen", "mouthSmileLeft"))
    np.testing.assert_allclose(clip.column("jawOpen"), np.arange(5) / 10, atol=1e-7)


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_a_bare_array_holds_all_channels_in_their_order_and_needs_a_rate(tmp_path):
    values = np.random.default_rng(1).random((20, 52)).astype(np.float32)
    (tmp_path / "clip.npy").write_bytes(npy(values))
    clip = read_motion(tmp_path / "clip.npy", fps=30)
    assert (clip.fps, clip.channel_names) == (30, CHANNELS)
    np.testing.assert_array_equal(clip.coefficients, values)
    with pytest.raises(MotionError, match="tells no frame rate"):
        read_motion(tmp_path / "clip.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.zeros((20, 51))), r"an array \(20, 51\), expected \(frames, 52\)"),
        (npy(np.zeros((0, 52))), r"an array \(0, 52\)"),
        (npy(np.zeros(52)), r"an array \(52,\)"),
        (npy(np.full((2, 52), "x")), "holds <U1, expected numbers"),
        (npy(np.full((2, 52), np.nan)), r"NaN or infinite, the first in frame 0 .*column 'browDownLeft'"),
        (npy(np.full((2, 52), None), allow_pickle=True), "cannot be read as NPY without pickle"),
        (npy(np.zeros((20, 52)))[:-9], "cannot be read as NPY"),
        (pickle.dumps(np.zeros((2, 52))), "cannot be read as NPY without pickle"),
        (b"no array", "cannot be read as NPY"),
    ],
)
def test_a_damaged_bare_array_is_refused(content, message):
    with pytest.raises(MotionError, match=message) as caught:
        decode_motion(content, "npy", fps=30, name="clip.npy")
    assert str(caught.value).startswith("clip.npy: ")


def test_archives_are_no_bare_arrays_nor_the_other_way_round():
    clip = make_clip()
    with pytest.raises(MotionError, match="holds an archive"):
        decode_motion(encode_motion(clip, "npz"), "npy", fps=25)
    with pytest.raises(MotionError, match="lacks coefficients, names"):
        decode_motion(npy(clip.coefficients), "npz", fps=25)
    with pytest.raises(MotionError, match="can only be read"):
        encode_motion(clip, "npy")


LINES = encode_motion(make_clip(num_frames=3, names=("jawOpen", "tongueOut")), "ndjson").decode().splitlines()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[]", *LINES[1:]], "line 1 must be an object with 'fps' and 'names'"),
        ([LINES[0].replace("25.0", "-1"), *LINES[1:]], "frame rate is -1"),
        ([LINES[0].replace('["jawOpen", "tongueOut"]', "7"), *LINES[1:]], "'names' must be a list"),
        ([LINES[0]], "promises 3 frames, but 0 follow"),
        (LINES[:-1], "promises 3 frames, but 2 follow; it is cut off"),
        ([*LINES[:2], LINES[2][:-4], LINES[3]], "cannot be read as JSON.*line 3 of the file"),
        ([*LINES[:2], "{}", LINES[3]], "line 3 must be an object with 'weights'"),
        ([*LINES[:2], '{"weights": [1]}', LINES[3]], "line 3 holds 1, expected 2 weights"),
        ([*LINES[:2], '{"weights": [0, "x"]}', LINES[3]], "line 3, column 'tongueOut' is 'x'"),
        ([*LINES[:2], '{"weights": [0, 70]}', LINES[3]], "the first, 70, in line 3, column 'tongueOut'"),
    ],
)
def test_damaged_lines_are_refused_with_their_number(lines, message):
    with pytest.raises(MotionError, match=message):
        decode_motion("\n".join(lines).encode(), "ndjson")


def test_arrow_streams_and_files_are_read_and_damaged_ones_refused():
    clip = make_clip()
    content = encode_motion(clip, "arrow")
    table = pa.ipc.open_stream(content).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    for form in (content, sink.getvalue().to_pybytes()):
        np.testing.assert_array_equal(decode_motion(form, "arrow").coefficients, clip.coefficients)
    with pytest.raises(MotionError, match="cannot be read as Arrow"):
        decode_motion(content[:400], "arrow")
    texts = pa.table({"jawOpen": ["a", "b"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, texts.schema) as writer:
        writer.write_table(texts)
    with pytest.raises(MotionError, match="column 'jawOpen' holds string, expected numbers"):
        decode_motion(sink.getvalue().to_pybytes(), "arrow")


SMALL_RIG = Rig(
    name="small",
    neutral=np.random.default_rng(0).random((9, 3)),
    triangles=np.array([[0, 1, 2]]),
    shape_names=("jawOpen", "mouthClose"),
    shape_deltas=np.random.default_rng(1).random((2, 9, 3)),
)


@pytest.mark.parametrize("motion_format", [name for name in (*MOTION_FORMATS, "npy") if not FORMATS[name].needs_usd])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_happens_to_a_file_it_is_read_or_refused(motion_format, data):
    clip = make_clip(num_frames=7, names=("jawOpen", "mouthClose", "tongueOut"))
    whole = npy(clip.with_channels().coefficients) if motion_format == "npy" else None
    content = bytearray(whole or encode_motion(clip, motion_format, rig=SMALL_RIG))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    content = content[: data.draw(st.integers(1, len(content)) | st.just(len(content)))] or b"x"
    try:
        clip = decode_motion(bytes(content), motion_format, fps=25, report=lambda note: None)
    except MotionError:
        return
    assert clip.num_frames > 0
