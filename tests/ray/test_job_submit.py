"""Jobs under `ray job submit`, against real nodes started with `ray start`: what they bring, where they run, and what
the one who submitted them is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray_nodes import logged

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_submitted_job_runs_to_its_end_and_its_ranks_on_the_workers(submitted):
    output = submitted.ended.stdout + submitted.ended.stderr
    assert submitted.ended.returncode == 0, output
    assert "joining the Ray cluster" in output
    assert (submitted.out / "report.json").exists()
    assert (submitted.out / "hello.glb").exists()
    assert {row["train/workers"] for row in logged(submitted.out)} == {2}


def test_driver_and_ranks_run_the_code_that_was_submitted(cluster, submitted):
    provenance = json.loads((submitted.out / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["diffusiontalker"] == submitted.VERSION
    imported = [path.read_text(encoding="utf-8") for path in submitted.imports.iterdir()]
    for node in cluster.nodes[:3]:
        assert any(str(node.folder) in path for path in imported), (node.folder, imported)


def test_only_what_a_job_needs_is_uploaded(cluster, submitted):
    imported = [Path(path.read_text(encoding="utf-8")) for path in submitted.imports.iterdir()]
    package = next(path for path in imported if path.is_relative_to(cluster.nodes[0].folder)).parents[2]
    files = {str(path.relative_to(package)): path.stat().st_size for path in package.rglob("*") if path.is_file()}
    assert "platform/diffusiontalker/__init__.py" in files
    assert not [name for name in files if "big.bin" in name or name.startswith(("runs/", "tests/"))]
    assert sum(files.values()) < 5_000_000, sorted(files, key=files.__getitem__)[-5:]


def test_the_driver_runs_on_the_node_that_has_what_it_asks_for(cluster, tmp_path):
    place, source = tmp_path / "place", tmp_path / "source"
    source.mkdir()
    ended = cluster.run("sh", "-c", f"pwd > {place}", source=source, flags=["--entrypoint-resources", '{"quiet": 1}'])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert place.read_text(encoding="utf-8").startswith(f"{cluster.nodes[2].folder}/")


def test_bad_input_is_told_to_the_one_who_submitted_it(cluster, repository_root):
    ended = cluster.run(
        "python", "jobs/train_teacher.py", "--config", "jobs/configs/smoke.yaml",
        "--orchestration.num-workers", 2, "--training.batch-size", 3,
        source=repository_root, flags=["--submission-id", "bad-input"],
    )  # fmt: skip
    assert ended.returncode == 1
    assert "training.batch_size 3 does not divide" in ended.stdout
    assert "exit code 2" in ended.stdout
    assert cluster.http.get("/api/jobs/bad-input").json()["driver_exit_code"] == 2


def bench_submission(cluster, checkout, **flags):
    """The command, in a process of its own: which cluster's token it has is decided once for a process."""
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    return subprocess.run(
        [Path(sys.executable).with_name("diffusiontalker"), "bench", "submission", "--repeats", "1",
         "--address", cluster.url, "--checkout", checkout, *words],
        env=os.environ | cluster.variables, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_the_time_to_the_first_step_is_measured(cluster, repository_root, tiny_corpus, tmp_path):
    ended = bench_submission(cluster, repository_root, corpus=tiny_corpus, out=tmp_path / "timed")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    accepted, driver, step = (float(line.split()[-1]) for line in ended.stdout.splitlines()[1:])
    assert 0 < accepted < driver < step
    assert logged(tmp_path / "timed" / "0")[0]["step"] == 1
    assert not (tmp_path / "timed" / "0" / "bundle").exists(), "it was stopped"

    again = bench_submission(cluster, repository_root, corpus=tiny_corpus, out=tmp_path / "timed")
    assert again.returncode == 2
    assert "there is a run already; give another folder" in again.stderr
