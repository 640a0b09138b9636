"""The Dockerfile as text: its steps, and which files a build is given."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
