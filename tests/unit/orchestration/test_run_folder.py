"""Who may write into a run folder, and what it remembers."""

import dataclasses
import json

import pytest

from diffusiontalker.config import ArtefactError, ConfigError
from diffusiontalker.orchestration import MainJobConfig, OrchestrationConfig, RunFolder

CONFIG = MainJobConfig(name="test")


def test_a_new_run_writes_down_its_configuration_and_provenance(tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    assert "regression_steps" in folder.config.read_text(encoding="utf-8")
    assert "torch" in json.loads(folder.provenance.read_text(encoding="utf-8"))


def test_a_new_run_refuses_a_folder_that_holds_anything(tmp_path):
    RunFolder.create(tmp_path / "run", CONFIG)
    with pytest.raises(ArtefactError, match=r"already exists.*--resume.*--out"):
        RunFolder.create(tmp_path / "run", CONFIG)
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match="already exists"):
        RunFolder.create(tmp_path / "file", CONFIG)


def test_a_run_is_reopened_only_where_one_was_started(tmp_path):
    with pytest.raises(ArtefactError, match="no run to resume"):
        RunFolder.reopen(tmp_path / "run", CONFIG)
    created = RunFolder.create(tmp_path / "run", CONFIG)
    assert RunFolder.reopen(tmp_path / "run", CONFIG) == created


def test_a_run_is_reopened_only_with_the_configuration_it_was_started_with(tmp_path):
    RunFolder.create(tmp_path / "run", CONFIG)
    training = dataclasses.replace(CONFIG.training, num_steps=7)
    with pytest.raises(ConfigError, match=r"training\.num_steps was 4000, is 7"):
        RunFolder.reopen(tmp_path / "run", dataclasses.replace(CONFIG, training=training))


def test_a_run_may_go_on_elsewhere(tmp_path):
    RunFolder.create(tmp_path / "run", CONFIG)
    elsewhere = OrchestrationConfig(num_workers=2, storage_uri="s3://bucket/runs")
    RunFolder.reopen(tmp_path / "run", dataclasses.replace(CONFIG, orchestration=elsewhere))


def test_a_run_that_made_nothing_can_be_discarded_and_one_that_made_something_cannot(tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.corpus.mkdir()
    folder.discard_if_nothing_was_made()
    assert folder.config.exists()
    folder.corpus.rmdir()
    folder.discard_if_nothing_was_made()
    assert not folder.root.exists()
