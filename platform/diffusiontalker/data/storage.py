"""Access to the folder of a corpus, at a local path or any URL, with errors that speak of corpora."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from diffusiontalker import storage
from diffusiontalker.data.clip import CorpusError


def open_filesystem(uri: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system behind `uri` and the path inside it; see `storage.open_filesystem`.

    Raises:
        CorpusError: when no installed file system knows the URL's scheme, or the URL is malformed.
    """
    with _corpus_errors():
        return storage.open_filesystem(uri)


def file_names(filesystem: fs.FileSystem, root: str) -> list[str]:
    """Names of what lies directly in a folder; empty when it does not exist.

    Raises:
        CorpusError: when the store cannot be reached or the folder may not be listed.
    """
    with _corpus_errors():
        return storage.file_names(filesystem, root)


@contextlib.contextmanager
def new_file(filesystem: fs.FileSystem, path: str, *, name: str = "") -> Iterator[pa.NativeFile]:
    """A stream into a new file.

    Args:
        filesystem: where.
        path: of the file.
        name: what messages call it; its path by default.

    Raises:
        CorpusError: when it cannot be opened or written.
    """
    try:
        with filesystem.open_output_stream(path) as stream:
            yield stream
    except OSError as error:
        raise CorpusError(
            f"{name or path}: cannot be written ({error}); check space, address and access rights"
        ) from None


@contextlib.contextmanager
def _corpus_errors() -> Iterator[None]:
    try:
        yield
    except storage.StorageError as error:
        raise CorpusError(str(error)) from None
