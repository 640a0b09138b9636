"""What spreadsheets make of CSV files, found before a file is read with commas. Knows nothing about columns."""

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_HEADER_BYTES = 4096
_REMEDY = "save it as comma-separated UTF-8 text, with points as decimal marks"


def first_csv_line(content: bytes) -> str:
    """The first line of a CSV file, as far as `content` reaches, whichever encoding a spreadsheet chose."""
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    return (content.decode(encoding, errors="replace").lstrip().splitlines() or [""])[0]


def csv_problem(content: bytes) -> str:
    """What makes a file no comma-separated UTF-8 text, and what to do; empty where nothing does.

    Args:
        content: of the file, at least its first line.
    """
    if content.startswith(_UTF_16):
        return f"is UTF-16 text; {_REMEDY}"
    header = first_csv_line(content[:_HEADER_BYTES])
    for separator, name in _SEPARATORS.items():
        if separator in header and "," not in header:
            return f"its cells are separated by {name}; {_REMEDY}"
    return ""
