"""The steps of the Dockerfile, run, make a package that works without the checkout.

The RUN lines run in a folder that stands for the image's file system. The packages of others come from the environment
of the tests, linked in, so that nothing is downloaded; what needs root (Debian packages, the user) is not run here.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from dockerfile import DOCKERFILE, DOCKERIGNORE, ROOT, Step, context_of, steps_of

import diffusiontalker

pytestmark = pytest.mark.slow
STUDIO = "diffusiontalker/studio/"


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


def is_for_the_wheel(name: str) -> bool:
    """Of the Studio, what its page is made from stays outside."""
    made = (f"{STUDIO}__init__.py", f"{STUDIO}page/", f"{STUDIO}src/look/tokens.css")
    return not name.startswith(STUDIO) or name.startswith(made)


def test_the_wheel_holds_every_file_of_the_package_and_no_test(image):
    (wheel,) = Path(image.here("/build/dist")).iterdir()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "platform" / "diffusiontalker"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    assert inside == {name for name in files if "__pycache__" not in name and is_for_the_wheel(name)}
    kinds = {Path(name).suffix for name in inside}
    assert {".css", ".html", ".js", ".proto"} <= kinds
    assert {"diffusiontalker/py.typed", "diffusiontalker/serving/a2f/generated/a2f_pb2.py"} <= inside
    assert {f"{STUDIO}page/index.html", f"{STUDIO}page/player.js", f"{STUDIO}src/look/tokens.css"} <= inside
    assert not is_for_the_wheel(f"{STUDIO}src/main.tsx")
    assert wheel.name == f"diffusiontalker-{diffusiontalker.__version__}-py3-none-any.whl"


LOAD_ALL = """
import importlib, pkgutil, diffusiontalker
names = [m.name for m in pkgutil.walk_packages(diffusiontalker.__path__, "diffusiontalker.")]
for name in names: importlib.import_module(name)
print(diffusiontalker.__file__, len(names))
"""


def test_the_package_of_the_image_works_without_the_checkout(image, tmp_path):
    where, count = image.run(f"python -W error::ImportWarning -c '{LOAD_ALL}'", folder=tmp_path).split()
    assert where == f"{site_packages(Path(image.here('/opt/venv')))}/diffusiontalker/__init__.py"
    assert int(count) > 150
    image.run("diffusiontalker corpus synthesize --help", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_jobs_of_the_image_start_from_anywhere(image, tmp_path):
    for folder in ("jobs", "serve_configs"):
        shipped = {path.name for path in Path(image.here(f"/opt/diffusiontalker/{folder}")).rglob("*.*")}
        assert shipped == {path.name for path in (ROOT / folder).rglob("*.*") if path.suffix != ".pyc"}
    assert "--config" in image.run("python /opt/diffusiontalker/jobs/train_teacher.py --help", folder=tmp_path)


def test_bytecode_of_the_image_is_complete_and_never_looks_at_times(image):
    package = site_packages(Path(image.here("/opt/venv"))) / "diffusiontalker"
    for source in package.rglob("*.py"):
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", compiled


@pytest.mark.parametrize(
    ("arguments", "step", "message"),
    [
        ({}, "BASE_DIGEST}", "BASE_DIGEST is empty, expected sha256"),
        ({"VARIANT": "tpu"}, "case ", "VARIANT is 'tpu', expected cpu or cuda"),
        ({"VARIANT": "rocm"}, "import torch;", "VARIANT is rocm, but torch from 'the default index' is a"),
        ({}, "studio/page", "the Studio's page is not built"),
        ({"VERSION": "9.9"}, "pip --python /opt/venv/bin/python check", "VERSION is '9.9', but the package says"),
    ],
    ids=["no digest", "no variant", "torch of another variant", "no page", "another version"],
)
def test_a_build_ends_with_a_word_where_an_argument_is_wrong(image, arguments, step, message):
    (run,) = [each for each in steps_of(DOCKERFILE) if each.word == "RUN" and step in each.text]
    fresh = {name: value for name, value in image.environment.items() if name not in ("ALLOW_UNPINNED_BASE", "VARIANT")}
    image_with = Image(image.root, context=image.context, arguments={})
    image_with.environment, image_with.folder = {**fresh, "BASE_IMAGE": "python:3", **arguments}, image.folder
    with pytest.raises(AssertionError, match=re.escape(message)):
        image_with.follow(run)
