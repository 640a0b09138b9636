"""The files of a bundle: its JSON, and the manifest that proves the others whole."""

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from diffusiontalker.config import ConfigError, from_plain, sha256_of
from diffusiontalker.storage import MANIFEST_NAME

FORMAT = "diffusiontalker-bundle"
VERSION = 1


class BundleError(ValueError):
    """A bundle that cannot be saved, read or trusted; the message names the file."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """What the manifest says about one file."""

    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Manifest:
    """What `manifest.json` holds."""

    format: str
    version: int
    files: dict[str, FileEntry]


def verified_files(path: Path, *, required: Collection[str]) -> dict[str, FileEntry]:
    """What the manifest of a local folder lists, after checking that every file is there and as it says.

    Raises:
        BundleError: names the file that is missing, damaged or not listed.
    """
    manifest_path = path / MANIFEST_NAME
    if not manifest_path.is_file():
        state = "is no bundle, or an unfinished one" if path.is_dir() else "does not exist"
        raise BundleError(f"{path}: {state} (no {MANIFEST_NAME}); give the folder that a training or export wrote")
    manifest = read_json(manifest_path)
    check_format(manifest, where=manifest_path)
    try:
        entries = from_plain(_Manifest, manifest, source=str(manifest_path)).files
    except ConfigError as error:
        raise BundleError(f"{error}; the manifest is damaged, copy or export the bundle again") from None
    missing = sorted(set(required) - set(entries))
    if missing:
        raise BundleError(f"{manifest_path}: does not list {', '.join(missing)}; copy or export the bundle again")
    for name, entry in entries.items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise BundleError(f"{file}: listed in the manifest but not in the folder; copy or export the bundle again")
        if file.stat().st_size != entry.bytes or sha256_of(file) != entry.sha256:
            raise BundleError(
                f"{file}: damaged or changed ({file.stat().st_size} bytes, SHA-256 {sha256_of(file)[:12]}...; the "
                f"manifest says {entry.bytes} bytes, {entry.sha256[:12]}...); copy or export the bundle again"
            )
    return entries


def check_format(plain: Any, *, where: Path) -> None:
    """Refuses plain data that is no part of a bundle of this version.

    Raises:
        BundleError: names the file.
    """
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise BundleError(f"{where}: not part of a {FORMAT}; give the folder that a training or export wrote")
    if plain.get("version") != VERSION:
        raise BundleError(
            f"{where}: bundle version {plain.get('version')}, this package reads version {VERSION}; "
            "install the package version that wrote it, or export the bundle again"
        )


def read_json(path: Path) -> Any:
    """The plain data of a JSON file.

    Raises:
        BundleError: names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read as JSON ({error}); copy or export the bundle again") from None


def as_json(plain: Any) -> bytes:
    """Plain data as the UTF-8 JSON of a bundle's files."""
    return (json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
