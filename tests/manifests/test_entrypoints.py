"""Every RayJob starts a script that is in the image, with flags that the script takes."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kustomized import JOBS, ROOT, built, needs_kubectl, one

pytestmark = [
    needs_kubectl,
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]
IMAGE = "/opt/diffusiontalker/"


def arguments(job):
    """The command line that the submitter's shell makes of the entrypoint."""
    (submitter,) = job["spec"]["submitterPodTemplate"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in submitter["env"]}
    script = f"set -- {job['spec']['entrypoint']}\nprintf '%s\\0' \"$@\""
    run = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.split("\0")[:-1]


def started(job, monkeypatch):
    """What the script gives its work when it is called as in the image: configuration, and the flags of all jobs.

    Raises:
        SystemExit: with the script's exit code, when it does not get so far.
    """
    python, script, *flags = arguments(job)
    assert python == "python"
    assert script.startswith(f"{IMAGE}jobs/"), script
    local = ROOT / script.removeprefix(IMAGE)
    assert local.is_file(), f"{script} is not in jobs/"
    seen = {}

    def run_job(config_class, work, given, *, description):
        def note(config, **options):
            seen.update(config=config, **options)
            return "noted"

        return real(config_class, note, given, description=description)

    import diffusiontalker.orchestration
    from diffusiontalker.orchestration import job as job_module

    real = job_module.run_job
    monkeypatch.setattr(job_module, "run_job", run_job)
    monkeypatch.setattr(diffusiontalker.orchestration, "run_job", run_job)
    monkeypatch.setattr(sys, "argv", [str(local), *(flag.replace(IMAGE, f"{ROOT}/") for flag in flags)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(local), run_name="__main__")
    if end.value.code:
        raise end.value
    return seen


@pytest.mark.parametrize("folder", JOBS)
def test_the_script_takes_the_entrypoint(folder, monkeypatch):
    job = one(built(folder), "RayJob")
    seen = started(job, monkeypatch)
    assert str(seen["out"]).startswith("s3://diffusiontalker/runs/")
    flags = arguments(job)
    assert "--resume-if-exists" in flags
    has_gpu_flag = any(flag.endswith("use-gpu") for flag in flags)
    assert has_gpu_flag == ("overlays/gpu" in folder and "evaluate" not in folder)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("--resume-if-exist", "--resume-if-exists"),
        ("--corpus.url", "--corpus.uri"),
        ("configs/demo_student.yml", "configs/demo_student.yaml"),
    ],
)
def test_a_misspelt_flag_or_file_is_found(wrong, right, monkeypatch, capsys):
    job = one(built("overlays/cpu-small/jobs/distill"), "RayJob")
    assert right in job["spec"]["entrypoint"]
    job["spec"]["entrypoint"] = job["spec"]["entrypoint"].replace(right, wrong)
    with pytest.raises(SystemExit) as end:
        started(job, monkeypatch)
    assert end.value.code == 2
    capsys.readouterr()


def test_a_variable_that_nobody_sets_is_found(monkeypatch):
    job = one(built("overlays/cpu-small/jobs/distill"), "RayJob")
    job["spec"]["entrypoint"] = job["spec"]["entrypoint"].replace("$RUNS", "$RUN")
    with pytest.raises(subprocess.CalledProcessError):
        started(job, monkeypatch)


def test_a_script_that_is_not_there_is_found(monkeypatch):
    job = one(built("overlays/cpu-small/jobs/teacher"), "RayJob")
    job["spec"]["entrypoint"] = job["spec"]["entrypoint"].replace("train_teacher.py", "train_techer.py")
    with pytest.raises(AssertionError, match="train_techer"):
        started(job, monkeypatch)


RECORDINGS = "s3://diffusiontalker/runs/speech"
"""What users put there, as k8s/README.md says."""


def test_what_a_job_reads_another_job_writes():
    outs = {arguments(one(built(folder), "RayJob"))[-2] for folder in JOBS}
    for folder in JOBS:
        flags = arguments(one(built(folder), "RayJob"))
        read = [flag.rpartition("=")[2] for flag in flags[:-3] if "s3://" in flag and flag != RECORDINGS]
        for path in read:
            assert str(Path(path).parent).replace("s3:/", "s3://") in outs, (folder, path)
