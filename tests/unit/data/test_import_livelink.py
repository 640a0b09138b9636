"""Live Link Face: takes of a performer with their sound, and what is told about takes that lack something."""

import numpy as np
import pytest
from others_recordings import LIVELINK_CHANNELS, noise, write_livelink, write_sound

from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus, list_clips


def test_weights_arrive_under_their_names_whatever_their_order(tmp_path):
    known = {f"anna/take_{number}": write_livelink(tmp_path / "recordings" / "anna", f"take_{number}", seed=number)
             for number in range(4)}  # fmt: skip
    config = ImportConfig(motion_fps=60.0, strict=True)
    report = import_corpus(tmp_path / "recordings", tmp_path / "corpus", config=config)
    clips = {clip.clip_id: clip for clip in Corpus.open(tmp_path / "corpus").clips()}
    assert clips.keys() == known.keys()
    for clip_id, weights in known.items():
        for column, name in enumerate(LIVELINK_CHANNELS):
            curve = clips[clip_id].motion.column(name[0].lower() + name[1:])
            np.testing.assert_allclose(curve, weights[:, column], atol=1e-6)
        np.testing.assert_array_equal(clips[clip_id].waveform, noise(1.0, seed=int(clip_id[-1])))
    assert not report.info.missing_channels
    assert {(clip.speaker, clip.emotion) for clip in clips.values()} == {("anna", "neutral")}
    assert report.info.source["importer"] == "livelink"


def test_the_first_folder_is_the_performer_and_every_performer_is_in_every_split(tmp_path):
    for performer in ("anna", "ben"):
        for number in range(20):
            write_livelink(tmp_path / performer / f"20261126_{number}", f"take_{number}", seconds=0.1, seed=number)
    clips = list_clips(tmp_path).clips
    for performer in ("anna", "ben"):
        splits = [clip.split for clip in clips if clip.speaker == performer]
        assert (splits.count("train"), splits.count("validation"), splits.count("test")) == (16, 2, 2)


def test_takes_without_a_folder_are_of_the_performer_the_recordings_are_named_after(tmp_path):
    write_livelink(tmp_path / "carla", "take", seconds=0.2, suffix=".flac")
    (clip,) = list_clips(tmp_path / "carla").clips
    assert (clip.speaker, clip.clip_id, clip.split) == ("carla", "take", "train")


def test_folders_of_one_take_each_are_questioned(tmp_path):
    for number in range(3):
        write_livelink(tmp_path / f"take_{number}", f"take_{number}", seconds=0.1)
    (note,) = list_clips(tmp_path).notes
    assert "each of 3 performers has one take (take_0, take_1, take_2); if these are the takes of one performer" in note


def test_what_the_app_keeps_besides_a_take_is_no_clip(tmp_path):
    for name in ("take", "take_raw", "take_neutral", "solo_raw"):
        write_livelink(tmp_path / "anna", name, seconds=0.1)
    (tmp_path / "anna" / "frame_log.csv").write_text("I,frame,1\n")
    listed = list_clips(tmp_path)
    assert [clip.clip_id for clip in listed.clips] == ["anna/solo_raw", "anna/take"]
    (note,) = listed.notes
    assert "left out: anna/take_neutral, anna/take_raw" in note


def change_csv(path, row, column, cell):
    lines = path.read_text().splitlines()
    cells = lines[row - 1].split(",")
    cells[column] = cell
    path.write_text("\n".join([*lines[: row - 1], ",".join(cells), *lines[row:]]) + "\n")


def with_video(path):
    path.with_suffix(".wav").unlink()
    path.with_suffix(".mov").touch()


SPOILERS = {
    "no sound": (lambda path: path.with_suffix(".wav").unlink(), "take_1.csv: has no audio file of this name beside"),
    "sound in the video": (with_video, "take_1.wav"),
    "no number": (lambda path: change_csv(path, 9, 2, "x"), "line 9, column 'TongueOut' is 'x', expected a number"),
    "no weight": (lambda path: change_csv(path, 9, 2, ""), "line 9, column 'TongueOut' is ''"),
    "no timecode": (lambda path: change_csv(path, 9, 0, "soon"), "line 9, column 'Timecode' is 'soon'"),
    "no count": (lambda path: change_csv(path, 9, 1, "many"), "line 9, column 'BlendshapeCount' is 'many'"),
    "percent": (lambda path: change_csv(path, 9, 2, "40"), "line 9, column 'TongueOut'"),
    "NaN": (lambda path: change_csv(path, 9, 2, "nan"), "line 9, column 'TongueOut'"),
    "a cell too many": (lambda path: change_csv(path, 9, 2, "0,0"), "line 9 has 64 cells, the header 63"),
    "another take's sound": (
        lambda path: write_sound(path.with_suffix(".wav"), noise(1.5, seed=9)),
        "motion lasts 1.00 s but audio 1.50 s",
    ),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_damaged_take_is_left_out_with_its_file_line_and_column(name, tmp_path):
    spoil, reason = SPOILERS[name]
    for number in range(3):
        write_livelink(tmp_path / "recordings", f"take_{number}", seed=number)
    spoil(tmp_path / "recordings" / "take_1.csv")
    config = ImportConfig(motion_fps=60.0, max_rejected_fraction=0.5)
    report = import_corpus(tmp_path / "recordings", tmp_path / "corpus", corpus_format="livelink", config=config)
    ((clip_id, got),) = report.rejected
    assert clip_id == "take_1"
    assert "take_1.csv" in got or "audio" in got
    assert reason in got


def test_the_sound_of_a_video_is_asked_for_with_the_command_that_takes_it_out(tmp_path):
    write_livelink(tmp_path, "take", seconds=0.1)
    with_video(tmp_path / "take.csv")
    with pytest.raises(CorpusError, match=r"ffmpeg -i \S+/take\.mov \S+/take\.wav"):
        list_clips(tmp_path).clips[0].read()


def test_a_gap_the_reader_filled_is_a_warning_of_the_clip(tmp_path):
    write_livelink(tmp_path / "recordings", "take")
    lines = (tmp_path / "recordings" / "take.csv").read_text().splitlines()
    (tmp_path / "recordings" / "take.csv").write_text("\n".join(lines[:30] + lines[32:]) + "\n")
    config = ImportConfig(motion_fps=60.0, strict=True)
    report = import_corpus(tmp_path / "recordings", tmp_path / "corpus", config=config)
    assert any(warning.startswith("take: ") and "take.csv" in warning for warning in report.warnings)


def test_a_folder_without_takes_is_an_error(tmp_path):
    (tmp_path / "other.csv").write_text("time_s,jawOpen\n0,0\n")
    with pytest.raises(CorpusError, match=r"holds no csv of Live Link Face; its first line begins Timecode,"):
        list_clips(tmp_path, corpus_format="livelink")
