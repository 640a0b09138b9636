"""The search job as a user meets it: from a teacher's bundle to a front of sizes and a chosen student."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from job_here import run_here

from diffusiontalker.config import load_config
from diffusiontalker.inference import animate, load_bundle
from diffusiontalker.orchestration import DistillJobConfig

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "jobs/search_student.py"


def flags(smoke_run, out: Path, config: str | Path = "jobs/configs/smoke_search.yaml") -> list[str]:
    return [
        "--config", str(config), "--out", str(out),
        "--teacher", str(smoke_run.folder / "bundle"), "--corpus.uri", str(smoke_run.folder / "corpus"),
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searched:
    """The finished smoke search, and what happened on the way."""

    folder: Path
    output: str
    killed_log: str
    log: str

    @property
    def content(self) -> dict:
        return json.loads((self.folder / "search.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def searched(job, smoke_run, tmp_path_factory) -> Searched:
    """A search that is killed, without warning, in its second trial, and resumed."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *flags(smoke_run, folder)],
        cwd=ROOT, env=os.environ | {"RAY_ADDRESS": ""}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "trial 2 of 3: step" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    resumed = job(*flags(smoke_run, folder), "--resume", script=SCRIPT)
    assert resumed.code == 0, resumed.log
    return Searched(folder=folder, output=resumed.output, killed_log="".join(lines), log=resumed.log)


def test_every_trial_is_in_the_report_with_error_size_and_speed(searched):
    trials = searched.content["trials"]
    assert len(trials) == 3
    assert {trial["state"] for trial in trials} <= {"done", "stopped"}
    assert all(trial["lve_m2"] > 0 and trial["file_bytes"] > 0 and trial["rtf"] > 0 for trial in trials)
    assert any(trial["is_on_front"] for trial in trials)
    for trial in trials:
        assert trial["name"] in searched.output


def test_a_killed_search_repeats_no_finished_trial(searched):
    assert "trial 1 of 3: done" in searched.killed_log
    assert "trial 1 of 3" not in searched.log
    assert "trial 3 of 3: done" in searched.log or "trial 3 of 3: stopped early" in searched.log
    assert "teacher's paths" in searched.killed_log
    assert "teacher's paths" not in searched.log


def test_the_chosen_student_animates(searched):
    (chosen,) = (trial for trial in searched.content["trials"] if trial["is_chosen"])
    bundle = load_bundle(searched.folder / "bundle")
    assert (bundle.file_bytes, bundle.sampling.num_steps) == (chosen["file_bytes"], chosen["num_steps"])
    motion = animate(bundle, np.zeros(16_000, dtype=np.float32))
    assert np.isfinite(motion.coefficients).all()


def test_its_full_distillation_is_one_command(searched):
    (chosen,) = (trial for trial in searched.content["trials"] if trial["is_chosen"])
    job = load_config(DistillJobConfig, path=searched.folder / "chosen.yaml")
    assert job.deployed_steps == job.chain.until == chosen["num_steps"]
    assert job.training.talker == load_bundle(searched.folder / "bundle").talker.config
    assert "jobs/distill_student.py --config" in searched.output


def test_the_page_shows_every_student_under_the_pointer(searched):
    page = (searched.folder / "search.html").read_text(encoding="utf-8")
    for trial in searched.content["trials"]:
        assert page.count(f"<title>\n{trial['name']}") + page.count(f"<title>{trial['name']}") >= 2
    assert (searched.folder / "search.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_has_the_trials(searched):
    assert list((searched.folder / "tune").rglob("events.out.tfevents*"))


def test_a_failing_trial_does_not_end_the_search(job, smoke_run, tmp_path):
    config = yaml.safe_load((ROOT / "jobs/configs/smoke_search.yaml").read_text())
    config |= {"space": {"optimizer.learning_rate": [1e-3, 1e30]}, "sampler": "grid"}
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    process = job(*flags(smoke_run, tmp_path / "run", tmp_path / "search.yaml"), script=SCRIPT)
    assert process.code == 0, process.log
    content = json.loads((tmp_path / "run" / "search.json").read_text(encoding="utf-8"))
    assert sorted(trial["state"] for trial in content["trials"]) == ["done", "failed"]
    (failed,) = (trial for trial in content["trials"] if trial["state"] == "failed")
    assert "not finite" in failed["error"]
    assert "failed, the search goes on" in process.log


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--teacher", "no/such/bundle"], "no/such/bundle: does not exist"),
        (["--budget.max-megabytes", "0.001"], "no student of this space is within the budget"),
        (["--preset-steps", "3", "--presets", "nano"], "a student of 3 steps is asked for: chain.until is 3"),
        (["--mlflow-tracking-uri", "file:/nowhere"], "MLflow is not installed"),
    ],
)
def test_bad_input_ends_with_code_2_before_any_trial(more, expected, smoke_run, tmp_path, caplog):
    assert run_here(SCRIPT, *flags(smoke_run, tmp_path / "run"), *more) == 2
    assert expected in caplog.text
    assert "Traceback" not in caplog.text
    assert not (tmp_path / "run").exists()
