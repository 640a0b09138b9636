"""The evaluation job on two tiny talkers: names, environment variables, resuming."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_corpus, tiny_training

from diffusiontalker.config import ArtefactError, ConfigError, from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.face import builtin_rig, load_rig
from diffusiontalker.inference import Bundle, BundleError, SamplingConfig, save_bundle
from diffusiontalker.orchestration.evaluate_job import (
    EvaluateJobConfig,
    changes_since,
    load_named_bundles,
    run_evaluate_job,
)
from diffusiontalker.training import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a 2-step teacher and two trainings of a 1-step student."""
    root: Path = tmp_path_factory.mktemp("job")
    corpus: Corpus = tiny_corpus(root / "corpus")
    for name, seed, steps in (("teacher", 0, 2), ("student", 1, 1), ("student_again", 2, 1)):
        talker = train(tiny_training(num_steps=2, seed=seed), corpus).eval()
        save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=steps)), root / name)
    return root


def write_head(path: Path) -> None:
    """Another rig: four vertices, all of which the jaw moves."""
    deltas = np.full((1, 4, 3), -0.01)
    np.savez(
        path, neutral=np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.2, 0], [0, 0, 0.2]]),
        triangles=np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]), names=np.array(["jawOpen"]), deltas=deltas,
        lip_vertices=np.array([0, 1]), upper_face_vertices=np.array([2, 3]),
    )  # fmt: skip


def job(**changes) -> EvaluateJobConfig:
    plain = {
        "corpus_uri": "${TRIALS}/corpus",
        "bundles": ["teacher=${TRIALS}/teacher", "student=${TRIALS}/student", "student=${TRIALS}/student_again"],
        "comparison": {"respaced_steps": [1], "num_samples": 1, "latency_repeats": 1, "style_clips": 1,
                       "enrollment_seconds": [1.0], "enrollment_draws": 1},
        "evaluation": {"num_curve_clips": 1, "curve_channels": ["jawOpen"], "latency_audio_s": 0.5},
    }  # fmt: skip
    return from_plain(EvaluateJobConfig, plain | changes)


@pytest.fixture
def trials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIALS", str(folder))
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> tuple[Path, str]:
    out = folder / "report"
    os.environ["TRIALS"] = str(folder)
    try:
        return out, run_evaluate_job(job(), out=out)
    finally:
        del os.environ["TRIALS"]


def test_the_job_tells_both_tables_the_checks_and_where_the_report_is(finished):
    out, text = finished
    assert (out / "report.html").is_file()
    lines = text.splitlines()
    assert lines[0].startswith("From teacher (2 steps)")
    assert any(line.split()[:4] == ["teacher", "in", "1", "step"] for line in lines)
    assert any(line.split()[:2] == ["student", "2"] and "±" in line for line in lines)
    assert any(line.startswith("NO  Smaller:") for line in lines)
    assert lines[-1].split() == ["figures", str(out / "report.json")]


def test_a_finished_report_is_shown_again_when_resuming_and_otherwise_left_alone(finished, trials):
    out, text = finished
    before = (out / "report.json").read_bytes()
    assert run_evaluate_job(job(), out=out, resume=True) == text
    with pytest.raises(ArtefactError, match="--resume"):
        run_evaluate_job(job(), out=out)
    assert (out / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"bundles": ["teacher=${TRIALS}/teacher", "student=${TRIALS}/student"]}, "the bundles"),
        ({"evaluation": {"seed": 3}}, "evaluation"),
        ({"comparison": {"num_samples": 2}}, "comparison"),
    ],
)
def test_resuming_does_not_pass_off_another_comparison(finished, trials, changes, what):
    with pytest.raises(ConfigError, match=rf"something else \({what} changed\)"):
        run_evaluate_job(job(**changes), out=finished[0], resume=True)


def test_resuming_does_not_pass_off_another_head(finished, trials, tmp_path):
    write_head(tmp_path / "head.npz")
    with pytest.raises(ConfigError, match=r"something else \(the rig changed\)"):
        run_evaluate_job(job(rig=str(tmp_path / "head.npz")), out=finished[0], resume=True)


def test_what_changed_since_a_report_is_named_and_nothing_else(finished, trials, tmp_path):
    content = json.loads((finished[0] / "report.json").read_text(encoding="utf-8"))
    config = job()
    same = {
        "corpus": Corpus.open(trials / "corpus"), "bundles": load_named_bundles(config.bundles),
        "rig": builtin_rig(), "comparison": config.comparison, "evaluation": config.evaluation,
    }  # fmt: skip
    assert changes_since(content, **same) == []
    write_head(tmp_path / "head.npz")
    others = {
        "the corpus": {"corpus": tiny_corpus(tmp_path / "corpus", clips_each=2)},
        "the bundles": {"bundles": same["bundles"] | {"student": same["bundles"]["student"][::-1]}},
        "the rig": {"rig": load_rig(tmp_path / "head.npz")},
        "comparison": {"comparison": dataclasses.replace(config.comparison, direct="student")},
        "evaluation": {"evaluation": dataclasses.replace(config.evaluation, seed=3)},
    }
    assert {name: changes_since(content, **same | other) for name, other in others.items()} == {
        name: [name] for name in others
    }
    everything = {key: value for other in others.values() for key, value in other.items()}
    assert changes_since(content, **everything) == list(others)
    assert changes_since(content | {"comparison": {}}, **same) == ["the bundles", "comparison", "evaluation"]


def test_one_name_may_have_several_trainings(trials):
    bundles = load_named_bundles(job().bundles)
    assert {name: len(trainings) for name, trainings in bundles.items()} == {"teacher": 1, "student": 2}
    assert len({bundle.digest for bundle in bundles["student"]}) == 2


def test_environment_variables_that_are_not_set_are_named(monkeypatch, tmp_path):
    monkeypatch.delenv("TRIALS", raising=False)
    with pytest.raises(ConfigError, match=r"corpus_uri is .*TRIALS is not set"):
        run_evaluate_job(job(), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bundle_is_found_before_anything_is_measured(trials, tmp_path):
    with pytest.raises(BundleError, match="does not exist"):
        run_evaluate_job(job(bundles=["a=${TRIALS}/teacher", "b=${TRIALS}/nothing"]), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("changes", "missing"), [({"corpus_uri": ""}, "corpus_uri"), ({"bundles": []}, "bundles")])
def test_a_job_without_corpus_or_bundles_says_which_flags_to_give(changes, missing, tmp_path):
    with pytest.raises(ConfigError, match=f"{missing} is empty.*--corpus-uri CORPUS --bundles NAME=PATH"):
        run_evaluate_job(job(**changes), out=tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bundles": ["teacher"]}, "expected NAME=PATH"),
        ({"bundles": ["=there"]}, "expected NAME=PATH"),
        ({"name": "a/b"}, "expected a folder name"),
    ],
)
def test_configurations_that_cannot_work_are_refused_with_the_reason(changes, expected):
    with pytest.raises(ConfigError, match=expected):
        job(**changes)
