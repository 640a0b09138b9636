"""Rows of a CSV file that somebody wrote beside recordings, each with its number in the file."""

import csv
from pathlib import Path

from diffusiontalker.data.clip import CorpusError
from diffusiontalker.face.csv_text import csv_problem


def read_csv_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Names of the columns; (row as counted in the file, cells by column) of every line below them.

    Raises:
        FileNotFoundError: when there is no such file.
        CorpusError: when it is no comma-separated UTF-8 text.
    """
    try:
        if problem := csv_problem(path.read_bytes()):
            raise CorpusError(f"{path}: {problem}")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or ())
            return columns, [(reader.line_num, raw) for raw in reader]
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
