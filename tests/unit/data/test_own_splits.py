"""`splits.csv` beside recordings without an official split."""

import pytest
from others_recordings import write_beat, write_etf, write_livelink

from diffusiontalker.data import CorpusError, list_clips

STEMS = ("03-01-01-01-01-01-01", "03-01-02-01-01-01-01", "RD_Radio11_000", "RD_Radio11_001")


@pytest.fixture
def folder(tmp_path):
    for stem in STEMS:
        write_etf(tmp_path, stem, seconds=0.1)
    return tmp_path


def test_what_is_said_of_a_clip_counts_more_than_what_is_said_of_its_speaker(folder):
    (folder / "splits.csv").write_text(
        "name,split,remark\nactor_01,train,\nRD_Radio11,test,\nRD_Radio11_001,validation,short\n"
    )
    splits = {clip.clip_id: clip.split for clip in list_clips(folder).clips}
    assert splits == dict(zip(STEMS, ("train", "train", "test", "validation"), strict=True))


def test_takes_of_live_link_may_be_split_by_name(tmp_path):
    for number in range(2):
        write_livelink(tmp_path / "anna", f"take_{number}", seconds=0.1)
    (tmp_path / "splits.csv").write_text("name,split\nanna/take_0,test\nanna,train\n")
    assert [clip.split for clip in list_clips(tmp_path).clips] == ["test", "train"]


def test_the_last_part_of_a_name_will_do_where_one_clip_has_it(tmp_path):
    for folder, name in (("a", "one"), ("a", "two"), ("b", "two")):
        write_livelink(tmp_path / "anna" / folder, name, seconds=0.1)
    path = tmp_path / "splits.csv"
    path.write_text("name,split\none,test\nanna,train\n")
    assert [clip.split for clip in list_clips(tmp_path).clips] == ["test", "train", "train"]
    path.write_text("name,split\ntwo,test\nanna,train\n")
    with pytest.raises(CorpusError, match=r"row 2, column name: 'two' may be anna/a/two, anna/b/two; write the name"):
        list_clips(tmp_path)
    path.write_text("name,split\none,test\nanna/a/one,train\n")
    with pytest.raises(CorpusError, match=r"row 3, column name: 'anna/a/one' stands in row 2 already"):
        list_clips(tmp_path)
    path.write_text("name,split\nnobody,test\n")
    with pytest.raises(CorpusError, match=r"'nobody' \(there are anna, anna/a/one, anna/a/two, anna/b/two\)"):
        list_clips(tmp_path)


def test_an_official_split_is_not_overruled(tmp_path):
    write_beat(tmp_path, "1_wayne_0_1_1")
    (tmp_path / "splits.csv").write_text("name,split\n1_wayne,train\n")
    assert list_clips(tmp_path).clips[0].split == "test"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nactor_01\n", r"splits\.csv, row 1: lacks the column split \(it has name\)"),
        ("", r"splits\.csv, row 1: lacks the column name"),
        ("name,split\nactor_01,trian\n", r"row 2, column split: unknown 'trian'; perhaps you meant 'train'"),
        ("name,split\n\nactor_01\n", r"row 3, column split: unknown ''"),
        (
            "name,split\nactor_1,train\n",
            r"row 2, column name: no clip or speaker 'actor_1'; perhaps",
        ),
        ("name,split\nactor_01,train\nactor_01,test\n", r"row 3, column name: 'actor_01' stands in row 2 already"),
        ("name,split\nactor_01,train\n", r"gives no split to 2 clips: RD_Radio11_000, RD_Radio11_001; add rows"),
        ("name,split\nactor_01,\xff\n", "cannot be read"),
        ("name;split\nactor_01;train\n", "its cells are separated by semicolons; save it as comma-separated"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(text, message, folder):
    (folder / "splits.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(CorpusError, match=message):
        list_clips(folder)
