"""The file system behind a path or URL, with the patience that an object store needs.

`s3://bucket/prefix` obeys the usual AWS variables, `AWS_ENDPOINT_URL` included, so any S3-compatible store works.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import fsspec
import pyarrow as pa
from pyarrow import fs

from diffusiontalker.config import ArtefactError, publish_file

_S3_ATTEMPTS = 9
"""Tries of one S3 request unless AWS_MAX_ATTEMPTS says otherwise; waits double, about a minute in all."""
_CONNECT_TIMEOUT_S = 5.0
_READS = 6

ResultT = TypeVar("ResultT")


class StorageError(ValueError):
    """A path or URL that cannot be used; the message names it and what to do."""


class NothingThereError(StorageError):
    """There is nothing at an address."""


def is_url(uri: str | Path) -> bool:
    """Whether it is a URL rather than a path."""
    return "://" in str(uri)


def absolute_uri(uri: str | Path) -> str:
    """A URL as it is, a local path made absolute: for whoever runs in another working directory."""
    return str(uri).rstrip("/") if is_url(uri) else str(Path(uri).expanduser().resolve())


def open_filesystem(uri: str | Path) -> tuple[fs.FileSystem, str]:
    """The file system behind `uri` and the path inside it (absolute for a local path).

    Raises:
        StorageError: when no installed file system knows the URL's scheme, or the URL is malformed.
    """
    text = str(uri)
    if not is_url(text):
        return fs.LocalFileSystem(), str(Path(text).expanduser().absolute())
    try:
        if text.startswith("s3://") and "?" not in text:
            path = _s3_path(text)
            return _patient_s3(bucket=path.partition("/")[0]), path
        return fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as arrow_error:
        try:
            filesystem, path = fsspec.core.url_to_fs(text)
        except (ValueError, ImportError, OSError):
            raise StorageError(
                f"{text}: cannot be opened ({arrow_error}); give a local path or a URL such as s3://bucket/folder, "
                "gs://..., hdfs://... or one of an installed fsspec file system"
            ) from None
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _patient_s3(*, bucket: str) -> fs.S3FileSystem:
    """S3 as the environment describes it, which waits and tries again when the store is busy or away."""
    environment = os.environ.get
    endpoint = environment("AWS_ENDPOINT_URL_S3") or environment("AWS_ENDPOINT_URL") or None
    region = environment("AWS_REGION") or environment("AWS_DEFAULT_REGION")
    attempts = environment("AWS_MAX_ATTEMPTS") or str(_S3_ATTEMPTS)
    if not attempts.isdecimal():
        raise StorageError(f"AWS_MAX_ATTEMPTS is '{attempts}', expected a number such as {_S3_ATTEMPTS}")
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region or ("us-east-1" if endpoint else fs.resolve_s3_region(bucket)),
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=int(attempts)),
        connect_timeout=_CONNECT_TIMEOUT_S,
        allow_delayed_open=True,  # a small file is one request instead of three
    )


def _s3_path(url: str) -> str:
    path = url.removeprefix("s3://").rstrip("/")
    if not path or path.startswith("/"):
        raise StorageError(f"{url}: names no bucket; give a URL such as s3://bucket/folder")
    return path


def joined(root: str, name: str) -> str:
    """The path of a file in a folder of a pyarrow file system."""
    return f"{root.rstrip('/')}/{name}"


def read_through(
    filesystem: fs.FileSystem, path: str, use: Callable[[pa.NativeFile], ResultT], *, at_random: bool = False
) -> ResultT:
    """Opens a file and gives what `use` makes of its stream; `at_random`: it may seek, and asks for parts only.

    An answer that breaks off in the middle is asked for again from the start, which S3 clients do not do; whatever
    happens before that, they have tried again themselves.

    Raises:
        OSError: when it cannot be opened, or breaks off again and again.
    """
    opened = filesystem.open_input_file if at_random else filesystem.open_input_stream
    reads = 1 if isinstance(filesystem, fs.LocalFileSystem) else _READS
    for number in range(reads):
        with opened(path) as stream:
            try:
                return use(stream)
            except OSError:
                if number == reads - 1:
                    raise
        time.sleep(0.1 * 2**number)
    raise AssertionError("unreachable")


def read_bytes(filesystem: fs.FileSystem, path: str) -> bytes:
    """The content of a file; see `read_through`."""
    return read_through(filesystem, path, lambda stream: stream.read())


def file_names(filesystem: fs.FileSystem, root: str) -> list[str]:
    """Names of what lies directly in a folder; empty when it does not exist.

    Raises:
        StorageError: when the store cannot be reached or the folder may not be listed.
    """
    try:
        entries = filesystem.get_file_info(fs.FileSelector(root, allow_not_found=True))
    except OSError as error:
        raise StorageError(f"{root}: cannot be listed ({error}); check the address and the access rights") from None
    return [entry.base_name for entry in entries]


def files_below(filesystem: fs.FileSystem, root: str) -> dict[str, int]:
    """Name inside a folder -> bytes of every file in it and in its subfolders; empty when it does not exist.

    Files and folders whose name begins with a dot are left out: they are unfinished, or belong to other programs.

    Raises:
        StorageError: when the store cannot be reached or a folder may not be listed.
    """
    selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
    try:
        entries = filesystem.get_file_info(selector)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{root}: cannot be listed ({error}); check the address, the access rights and that names are UTF-8"
        ) from None
    files = [entry for entry in entries if entry.type == fs.FileType.File]
    names = {entry.path[len(root.rstrip("/")) :].lstrip("/"): entry.size or 0 for entry in files}
    return {name: size for name, size in names.items() if not any(part.startswith(".") for part in name.split("/"))}


def write_file(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Writes one file that others see whole or not at all; what stands there is replaced.

    Raises:
        StorageError: when it cannot be written.
    """
    try:
        if isinstance(filesystem, fs.LocalFileSystem):
            with publish_file(Path(path), overwrite=True) as temporary:
                temporary.write_bytes(content)
            return
        with filesystem.open_output_stream(path) as stream:
            stream.write(content)
    except (OSError, ArtefactError) as error:
        raise StorageError(f"{path}: cannot be written ({error}); check address, access rights and space") from None
