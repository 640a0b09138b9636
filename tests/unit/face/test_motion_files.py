import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffusiontalker.config import ArtefactError
from diffusiontalker.face import CHANNELS, MotionClip, MotionError, encode_motion, read_motion, write_motion

TABLES = (".csv", ".json", ".npz", ".parquet")


def make_clip(num_frames=6, fps=25.0, names=CHANNELS):
    random = np.random.default_rng(3)
    return MotionClip(coefficients=random.random((num_frames, len(names))), fps=fps, channel_names=names)


def write_table(path, header, rows):
    path.write_text("\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("suffix", TABLES)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back_exactly(tmp_path, suffix, data):
    names = data.draw(st.permutations(CHANNELS).map(lambda order: tuple(order[:5])))
    coefficients = data.draw(
        hnp.arrays(np.float32, st.tuples(st.integers(2, 9), st.just(5)), elements=st.floats(-0.5, 1.5, width=32))
    )
    fps = data.draw(st.sampled_from([24, 25, 29.97, 30, 59.94, 60, 100]))
    path = tmp_path / f"clip{suffix}"
    clip = MotionClip(coefficients=coefficients, fps=fps, channel_names=names)
    write_motion(clip, path, overwrite=True)
    read = read_motion(path)
    np.testing.assert_array_equal(read.coefficients, clip.coefficients)
    assert read.channel_names == names
    assert read.fps == pytest.approx(fps, rel=1e-6)
    assert read_motion(path, fps=fps).fps == pytest.approx(fps, rel=1e-6)


def test_long_clips_keep_whole_frame_rates_in_csv(tmp_path):
    write_motion(make_clip(num_frames=3000, fps=60, names=("jawOpen",)), tmp_path / "long.csv")
    assert read_motion(tmp_path / "long.csv").fps == 60


def test_files_hold_rate_and_names_for_other_programs(tmp_path):
    clip = make_clip(names=("jawOpen", "tongueOut"))
    for suffix in TABLES:
        write_motion(clip, tmp_path / f"clip{suffix}", audio_path="sounds/hello.wav")
    assert (tmp_path / "clip.csv").read_text().splitlines()[0] == "time_s,jawOpen,tongueOut"
    content = json.loads((tmp_path / "clip.json").read_text())
    assert content["fps"] == 25
    assert content["names"] == ["jawOpen", "tongueOut"]
    assert content["audio"] == "hello.wav"
    assert len(content["frames"]) == 6
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["coefficients", "fps", "names"]
    schema = pq.read_schema(tmp_path / "clip.parquet")
    assert schema.metadata[b"fps"] == b"25.0"
    assert json.loads(schema.metadata[b"names"]) == ["jawOpen", "tongueOut"]


def test_lines_and_arrow_streams_hold_the_same_frames(tmp_path):
    clip = make_clip(names=("jawOpen", "tongueOut"))
    head, *lines = map(json.loads, encode_motion(clip, "ndjson").splitlines())
    assert head == {"fps": 25.0, "names": ["jawOpen", "tongueOut"], "num_frames": 6}
    assert [line["frame"] for line in lines] == list(range(6))
    assert lines[3]["time_s"] == pytest.approx(0.12)
    np.testing.assert_array_equal(np.float32([line["weights"] for line in lines]), clip.coefficients)
    table = pa.ipc.open_stream(encode_motion(clip, "arrow")).read_all()
    assert table.column_names == ["time_s", "jawOpen", "tongueOut"]
    assert table.schema.metadata[b"fps"] == b"25.0"
    np.testing.assert_array_equal(table["jawOpen"].to_numpy(), clip.coefficients[:, 0])
    with pytest.raises(MotionError, match="unknown motion format 'fbx'"):
        encode_motion(clip, "fbx")


def test_nothing_is_overwritten_unasked_and_nothing_half_written_stays(tmp_path):
    path = tmp_path / "clip.csv"
    path.write_text("mine")
    with pytest.raises(ArtefactError, match="already exists"):
        write_motion(make_clip(), path)
    assert path.read_text() == "mine"
    write_motion(make_clip(), path, overwrite=True)
    assert read_motion(path).num_frames == 6
    assert [file.name for file in tmp_path.iterdir()] == ["clip.csv"]


@pytest.mark.parametrize(
    ("clip", "name", "message"),
    [
        (
            make_clip(),
            "clip.fbx",
            "unknown motion format '.fbx'; choose one of .csv, .json, .ndjson, .npz, .parquet, .arrow, .glb",
        ),
        (make_clip(num_frames=0), "clip.csv", "has no frames"),
    ],
)
def test_what_cannot_be_written_is_refused_before_a_file_exists(tmp_path, clip, name, message):
    with pytest.raises(MotionError, match=message):
        write_motion(clip, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_columns_are_matched_by_name_whatever_their_order_case_and_company(tmp_path):
    path = tmp_path / "other.csv"
    write_table(
        path, ["HeadYaw", "MouthSmile_L", "JAWOPEN", "Time_S"], [["n/a", 0.25, 0.5, 0.0], ["", 0.75, 1.0, 0.04]]
    )
    clip = read_motion(path)
    assert clip.channel_names == ("mouthSmileLeft", "jawOpen")
    np.testing.assert_allclose(clip.column("jawOpen"), [0.5, 1.0])
    assert clip.fps == 25


@pytest.mark.parametrize(
    ("header", "rows", "arguments", "message"),
    [
        (["time_s", "yaw"], [[0, 0], [0.04, 0]], {}, "no column is named after an ARKit channel"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, "nan"]], {}, "1 value is NaN.*line 3, column 'jawOpen'"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, "wide"]], {}, "line 3, column 'jawOpen' is 'wide', expected a number"),
        (["time_s", "jawOpen"], [[0, 0], [0.04]], {}, "line 3 has 1 cells, the header 2"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 0], [0.2, 0]], {}, r"steps from .* resample the clip"),
        (["time_s", "jawOpen"], [[0, 0], [0, 0]], {}, "even, growing steps"),
        (["time_s", "jawOpen"], [["nan", 0], [0.04, 0]], {}, "time_s is nan in line 2"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 0]], {"fps": 30}, "caller says 30 fps but time_s says 25 fps"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 0]], {"fps": -1}, "frame rate is -1"),
        (["time_s", "jawOpen", "JawOpen"], [[0, 0, 0], [0.04, 0, 0]], {}, "jawOpen, JawOpen all mean jawOpen"),
        (["time_s", "time", "jawOpen"], [[0, 0, 0]], {}, "2 time columns"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 42]], {}, r"outside \[-0.5, 1.5\], the first, 42, in line 3.*percent"),
        (["jawOpen"], [[0], [1]], {}, "tells no frame rate"),
        (["time_s", "jawOpen"], [], {}, "holds no frames"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 200]], {}, "divide bytes by 255"),
        (["time_s", "jawOpen"], [[0, 0], [0.04, 1e30]], {}, "export it again"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(tmp_path, header, rows, arguments, message):
    path = tmp_path / "bad.csv"
    write_table(path, header, rows)
    with pytest.raises(MotionError, match=message) as caught:
        read_motion(path, **arguments)
    assert str(path) in str(caught.value)


def test_a_single_frame_needs_a_rate_from_the_caller(tmp_path):
    write_table(tmp_path / "one.csv", ["time_s", "jawOpen"], [[0.0, 0.5]])
    with pytest.raises(MotionError, match="pass fps"):
        read_motion(tmp_path / "one.csv")
    assert read_motion(tmp_path / "one.csv", fps=30).fps == 30


def test_small_overshoot_of_trackers_is_kept(tmp_path):
    write_table(tmp_path / "clip.csv", ["time_s", "jawOpen"], [[0, -0.02], [0.04, 1.1]])
    np.testing.assert_allclose(read_motion(tmp_path / "clip.csv").column("jawOpen"), [-0.02, 1.1])


@pytest.mark.parametrize("suffix", [*TABLES, ".txt"])
def test_missing_empty_and_broken_files_are_errors_of_their_own(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    if suffix == ".txt":
        with pytest.raises(MotionError, match=r"unknown motion format '.txt'; expected one of .csv"):
            read_motion(path)
        return
    with pytest.raises(MotionError, match="there is no such file"):
        read_motion(path)
    path.write_bytes(b"")
    with pytest.raises(MotionError, match="take 7: the file is empty"):
        read_motion(path, name="take 7")
    path.write_bytes(b"\xff\xfe\x00nonsense" * 20)
    with pytest.raises(MotionError, match=r"cannot be read as|is UTF-16 text"):
        read_motion(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with 'fps'"),
        ({"fps": 25, "names": "jawOpen", "frames": [[0]]}, "'names' must be a list"),
        ({"fps": 25, "names": ["jawOpen"], "frames": []}, "at least one frame"),
        ({"fps": 25, "names": ["jawOpen"], "frames": [[0], [0, 1]]}, "frame 1 holds 2, expected 1"),
        ({"fps": 25, "names": ["jawOpen"], "frames": [[0], {}]}, "frame 1 holds a dict"),
        ({"fps": 25, "names": ["jawOpen"], "frames": [["x"]]}, "frame 0, column 'jawOpen' is 'x', expected a number"),
        ({"fps": "fast", "names": ["jawOpen"], "frames": [[0]]}, "frame rate is 'fast'"),
        ({"names": ["jawOpen"], "frames": [[0]]}, "tells no frame rate"),
    ],
)
def test_bad_json_is_refused(tmp_path, content, message):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(content))
    with pytest.raises(MotionError, match=message):
        read_motion(path)


def test_bad_npz_and_parquet_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", coefficients=np.zeros((3, 2)), fps=25.0)
    with pytest.raises(MotionError, match="lacks names"):
        read_motion(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", coefficients=np.zeros((3, 2)), fps=25.0, names=np.array(["jawOpen"]))
    with pytest.raises(MotionError, match=r"\(3, 2\), expected \(frames, 1\)"):
        read_motion(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", coefficients=np.zeros((3, 1)), fps=25.0, names=np.array(["jawOpen"], dtype=object))
    with pytest.raises(MotionError, match="without pickle"):
        read_motion(tmp_path / "c.npz")
    pq.write_table(pa.table({"jawOpen": pa.array([0.0, None])}), tmp_path / "d.parquet")
    with pytest.raises(MotionError, match=r"row 1 .*'jawOpen'"):
        read_motion(tmp_path / "d.parquet", fps=25)
    pq.write_table(pa.table({"jawOpen": pa.array([], pa.float32())}), tmp_path / "e.parquet")
    with pytest.raises(MotionError, match="no frames"):
        read_motion(tmp_path / "e.parquet")
