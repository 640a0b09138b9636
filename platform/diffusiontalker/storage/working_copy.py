"""A folder at a URL that a program works in: a local copy, whose finished files are pushed back.

What is at the URL is described by `run.json`, written last: a copy that is taken later holds exactly the files that
the last finished push left there, and the newest of logs and of files at the top, which need no others to be whole.
Locally every file appears whole or not at all, see `publish_file`.
"""

import contextlib
import json
import logging
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyarrow import fs

from diffusiontalker.config import ArtefactError, sha256_of
from diffusiontalker.storage.filesystem import StorageError, file_names, is_url, joined, open_filesystem, read_bytes
from diffusiontalker.storage.folders import MANIFEST_NAME, fetch, relative_files, remove, upload

logger = logging.getLogger(__name__)

INDEX_NAME = "run.json"
_LOG_SUFFIX = ".jsonl"
"""Files that grow."""
_LOG_SECONDS = 20.0


class WorkingCopy:
    """The local side of a folder at a path or URL; of a path it is that folder itself, and pushing does nothing."""

    def __init__(self, uri: str | Path, folder: Path) -> None:
        self.uri, self.folder = str(uri), folder
        self._pushed: dict[str, str] = {}
        self._lock = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, uri: str | Path) -> Iterator["WorkingCopy"]:
        """The folder for the length of the block; logs in it are pushed as they grow, the rest when it ends.

        Raises:
            StorageError: when what is there cannot be read.
            ArtefactError: when it cannot be written.
        """
        if not is_url(uri):
            folder = Path(uri).expanduser().resolve()
            yield cls(folder, folder)
            return
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as temporary:
            copy = cls(str(uri).rstrip("/"), Path(temporary) / "run")
            copy._pull()
            with copy._following_logs():
                try:
                    yield copy
                except BaseException:
                    try:
                        copy.push()
                    except ArtefactError as error:
                        logger.warning("what was made last is lost: %s", error)
                    raise
            copy.push()

    def names(self) -> list[str]:
        """What lies directly in the folder, whoever put it there.

        Raises:
            StorageError: when it cannot be listed.
        """
        if is_url(self.uri):
            return file_names(*open_filesystem(self.uri))
        return [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []

    def is_empty(self) -> bool:
        """Whether nothing is there yet, neither ours nor anybody else's."""
        return not self.names() and (is_url(self.uri) or self.folder.is_dir() or not self.folder.exists())

    def address(self, path: Path) -> str:
        """Where others find a file or folder of the copy: below the URL, or the path itself."""
        if not is_url(self.uri):
            return str(path)
        return f"{self.uri}/{path.relative_to(self.folder).as_posix()}".removesuffix("/.")

    def push(self) -> None:
        """Writes what is new or changed to the URL, takes away what is gone, and says so in the index.

        Raises:
            ArtefactError: when it cannot be written.
        """
        if not is_url(self.uri):
            return
        try:
            with self._lock:
                self._push(*open_filesystem(self.uri))
        except OSError as error:
            raise ArtefactError(f"{self.uri} cannot be written: {error}; check address, rights and space") from None

    def _push(self, filesystem: fs.FileSystem, root: str) -> None:
        now = {name: sha256_of(self.folder / name) for name in relative_files(self.folder)}
        changed = {name for name, digest in now.items() if self._pushed.get(name) != digest}
        gone = self._pushed.keys() - now.keys()
        if not changed and not gone:
            return
        for place, names in _by_folder(changed).items():
            together = names | ({MANIFEST_NAME} if f"{place}{MANIFEST_NAME}" in now else set())
            sums = upload(filesystem, joined(root, place), folder=self.folder / place, names=together)
            now |= {f"{place}{name}": digest for name, digest in sums.items()}
        index = (json.dumps({"files": now}, indent=1) + "\n").encode()
        with filesystem.open_output_stream(joined(root, INDEX_NAME)) as stream:
            stream.write(index)
        for name in (*gone, *(() if now else (INDEX_NAME,))):
            remove(filesystem, joined(root, name))
        self._pushed = now

    def _pull(self) -> None:
        filesystem, root = open_filesystem(self.uri)
        at_top = [name for name in file_names(filesystem, root) if name != INDEX_NAME]
        try:
            files = _indexed(filesystem, joined(root, INDEX_NAME))
            # Without an index what is at the top is all there is; beside one it belongs to others, who wrote it there.
            for name in files or at_top:
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    if name in files or filesystem.get_file_info(joined(root, name)).is_file:
                        fetch(filesystem, joined(root, name), self.folder / name)
        except OSError as error:
            raise StorageError(f"{self.uri}: cannot be read ({error}); check address and rights") from None
        self._pushed = {name: digest for name, digest in files.items() if self._is_whole(name, digest)}
        for place in _by_folder(files.keys() - self._pushed.keys()):
            self._forget(place, files)

    def _is_whole(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return path.is_file() and ("/" not in name or name.endswith(_LOG_SUFFIX) or sha256_of(path) == digest)

    def _forget(self, place: str, files: Iterable[str]) -> None:
        """A folder that a push left half old, when it was cut off, is made again, but for what has a guard of its own.

        Nothing at the top: a file there is whole by itself.
        """
        if not place:
            return
        logger.warning("%s/%s was left half written and is made again", self.uri, place.rstrip("/"))
        guarded = [name.removesuffix(MANIFEST_NAME) for name in files if name.endswith(f"/{MANIFEST_NAME}")]
        inside = tuple(one for one in guarded if len(one) > len(place))
        for name in files:
            if name.startswith(place) and not name.startswith(inside):
                self._pushed.pop(name, None)
                (self.folder / name).unlink(missing_ok=True)
        folders = [path for path in (self.folder / place).rglob("*") if path.is_dir()]
        for folder in (*reversed(folders), self.folder / place):
            with contextlib.suppress(OSError):  # it holds something that stays
                folder.rmdir()

    @contextlib.contextmanager
    def _following_logs(self) -> Iterator[None]:
        ended = threading.Event()
        logs = threading.Thread(target=self._push_logs, args=(ended,), name="log-push", daemon=True)
        logs.start()
        try:
            yield
        finally:
            ended.set()
            logs.join()

    def _push_logs(self, ended: threading.Event) -> None:
        sizes: dict[Path, int] = {}
        while not ended.wait(_LOG_SECONDS):
            try:
                for path in list(self.folder.rglob(f"*{_LOG_SUFFIX}")):
                    if sizes.get(path) != (size := path.stat().st_size):
                        self._push_log(path)
                        sizes[path] = size
            except (OSError, ArtefactError) as error:
                logger.warning("%s: the log cannot be written now (%s)", self.uri, error)

    def _push_log(self, path: Path) -> None:
        place, _, name = path.relative_to(self.folder).as_posix().rpartition("/")
        if joined(place, name).lstrip("/") not in self._pushed:  # the index must name it, or nobody would find it
            self.push()
            return
        filesystem, root = open_filesystem(self.uri)
        with self._lock:
            upload(filesystem, joined(root, place), folder=path.parent, names=[name])


def _indexed(filesystem: fs.FileSystem, path: str) -> dict[str, str]:
    """Name -> SHA-256 as the index says; nothing when it is not there or was cut off."""
    try:
        return dict(json.loads(read_bytes(filesystem, path))["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _by_folder(names: Iterable[str]) -> dict[str, set[str]]:
    """Folder, with a slash at its end where it has a name -> names of its files."""
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        place, slash, last = name.rpartition("/")
        folders[place + slash].add(last)
    return folders
