"""The README's commands are run; the ones of the other pages at least parse. The endpoint's: tests/serving."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from diffusiontalker.config import load_config
from diffusiontalker.orchestration import (
    AnimateJobConfig,
    DistillJobConfig,
    EvaluateJobConfig,
    FeaturesJobConfig,
    ImportJobConfig,
    MainJobConfig,
    SearchJobConfig,
)

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))


def commands(text: str) -> list[list[str]]:
    """The command lines of the ```sh blocks of a Markdown text, split into words."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "words", [words for words in commands(README) if words[0] not in ("make", "curl") and "serve" not in words],
    ids=" ".join,
)  # fmt: skip
def test_commands_of_the_readme_run_after_the_demo(words, smoke_run, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(smoke_run.folder)
    # What the commands write must not land in the shared smoke run.
    words = [word.replace("runs/demo/again", "again") for word in words]
    program = Path(sys.executable).with_name(Path(words[0]).name)
    completed = subprocess.run(
        [program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert list(tmp_path.glob("again.*"))


def test_make_commands_of_the_readme_are_demo_and_test():
    """`make test` runs this; what `make demo` runs is the smoke run with a larger config (see test_repository)."""
    assert [words for words in commands(README) if words[0] == "make"] == [["make", "demo"], ["make", "test"]]


JOBS = {
    "jobs/animate_corpus.py": AnimateJobConfig,
    "jobs/train_teacher.py": MainJobConfig,
    "jobs/distill_student.py": DistillJobConfig,
    "jobs/evaluate.py": EvaluateJobConfig,
    "jobs/import_corpus.py": ImportJobConfig,
    "jobs/precompute_features.py": FeaturesJobConfig,
    "jobs/search_student.py": SearchJobConfig,
}


SHIPPED = [words for words in commands(PAGES) if JOBS.keys() & set(words) and "runs/search/chosen.yaml" not in words]
"""The commands of jobs, but for the one whose configuration a search writes (tests/integration/test_search_job.py)."""


@pytest.mark.parametrize("words", SHIPPED, ids=" ".join)
def test_job_commands_of_the_documentation_parse(words):
    (job,) = JOBS.keys() & set(words)
    flags = [word for word in words[words.index(job) + 1 :] if word != "--resume"]
    path = None
    if "--out" in flags:
        place = flags.index("--out")
        del flags[place : place + 2]
    if flags[0] == "--config":
        path, flags = ROOT / flags[1], flags[2:]
    load_config(JOBS[job], path=path, overrides=flags)


def test_every_job_is_shown_in_the_documentation():
    assert {job for words in commands(PAGES) for job in JOBS if job in words} == set(JOBS)
