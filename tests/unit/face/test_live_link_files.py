"""Recordings of Live Link Face: as the app writes them, with the faults that real ones have, and damaged ones."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffusiontalker.face import CHANNELS, MotionClip, MotionError, decode_motion, encode_motion, read_motion
from diffusiontalker.face.live_link import CSV_CHANNELS, PACKET_CHANNELS, timecode

APP_HEADER = (
    "Timecode,BlendshapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def make_clip(num_frames=150, fps=60.0, names=CHANNELS):
    values = np.random.default_rng(3).random((num_frames, len(names)))
    return MotionClip(coefficients=values, fps=fps, channel_names=names)


def recording(timecodes, *, header="Timecode,BlendShapeCount,JawOpen,HeadYaw", values=None, counts=None):
    """A small recording; jawOpen counts up by a 200th a line."""
    values = values or [index / 200 for index in range(len(timecodes))]
    counts = counts or [61] * len(timecodes)
    lines = [f"{code},{count},{value},0.1" for code, count, value in zip(timecodes, counts, values, strict=True)]
    return "\n".join([header, *lines]).encode() + b"\n"


def at(frames, *, rate=60, second=50_400):
    """Timecodes of frames counted from a second of the day."""
    codes = []
    for frame in frames:
        whole, rest = divmod(round(frame * 1000), 1000 * rate)
        clock = (second + whole) % 86_400
        codes.append(f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}:{rest // 1000:02}.{rest % 1000:03}")
    return codes


def read(content, **options):
    notes = []
    return decode_motion(content, "livelink", name="take.csv", report=notes.append, **options), notes


def test_a_recording_has_the_header_and_the_numbers_of_the_app():
    header, first, second, *_ = encode_motion(make_clip(), "livelink").decode().splitlines()
    assert header == APP_HEADER
    cells = second.split(",")
    assert first.startswith("00:00:00:00.000,61,")
    assert cells[:2] == ["00:00:00:01.000", "61"]
    assert len(cells) == 63
    assert cells[-9:] == ["0.0000000000"] * 9
    assert cells[header.split(",").index("JawOpen")] == f"{make_clip().column('jawOpen')[1]:.10f}"


def test_the_orders_of_recordings_and_packets_hold_every_channel_once():
    assert sorted(CSV_CHANNELS) == sorted(PACKET_CHANNELS) == sorted(CHANNELS)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fps=st.sampled_from([12.5, 15, 23.976, 24, 25, 29.97, 30, 47.952, 48, 50, 59.94, 60, 100, 119.88, 120]),
    seconds=st.floats(2.1, 8),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read_back_with_its_rate(fps, seconds, seed):
    values = np.random.default_rng(seed).random((int(seconds * fps), 2))
    clip = MotionClip(coefficients=values, fps=fps, channel_names=("jawOpen", "mouthLeft"))
    back, notes = read(encode_motion(clip, "livelink"))
    assert back.fps == pytest.approx(fps, rel=2e-5)
    assert set(back.channel_names) == set(CHANNELS)
    np.testing.assert_allclose(back.with_channels(clip.channel_names).coefficients, clip.coefficients, atol=1e-7)
    assert not notes


def test_a_csv_that_is_a_recording_is_known_by_its_header(tmp_path):
    path = tmp_path / "take.csv"
    path.write_bytes(encode_motion(make_clip(), "livelink"))
    clip = read_motion(path)
    assert clip.fps == 60
    np.testing.assert_allclose(clip.with_channels().coefficients, make_clip().coefficients, atol=1e-9)


def test_columns_count_by_name_and_rotations_may_be_missing():
    content = b"TIMECODE,blendshapecount,mouthsmile_r,JAWOPEN\n" + b"".join(
        f"{code},52,0.25,0.5\n".encode() for code in at(range(70))
    )
    clip, _ = read(content)
    assert clip.channel_names == ("mouthSmileRight", "jawOpen")
    assert clip.fps == 60
    assert (clip.column("jawOpen") == 0.5).all()


@pytest.mark.parametrize("rate", [24, 25, 30, 48, 50, 60, 120])
@pytest.mark.parametrize("start", [0, 0.207, 11.9])
def test_the_step_into_a_new_second_tells_the_rate(rate, start):
    clip, notes = read(recording(at(start + np.arange(rate + 10), rate=rate)))
    assert clip.fps == rate
    assert clip.num_frames == rate + 10
    assert not notes


def test_a_phone_that_records_every_second_frame_has_half_the_rate():
    clip, _ = read(recording(at(np.arange(0, 200, 2))))
    assert clip.fps == 30
    assert clip.num_frames == 100


def test_a_slow_timecode_with_parts_of_frames_has_the_camera_s_rate():
    clip, _ = read(recording(at(np.arange(90) * 0.4, rate=24)))
    assert clip.fps == 60


def test_a_recording_within_one_second_is_said_to_be_taken_at_the_app_s_rate():
    clip, notes = read(recording(at(range(20), rate=25)))
    assert clip.fps == 60
    assert "take.csv: is too short to show how many frames a second of its timecode has; taken to be 60" in notes[0]
    for rate in (25, 30):
        clip, notes = read(recording(at(range(20), rate=rate)), fps=rate)
        assert (clip.fps, notes) == (rate, [])
    assert read(recording(at(range(0, 20, 2))), fps=30)[0].fps == 30


def test_a_recording_goes_on_past_midnight():
    clip, notes = read(recording(at(range(180), second=86_399)))
    assert (clip.num_frames, clip.fps, notes) == (180, 60, [])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dropped=st.sets(st.integers(1, 178), max_size=40), second=st.sampled_from([50_400, 86_398]))
def test_dropped_frames_are_filled_on_the_line_between_their_neighbours(dropped, second):
    kept = [frame for frame in range(180) if frame not in dropped]
    content = recording(at(kept, second=second), values=[frame / 200 for frame in kept])
    longest = max(np.diff(kept)) - 1
    if longest / 60 > 0.25:
        with pytest.raises(MotionError, match="are missing before line"):
            read(content)
        return
    clip, notes = read(content)
    np.testing.assert_allclose(clip.column("jawOpen"), np.arange(180) / 200, atol=1e-6)
    assert len(notes) == bool(dropped)
    if dropped:
        assert f": {len(dropped)} in all" in notes[0]


def test_gaps_are_named_by_their_line_and_limited():
    content = recording(at([*range(40), *range(50, 200)]))
    clip, notes = read(content)
    assert clip.num_frames == 200
    assert notes == [
        "take.csv: dropped frames were filled by interpolation: 10 in all, gaps: 1, the longest 0.17 s before line 42"
    ]
    message = r"take.csv: 10 frames \(0.17 s\) are missing before line 42, at most 0.1 s are filled"
    with pytest.raises(MotionError, match=message):
        read(content, max_gap_s=0.1)


def test_lines_where_the_face_was_lost_become_gaps():
    counts = [61] * 150
    counts[70:73] = [0, 0, 0]
    clip, notes = read(recording(at(range(150)), counts=counts))
    assert clip.num_frames == 150
    assert "3 in all, gaps: 1" in notes[0]
    with pytest.raises(MotionError, match="no frame holds a face"):
        read(recording(at(range(9)), counts=[0] * 9))


def test_times_that_waver_are_brought_onto_even_frames():
    wavering = np.arange(180) + np.random.default_rng(2).uniform(-0.2, 0.2, 180)
    clip, notes = read(recording(at(wavering + 1), values=[float(frame) / 200 for frame in wavering + 1]))
    assert clip.fps == 60
    assert clip.num_frames == pytest.approx(180, abs=1)
    steps = np.diff(clip.column("jawOpen"))
    np.testing.assert_allclose(steps, 1 / 200, atol=2e-4)
    assert not notes


def test_a_rate_that_the_caller_knows_is_checked():
    content = recording(at(range(180)))
    assert read(content, fps=59.94)[0].fps == 59.94
    with pytest.raises(MotionError, match="the caller says 30 fps but Timecode says 60 fps"):
        read(content, fps=30)
    with pytest.raises(MotionError, match="pass fps"):
        read(recording(at([0])))
    assert read(recording(at([0])), fps=60)[0].num_frames == 1


GOOD = at(range(5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (recording(GOOD, header="time,BlendShapeCount,JawOpen,HeadYaw"), "has no column Timecode, which recordings"),
        (recording(GOOD, header="Timecode,Count,JawOpen,HeadYaw"), "has no column BlendshapeCount"),
        (recording(GOOD, header="Timecode,BlendShapeCount,Jaw,HeadYaw"), "no column is named after an ARKit channel"),
        (recording(GOOD, header="Timecode,BlendShapeCount,JawOpen,jawopen"), "JawOpen, jawopen all mean jawOpen"),
        (recording(GOOD, header="Timecode,BlendShapeCount,JawOpen"), "line 2 has 4 cells, the header 3"),
        (recording(["00:00:61:00.000", *GOOD[1:]]), "line 2, column 'Timecode' is '00:00:61:00.000', expected hours"),
        (recording([*GOOD[:3], "now", GOOD[4]]), "line 5, column 'Timecode' is 'now', expected hours:minutes"),
        (recording([*GOOD[:3], "", GOOD[4]]), "line 5, column 'Timecode' is '', expected hours"),
        (recording([*GOOD[:3], GOOD[2], GOOD[4]]), "at line 5, expected growing times"),
        (recording([*GOOD[:3], GOOD[1], GOOD[4]]), "at line 5, expected growing times"),
        (recording(GOOD, counts=[61, 61, 60, 61, 61]), "line 4, column 'BlendshapeCount' is '60', expected 61, 52"),
        (recording(GOOD, counts=[61, "", 61, 61, 61]), "line 3, column 'BlendshapeCount' is '', expected 61, 52"),
        (recording(GOOD, values=[0, 0.1, "wide", 0, 0]), "line 4, column 'JawOpen' is 'wide', expected a number"),
        (recording(GOOD, values=[0, 0.1, "", 0, 0]), "line 4, column 'JawOpen' is '', expected a number"),
        (recording(GOOD, values=[0, 0.1, "nan", 0, 0]), "NaN or infinite, the first in line 4, column 'JawOpen'"),
        (recording(GOOD, values=[0, 0.1, 90, 0, 0]), "the first, 90, in line 4, column 'JawOpen'.*divide percentages"),
        (recording([]), "holds no frames"),
        (b"\xff\xfe", "is UTF-16 text; save it as comma-separated"),
        (b"", "the file is empty"),
    ],
)
def test_a_damaged_recording_is_refused_with_its_place(content, message):
    with pytest.raises(MotionError, match=message) as caught:
        read(content)
    assert str(caught.value).startswith("take.csv: ")


def test_empty_lines_are_counted_as_editors_count_them():
    content = recording(GOOD).replace(b"\n", b"\n\n").replace(b",0.015,", b",x,")
    with pytest.raises(MotionError, match="line 9, column 'JawOpen'"):
        read(content)


def test_timecodes_are_true_time_and_start_again_after_a_day():
    assert timecode(0, fps=60) == "00:00:00:00.000"
    assert timecode(45, fps=60) == "00:00:00:45.000"
    assert timecode(60 * 3661 + 7, fps=60) == "01:01:01:07.000"
    assert timecode(2997, fps=29.97) == "00:01:40:00.000"
    assert timecode(86_400 * 25 + 1, fps=25) == "00:00:00:01.000"
