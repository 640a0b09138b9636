import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from diffusiontalker.data import Corpus, CorpusError, CorpusWriter, corpus_writer, write_corpus
from diffusiontalker.face.arkit import CHANNELS


def assert_same_clip(got, wanted):
    labels = ("clip_id", "speaker", "emotion", "split")
    assert [getattr(got, name) for name in labels] == [getattr(wanted, name) for name in labels]
    np.testing.assert_array_equal(got.waveform, wanted.waveform)
    np.testing.assert_array_equal(got.motion.coefficients, wanted.motion.coefficients)
    assert got.motion.fps == wanted.motion.fps
    assert got.motion.channel_names == wanted.motion.channel_names


@pytest.fixture
def clips(make_clip):
    return [
        make_clip("b", split="train"),
        make_clip("a", split="test", seconds=0.31),
        make_clip("c", split="train", speaker="bob", emotion="happy", seconds=0.77),
    ]


def test_a_corpus_gives_back_exactly_what_was_written(clips, tmp_path):
    info = write_corpus(clips, tmp_path / "corpus", motion_fps=25.0, source={"kind": "test"})
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.info == info
    for got, wanted in zip(corpus.load("train"), [clips[0], clips[2]], strict=True):
        assert_same_clip(got, wanted)
    for got, wanted in zip(corpus.load(), [clips[0], clips[2], clips[1]], strict=True):
        assert_same_clip(got, wanted)
    assert info.splits == {"train": 2, "test": 1}
    assert info.speakers == ("ada", "bob")
    assert info.emotions == ("neutral", "happy")
    assert info.seconds == pytest.approx(0.5 + 0.31 + 0.77, abs=1e-3)
    assert info.source == {"kind": "test"}


def test_the_digest_depends_on_content_and_not_on_order(clips, make_clip, tmp_path):
    first = write_corpus(clips, tmp_path / "first", motion_fps=25.0)
    reordered = write_corpus(reversed(clips), tmp_path / "reordered", motion_fps=25.0)
    changed = write_corpus([*clips[:2], make_clip("c", seed=1)], tmp_path / "changed", motion_fps=25.0)
    assert first.digest == reordered.digest
    assert first.digest != changed.digest


def test_shards_tell_rate_and_channels_by_themselves(clips, tmp_path):
    write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    metadata = pq.read_schema(tmp_path / "corpus" / "train-00000.parquet").metadata
    assert float(metadata[b"motion_fps"]) == 25.0
    assert tuple(json.loads(metadata[b"channel_names"])) == CHANNELS


def test_a_large_corpus_is_cut_into_shards_of_one_split(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_writer, "_SHARD_BYTES", 1)
    info = write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    assert [shard.file for shard in info.shards] == ["train-00000.parquet", "train-00001.parquet", "test-00000.parquet"]
    assert [clip.clip_id for clip in Corpus.open(tmp_path / "corpus").clips()] == ["b", "c", "a"]


def test_any_fsspec_url_holds_a_corpus(clips, tmp_path):
    local = write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    write_corpus(clips, "memory://corpora/one", motion_fps=25.0)
    corpus = Corpus.open("memory://corpora/one")
    assert corpus.info == local
    assert_same_clip(corpus.load("test")[0], clips[1])
    with pytest.raises(CorpusError, match="already exists"):
        write_corpus(clips, "memory://corpora/one", motion_fps=25.0)


def test_a_failed_write_leaves_nothing_behind(clips, tmp_path):
    def failing():
        yield from clips
        raise KeyboardInterrupt

    for uri in (tmp_path / "corpus", "memory://corpora/failed"):
        with pytest.raises(KeyboardInterrupt):
            write_corpus(failing(), uri, motion_fps=25.0)
        with pytest.raises(CorpusError, match="there is no corpus"):
            Corpus.open(uri)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(clips, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(CorpusError, match="already exists and nothing is overwritten"):
        write_corpus(clips, tmp_path, motion_fps=25.0)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place_is_named(clips, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CorpusError, match="cannot be written"):
        write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)


def test_a_file_in_the_way_is_named(clips, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot be written"):
        write_corpus(clips, tmp_path / "file" / "corpus", motion_fps=25.0)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere", "there is no corpus; make one with"),
        ("nosuch://bucket/corpus", "cannot be opened .* give a local path or a URL"),
    ],
)
def test_opening_what_is_no_corpus_says_what_to_do(uri, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match=message):
        Corpus.open(uri)


def test_a_corpus_without_index_is_called_unfinished(clips, tmp_path):
    write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    (tmp_path / "corpus" / "corpus.json").unlink()
    with pytest.raises(CorpusError, match="unfinished"):
        Corpus.open(tmp_path / "corpus")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "is not the index of a diffusiontalker-corpus of version 1"),
        ('{"format": "diffusiontalker-corpus", "version": 1, "fsp": 25}', "'fsp' is not a known key"),
    ],
)
def test_a_damaged_index_is_told_from_a_missing_one(text, message, tmp_path):
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(CorpusError, match=message):
        Corpus.open(tmp_path)


def test_a_misspelt_split_is_refused_before_anything_is_read(clips, tmp_path):
    write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    with pytest.raises(CorpusError, match="no split 'tests'; perhaps you meant 'test'"):
        Corpus.open(tmp_path / "corpus").clips("tests")


@pytest.mark.parametrize("damage", ["missing", "cut", "swapped"])
def test_a_damaged_shard_is_named(damage, clips, tmp_path):
    write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    shard = tmp_path / "corpus" / "train-00000.parquet"
    if damage == "missing":
        shard.unlink()
    elif damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-200])
    else:
        shard.write_bytes((tmp_path / "corpus" / "test-00000.parquet").read_bytes())
    with pytest.raises(CorpusError, match=r"train-00000\.parquet.*import the corpus again"):
        Corpus.open(tmp_path / "corpus").load("train")


def test_verify_notices_changed_content(clips, make_clip, tmp_path):
    write_corpus(clips, tmp_path / "corpus", motion_fps=25.0)
    other = [make_clip("b", seed=9), *clips[1:]]
    write_corpus(other, tmp_path / "other", motion_fps=25.0)
    corpus = Corpus.open(tmp_path / "corpus")
    corpus.verify()
    (tmp_path / "other" / "train-00000.parquet").replace(tmp_path / "corpus" / "train-00000.parquet")
    with pytest.raises(CorpusError, match="the files were changed"):
        corpus.verify()


def test_the_writer_takes_aligned_clips_with_new_ids_only(clips, make_clip, tmp_path):
    with pytest.raises(CorpusError, match="'b': this id was already written"):
        write_corpus([clips[0], clips[0]], tmp_path / "corpus", motion_fps=25.0)
    with (
        pytest.raises(CorpusError, match=r"at 30 fps, expected .* at 25 fps; use Clip\.aligned"),
        CorpusWriter.create(tmp_path / "corpus", motion_fps=25.0) as writer,
    ):
        writer.add(make_clip("d", fps=30.0))
    with pytest.raises(CorpusError, match="no clip was written"):
        write_corpus([], tmp_path / "corpus", motion_fps=25.0)
