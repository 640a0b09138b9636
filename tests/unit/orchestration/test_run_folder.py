"""Who may write into a run folder, and what it remembers."""

import dataclasses
import json
from pathlib import Path

import pytest
from object_store import bucket_on_s3

from diffusiontalker.config import ArtefactError, ConfigError
from diffusiontalker.orchestration import MainJobConfig, OrchestrationConfig, RunFolder
from diffusiontalker.storage import open_filesystem

CONFIG = MainJobConfig(name="test")


def start(where, config=CONFIG, *, resume=False) -> RunFolder:
    with RunFolder.opened(where, config, resume=resume) as folder:
        return folder


def test_a_new_run_writes_down_its_configuration_and_provenance(tmp_path):
    folder = start(tmp_path / "run")
    assert "regression_steps" in folder.config.read_text(encoding="utf-8")
    assert "torch" in json.loads(folder.provenance.read_text(encoding="utf-8"))


def test_a_new_run_refuses_a_folder_that_holds_anything(tmp_path):
    start(tmp_path / "run")
    with pytest.raises(ArtefactError, match=r"already exists.*--resume.*--out"):
        start(tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="already exists"):
        start(tmp_path / "file")


def test_a_run_is_resumed_only_where_one_was_started(tmp_path):
    with pytest.raises(ArtefactError, match="no run to resume"):
        start(tmp_path / "run", resume=True)
    created = start(tmp_path / "run")
    resumed = start(tmp_path / "run", resume=True)
    assert (created.is_resumed, resumed.is_resumed) == (False, True)
    assert resumed.root == created.root


def test_a_run_may_be_started_or_resumed_as_the_case_may_be(tmp_path):
    assert not start(tmp_path / "run", resume=None).is_resumed
    assert start(tmp_path / "run", resume=None).is_resumed


def test_a_run_is_resumed_only_with_the_configuration_it_was_started_with(tmp_path):
    start(tmp_path / "run")
    training = dataclasses.replace(CONFIG.training, num_steps=7)
    with pytest.raises(ConfigError, match=r"training\.num_steps was 4000, is 7"):
        start(tmp_path / "run", dataclasses.replace(CONFIG, training=training), resume=True)


def test_a_run_may_go_on_elsewhere(tmp_path):
    start(tmp_path / "run")
    elsewhere = OrchestrationConfig(num_workers=2, storage_uri="s3://bucket/runs")
    start(tmp_path / "run", dataclasses.replace(CONFIG, orchestration=elsewhere), resume=True)


def test_a_run_that_made_nothing_can_be_discarded_and_one_that_made_something_cannot(tmp_path):
    folder = start(tmp_path / "run")
    corpus = Path(folder.corpus)
    corpus.mkdir()
    folder.discard_if_nothing_was_made()
    assert folder.config.exists()
    corpus.rmdir()
    folder.discard_if_nothing_was_made()
    assert not folder.root.exists()


@pytest.fixture
def bucket():
    with bucket_on_s3("runs") as url:
        yield url


def test_a_run_in_an_object_store_is_found_there_by_whoever_resumes_it(bucket):
    where = f"{bucket}/one"
    with RunFolder.opened(where, CONFIG, resume=False) as folder:
        assert folder.training == f"{where}/train"
        assert folder.shown(folder.report) == f"{where}/report.json"
        folder.metrics.write_text("{}\n", encoding="utf-8")
        assert folder.published(folder.bundle) == f"{where}/bundle"
        first_copy = folder.root
    assert not first_copy.exists()
    with pytest.raises(ArtefactError, match=r"s3://runs/one already exists.*--resume"):
        start(where)
    with RunFolder.opened(where, CONFIG, resume=True) as folder:
        assert folder.root != first_copy
        assert folder.metrics.read_text(encoding="utf-8") == "{}\n"


def test_a_resumed_run_in_an_object_store_is_never_discarded(bucket):
    where = f"{bucket}/three"
    start(where)
    with RunFolder.opened(where, CONFIG, resume=True) as folder:
        folder.discard_if_nothing_was_made()
    assert start(where, resume=None).is_resumed


def test_a_run_in_an_object_store_whose_corpus_was_made_is_not_discarded(bucket):
    where = f"{bucket}/four"
    with RunFolder.opened(where, CONFIG, resume=False) as folder:
        filesystem, root = open_filesystem(folder.corpus)
        with filesystem.open_output_stream(f"{root}/corpus.json") as stream:
            stream.write(b"{}")
        folder.discard_if_nothing_was_made()
    assert start(where, resume=None).is_resumed


def test_a_run_in_an_object_store_that_made_nothing_leaves_nothing_there(bucket):
    with RunFolder.opened(f"{bucket}/two", CONFIG, resume=False) as folder:
        folder.discard_if_nothing_was_made()
    assert not start(f"{bucket}/two", resume=None).is_resumed
