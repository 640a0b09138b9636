"""Plain data (YAML, flags, JSON from a checkpoint) to validated frozen dataclasses and back.

Precedence: defaults < YAML file < command-line flags. Unknown keys are errors everywhere.
"""

import dataclasses
import difflib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from diffusiontalker.config.artefacts import publish_file

ConfigT = TypeVar("ConfigT")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file, the dotted key and what is allowed."""


def from_plain(cls: type[ConfigT], raw: Any, *, source: str = "config") -> ConfigT:
    """Validates nested plain data into the dataclass `cls`.

    Raises:
        ConfigError: on an unknown key, a wrong type or a value a `__post_init__` refuses, with the dotted path.
    """
    try:
        return TypeAdapter(cls).validate_python({} if raw is None else raw, extra="forbid")
    except ValidationError as error:
        lines = [_describe(cls, details) for details in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(lines)) from None


def to_plain(config: Any) -> dict[str, Any]:
    """The config as nested dicts, lists and scalars that JSON and YAML can hold."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def load_config(
    cls: type[ConfigT], *, path: Path | None = None, overrides: Sequence[str] = (), program: str | None = None
) -> ConfigT:
    """Reads `path` (YAML), then applies command-line flags such as `--optimizer.learning-rate 3e-4`.

    Raises:
        ConfigError: for a missing or malformed file. Bad flags end the process with exit code 2 and a suggestion.
    """
    default = from_plain(cls, _read_yaml(path) if path else {}, source=str(path or "defaults"))
    if not overrides:
        return default
    try:
        import tyro  # a tenth of a second that processes without a command line of their own save

        return tyro.cli(cls, default=default, args=list(overrides), prog=program, config=(tyro.conf.AvoidSubcommands,))
    except ValueError as error:
        raise ConfigError(f"flags {' '.join(overrides)}: {error}") from None


def config_digest(config: Any) -> str:
    """First 16 hex digits of the SHA-256 of the resolved config's canonical JSON."""
    return hashlib.sha256(json.dumps(to_plain(config), sort_keys=True).encode()).hexdigest()[:16]


def write_yaml(config: Any, path: Path) -> None:
    """Writes the resolved config atomically."""
    with publish_file(path, overwrite=True) as temporary:
        temporary.write_text(yaml.safe_dump(to_plain(config), sort_keys=False), encoding="utf-8")


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"config file {path} does not exist; see jobs/configs/ for the shipped ones") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"config file {path} cannot be read as YAML: {error}") from None


def _describe(cls: Any, details: Any) -> str:
    dotted = ".".join(str(part) for part in details["loc"])
    if details["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        allowed = _allowed_keys(cls, details["loc"][:-1])
        close = difflib.get_close_matches(str(details["loc"][-1]), allowed, n=1)
        hint = f"; perhaps you meant '{close[0]}'" if close else ""
        return f"'{dotted}' is not a known key{hint} (allowed: {', '.join(allowed)})"
    message = details["msg"].removeprefix("Value error, ")
    return f"'{dotted}': {message} (got {details['input']!r})" if dotted else message


def _allowed_keys(cls: Any, location: tuple[Any, ...]) -> list[str]:
    for part in location:
        fields = {field.name: field.type for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
        cls = fields.get(part, cls)
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []


def expanded_path(text: str, *, field: str) -> str:
    """A path or URL with its environment variables (as in ${RUNS}/demo) and `~` filled in.

    Args:
        text: as the user wrote it; empty stays empty.
        field: names the key of the configuration in an error.

    Raises:
        ConfigError: when it names a variable that is not set.
    """
    path = os.path.expandvars(text)
    missing = re.findall(r"\$\{?(\w+)", path)
    if missing:
        raise ConfigError(
            f"{field} is '{text}', but the environment variable {missing[0]} is not set; "
            f"set it, or write the path with --{field} PATH"
        )
    return os.path.expanduser(path)  # noqa: PTH111  (Path would spoil URLs, and make "." of nothing)
