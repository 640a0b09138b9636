"""Live Link Face: takes of a performer with their sound, and what is told about takes that lack something."""

import subprocess

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
    "sound in the video": (with_video, "its sound is still in the video take_1.mov"),
    "semicolons": (lambda path: path.write_text(path.read_text().replace(",", ";")), "separated by semicolons"),
    "UTF-16": (lambda path: path.write_bytes(path.read_text().encode("utf-16")), "is UTF-16 text"),
    "empty": (lambda path: path.write_text(""), "take_1.csv: the file is empty (0 bytes)"),
    "another header": (lambda path: path.write_text(path.read_text()[1:]), "has no column Timecode"),
    "no jaw": (lambda path: path.write_text(path.read_text().replace("JawOpen", "Jaw")), "take_1.csv: lacks jawOpen"),
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


def test_the_sound_of_videos_is_asked_for_with_one_command_that_takes_it_out(tmp_path):
    folder = tmp_path / "the takes"
    for number in range(2):
        write_livelink(folder, f"take {number}", seconds=0.1)
        with_video(folder / f"take {number}.csv")
    (note,) = list_clips(folder).notes
    text, _, command = note.partition(": ")
    assert text == "the sound of 2 takes is still in the video; to take it out of all videos"
    said = subprocess.run(command.replace("ffmpeg", "echo"), shell=True, capture_output=True, text=True, check=True)
    assert sorted(said.stdout.splitlines()) == [
        f"-nostdin -n -i {folder}/take {number}.mov {folder}/take {number}.wav" for number in range(2)
    ]
    with pytest.raises(CorpusError, match=r"2 of 2 clips were rejected(.|\n)*warning the sound of 2 takes is still"):
        import_corpus(folder, tmp_path / "corpus")


@pytest.mark.parametrize("has_plain", [True, False])
def test_a_calibrated_take_is_taken_with_the_sound_of_the_plain_one(has_plain, tmp_path):
    for name in ("take", "take_raw", "take_neutral", "take_cal"):
        write_livelink(tmp_path / "anna", name, seconds=0.1)
        if name != "take":
            (tmp_path / "anna" / f"{name}.wav").unlink()
    if not has_plain:
        (tmp_path / "anna" / "take.csv").unlink()
    listed = list_clips(tmp_path)
    (clip,) = listed.clips
    assert (clip.clip_id, clip.audio.name, clip.motion.name) == ("anna/take_cal", "take.wav", "take_cal.csv")
    assert ("anna/take," in f"{listed.notes[0]},".replace("left out: ", "")) == has_plain
    assert not listed.strays


def test_a_folder_of_takes_that_a_spreadsheet_saved_is_recognized(tmp_path):
    write_livelink(tmp_path / "it", "take")
    path = tmp_path / "it" / "take.csv"
    path.write_text(path.read_text().replace(",", ";"))
    with pytest.raises(CorpusError, match="its cells are separated by semicolons"):
        import_corpus(tmp_path / "it", tmp_path / "corpus")


def test_a_sound_without_a_take_is_noted_and_refused_where_strict(tmp_path):
    for number in range(2):
        write_livelink(tmp_path / "it", f"take_{number}", seed=number)
    (tmp_path / "it" / "take_0.csv").unlink()
    report = import_corpus(tmp_path / "it", tmp_path / "corpus")
    assert report.warnings[0] == "1 sound left out, without a csv of this name beside it: take_0"
    with pytest.raises(CorpusError, match="1 recording would be left out: take_0; --strict allows none"):
        import_corpus(tmp_path / "it", tmp_path / "strict", config=ImportConfig(strict=True))


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
