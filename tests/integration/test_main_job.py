"""The main job as a user meets it: what it leaves, what it refuses, how it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diffusiontalker.config import load_config
from diffusiontalker.face import read_motion
from diffusiontalker.inference import load_bundle
from diffusiontalker.orchestration import MainJobConfig, run_job, run_main_job

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ("--config", "jobs/configs/smoke.yaml")


def contents(folder: Path) -> dict[str, int]:
    """Files of a folder with the time of their last change, but for the marker with which Ray Train tests storage."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".validate_storage_marker"]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_a_run_leaves_every_artefact_and_says_where(smoke_run):
    folder, process = smoke_run.folder, smoke_run.process
    for name in ("report.json", "report.html", "bundle", "hello.wav", "hello.csv", "hello.glb", "metrics.jsonl"):
        assert (folder / name).exists(), name
        assert f"{folder / name}" in process.output
    assert (folder / "controls" / "regression").is_dir()
    assert list((folder / "tensorboard").glob("events.*"))
    assert not [path for path in folder.rglob(".*") if path.name != ".validate_storage_marker"]


def test_the_run_folder_says_what_was_asked_for_and_what_ran_it(smoke_run):
    asked = load_config(MainJobConfig, path=ROOT / "jobs" / "configs" / "smoke.yaml")
    assert load_config(MainJobConfig, path=smoke_run.folder / "config.yaml") == asked
    provenance = json.loads((smoke_run.folder / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["torch"].startswith("2.13.0")


def test_the_report_compares_the_teacher_with_its_controls(smoke_run):
    content = json.loads((smoke_run.folder / "report.json").read_text(encoding="utf-8"))
    names = " ".join(row["name"] for row in content["systems"])
    for system in ("teacher", "regression", "ridge", "mean face", "shuffled"):
        assert system in names
        assert system in smoke_run.process.output
    assert {"mae", "jaw_open_r", "lve_m2", "eve_m2", "fdd", "fdd_abs", "num_steps", "parameters", "file_bytes"} <= set(
        content["systems"][-1]
    )


def test_the_bundle_carries_its_measured_numbers_and_its_training(smoke_run):
    card = load_bundle(smoke_run.folder / "bundle").card
    assert "teacher (temperature 0)" in {row["system"] for row in card["measured"]}
    assert all(row["mae"] > 0 for row in card["measured"])
    assert card["training"]["num_steps"] == 12


def test_hello_is_as_long_as_its_sound(smoke_run):
    import soundfile

    sound = soundfile.info(str(smoke_run.folder / "hello.wav"))
    motion = read_motion(smoke_run.folder / "hello.csv")
    assert abs(motion.duration_s - sound.duration) <= 1 / motion.fps


def test_progress_is_shown_with_stages_and_steps(smoke_run):
    for text in ("stage 1 of 5", "stage 5 of 5", "smoke: step 12 of 12 (100 %)"):
        assert text in smoke_run.process.log


def test_a_second_run_refuses_to_overwrite_and_offers_a_way_on(job, smoke_run):
    before = contents(smoke_run.folder)
    process = job(*SMOKE, "--out", smoke_run.folder)
    assert process.code == 2
    assert "--resume" in process.log
    assert "--out" in process.log
    assert contents(smoke_run.folder) == before


def test_resuming_a_finished_run_changes_nothing_and_needs_no_ray(job, smoke_run):
    before = contents(smoke_run.folder)
    nobody = {"RAY_ADDRESS": "127.0.0.1:1"}
    process = job(*SMOKE, "--out", smoke_run.folder, "--resume", environment=nobody)
    assert process.code == 0, process.log
    assert process.output == smoke_run.process.output
    assert contents(smoke_run.folder) == before


def test_resuming_makes_again_only_what_is_missing(job, smoke_run, tmp_path):
    folder = shutil.copytree(smoke_run.folder, tmp_path / "run")
    content = (folder / "report.json").read_bytes()
    for name in ("report.json", "hello.glb"):
        (folder / name).unlink()
    shutil.rmtree(folder / "bundle")
    before = contents(folder)
    process = job(*SMOKE, "--out", folder, "--resume")
    assert process.code == 0, process.log
    assert (folder / "report.json").read_bytes() == content
    after = contents(folder)
    assert {name for name in before if after[name] != before[name]} <= {"report.html", "hello.wav", "hello.csv"}
    trained = load_bundle(folder / "bundle").talker.state_dict()
    for name, tensor in load_bundle(smoke_run.folder / "bundle").talker.state_dict().items():
        assert trained[name].equal(tensor), name


def test_resuming_under_another_configuration_names_what_differs(job, smoke_run):
    process = job(*SMOKE, "--out", smoke_run.folder, "--resume", "--training.seed", "5")
    assert process.code == 2
    assert "training.seed was 0, is 5" in process.log


def test_an_interrupted_run_ends_with_code_1_and_resumes(tmp_path):
    folder = tmp_path / "run"
    flags = ["--training.num-steps", "100000", "--training.checkpoint-every", "20", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "jobs/train_teacher.py", *SMOKE, *flags],
        cwd=ROOT,
        env=os.environ | {"RAY_ADDRESS": ""},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "smoke: step" in line:
            break
    process.send_signal(signal.SIGINT)
    log = process.communicate(timeout=300)[1]
    assert process.returncode == 1, log
    assert "--resume" in log
    assert not (folder / "bundle").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--corpus.source", "corpus", "--corpus.uri", "no/such/corpus"], "no/such/corpus"),
        (["--corpus.source", "folder", "--corpus.folder", "no/such/folder"], "no/such/folder"),
        (["--corpus.source", "folder", "--corpus.folder", "${NO_SUCH_VARIABLE}/x"], "NO_SUCH_VARIABLE is not set"),
        (["--corpus.source", "folder"], "folder is empty"),
        (["--orchestration.num-workers", "3"], "does not divide"),
        (["--rig", "no_such_rig.npz"], "no_such_rig.npz"),
    ],
)
def test_bad_input_ends_with_code_2_says_what_is_wrong_and_leaves_nothing(flags, expected, tmp_path, caplog, capsys):
    out = tmp_path / "run"
    assert here(*SMOKE, "--out", str(out), *flags) == 2
    assert expected in caplog.text + capsys.readouterr().err
    assert not out.exists()


