"""Which recordings are animated, what they ask for, and what their motion files are called."""

import logging

import pytest
from object_store import bucket_on_s3

from diffusiontalker.data import CorpusError, list_recordings, motion_names
from diffusiontalker.storage import open_filesystem


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"sound")


def listed(folder, text):
    path = folder / "takes.csv"
    path.write_text(text, encoding="utf-8")
    return list_recordings(str(path))


def test_a_folder_gives_its_audio_with_sub_folders(tmp_path):
    touch(tmp_path, "b.WAV", "anna/2.flac", "anna/1.ogg", "c.mp3", "notes.txt", ".trash/d.wav", "anna/._1.ogg")
    recordings = list_recordings(str(tmp_path))
    assert [one.name for one in recordings] == ["anna/1.ogg", "anna/2.flac", "b.WAV", "c.mp3"]
    assert recordings[0].uri == str(tmp_path / "anna/1.ogg")
    assert {one.num_bytes for one in recordings} == {5}


def test_a_prefix_in_an_object_store_gives_the_same():
    with bucket_on_s3("speech") as url:
        for name in ("day1/anna/1.wav", "day1/2.mp3", "day2/3.wav"):
            filesystem, path = open_filesystem(f"{url}/{name}")
            with filesystem.open_output_stream(path) as stream:
                stream.write(b"sound")
        recordings = list_recordings(f"{url}/day1/")
        assert [(one.name, one.uri) for one in recordings] == [
            ("2.mp3", f"{url}/day1/2.mp3"),
            ("anna/1.wav", f"{url}/day1/anna/1.wav"),
        ]
        with pytest.raises(CorpusError, match=r"speech/day3: there is nothing"):
            list_recordings(f"{url}/day3")


def test_a_list_says_what_each_recording_asks_for(tmp_path):
    recordings = listed(
        tmp_path, "audio,voice, emotion,seed\nanna/1.wav,Anna,joy,7\n../x/2.wav,,,\ns3://b/day/3.wav,Björn,,0\n"
    )
    assert [(one.name, one.voice, one.emotion, one.seed) for one in recordings] == [
        ("anna/1.wav", "Anna", "joy", 7),
        (f"{tmp_path.parent}/x/2.wav".lstrip("/"), None, None, None),
        ("b/day/3.wav", "Björn", None, 0),
    ]
    assert [one.uri for one in recordings] == [
        f"{tmp_path}/anna/1.wav",
        f"{tmp_path.parent}/x/2.wav",
        "s3://b/day/3.wav",
    ]
    assert recordings[2].source == f"{tmp_path}/takes.csv, row 4"


def test_a_list_in_a_store_means_files_of_that_store():
    with bucket_on_s3("lists") as url:
        filesystem, path = open_filesystem(f"{url}/day/takes.csv")
        with filesystem.open_output_stream(path) as stream:
            stream.write(b"audio\nanna/1.wav\n../2.wav\n")
        recordings = list_recordings(f"{url}/day/takes.csv")
    assert [(one.name, one.uri) for one in recordings] == [
        ("anna/1.wav", "s3://lists/day/anna/1.wav"),
        ("lists/2.wav", "s3://lists/2.wav"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,voice\na.wav,Anna\n", r"takes.csv, row 1: lacks the column audio \(it has file, voice\)"),
        ("audio,emotoin\na.wav,joy\n", r"takes.csv, row 1: unknown column 'emotoin'"),
        ("audio\n", r"takes.csv: lists no recordings"),
        ("", r"takes.csv, row 1: lacks the column audio \(it has nothing\)"),
        ("audio,seed\na.wav,1\nb.wav,-3\n", r"takes.csv, row 3, column seed: got '-3', expected a whole number"),
        ("audio,seed\na.wav,1\n,2\n", r"takes.csv, row 3, column audio: is empty"),
        ("audio,voice\na.wav,Anna,joy\n", r"takes.csv, row 2: has more cells than there are columns"),
        ('audio\n"a.wav\n', r"takes.csv: cannot be read"),
    ],
)
def test_a_wrong_list_is_refused_with_row_and_column(text, message, tmp_path):
    with pytest.raises(CorpusError, match=message):
        listed(tmp_path, text)


def test_columns_for_others_are_named_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(listed(tmp_path, "audio,transcript\na.wav,hello\n")) == 1
    assert "not used: transcript" in caplog.text


def test_what_cannot_be_listed_is_said(tmp_path):
    touch(tmp_path, "notes.txt", "speech.wav")
    with pytest.raises(CorpusError, match=r"nowhere: there is nothing"):
        list_recordings(str(tmp_path / "nowhere"))
    with pytest.raises(CorpusError, match=r"speech.wav: is a file, expected a folder"):
        list_recordings(str(tmp_path / "speech.wav"))
    with pytest.raises(CorpusError, match=r"nowhere.csv: cannot be read"):
        list_recordings(str(tmp_path / "nowhere.csv"))
    (tmp_path / "speech.wav").unlink()
    with pytest.raises(CorpusError, match=r"no audio file in it or below it"):
        list_recordings(str(tmp_path))


def test_motion_keeps_folder_and_name(tmp_path):
    touch(tmp_path, "anna/take.1.wav", "b.mp3")
    named = motion_names(list_recordings(str(tmp_path)), motion_format="json")
    assert {name: one.name for name, one in named.items()} == {"anna/take.1.json": "anna/take.1.wav", "b.json": "b.mp3"}


def test_recordings_that_would_share_a_motion_file_are_refused(tmp_path):
    touch(tmp_path, "x/a.wav", "x/a.flac", "a.wav")
    with pytest.raises(CorpusError, match=r"^'x/a.flac' and 'x/a.wav' would become x/a.csv: every recording needs"):
        motion_names(list_recordings(str(tmp_path)), motion_format="csv")
    with pytest.raises(CorpusError, match=r"'a.wav' \(listed twice\) would become a.csv"):
        motion_names(listed(tmp_path, "audio\na.wav\n./a.wav\n"), motion_format="csv")
    touch(tmp_path / "other", "summary.wav")
    with pytest.raises(CorpusError, match=r"'summary.wav' would become summary.json, a file of the job itself"):
        motion_names(list_recordings(str(tmp_path / "other")), motion_format="json", reserved={"summary.json"})
