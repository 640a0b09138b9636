"""Repeated measurements: as lines over a quantity, or as bars, with their spread, their floor and what is wanted."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from diffusiontalker.evaluation.plots import style

_LEAST_APART = 0.04
"""Of an axis, between two of its numbers."""
_SPREAD_FOR_LOG = 8.0
_BAR_INCHES = 0.27


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One quantity."""

    name: str
    """Of its bar."""
    series: str
    """Of its line; quantities of one line have the same."""
    values: Sequence[float]
    """Of every repeat."""
    floor: float | None = None
    """The best that is possible."""
    wanted: float | None = None
    """What is wanted."""
    x: float | None = None
    """Where it stands on its line."""


def draw_measured(measured: Sequence[Measured], *, unit: str, x_label: str = "") -> Figure:
    """Lines where there is an `x_label`, else bars from top to bottom; medians, and the range of the repeats.

    Args:
        measured: at least one.
        unit: of all of them.
        x_label: what `x` is; every quantity has one then.
    """
    return _lines(measured, unit=unit, x_label=x_label) if x_label else _bars(measured, unit=unit)


def _lines(measured: Sequence[Measured], *, unit: str, x_label: str) -> Figure:
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axis = figure.subplots()
    for number, name in enumerate(dict.fromkeys(one.series for one in measured)):
        points = sorted((one for one in measured if one.series == name), key=lambda one: one.x or 0.0)
        places = [one.x or 0.0 for one in points]
        color = style.series(number)
        axis.plot(places, _medians(points), color=color, marker="o", markersize=3.5, label=name)
        axis.fill_between(
            places, [min(one.values) for one in points], [max(one.values) for one in points], color=color, alpha=0.2,
            linewidth=0,
        )  # fmt: skip
    places = sorted({one.x or 0.0 for one in measured})
    is_log = places[0] > 0 and places[-1] > _SPREAD_FOR_LOG * places[0]
    if is_log:
        axis.set_xscale("log")
    labelled = _apart(places, is_log=is_log)
    axis.set_xticks(labelled, [f"{place:g}" for place in labelled])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(x_label)
    axis.set_ylabel(unit)
    axis.set_ylim(bottom=0.0)
    axis.legend(loc="best")
    return figure


def _apart(places: Sequence[float], *, is_log: bool) -> list[float]:
    """Of ascending places those whose numbers do not lie upon one another on the axis."""
    along = [math.log(place) if is_log else place for place in places]
    kept: list[int] = []
    for number, here in enumerate(along):
        if not kept or here - along[kept[-1]] >= _LEAST_APART * (along[-1] - along[0]):
            kept.append(number)
    return [places[number] for number in kept]


def _bars(measured: Sequence[Measured], *, unit: str) -> Figure:
    figure = Figure(figsize=(9.0, 1.0 + _BAR_INCHES * len(measured)), layout="constrained")
    axis = figure.subplots()
    rows, medians = range(len(measured)), _medians(measured)
    least = [median - min(one.values) for median, one in zip(medians, measured, strict=True)]
    most = [max(one.values) - median for median, one in zip(medians, measured, strict=True)]
    axis.barh(rows, medians, color=style.series(0), height=0.7, label="median, least to most")
    axis.errorbar(medians, rows, xerr=(least, most), fmt="none", ecolor=style.ink(), elinewidth=1.0, capsize=2.0)
    _marks(axis, [one.floor for one in measured], color=style.series(1), label="the best that the machine allows")
    _marks(axis, [one.wanted for one in measured], color=style.ink(), label="wanted")
    axis.set_yticks(rows, [one.name for one in measured])
    axis.set_ylim(len(measured) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(unit)
    if min(medians) > 0 and max(medians) > _SPREAD_FOR_LOG * min(medians):
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _marks(axis: Axes, places: Sequence[float | None], *, color: object, label: str) -> None:
    """A stroke across the bar of every quantity that has one."""
    known = [(place, row) for row, place in enumerate(places) if place is not None]
    if known:
        axis.plot(*zip(*known, strict=True), color=color, marker="|", markersize=11, markeredgewidth=2,
                  linestyle="none", label=label)  # fmt: skip


def _medians(measured: Sequence[Measured]) -> list[float]:
    return [statistics.median(one.values) for one in measured]
