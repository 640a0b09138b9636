"""What load does to an endpoint: latencies and throughput against workers, arrivals or live streams."""

import dataclasses
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from diffusiontalker.evaluation.plots import style

_SPREAD_FOR_LOG = 8.0
_MOST_LABELS = 16
_PATTERNS = {"p50": (0, (1, 1.2)), "p95": (0, (4, 1.5)), "p99": "-", "max": (0, (1, 3))}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LoadSeries:
    """One endpoint under rising load."""

    label: str
    """Its name; empty when there is no other."""
    levels: Sequence[float]
    """Ascending; the same positions in the others."""
    latencies_ms: Mapping[str, Sequence[float]]
    """`p50`, `p95`, `p99`, `max` or some of them -> values."""
    throughput: Sequence[float]


def draw_load(
    series: Sequence[LoadSeries], *, level_label: str, latency_label: str, throughput_label: str, target_ms: float = 0.0
) -> Figure:
    """Two panels over the same levels: latencies on the left, throughput on the right.

    One endpoint has a colour for every percentile; several have a colour each and a line pattern for every percentile.

    Args:
        series: the endpoints.
        level_label: what the levels are.
        latency_label: what is timed, in ms.
        throughput_label: what is counted, per second.
        target_ms: drawn as a line across; 0: none.
    """
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    everything = [value for one in series for values in one.latencies_ms.values() for value in values]
    for number, one in enumerate(series):
        for place, (name, values) in enumerate(one.latencies_ms.items()):
            color = style.series(place if len(series) == 1 else number)
            label = name if len(series) == 1 else f"{one.label}, {name}"
            pattern = "-" if len(series) == 1 else _PATTERNS.get(name, "-")
            left.plot(one.levels, values, color=color, linestyle=pattern, marker="o", markersize=3.5, label=label)
        color = style.series(number)
        right.plot(one.levels, one.throughput, color=color, marker="o", markersize=3.5, label=one.label or None)
    if everything and min(everything) > 0 and max(everything) > _SPREAD_FOR_LOG * min(everything):
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        left.yaxis.set_minor_locator(NullLocator())
    else:
        left.set_ylim(bottom=0.0)
    if target_ms:
        left.axhline(target_ms, color=style.ink(), linestyle="--", linewidth=1.0, label=f"target {target_ms:g} ms")
    right.set_ylim(bottom=0.0)
    left.set_ylabel(f"{latency_label} (ms): down is better")
    right.set_ylabel(f"{throughput_label}: up is better")
    levels = sorted({level for one in series for level in one.levels})
    for axis in (left, right):
        _label_levels(axis, levels)
        axis.set_xlabel(level_label)
    left.legend(loc="best")
    if len(series) > 1:
        right.legend(loc="best")
    return figure


def _label_levels(axis: Axes, levels: Sequence[float]) -> None:
    """Doublings at equal distances; every level has its number, unless it stands too close to the one before."""
    if len(levels) > 1:
        axis.set_xscale("log", base=2)
    apart = (levels[-1] / levels[0]) ** (1.0 / _MOST_LABELS) if levels else 1.0
    shown: list[float] = []
    for level in levels:
        if not shown or level >= shown[-1] * apart:
            shown.append(level)
    axis.set_xticks(shown, [f"{level:g}" for level in shown])
    axis.xaxis.set_minor_locator(NullLocator())
