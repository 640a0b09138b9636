"""Small files in one folder at any fsspec URL, read and written whole, without blocking the event loop.

Readers never see half a file: local files are renamed into place, object stores publish an object when it is complete.
Knows nothing about what the files hold. Names come from the caller, who makes sure that they are plain.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from diffusiontalker.config import publish_file

_NUM_THREADS = 8

ResultT = TypeVar("ResultT")


class StoreError(OSError):
    """A folder that cannot be used right now; the message names it and the reason."""


class FolderStore:
    """The files that lie directly in one folder, which is made when the first one is written.

    Args:
        uri: a local path, or a URL such as s3://bucket/voices.
        timeout_s: how long one operation may take; a thread that hangs beyond it is left behind, of at most 8.

    Raises:
        StoreError: when no installed file system knows the URL.
    """

    def __init__(self, uri: str | Path, *, timeout_s: float = 30.0) -> None:
        self.uri, self._timeout_s = str(uri), timeout_s
        if "://" not in self.uri:
            self._filesystem, root = LocalFileSystem(), str(Path(self.uri).expanduser().absolute())
        else:
            try:
                self._filesystem, root = fsspec.core.url_to_fs(self.uri)
            except (ValueError, ImportError, OSError) as error:
                raise StoreError(
                    f"{self.uri}: cannot be opened ({error}); give a local path or a URL such as s3://bucket/folder"
                ) from None
        self._root = root.rstrip("/")
        self._threads = ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="folder-store")

    async def read(self, name: str) -> bytes | None:
        """What a file holds; None where there is none.

        Raises:
            StoreError: when that cannot be told.
        """
        return await self._in_thread(self._read, name)

    async def write(self, name: str, content: bytes) -> None:
        """Writes a file, whether or not it exists.

        Raises:
            StoreError: when it cannot be written.
        """
        await self._in_thread(self._write, name, content)

    async def delete(self, name: str) -> None:
        """Removes a file, if it exists.

        Raises:
            StoreError: when it cannot be removed.
        """
        await self._in_thread(self._delete, name)

    async def names(self) -> list[str]:
        """Names of all files, in no order; none where the folder does not exist.

        Raises:
            StoreError: when the folder cannot be listed.
        """
        return await self._in_thread(self._names)

    def close(self) -> None:
        """Waits for nothing; operations that have not begun are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Callable[..., ResultT], *arguments: str | bytes) -> ResultT:
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
            return await asyncio.wait_for(running, self._timeout_s)
        except TimeoutError:
            raise StoreError(f"{self.uri}: no answer within {self._timeout_s:g} s; check the store") from None
        except Exception as error:  # Every file system has errors of its own, not all of them OSErrors.
            raise StoreError(f"{self.uri}: {type(error).__name__}: {error}; check address and rights") from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _read(self, name: str) -> bytes | None:
        try:
            return cast(bytes, self._filesystem.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        if isinstance(self._filesystem, LocalFileSystem):
            with publish_file(Path(path), overwrite=True) as temporary:
                temporary.write_bytes(content)
            return
        try:
            self._filesystem.pipe_file(path, content)
        except FileNotFoundError:
            self._filesystem.makedirs(self._root, exist_ok=True)
            self._filesystem.pipe_file(path, content)

    def _delete(self, name: str) -> None:
        try:
            self._filesystem.rm_file(self._path(name))
        except FileNotFoundError:
            return

    def _names(self) -> list[str]:
        self._filesystem.invalidate_cache()  # Others write there too.
        try:
            paths = self._filesystem.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        paths = [str(path).rstrip("/") for path in paths]
        if paths == [self._root]:
            raise NotADirectoryError(f"{self.uri} is a file, expected a folder")
        return [path.rpartition("/")[2] for path in paths]
