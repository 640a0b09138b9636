"""A folder at a URL that a program works in: a local copy, whose finished files are pushed back.

What is at the URL is described by `run.json`, written last: a copy that is taken later holds exactly the files that
the last finished push left there. Locally every file appears whole or not at all, see `publish_file`.
"""

import contextlib
import json
import logging
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from diffusiontalker.config import ArtefactError, sha256_of
from diffusiontalker.storage.filesystem import StorageError, file_names, is_url, joined, open_filesystem
from diffusiontalker.storage.folders import MANIFEST_NAME, fetch, relative_files, remove, upload

logger = logging.getLogger(__name__)

INDEX_NAME = "run.json"
_LOG_SUFFIX = ".jsonl"
"""Files that grow: the newest is as good as the one that the index knows."""
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
            ended = threading.Event()
            logs = threading.Thread(target=copy._push_logs, args=(ended,), name="log-push", daemon=True)
            logs.start()
            try:
                yield copy
            finally:
                ended.set()
                logs.join()
                copy.push()

    def is_empty(self) -> bool:
        """Whether nothing is there yet, neither ours nor anybody else's."""
        if is_url(self.uri):
            return not file_names(*open_filesystem(self.uri))
        return not self.folder.exists() or (self.folder.is_dir() and not any(self.folder.iterdir()))

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
        filesystem, root = open_filesystem(self.uri)
        with self._lock, self._told():
            now = {name: sha256_of(self.folder / name) for name in relative_files(self.folder)}
            changed = {name for name, digest in now.items() if self._pushed.get(name) != digest}
            gone = self._pushed.keys() - now.keys()
            if not changed and not gone:
                return
            for place, names in _by_folder(changed).items():
                guard = f"{place}{MANIFEST_NAME}"
                together = names | ({MANIFEST_NAME} if guard in now else set())
                sums = upload(filesystem, joined(root, place), folder=self.folder / place, names=together)
                now |= {f"{place}{name}": digest for name, digest in sums.items()}
            self._pushed = now
            with filesystem.open_output_stream(joined(root, INDEX_NAME)) as stream:
                stream.write((json.dumps({"files": now}, indent=1) + "\n").encode())
            for name in gone:
                remove(filesystem, joined(root, name))
            if not now:
                remove(filesystem, joined(root, INDEX_NAME))

    def _pull(self) -> None:
        filesystem, root = open_filesystem(self.uri)
        try:
            with filesystem.open_input_stream(joined(root, INDEX_NAME)) as stream:
                files = json.loads(stream.read())["files"]
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    fetch(filesystem, joined(root, name), self.folder / name)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(
                f"{self.uri}: cannot be read ({error}); check address, rights and {INDEX_NAME}"
            ) from None
        self._pushed = {name: digest for name, digest in files.items() if self._is_as_pushed(name, digest)}
        for place, names in _by_folder(files.keys() - self._pushed.keys()).items():
            self._forget(place, names)

    def _forget(self, place: str, names: set[str]) -> None:
        """What a push that was cut off left half old is made again: of a folder every file, at the top those alone."""
        if place:
            logger.warning("%s/%s was left half written and is made again", self.uri, place.rstrip("/"))
            names = _by_folder(self._pushed)[place] | names
        for name in names:
            self._pushed.pop(f"{place}{name}", None)
            (self.folder / place / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # holds other folders, or is none
            (self.folder / place).rmdir()

    def _is_as_pushed(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return path.is_file() and (name.endswith(_LOG_SUFFIX) or sha256_of(path) == digest)

    def _push_logs(self, ended: threading.Event) -> None:
        filesystem, root = open_filesystem(self.uri)
        sizes: dict[Path, int] = {}
        while not ended.wait(_LOG_SECONDS):
            for path in self.folder.rglob(f"*{_LOG_SUFFIX}"):
                size = path.stat().st_size
                if sizes.get(path) == size:
                    continue
                place, _, name = path.relative_to(self.folder).as_posix().rpartition("/")
                try:
                    with self._lock:
                        upload(filesystem, joined(root, place), folder=path.parent, names=[name])
                    sizes[path] = size
                except OSError as error:
                    logger.warning("%s: the log cannot be written now (%s)", self.uri, error)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtefactError(f"{self.uri} cannot be written: {error}; check address, rights and space") from None


def _by_folder(names: Iterable[str]) -> dict[str, set[str]]:
    """Folder, with a slash at its end where it has a name -> names of its files."""
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        place, slash, last = name.rpartition("/")
        folders[place + slash].add(last)
    return folders
