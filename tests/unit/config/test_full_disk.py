"""When the disk is full: a clear error, and what was there before is still there and whole."""

import pytest
import tiny
from full_disk import small_disk

from diffusiontalker.config import ArtefactError, publish_directory, publish_file
from diffusiontalker.data import Corpus, CorpusError, write_corpus
from diffusiontalker.inference import Bundle, load_bundle, save_bundle
from diffusiontalker.training import build_talker


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        yield disk


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_as_before_when_its_successor_does_not_fit(disk):
    path = disk.folder / "report.json"
    path.write_text("before", encoding="utf-8")
    disk.fill()
    with (
        pytest.raises(ArtefactError, match=r"report\.json cannot be written: No space left.*free some space"),
        publish_file(path, overwrite=True) as temporary,
    ):
        temporary.write_bytes(bytes(100_000))
    assert path.read_text(encoding="utf-8") == "before"
    assert names(disk.folder) == ["ballast", "report.json"]


def test_a_folder_that_does_not_fit_leaves_nothing_behind(disk):
    disk.fill()
    disk.free_bytes(50_000)
    with (
        pytest.raises(ArtefactError, match=r"No space left.*free some space"),
        publish_directory(disk.folder / "out") as temporary,
    ):
        (temporary / "one").write_bytes(bytes(10_000))
        (temporary / "two").write_bytes(bytes(100_000))
    assert names(disk.folder) == ["ballast"]


def test_a_bundle_stays_loadable_when_its_successor_does_not_fit(disk, tmp_path):
    write_corpus(tiny.tiny_clips(), tmp_path / "corpus", motion_fps=25.0)
    corpus = Corpus.open(tmp_path / "corpus")
    bundle = Bundle(talker=build_talker(tiny.tiny_training(), corpus).eval())
    save_bundle(bundle, disk.folder / "bundle")
    disk.fill()
    with pytest.raises(ArtefactError, match="No space left"):
        save_bundle(bundle, disk.folder / "bundle", overwrite=True)
    assert load_bundle(disk.folder / "bundle").digest == bundle.digest


def test_a_corpus_that_does_not_fit_leaves_nothing_behind(disk):
    disk.fill()
    disk.free_bytes(20_000)
    with pytest.raises(CorpusError, match="No space left"):
        write_corpus(tiny.tiny_clips(), disk.folder / "corpus", motion_fps=25.0)
    assert names(disk.folder) == ["ballast"]
