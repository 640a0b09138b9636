"""Recordings to animate in bulk: found below a folder or URL, or listed in a CSV file, each with what it asks for.

Only names and addresses; nothing is read or decoded. Knows nothing about voices, bundles or motion.
"""

import csv
import dataclasses
import difflib
import io
import logging
import posixpath
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from pyarrow import fs

from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.speech_folder import AUDIO_SUFFIXES
from diffusiontalker.storage import StorageError, absolute_uri, files_below, is_url, joined, open_filesystem, read_bytes

logger = logging.getLogger(__name__)

LIST_COLUMNS: tuple[str, ...] = ("audio", "voice", "emotion", "seed")
"""What a list of recordings may say about each; only `audio` is needed, an empty cell says nothing."""
_LIST_SUFFIX = ".csv"
_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One audio file."""

    name: str
    """Path inside the folder it was found in, such as `anna/hello.wav`: what messages call it."""
    uri: str
    """Where it lies: an absolute path or a URL."""
    num_bytes: int = 0
    """Size of the file; 0 where it is not known."""
    voice: str | None = None
    """Whose way of moving; None: as all others."""
    emotion: str | None = None
    """Which emotion; None: as all others."""
    seed: int | None = None
    """Which of the possible animations; None: as all others."""
    source: str = ""
    """Begins a message about what it asks for, such as `takes.csv, row 5`."""


def list_recordings(uri: str) -> list[Recording]:
    """The recordings below a folder or URL, by name, or those of a `.csv` file, in its order.

    The columns of a `.csv` are `LIST_COLUMNS`. Its audio is given by path relative to it, absolute path or URL; what
    does not lie beside or below it keeps its whole path as its name.

    Raises:
        CorpusError: when nothing is there, it cannot be read, or a cell cannot be used.
    """
    uri = absolute_uri(uri).rstrip("/")
    try:
        filesystem, root = open_filesystem(uri)
        if uri.lower().endswith(_LIST_SUFFIX):
            return _listed(uri, _content(filesystem, root, uri=uri))
        is_file = filesystem.get_file_info(root).type == fs.FileType.File
        sizes = {} if is_file else files_below(filesystem, root)
    except (OSError, StorageError) as error:
        raise CorpusError(f"{uri}: cannot be read ({error}); check the address and the access rights") from None
    if is_file:
        raise CorpusError(f"{uri}: is a file, expected a folder or a {_LIST_SUFFIX} list; name the folder it lies in")
    names = sorted(name for name in sizes if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES)
    if not names:
        what = "no audio file in it or below it" if sizes else "there is nothing"
        raise CorpusError(f"{uri}: {what}, expected wav, flac, ogg or mp3; check the address")
    return [Recording(name=name, uri=joined(uri, name), num_bytes=sizes[name]) for name in names]


def motion_names(
    recordings: Sequence[Recording], *, motion_format: str, reserved: Collection[str] = ()
) -> dict[str, Recording]:
    """Path of the motion file -> its recording: the same sub-folders and stem, another suffix.

    Args:
        recordings: in any order, which is kept.
        motion_format: the suffix without its dot.
        reserved: names that are taken.

    Raises:
        CorpusError: when two recordings would become one file, or one a reserved name.
    """
    named: dict[str, Recording] = {}
    clashes = []
    for recording in recordings:
        name = str(PurePosixPath(recording.name).with_suffix(f".{motion_format}"))
        other = named.setdefault(name, recording)
        if other is not recording:
            pair = (other.name, recording.name)
            clashes.append(f"'{pair[0]}' and '{pair[1]}'" if len(set(pair)) > 1 else f"'{pair[0]}' (listed twice)")
            clashes[-1] += f" would become {name}"
        elif name in reserved:
            clashes.append(f"'{recording.name}' would become {name}, a file of the job itself")
    if clashes:
        more = f"; and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        raise CorpusError(
            f"{'; '.join(clashes[:_SHOWN])}{more}: every recording needs a motion file of its own; rename a recording, "
            "or list those you want in a .csv"
        )
    return named


def _content(filesystem: fs.FileSystem, path: str, *, uri: str) -> str:
    try:
        return read_bytes(filesystem, path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{uri}: is no UTF-8 text ({error}); save it as comma-separated UTF-8 text") from None


def _listed(uri: str, text: str) -> list[Recording]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        rows = list(reader)
    except csv.Error as error:
        raise CorpusError(f"{uri}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
    if "audio" not in columns:
        raise CorpusError(
            f"{uri}, row 1: lacks the column audio (it has {', '.join(columns) or 'nothing'}); "
            f"expected {', '.join(LIST_COLUMNS)}, of which only audio is needed"
        )
    ignored = [column for column in columns if column not in LIST_COLUMNS]
    close = [column for column in ignored if difflib.get_close_matches(column.lower(), LIST_COLUMNS, n=1)]
    if close:
        raise CorpusError(f"{uri}, row 1: unknown column '{close[0]}', expected {', '.join(LIST_COLUMNS)}; correct it")
    if ignored:
        logger.warning("%s: columns that say nothing about animation are not used: %s", uri, ", ".join(ignored))
    if not rows:
        raise CorpusError(f"{uri}: lists no recordings; write one row for each")
    return [_recording(row, uri=uri, number=number) for number, row in enumerate(rows, start=2)]


def _recording(row: dict[str, str | None], *, uri: str, number: int) -> Recording:
    source = f"{uri}, row {number}"
    if None in row:
        raise CorpusError(f"{source}: has more cells than there are columns; quote cells that hold a comma")
    cells = {name: (row.get(name) or "").strip() or None for name in LIST_COLUMNS}
    if cells["audio"] is None:
        raise CorpusError(f"{source}, column audio: is empty, expected the path or URL of a recording; fill it in")
    if cells["seed"] is not None and not (cells["seed"].isascii() and cells["seed"].isdigit()):
        raise CorpusError(
            f"{source}, column seed: got '{cells['seed']}', expected a whole number from 0 up; correct or empty it"
        )
    name, address = _located(cells["audio"], folder=uri.rpartition("/")[0])
    return Recording(
        name=name,
        uri=address,
        voice=cells["voice"],
        emotion=cells["emotion"],
        seed=None if cells["seed"] is None else int(cells["seed"]),
        source=source,
    )


def _located(audio: str, *, folder: str) -> tuple[str, str]:
    """(name, address) of what a list in `folder` calls `audio`."""
    whole = audio if is_url(audio) or audio.startswith("/") else f"{folder}/{audio}"
    scheme, slashes, path = whole.rpartition("://")
    path = posixpath.normpath(path)
    address, inside = f"{scheme}{slashes}{path}", f"{folder}/"
    name = address[len(inside) :] if address.startswith(inside) else path.lstrip("/")
    return name, address
