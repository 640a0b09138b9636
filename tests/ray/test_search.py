"""Trials of several workers: each is a Ray Train run inside a trial of Ray Tune."""

import json

import pytest

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.inference import Bundle, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.orchestration import SearchJobConfig, run_search_job
from diffusiontalker.training import TrainingConfig, build_talker

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

TALKER = {
    "encoder": {"width": 8, "dilations": [1]},
    "personalizer": {"embedding_dim": 8, "personalized_dim": 8, "hidden_dim": 8, "num_heads": 2},
    "denoiser": {"width": 8, "dilations": [1]},
}


@pytest.fixture(scope="module")
def teacher(tiny_corpus, tmp_path_factory):
    talker = build_talker(from_plain(TrainingConfig, {"talker": TALKER}), Corpus.open(tiny_corpus)).eval()
    path = tmp_path_factory.mktemp("teacher") / "bundle"
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=2)), path)
    return path


def search(teacher, corpus, **changes) -> SearchJobConfig:
    plain = {
        "teacher": str(teacher), "corpus": {"source": "corpus", "uri": str(corpus)}, "presets": [],
        "space": {"talker.encoder.width": [8, 16]}, "sampler": "grid", "num_trials": 1, "paths_per_clip": 1,
        "trial": {"workers": 2, "num_samples": 1},
        "training": {
            "talker": TALKER, "objective": {"kind": "distillation", "condition_dropout": 0.0, "student_steps": 1},
            "windows": {"seconds": 0.6, "reference_seconds": 0.4}, "num_steps": 4, "batch_size": 4,
        },
    }  # fmt: skip
    return from_plain(SearchJobConfig, plain | changes)


def test_a_trial_may_be_trained_by_several_workers(ray_session, teacher, tiny_corpus, tmp_path):
    run_search_job(search(teacher, tiny_corpus), out=tmp_path / "run")
    (trial,) = json.loads((tmp_path / "run" / "search.json").read_text(encoding="utf-8"))["trials"]
    assert (trial["state"], trial["step"]) == ("done", 4)
    assert load_bundle(tmp_path / "run" / "bundle").talker.config.encoder.width == 8
    assert list((tmp_path / "run" / "train").glob("trial-*/checkpoint_*"))


def test_a_cluster_that_is_too_small_is_said_at_once(ray_session, teacher, tiny_corpus, tmp_path):
    config = search(teacher, tiny_corpus, trial={"workers": 2, "cpus_per_worker": 50})
    with pytest.raises(ConfigError, match=r"a trial needs 100\.5 CPUs, the Ray cluster has 4"):
        run_search_job(config, out=tmp_path / "run")
