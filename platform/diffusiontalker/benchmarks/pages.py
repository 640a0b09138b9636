"""A result for people: text for the terminal, a dated Markdown page, pictures, and the folder that holds them all.

The page has the form of those in docs/benchmarks: what, when, on what, and a table for every group.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from diffusiontalker.benchmarks.results import BenchmarkResult, Group, Row, result_json
from diffusiontalker.config import publish_directory, publish_file

TITLES: Mapping[str, str] = {
    "inference": "Inference: from a waveform to coefficients",
    "training": "Training",
    "serve": "The endpoint",
}
_VERSIONS = ("python", "torch", "onnxruntime", "ray", "numpy")
_EXPLANATION = (
    "Medians, in brackets the least and the most of the repeats, which were taken in turns. Wanted is at most that, or "
    "at least where more is better."
)
_FIGURES = 3
"""Significant figures."""


def result_text(result: BenchmarkResult) -> str:
    """Tables for the terminal."""
    lines = []
    for group in result.groups:
        cells = [_header(group), *(_cells(group, row) for row in group.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        lines += ["", group.title, *([group.about] if group.about else [])]
        lines += ["  " + "  ".join(map(_justified, row, widths, range(len(row)))).rstrip() for row in cells]
    return "\n".join(lines[1:])


def result_page(result: BenchmarkResult, *, pictures: Mapping[str, str] | None = None) -> str:
    """The page as Markdown.

    Args:
        result: what was measured.
        pictures: title of a group -> address of its picture, as seen from the page.
    """
    lines = [f"# {TITLES[result.benchmark]}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in _facts(result).items()]
    lines += ["", _EXPLANATION]
    for group in result.groups:
        header, *rows = [_header(group), *(_cells(group, row) for row in group.rows)]
        lines += ["", f"## {group.title}", *(["", group.about] if group.about else []), ""]
        lines += [_table_line(header), "|" + "---|" * len(header), *map(_table_line, rows)]
        if floors := sorted({f"{row.floor_from}" for row in group.rows if row.floor_from}):
            lines += ["", f"Floors: {'; '.join(floors)}."]
        if pictures and group.title in pictures:
            lines += ["", f"![{group.title}]({pictures[group.title]})"]
    return "\n".join([*lines, ""])


def write_result(result: BenchmarkResult, folder: Path) -> None:
    """Writes `<benchmark>.json`, `page.md` and a picture for every group that can be drawn into a new folder.

    Raises:
        ArtefactError: when the folder exists or cannot be written.
    """
    drawn = result_pictures(result)
    with publish_directory(folder) as temporary:
        (temporary / f"{result.benchmark}.json").write_text(result_json(result), encoding="utf-8")
        names = {title: f"{_slug(title)}.png" for title in drawn}
        for title, png in drawn.items():
            (temporary / names[title]).write_bytes(png)
        (temporary / "page.md").write_text(result_page(result, pictures=names), encoding="utf-8")


def write_page(result: BenchmarkResult, path: Path) -> None:
    """Writes the page alone, for docs/benchmarks.

    Raises:
        ArtefactError: when it exists or cannot be written.
    """
    with publish_file(path) as temporary:
        temporary.write_text(result_page(result), encoding="utf-8")


def result_pictures(result: BenchmarkResult) -> dict[str, bytes]:
    """Title of a group -> PNG, of groups whose rows have one unit and of which there are at least two.

    Imports matplotlib, so call it when all is measured.
    """
    from diffusiontalker.evaluation.plots import Measured, draw_measured, render

    pictures = {}
    for group in result.groups:
        if len(group.rows) < 2 or len({row.unit for row in group.rows}) > 1:
            continue
        if group.x_label and any(row.x is None for row in group.rows):
            continue
        measured = [
            Measured(
                name=row.name,
                series=row.series or row.name,
                values=row.values,
                floor=row.floor,
                wanted=row.wanted,
                x=row.x,
            )
            for row in group.rows
        ]
        draw = lambda measured=measured, group=group: draw_measured(  # noqa: E731
            measured, unit=group.rows[0].unit, x_label=group.x_label
        )
        pictures[group.title] = render(draw)["light"]
    return pictures


def _facts(result: BenchmarkResult) -> dict[str, str]:
    machine = result.machine
    versions = [f"{name} {machine[name]}" for name in _VERSIONS if machine.get(name) not in (None, "absent")]
    facts = {
        "command": f"`{result.command}`",
        "date, commit": f"{result.date}, {str(machine.get('git_commit', 'unknown'))[:9]}",
        "machine": f"{machine.get('cpu')}, {machine.get('cpu_count')} cores, {machine.get('memory_gb')} GiB",
        "versions": ", ".join(versions),
    }
    if rates := result.rates:
        facts["machine's rates"] = (
            f"products {rates.float32_one_core:.0f} GFLOP/s in float32 and {rates.bfloat16_one_core:.0f} in bfloat16 "
            f"on one core, {rates.float32_all_cores:.0f} and {rates.bfloat16_all_cores:.0f} on all; copies "
            f"{rates.copy_one_core:.0f} GB/s"
        )
    # Networks are in the JSON: they would fill the page.
    told = {name: value for name, value in result.config.items() if value is not None and not isinstance(value, dict)}
    settings = [f"{name} {_plain(value)}" for name, value in told.items()]
    return facts | ({"settings": ", ".join(settings)} if settings else {})


def _header(group: Group) -> list[str]:
    optional = {
        "floor": any(row.floor is not None for row in group.rows),
        "times floor": any(row.floor is not None for row in group.rows),
        "wanted": any(row.wanted is not None for row in group.rows),
    }
    return ["", "unit", "median", "spread", *(name for name, is_there in optional.items() if is_there)]


def _cells(group: Group, row: Row) -> list[str]:
    spread = "" if len(row.values) == 1 else f"({_number(row.lowest)} to {_number(row.highest)})"
    times = row.times_floor
    wanted = "" if row.wanted is None else f"{_number(row.wanted)}: {'holds' if row.holds else 'missed'}"
    values = {
        "": row.name,
        "unit": row.unit,
        "median": _number(row.median),
        "spread": spread,
        "floor": "" if row.floor is None else _number(row.floor),
        "times floor": "" if times is None else f"{times:.2f}",
        "wanted": wanted,
    }
    return [values[name] for name in _header(group)]


def _number(value: float) -> str:
    """With three significant figures, whole numbers in full, never in powers of ten."""
    if value == round(value) or abs(value) >= 10**_FIGURES:
        return f"{value:,.0f}"
    return f"{value:.{max(0, _FIGURES - 1 - math.floor(math.log10(abs(value))))}f}"


def _justified(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _table_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