def test_a_config_that_does_not_exist_is_named(tmp_path, caplog):
    assert here("--config", str(tmp_path / "no.yaml"), "--out", str(tmp_path / "run")) == 2
    assert "no.yaml does not exist" in caplog.text


def test_a_misspelt_key_in_a_file_is_named_with_the_right_one(tmp_path, caplog):
    path = tmp_path / "typo.yaml"
    path.write_text("name: typo\ntraining: {num_stpes: 5}\n", encoding="utf-8")
    assert here("--config", str(path), "--out", str(tmp_path / "run")) == 2
    assert "'training.num_stpes' is not a known key; perhaps you meant 'num_steps'" in caplog.text
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_is_refused(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert here(*SMOKE, "--out", str(tmp_path / "file" / "run")) == 2
    assert "cannot be written" in caplog.text


def test_a_misspelt_flag_ends_with_code_2_in_a_real_process(job, tmp_path):
    process = job(*SMOKE, "--out", tmp_path / "run", "--training.num-stpes", "3")
    assert process.code == 2
    assert "--training.num-stpes" in process.log
    assert "Traceback" not in process.log


def test_help_shows_how_to_run_it_and_every_key(job):
    process = job("--help")
    assert process.code == 0
    for text in ("ray job submit", "--resume", "--training.optimizer.learning-rate", "--orchestration.storage-uri"):
        assert text in process.output


def here(*arguments: str) -> int:
    """Exit code of the job run in this process: for input that is refused before any work."""
    return run_job(MainJobConfig, run_main_job, arguments, description="test")
