"""Whole folders at a path or URL: read as a local copy, published so that nobody sees half of one.

A local folder appears by renaming. At a URL, where there is no renaming, `manifest.json` is its guard: written last,
taken away before anything changes. A reader takes a copy only when the manifest was there, the same, before and after.
"""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from diffusiontalker.config import ArtefactError, publish_directory
from diffusiontalker.storage.filesystem import (
    NothingThereError,
    StorageError,
    file_names,
    is_url,
    joined,
    open_filesystem,
    read_bytes,
    read_through,
)

MANIFEST_NAME = "manifest.json"
_CHUNK_BYTES = 4 * 1024 * 1024
_TRIES = 6
_FIRST_WAIT_S = 0.25


@contextlib.contextmanager
def local_copy(uri: str | Path, *, is_guarded: bool = False) -> Iterator[Path]:
    """A file or folder as a local path for the length of the block: itself, or a copy of what is at the URL.

    Args:
        uri: path or URL.
        is_guarded: what is at the URL is a folder whose manifest says when it is whole; while that is missing or
            changes, wait a little (8 s in all) for the writer to finish.

    Raises:
        NothingThereError: when nothing is at the URL.
        StorageError: when it cannot be read, or stays without a manifest.
    """
    if not is_url(uri):
        yield Path(uri).expanduser()
        return
    filesystem, root = open_filesystem(uri)
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as temporary:
        target = Path(temporary) / root.rpartition("/")[2]
        try:
            is_there = _copy_of_whole(filesystem, root, target) if is_guarded else _copy(filesystem, root, target)
        except FileNotFoundError:
            raise NothingThereError(f"{uri}: there is nothing; check the address") from None
        except OSError as error:
            raise StorageError(f"{uri}: cannot be read ({error}); check the address and the access rights") from None
        if not is_there:
            raise StorageError(
                f"{uri}: has no {MANIFEST_NAME}, or somebody writes it all the time; it is unfinished, or the address "
                "of something else"
            )
        yield target


@contextlib.contextmanager
def new_folder(uri: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a local directory whose files appear at `uri` when the block succeeds; see `publish_directory`.

    Raises:
        ArtefactError: when `uri` exists (unless `overwrite`) or cannot be written.
        StorageError: when the URL cannot be used.
    """
    if not is_url(uri):
        with publish_directory(Path(uri), overwrite=overwrite) as folder:
            yield folder
        return
    filesystem, root = open_filesystem(uri)
    if not overwrite and file_names(filesystem, root):
        raise ArtefactError(f"{uri} already exists and nothing is overwritten; choose another URL or remove it")
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as temporary:
        yield Path(temporary)
        try:
            upload(filesystem, root, folder=Path(temporary), names=relative_files(Path(temporary)))
        except OSError as error:
            raise ArtefactError(f"{uri} cannot be written: {error}; check address, rights and space") from None


def upload(filesystem: fs.FileSystem, root: str, *, folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Writes files of one local folder, the manifest last and taken away first; gives the SHA-256 of each."""
    names = sorted(names, key=lambda name: (name == MANIFEST_NAME, name))
    if MANIFEST_NAME in names:
        remove(filesystem, joined(root, MANIFEST_NAME))
    return {name: _put(folder / name, filesystem, joined(root, name)) for name in names}


def remove(filesystem: fs.FileSystem, path: str) -> None:
    """Deletes a file, if it exists."""
    with contextlib.suppress(FileNotFoundError):
        filesystem.delete_file(path)


def relative_files(folder: Path) -> list[str]:
    """Every finished file below a folder: temporary ones begin with a dot, or lie in a folder that does."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def fetch(filesystem: fs.FileSystem, path: str, target: Path) -> None:
    """Copies one file to the local disk."""

    def copy(stream: pa.NativeFile) -> None:
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out, _CHUNK_BYTES)

    target.parent.mkdir(parents=True, exist_ok=True)
    read_through(filesystem, path, copy)


def _put(source: Path, filesystem: fs.FileSystem, path: str) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as stream, filesystem.open_output_stream(path) as out:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _copy(filesystem: fs.FileSystem, root: str, target: Path) -> bool:
    if filesystem.get_file_info(root).type == fs.FileType.File:
        fetch(filesystem, root, target)
        return True
    entries = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    files = [entry.path for entry in entries if entry.type == fs.FileType.File]
    if not files:
        raise FileNotFoundError(root)
    for path in files:
        fetch(filesystem, path, target / path[len(root) :].lstrip("/"))
    return True


def _copy_of_whole(filesystem: fs.FileSystem, root: str, target: Path) -> bool:
    """Copies until the manifest is the same before and after; whether that came about."""
    manifest = joined(root, MANIFEST_NAME)
    for number in range(_TRIES):
        time.sleep(_FIRST_WAIT_S * 2 ** (number - 1) if number else 0.0)
        before = _content(filesystem, manifest)
        if before is None:
            if not file_names(filesystem, root):
                raise FileNotFoundError(root)
            continue
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # taken away while it was copied
            _copy(filesystem, root, target)
            if before == _content(filesystem, manifest):
                return True
    return False


def _content(filesystem: fs.FileSystem, path: str) -> bytes | None:
    try:
        return read_bytes(filesystem, path)
    except FileNotFoundError:
        return None
