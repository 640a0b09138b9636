"""The house keeps its shape: layout, layers, pins, shipped files and the README's commands."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "platform" / "diffusiontalker"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
VAGUE_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py", "base.py"}


def run_python(code: str, *, cwd: Path = ROOT) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


def shell_commands(text: str) -> list[str]:
    """The commands of the ```sh blocks of a Markdown text, comments stripped."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_platform_is_a_source_root_and_not_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_standard_library_keeps_its_platform_module_when_python_runs_in_the_root():
    assert run_python("import platform; print(platform.python_version())") == sys.version.split()[0]


def test_a_platform_package_in_the_root_would_hide_the_standard_library(tmp_path):
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "__init__.py").touch()
    assert run_python("import platform; print(hasattr(platform, 'python_version'))", cwd=tmp_path) == "False"


def test_importing_the_package_loads_neither_torch_nor_ray():
    loaded = run_python("import sys, diffusiontalker; print(sorted({'torch', 'ray', 'matplotlib'} & set(sys.modules)))")
    assert loaded == "[]"


@pytest.mark.parametrize("module", ["face", "client", "client.live_link", "cli.play", "cli.convert", "cli.rigs"])
def test_clients_and_files_of_motion_do_without_torch(module):
    code = f"import sys, diffusiontalker.{module}; print(sorted({{'torch', 'ray', 'matplotlib'}} & set(sys.modules)))"
    assert run_python(code) == "[]"


@pytest.mark.parametrize("module", ["data", "orchestration.import_job", "serving.decode_process"])
def test_what_reads_recordings_does_without_torch(module):
    assert run_python(f"import sys, diffusiontalker.{module}; print('torch' in sys.modules)") == "False"


def test_rooms_below_orchestration_load_without_ray_and_matplotlib():
    rooms = ", ".join(f"diffusiontalker.{room}" for room in ROOMS if room not in ("orchestration", "evaluation"))
    assert run_python(f"import sys, {rooms}; print(sorted({{'ray', 'matplotlib'}} & set(sys.modules)))") == "[]"


def test_rooms_stand_in_their_layers():
    lint = Path(sys.executable).with_name("lint-imports")
    completed = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_source_files_are_short_and_named_after_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 350
    assert path.name not in VAGUE_NAMES


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_is_public(room):
    module = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    assigned = {
        target.id
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "__all__" in assigned


def test_every_direct_dependency_is_pinned_to_the_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = pinned_versions()
    assert pins["torch"] == "2.13.0"
    assert [name for name in map(requirement_name, direct) if name not in pins] == []


def test_constraints_name_no_package_host():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text, flags=re.MULTILINE)


def test_ci_runs_make_test_and_nothing_else():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "exec make test"


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.py")), ids=lambda path: path.name)
def test_jobs_are_thin_and_say_how_they_are_run(path):
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert f"python jobs/{path.name} --config" in docstring
    assert "ray job submit" in docstring
    for config in re.findall(r"jobs/configs/\w+\.yaml", docstring):
        assert (ROOT / config).is_file()
    assert len(text.splitlines()) < 90


@pytest.mark.parametrize("path", sorted((ROOT / "jobs" / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configs_parse_strictly(path):
    from diffusiontalker.config import ConfigError, from_plain, load_config
    from diffusiontalker.orchestration import DistillJobConfig, MainJobConfig, SearchJobConfig

    classes = {"student": DistillJobConfig, "search": SearchJobConfig}
    config_class = classes.get(path.stem.rpartition("_")[2], MainJobConfig)
    load_config(config_class, path=path)
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    with pytest.raises(ConfigError, match="stpes"):
        from_plain(config_class, {**raw, "training": {**raw["training"], "stpes": 1}}, source=path.name)


def test_demo_runs_the_shipped_demo_configs():
    completed = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ".venv/bin/python jobs/train_teacher.py --config jobs/configs/demo.yaml" in completed.stdout
    assert ".venv/bin/python jobs/distill_student.py --config jobs/configs/demo_student.yaml" in completed.stdout


def test_bench_measures_into_a_folder_of_its_own():
    completed = subprocess.run(
        ["make", "--dry-run", "bench"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert re.search(r"bench inference --out runs/bench/\d{4}-\d\d-\d\d-\d{4}/inference", completed.stdout)


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ("demo", ["--no-print-directory studio"]),
        ("check", ["npm ci ", "npm run build", "npm run check", "npm test"]),
        ("test", ["npm ci ", "npm run build", "npm run check", "npm test", "redis-server", "tests/browser"]),
    ],
)
def test_the_page_is_built_and_checked_with_the_rest(target, needed):
    completed = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert [step for step in needed if step not in completed.stdout] == []


def test_the_readme_has_a_line_for_every_room():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [room for room in ROOMS if f"{room}/" not in readme] == []


def test_links_of_the_documentation_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    broken = []
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link and not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_make_targets_in_the_readme_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    commands = [shlex.split(line) for line in shell_commands((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert [words[1] for words in commands if words[0] == "make" and words[1] not in targets] == []


def pinned_versions() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def requirement_name(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")
