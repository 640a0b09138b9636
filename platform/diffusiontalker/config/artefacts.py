"""Files under their final name are always whole: written beside it, synced, then renamed.

Local paths only; object stores have their own atomicity and are handled where they are used.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ArtefactError(ValueError):
    """An output that cannot be written where it was asked for, or already exists."""


def require_new(path: Path, *, remedy: str = "choose another path or move it away") -> None:
    """Refuses to touch anything that already stands at `path`.

    Raises:
        ArtefactError: when `path` exists (an empty directory is fine).
    """
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise ArtefactError(f"{path} already exists and nothing is overwritten; {remedy}")


@contextlib.contextmanager
def publish_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is synced and renamed, on failure it is removed.

    The temporary name keeps the suffix, so writers that choose a format by suffix work.

    Raises:
        ArtefactError: when `path` exists (unless `overwrite`), its folder cannot be written, or the disk is full.
    """
    if not overwrite:
        require_new(path)
    if path.is_dir():
        raise ArtefactError(f"{path} is a folder, a file is to be written there; choose another path")
    with _writable_parent(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with _full_disk_told(path):
            yield temporary
            _sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def publish_directory(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary directory beside `path` that takes its place when the block succeeds.

    Raises:
        ArtefactError: when `path` exists (unless `overwrite`), its parent cannot be written, or the disk is full.
    """
    if not overwrite:
        require_new(path)
    with _writable_parent(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        temporary.chmod(0o755)
        with _full_disk_told(path):
            yield temporary
            for entry in temporary.rglob("*"):
                if entry.is_file():
                    _sync(entry)
        previous = temporary.with_name(temporary.name + ".previous")
        if path.exists():
            path.replace(previous)
        try:
            temporary.replace(path)
        except OSError:
            if previous.exists():
                previous.replace(path)
            raise
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


@contextlib.contextmanager
def _full_disk_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise ArtefactError(
            f"{path} cannot be written: {error.strerror}; free some space there, nothing else was changed"
        ) from None


@contextlib.contextmanager
def _writable_parent(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ArtefactError(
            f"{path} cannot be written: {_cause(path.parent, error)}; choose a writable folder"
        ) from None


def _cause(folder: Path, error: OSError) -> str:
    """Why nothing can be made in a folder; what the system says of a file in its place misleads."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        blocker = next((place for place in (folder, *folder.parents) if place.is_file()), folder)
        return f"{blocker} is a file, not a folder"
    if isinstance(error, FileNotFoundError):
        return f"the system allows no files in {folder}"
    return error.strerror or str(error)
