"""Which ARKit shape each shape of a file is: by its name, or by a table that the user gives for foreign names."""

import csv
import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from diffusiontalker.face.arkit import CHANNELS, canonical_name
from diffusiontalker.face.csv_text import csv_problem
from diffusiontalker.face.rig import RigError
from diffusiontalker.face.rig_parts import Meaning

_COLUMNS = ("shape", "channel")
_CLOSENESS = 0.72
"""Share of common letters from which a name is worth a suggestion: `jaw_opn`, `mouthSmileLft`, not `viseme_aa`."""


def read_shape_names(path: Path) -> dict[str, str]:
    """A table of foreign names: CSV with the columns `shape` (as in the rig) and `channel` (ARKit; empty: leave out).

    Raises:
        RigError: when the file cannot be read, lacks a column, names an unknown channel, or names something twice.
    """
    try:
        if problem := csv_problem(path.read_bytes()):
            raise RigError(f"{path}: {problem}")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RigError(f"{path}: cannot be read ({error}); give a CSV with columns shape and channel") from None
    if lacking := [column for column in _COLUMNS if column not in columns]:
        raise RigError(
            f"{path}: lacks the column {' and the column '.join(lacking)} (it has {', '.join(columns) or 'none'}); "
            "its first line must be 'shape,channel'"
        )
    table: dict[str, str] = {}
    for line, row in rows:
        shape, wanted = ((row[column] or "").strip() for column in _COLUMNS)
        channel = canonical_name(wanted) if wanted else ""
        if not shape:
            raise RigError(
                f"{path}: line {line}, column 'shape' is empty; write the name that the shape has in the rig"
            )
        if channel is None:
            raise RigError(
                f"{path}: line {line}, column 'channel' is '{wanted}', which is no ARKit name{suggestion(wanted)}"
            )
        if shape in table:
            raise RigError(f"{path}: line {line}, shape '{shape}' stands in the table twice; keep one line")
        if channel and channel in table.values():
            raise RigError(f"{path}: line {line}, channel {channel} stands in the table twice; keep one line")
        table[shape] = channel
    if not table:
        raise RigError(f"{path}: holds no names; write one line per shape, such as 'Mouth_Open,jawOpen'")
    return table


def meaning_of_shapes(table: Mapping[str, str] | None = None) -> Meaning:
    """What a shape's name means: what the table says, else the ARKit name it spells (`arkit.canonical_name`)."""
    given = table or {}

    def meaning(name: str) -> str | None:
        return (given[name] or None) if name in given else canonical_name(name)

    return meaning


def check_shape_names(
    names: Sequence[str], *, foreign: Sequence[str], place: object, meaning: Meaning, table: Mapping[str, str] | None
) -> None:
    """Refuses names that leave open which shape is which.

    Args:
        names: of the shapes that were read.
        foreign: names that mean nothing.
        place: the file, for messages.
        meaning: what a name means.
        table: the user's table, if there is one: all its shapes must exist.

    Raises:
        RigError: when two shapes mean the same, a shape of the table does not exist, or nothing has a meaning.
    """
    for shape in table or {}:
        if shape not in names and shape not in foreign:
            close = difflib.get_close_matches(shape, [*names, *foreign], n=1)
            hint = f"; perhaps '{close[0]}'?" if close else ""
            raise RigError(f"{place}: has no shape '{shape}', which the table of names lists{hint}")
    same: dict[str | None, list[str]] = defaultdict(list)
    for name in names:
        same[meaning(name)].append(name)
    for channel, several in same.items():
        if len(several) > 1:
            raise RigError(
                f"{place}: several shapes mean {channel} ({', '.join(several)}); keep one of them, or name the others "
                "in a table of names (--names) with an empty channel, which leaves them out"
            )
    if not names:
        shown = ", ".join(foreign[:8]) or "none"
        raise RigError(
            f"{place}: no shape has an ARKit name such as jawOpen (found: {shown}); rename the shapes, or say in a "
            "table of names (--names) which is which"
        )


def suggestion(name: str) -> str:
    """` (perhaps jawOpen?)` for a name that looks like a misspelt ARKit name, else nothing."""
    plain = "".join(letter for letter in name.lower() if letter.isalpha())
    lowered = {channel.lower(): channel for channel in CHANNELS}
    close = difflib.get_close_matches(plain, lowered, n=1, cutoff=_CLOSENESS)
    return f" (perhaps {lowered[close[0]]}?)" if close else ""
