"""Where a corpus lives: a local path, or any URL that pyarrow or fsspec understands.

`s3://bucket/prefix` obeys the usual AWS variables, `AWS_ENDPOINT_URL` included, so any S3-compatible store works.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
from pyarrow import fs

from diffusiontalker.data.clip import CorpusError


def open_filesystem(uri: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system behind `uri` and the path inside it (absolute for a local path).

    Raises:
        CorpusError: when no installed file system knows the URL's scheme, or the URL is malformed.
    """
    text = str(uri)
    if "://" not in text:
        return fs.LocalFileSystem(), str(Path(text).expanduser().absolute())
    try:
        return fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as arrow_error:
        try:
            filesystem, path = fsspec.core.url_to_fs(text)
        except (ValueError, ImportError, OSError):
            raise CorpusError(
                f"{text}: cannot be opened ({arrow_error}); give a local path or a URL such as s3://bucket/corpus, "
                "gs://..., hdfs://... or one of an installed fsspec file system"
            ) from None
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def joined(root: str, name: str) -> str:
    """The path of a file in a folder of a pyarrow file system."""
    return f"{root.rstrip('/')}/{name}"


def file_names(filesystem: fs.FileSystem, root: str) -> list[str]:
    """Names of what lies directly in a folder; empty when it does not exist.

    Raises:
        CorpusError: when the store cannot be reached or the folder may not be listed.
    """
    try:
        entries = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
    except OSError as error:
        raise CorpusError(f"{root}: cannot be listed ({error}); check the address and the access rights") from None
    return [entry.base_name for entry in entries]


@contextlib.contextmanager
def new_file(filesystem: fs.FileSystem, path: str) -> Iterator[pa.NativeFile]:
    """A stream into a new file.

    Raises:
        CorpusError: when it cannot be opened or written.
    """
    try:
        with filesystem.open_output_stream(path) as stream:
            yield stream
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written ({error}); check space, address and access rights") from None
