"""What all verbs share: the protocol of a command, output for people, progress on long work."""

import abc
import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

OptionalText = Annotated[str | None, arg(metavar="TEXT")]
OptionalInteger = Annotated[int | None, arg(metavar="INT")]
OptionalNumber = Annotated[float | None, arg(metavar="FLOAT")]
OptionalPath = Annotated[Path | None, arg(metavar="PATH")]
EngineName = Literal["auto", "torch", "torch-bfloat16", "onnx", "onnx-int8"]
"""That of `diffusiontalker.inference`, whose import takes a second."""


class UsageError(ValueError):
    """Flags that cannot be used together or as given; the message names the flag and what is allowed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verb(abc.ABC):
    """A parsed command line; its docstring is the help, its fields are the flags."""

    debug: bool = False
    """Show the traceback of an error (or set DIFFUSIONTALKER_DEBUG=1)."""

    def require_local_paths(self) -> None:
        """Refuses a URL where a file or folder of this machine is meant: as a path it would become another name.

        Raises:
            UsageError: names the flag.
        """
        for name, value in vars(self).items():
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path) and re.match(r"[a-z][a-z0-9+.-]+:/[^/]", str(path)):
                    flag = name.replace("_", "-")
                    raise UsageError(f"--{flag} {str(path).replace(':/', '://', 1)}: a local path is needed here")

    @abc.abstractmethod
    def run(self) -> None:
        """Does the work and says what it did.

        Raises:
            ValueError: one of the package's own types, for input that cannot be used.
        """


def flags(verb: Verb, config: type) -> dict[str, Any]:
    """The flags of a verb that are fields of a config class, as plain data."""
    wanted = {field.name for field in dataclasses.fields(config)}
    return {name: value for name, value in vars(verb).items() if name in wanted}


def say(line: str) -> None:
    """One line of result for people, on standard output."""
    print(line)


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with remaining time on a terminal, nothing elsewhere; yields a function to call with (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def working(label: str) -> Iterator[None]:
    """A moving sign of life on a terminal, for work whose length is not known."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(label) if console.is_terminal else contextlib.nullcontext():
        yield
