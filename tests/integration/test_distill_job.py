"""The distillation job as a user meets it: from a teacher's bundle to a measured student that says hello."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from job_here import run_here

from diffusiontalker.inference import load_bundle

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "jobs/distill_student.py"


def flags(smoke_run, out: Path) -> list[str]:
    return [
        "--config", "jobs/configs/smoke_student.yaml", "--out", str(out),
        "--teacher", str(smoke_run.folder / "bundle"), "--corpus.uri", str(smoke_run.folder / "corpus"),
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distilled:
    """The finished smoke run, and what happened on the way."""

    folder: Path
    output: str
    interrupted_log: str
    left_by_interruption: dict[str, int]
    log: str


@pytest.fixture(scope="module")
def distilled(job, smoke_run, tmp_path_factory) -> Distilled:
    """A chain that is killed in its second stage and resumed."""
    folder = tmp_path_factory.mktemp("distilled") / "run"
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *flags(smoke_run, folder)],
        cwd=ROOT, env=os.environ | {"RAY_ADDRESS": ""}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "stage 2 of" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=300)[1]
    left = {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    resumed = job(*flags(smoke_run, folder), "--resume", script=SCRIPT)
    assert resumed.code == 0, resumed.log
    return Distilled(
        folder=folder, output=resumed.output, interrupted_log="".join(lines) + rest, left_by_interruption=left,
        log=resumed.log,
    )  # fmt: skip


def test_every_stage_leaves_a_bundle_with_its_number_of_steps(distilled):
    chain = distilled.folder / "networks" / "student-seed0"
    assert load_bundle(chain / "1_step").sampling.num_steps == 1
    assert (chain / "warm_up").is_dir()
    warm_up, student = (load_bundle(chain / name).card for name in ("warm_up", "1_step"))
    assert len(student["teacher_digest"]) == 64
    assert (warm_up["training"]["num_steps"], student["training"]["num_steps"]) == (2, 6)
    assert warm_up["training"]["seed"] != student["training"]["seed"]
    assert load_bundle(distilled.folder / "bundle").digest == load_bundle(chain / "1_step").digest


def test_a_killed_chain_goes_on_and_repeats_no_finished_stage(distilled):
    assert "stage 1 of 2 (warm_up)" in distilled.interrupted_log
    assert "--resume" in distilled.interrupted_log
    assert distilled.left_by_interruption, "nothing was finished before the interruption"
    for name, written in distilled.left_by_interruption.items():
        assert (distilled.folder / name).stat().st_mtime_ns == written, name
    assert "stage 1 of 2 (warm_up): done" in distilled.log


def test_one_log_follows_the_whole_chain(distilled):
    lines = (distilled.folder / "networks" / "student-seed0" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows[-1]["step"] == 6
    assert {"train/loss_feature", "train/loss_distillation"} <= {name for row in rows for name in row}
    assert "step 2 of 2 (100 %, of all steps 33 %)" in distilled.interrupted_log


def test_the_report_compares_teacher_student_and_direct_training(distilled):
    content = json.loads((distilled.folder / "report.json").read_text(encoding="utf-8"))
    names = " ".join(row["name"] for row in content["systems"])
    for system in ("teacher", "student", "direct", "ridge", "mean face", "shuffled"):
        assert system in names
        assert system in distilled.output
    measured = load_bundle(distilled.folder / "bundle").card["measured"]
    assert all(row["lve_m2"] > 0 for row in measured)
    assert measured


def test_resuming_a_finished_run_says_the_same_trains_nothing_and_needs_no_ray(job, distilled, smoke_run):
    nobody = {"RAY_ADDRESS": "127.0.0.1:1"}
    process = job(*flags(smoke_run, distilled.folder), "--resume", script=SCRIPT, environment=nobody)
    assert process.code == 0, process.log
    assert process.output == distilled.output
    assert "step " not in process.log


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--teacher", "no/such/bundle"], "no/such/bundle: does not exist"),
        (["--chain.until", "3"], "chain.until is 3, but halving 2 diffusion steps gives 1"),
        (["--deployed-steps", "8"], "deployed_steps is 8, but the chain gives students of 1 steps"),
        (["--deployed-steps", "0"], "deployed_steps is 0, but the chain gives students of 1 steps"),
        (
            ["--comparison.ablations", "drect"],
            "comparison.ablations[0] is 'drect', but the bundles are",
        ),
        (["--training.talker.personalizer.embedding-dim", "32"], "embedding_dim is 32, the teacher's is 16"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_is_wrong(more, expected, smoke_run, tmp_path, caplog):
    assert run_here(SCRIPT, *flags(smoke_run, tmp_path / "run"), *more) == 2
    assert expected in caplog.text
    assert "Traceback" not in caplog.text
