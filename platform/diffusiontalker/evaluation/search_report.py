"""The report of a student-size search: `search.json` for programs, `search.html` with hover for people, one PNG."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.config import publish_file
from diffusiontalker.evaluation import plots
from diffusiontalker.evaluation.pages import render_page, sorting_script

_WIDTH, _HEIGHT = 620.0, 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 16.0, 30.0, 48.0
_AXES = (
    ("file_bytes", 1e-6, "max_megabytes", "size of the files (MB)"),
    ("rtf", 1e3, "max_ms_per_s", "compute on one core (ms per second of audio)"),
)


def search_table(trials: Sequence[Mapping[str, Any]]) -> str:
    """The trials as aligned text, least error first; `*` marks the front, `>` the chosen one."""
    width = max(len(row["name"]) for row in trials)
    heads = f"{'MB':>7} {'ms/s':>7} {'LVE':>7} {'EVE':>7} {'|FDD|':>7} {'steps':>6} {'trained':>8}  state"
    lines = [f"   {'student':{width}} {heads}"]
    for row in trials:
        mark = ("*" if row["is_on_front"] else " ") + (">" if row["is_chosen"] else " ")
        figures = " ".join(
            f"{'-' if row[field] is None else format(row[field] * scale, form):>7}"
            for field, scale, form in (
                ("file_bytes", 1e-6, ".2f"), ("rtf", 1e3, ".2f"), ("lve_m2", 1e5, ".3f"), ("eve_m2", 1e5, ".3f"),
                ("fdd_abs", 1e7, ".2f"),
            )
        )  # fmt: skip
        lines.append(f"{mark} {row['name']:{width}} {figures} {row['num_steps']:>6} {row['step']:>8}  {row['state']}")
    return "\n".join(lines)


def write_search_report(content: Mapping[str, Any], folder: Path) -> None:
    """Writes `search.json`, `search.html` and `search.png` into a folder, in place of earlier ones.

    Raises:
        ArtefactError: when the folder cannot be written.
    """
    measured = [row for row in content["trials"] if row["lve_m2"] is not None]
    picture = plots.render(lambda: _figure(measured, content["budget"]))
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    charts = [_chart(measured, content["budget"], *axis) for axis in _AXES if measured]
    page = render_page("search.html", script=sorting_script(), content=content, charts=charts)
    for name, written in (
        ("search.html", page.encode()),
        ("search.png", picture["light"]),
        ("search.json", text.encode()),
    ):
        with publish_file(folder / name, overwrite=True) as temporary:
            temporary.write_bytes(written)


def _figure(rows: Sequence[Mapping[str, Any]], budget: Mapping[str, float]) -> plots.Figure:
    points = [
        plots.ParetoPoint(
            label=row["name"].partition(" (preset)")[0] if row["is_preset"] else "chosen" if row["is_chosen"] else "",
            lip_error=row["lve_m2"] * 1e5,
            megabytes=row["file_bytes"] / 1e6,
            ms_per_s=row["rtf"] * 1e3,
            num_steps=row["num_steps"],
            is_on_front=row["is_on_front"],
            is_preset=row["is_preset"],
            is_chosen=row["is_chosen"],
        )
        for row in rows
    ]
    return plots.draw_pareto(points, **budget)


def _chart(
    rows: Sequence[Mapping[str, Any]], budget: Mapping[str, float], field: str, scale: float, limit: str, title: str
) -> dict[str, Any]:
    """Places in an SVG of `_WIDTH` x `_HEIGHT` for one cost against LVE."""
    costs, errors = (np.asarray([row[name] for row in rows]) * by for name, by in ((field, scale), ("lve_m2", 1e5)))
    ticks_x, ticks_y = (_ticks(values) for values in (np.append(costs, budget[limit] or costs[:1]), errors))

    def across(value: float) -> float:
        return _LEFT + (value - ticks_x[0]) / (ticks_x[-1] - ticks_x[0]) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - ticks_y[0]) / (ticks_y[-1] - ticks_y[0]) * (_HEIGHT - _BOTTOM - _TOP)

    return {
        "title": title, "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _WIDTH - _RIGHT, "top": _TOP,
        "floor": _HEIGHT - _BOTTOM,
        "ticks_x": [{"at": across(value), "text": f"{value:g}"} for value in ticks_x],
        "ticks_y": [{"at": down(value), "text": f"{value:g}"} for value in ticks_y],
        "budget": {"at": across(budget[limit]), "text": f"budget {budget[limit]:g}"} if budget[limit] else None,
        "points": [
            {"x": across(cost), "y": down(error), "row": row}
            for cost, error, row in zip(costs, errors, rows, strict=True)
        ],
    }  # fmt: skip


def _ticks(values: np.ndarray) -> list[float]:
    """About five round numbers around the values."""
    low, high = float(values.min()), float(values.max())
    rough = max(high - low, 0.1 * abs(high), 1e-9) / 4.0
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough)
    first, last = np.floor(low / step) * step, np.ceil(high / step) * step
    if first == last:
        last = first + step
    return [round(float(value), 10) for value in np.arange(first, last + 0.5 * step, step)]
