"""The report of a student-size search: `search.json` for programs, `search.html` with hover for people, one PNG."""

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.config import publish_file
from diffusiontalker.evaluation import plots
from diffusiontalker.evaluation.pages import render_page, sorting_script

_WIDTH, _HEIGHT = 620.0, 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 16.0, 30.0, 48.0
_SAME = 1.01
"""Costs that differ by less are told, not drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """A cost, in the unit it is shown in."""

    title: str
    field: str
    scale: float
    limit: str
    """Field of the budget, in the same unit."""
    best: str = ""
    """Field that marks what has the least error for its cost; empty: not marked."""
    is_log: bool = False

    def of(self, row: Mapping[str, Any]) -> float:
        """NaN where it is not known."""
        return math.nan if row[self.field] is None else row[self.field] * self.scale


_SIZE = _Axis(title="size of the files (MB)", field="file_bytes", scale=1e-6, limit="max_megabytes")
_SPEED = _Axis(title="compute on one core (ms per second of audio)", field="rtf", scale=1e3, limit="max_ms_per_s")
_LOOK_AHEAD = _Axis(
    title="look-ahead of a live stream (ms)", field="look_ahead_s", scale=1e3, limit="max_look_ahead_ms",
    best="is_best_for_look_ahead", is_log=True,
)  # fmt: skip


def search_table(trials: Sequence[Mapping[str, Any]]) -> str:
    """The trials as aligned text, least error first; `*` marks the front, `>` the chosen one.

    Look-aheads are told where trials know them: searches did not always count them.
    """
    width = max(len(row["name"]) for row in trials)
    columns = [
        ("MB", "file_bytes", 1e-6, ".2f"), ("ms/s", "rtf", 1e3, ".2f"), ("ahead ms", "look_ahead_s", 1e3, ".1f"),
        ("LVE", "lve_m2", 1e5, ".3f"), ("EVE", "eve_m2", 1e5, ".3f"), ("|FDD|", "fdd_abs", 1e7, ".2f"),
    ]  # fmt: skip
    columns = [column for column in columns if any(row.get(column[1]) is not None for row in trials)]
    heads = " ".join(f"{head:>7}" for head, *_ in columns)
    lines = [f"   {'student':{width}} {heads} {'steps':>6} {'trained':>8}  state"]
    for row in trials:
        mark = ("*" if row["is_on_front"] else " ") + (">" if row["is_chosen"] else " ")
        figures = " ".join(
            f"{'-' if row.get(field) is None else format(row[field] * scale, form):>{max(7, len(head))}}"
            for head, field, scale, form in columns
        )
        lines.append(f"{mark} {row['name']:{width}} {figures} {row['num_steps']:>6} {row['step']:>8}  {row['state']}")
    return "\n".join(lines)


def write_search_report(content: Mapping[str, Any], folder: Path) -> None:
    """Writes `search.json`, `search.html` and `search.png` into a folder, in place of earlier ones.

    Raises:
        ArtefactError: when the folder cannot be written.
    """
    measured = [row for row in content["trials"] if row["lve_m2"] is not None]
    axes = _axes(measured, content)
    picture = plots.render(lambda: _figure(measured, axes, content["budget"]))
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    charts = [_chart(measured, axis, content["budget"][axis.limit]) for axis in axes if measured]
    page = render_page(
        "search.html", script=sorting_script(), content=content, charts=charts, is_about_streams=_LOOK_AHEAD in axes
    )
    for name, written in (
        ("search.html", page.encode()),
        ("search.png", picture["light"]),
        ("search.json", text.encode()),
    ):
        with publish_file(folder / name, overwrite=True) as temporary:
            temporary.write_bytes(written)


def _axes(rows: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> list[_Axis]:
    """Size and speed; of a search for look-ahead that too, and the others where students differ in them."""
    if _LOOK_AHEAD.field not in content["objectives"]:
        return [_SIZE, _SPEED]
    costs = {axis.field: [axis.of(row) for row in rows] for axis in (_SIZE, _SPEED)}
    differing = [
        axis
        for axis in (_SIZE, _SPEED)
        if content["budget"][axis.limit] or max(costs[axis.field]) > _SAME * min(costs[axis.field])
    ]
    return [*differing, _LOOK_AHEAD]


def _figure(rows: Sequence[Mapping[str, Any]], axes: Sequence[_Axis], budget: Mapping[str, float]) -> plots.Figure:
    points = [
        plots.ParetoPoint(
            label=row["name"].partition(" (preset)")[0] if row["is_preset"] else "chosen" if row["is_chosen"] else "",
            lip_error=row["lve_m2"] * 1e5,
            num_steps=row["num_steps"],
            is_on_front=row["is_on_front"],
            is_preset=row["is_preset"],
            is_chosen=row["is_chosen"],
        )
        for row in rows
    ]
    panels = [
        plots.ParetoPanel(
            label=axis.title,
            costs=[axis.of(row) for row in rows],
            budget=budget[axis.limit],
            is_log=axis.is_log,
            best=[_frames(row) if row[axis.best] else None for row in rows] if axis.best else (),
            best_label="least error for its look-ahead, with frames of encoder + denoiser",
        )
        for axis in axes
    ]
    return plots.draw_pareto(points, panels)


def _frames(row: Mapping[str, Any]) -> str:
    """How far the stacks look, where the search varied it."""
    varied = [name for name in ("encoder", "denoiser") if f"talker.{name}.look_ahead_frames" in row["point"]]
    frames = [row["point"][f"talker.{name}.look_ahead_frames"] for name in varied]
    return " + ".join("all" if one is None else str(one) for one in frames)


def _chart(rows: Sequence[Mapping[str, Any]], axis: _Axis, limit: float) -> dict[str, Any]:
    """Places in an SVG of `_WIDTH` x `_HEIGHT` for one cost against LVE, of all rows whose cost is known."""
    rows = sorted((row for row in rows if np.isfinite(axis.of(row))), key=axis.of)
    costs, errors = [axis.of(row) for row in rows], [row["lve_m2"] * 1e5 for row in rows]
    ticks_x = (_log_ticks if axis.is_log else _ticks)(np.asarray([*costs, limit or costs[0]]))
    ticks_y = _ticks(np.asarray(errors))
    on_axis = np.log if axis.is_log else np.asarray

    def across(value: float) -> float:
        low, place, high = (float(on_axis(one)) for one in (ticks_x[0], value, ticks_x[-1]))
        return _LEFT + (place - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - ticks_y[0]) / (ticks_y[-1] - ticks_y[0]) * (_HEIGHT - _BOTTOM - _TOP)

    points = [
        {"x": across(cost), "y": down(error), "row": row} for cost, error, row in zip(costs, errors, rows, strict=True)
    ]
    return {
        "title": axis.title, "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _WIDTH - _RIGHT, "top": _TOP,
        "floor": _HEIGHT - _BOTTOM,
        "ticks_x": [{"at": across(value), "text": f"{value:g}"} for value in ticks_x],
        "ticks_y": [{"at": down(value), "text": f"{value:g}"} for value in ticks_y],
        "budget": {"at": across(limit), "text": f"budget {limit:g}"} if limit else None,
        "points": points,
        "best": _stairs([(point["x"], point["y"]) for point in points if axis.best and point["row"][axis.best]]),
    }  # fmt: skip


def _stairs(places: Sequence[tuple[float, float]]) -> str:
    """Points of an SVG line that goes across before it goes down."""
    corners = [(after[0], before[1]) for before, after in itertools.pairwise(places)]
    joined = [place for pair in itertools.zip_longest(places, corners) for place in pair if place is not None]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in joined)


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


def _log_ticks(values: np.ndarray) -> list[float]:
    """Ones, twos and fives around the values."""
    low, high = (int(np.floor(np.log10(value))) for value in (values.min(), values.max()))
    rounds = [factor * 10.0**power for power in range(low, high + 2) for factor in (1.0, 2.0, 5.0)]
    first = max(index for index, value in enumerate(rounds) if value <= values.min())
    last = min(index for index, value in enumerate(rounds) if value >= values.max())
    return [round(value, 10) for value in rounds[first : max(last, first + 1) + 1]]
