"""The parts of the main job that need no cluster: configuration, corpus source, progress, table."""

import logging

import pytest

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import CorpusError, SyntheticCorpusConfig
from diffusiontalker.orchestration import (
    CorpusSourceConfig,
    MainJobConfig,
    OrchestrationConfig,
    open_corpus,
)
from diffusiontalker.orchestration.main_job import results_table
from diffusiontalker.orchestration.progress import ProgressLine, Span, clock
from diffusiontalker.orchestration.train import run_config, scaling_config

SMALL = SyntheticCorpusConfig(
    num_speakers=2, num_unseen_speakers=1, emotions=("neutral",), sentences_per_speaker_emotion=3
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"name": "a/b"}, "expected a folder name"),
        ({"regression_steps": -1}, "regression_steps is -1"),
        ({"corpus": {"source": "corpus"}}, "uri is empty"),
        ({"corpus": {"source": "folder"}}, "folder is empty"),
        ({"corpus": {"source": "tape"}}, "corpus.source"),
        ({"orchestration": {"num_workers": 0}}, "num_workers is 0, expected at least 1"),
        ({"orchestration": {"health_check_interval_s": 0}}, "expected a positive number"),
        ({"orchestration": {"num_workers": 3}}, "batch_size 64 does not divide by 3 workers"),
        ({"orchestration": {"num_workers": 4, "min_workers": 2}}, "batch_size 64 does not divide by 3 workers"),
        ({"orchestration": {"num_workers": 1, "min_workers": 2}}, "min_workers is 2, expected at most num_workers, 1"),
    ],
)
def test_configurations_that_cannot_work_are_refused_with_the_reason(raw, expected):
    with pytest.raises(ConfigError, match=expected.replace(".", r"\.")):
        from_plain(MainJobConfig, raw)


def test_workers_retries_and_storage_reach_ray_train_as_configured(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    config = OrchestrationConfig(num_workers=3, use_gpu=True, cpus_per_worker=2, max_failures=5, checkpoints_to_keep=4)
    scaling = scaling_config(config)
    assert (scaling.num_workers, scaling.use_gpu) == (3, True)
    assert scaling.resources_per_worker == {"CPU": 2, "GPU": 1}
    run = run_config(config, run_name="name", storage_uri="s3://bucket/runs")
    assert (run.name, run.storage_path) == ("name", "bucket/runs")
    assert run.storage_filesystem.type_name == "s3"
    assert run.failure_config is not None
    assert run.failure_config.max_failures == 5
    assert run.checkpoint_config is not None
    assert run.checkpoint_config.num_to_keep == 4


def test_an_elastic_training_may_run_on_fewer_workers():
    assert scaling_config(OrchestrationConfig(num_workers=4, min_workers=2)).num_workers == (2, 4)
    assert scaling_config(OrchestrationConfig(num_workers=4, min_workers=4)).num_workers == 4


def test_a_synthetic_corpus_is_made_once_and_reused_only_when_resuming(tmp_path):
    config = CorpusSourceConfig(synthetic=SMALL)
    made = open_corpus(config, default_uri=tmp_path / "corpus", resume=True)
    assert open_corpus(config, default_uri=tmp_path / "corpus", resume=True).info.digest == made.info.digest
    with pytest.raises(CorpusError, match="already exists"):
        open_corpus(config, default_uri=tmp_path / "corpus", resume=False)
    finished = CorpusSourceConfig(source="corpus", uri=str(tmp_path / "corpus"))
    assert open_corpus(finished, default_uri=tmp_path / "unused", resume=False).info.digest == made.info.digest


def test_the_folder_of_recordings_may_name_environment_variables(tmp_path, monkeypatch):
    config = CorpusSourceConfig(source="folder", folder="${RECORDINGS}/session")
    monkeypatch.delenv("RECORDINGS", raising=False)
    with pytest.raises(ConfigError, match=r"RECORDINGS is not set.*--corpus\.folder"):
        open_corpus(config, default_uri=tmp_path / "corpus", resume=False)
    monkeypatch.setenv("RECORDINGS", str(tmp_path))
    with pytest.raises(CorpusError, match=str(tmp_path / "session")):
        open_corpus(config, default_uri=tmp_path / "corpus", resume=False)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (7325, "2:02:05")])
def test_durations_are_shown_as_clock_time(seconds, text):
    assert clock(seconds) == text


def test_the_progress_line_shows_step_loss_and_remaining_time_but_not_every_row(caplog):
    line = ProgressLine(span=Span(title="demo"), num_steps=10)
    with caplog.at_level(logging.INFO):
        line.update(1, {"train/loss": 0.5})
        line.update(2, {"train/loss": 0.4})
        line.update(5, {"train/loss": 0.3}, is_urgent=True)
        line.update(10, {"train/loss": 0.2}, is_urgent=True)
    first, middle, last = caplog.messages
    assert first == "demo: step 1 of 10 (10 %), loss 0.5000, remaining time not known yet"
    assert middle == "demo: step 5 of 10 (50 %), loss 0.3000, 0:00 remaining"
    assert last == "demo: step 10 of 10 (100 %), loss 0.2000, done"


def test_the_results_table_has_a_line_per_system_and_a_dash_for_what_is_unknown():
    rows = [
        {"name": "mean face", "num_steps": None, "mae": 0.05, "jaw_open_r": None, "lve_mm": 3.0, "fdd_abs": 1e-6},
        {
            "name": "teacher",
            "num_steps": 16,
            "mae": 0.02,
            "jaw_open_r": 0.9,
            "lve_mm": 1.5,
            "fdd_abs": 2e-7,
            "rtf": 0.1,
        },
    ]
    header, mean_face, teacher = results_table(rows).splitlines()
    assert header.split() == ["system", "num_steps", "mae", "jaw_open_r", "lve_mm", "fdd_abs", "rtf"]
    assert mean_face.split() == ["mean", "face", "-", "0.0500", "-", "3.00", "1.0e-06", "-"]
    assert teacher.split() == ["teacher", "16", "0.0200", "0.900", "1.50", "2.0e-07", "0.100"]
