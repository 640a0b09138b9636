"""Error against what students cost: every one that was tried, in a panel for each cost."""

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from diffusiontalker.evaluation.plots import style

_PANEL_WIDTHS = {1: 8.0, 2: 5.5, 3: 5.0}
"""Inches of a panel, by their number."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParetoPoint:
    """One student."""

    label: str
    """Short name beside the point; empty for none."""
    lip_error: float
    """LVE in 1e-5 m^2."""
    num_steps: int
    """Diffusion steps; decides the colour."""
    is_on_front: bool
    is_preset: bool
    is_chosen: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParetoPanel:
    """One cost of all students."""

    label: str
    """What it is, with its unit."""
    costs: Sequence[float]
    """Of every point, in their order."""
    budget: float
    """Most of it that is allowed; 0: no line."""
    is_log: bool = False
    """Whether equal ratios are equally far apart."""
    best: Sequence[str | None] = ()
    """Of every point: None, or its short name below a line that joins them, as nothing errs less for this cost."""
    best_label: str = ""
    """What the line is."""


def draw_pareto(points: Sequence[ParetoPoint], panels: Sequence[ParetoPanel]) -> Figure:
    """One to three panels with one error axis; smaller is better everywhere."""
    figure = Figure(figsize=(_PANEL_WIDTHS[len(panels)] * len(panels), 4.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        _draw_panel(axis, points, panel)
    axes[0].set_ylabel("LVE, lip vertex error (10⁻⁵ m²): down is better")
    if any(panel.best for panel in panels):
        named = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named))
    else:
        axes[0].legend(loc="best")
    return figure


def _draw_panel(axis: Axes, points: Sequence[ParetoPoint], panel: ParetoPanel) -> None:
    for color, steps in enumerate(sorted({point.num_steps for point in points})):
        chosen = [(cost, point) for cost, point in zip(panel.costs, points, strict=True) if point.num_steps == steps]
        axis.scatter(
            [cost for cost, _ in chosen],
            [point.lip_error for _, point in chosen],
            s=[90.0 if point.is_on_front else 36.0 for _, point in chosen],
            marker="o", color=style.series(color), alpha=0.85, zorder=3,
            edgecolors=[style.ink() if point.is_on_front else style.series(color) for _, point in chosen],
            linewidths=1.2,
            label=f"{steps} step{'s' if steps != 1 else ''}",
        )  # fmt: skip
    for cost, point in zip(panel.costs, points, strict=True):
        if point.is_preset:
            axis.scatter([cost], [point.lip_error], s=230.0, marker="s", facecolors="none", edgecolors=style.ink())
        if point.is_chosen:
            axis.scatter([cost], [point.lip_error], s=320.0, marker="*", color=style.ink(), zorder=2)
        if point.label:
            axis.annotate(point.label, (cost, point.lip_error), xytext=(8, 5), textcoords="offset points", fontsize=8)
    _join(axis, points, panel)
    if panel.budget:
        axis.axvline(panel.budget, color=style.ink(), linestyle="--", linewidth=1.0)
        axis.annotate(
            f"budget {panel.budget:g}", (panel.budget, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    if panel.is_log:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(f"{panel.label}: left is better")


def _join(axis: Axes, points: Sequence[ParetoPoint], panel: ParetoPanel) -> None:
    """Draws the line and the names of what is best; where it turns down there is room at the lower left."""
    places = zip(panel.costs, [point.lip_error for point in points], panel.best, strict=False)
    best = sorted((cost, error, name) for cost, error, name in places if name is not None)
    if not best:
        return
    costs, errors = [cost for cost, *_ in best], [error for _, error, _ in best]
    axis.step(costs, errors, where="post", color=style.series(1), linewidth=1.2, zorder=2, label=panel.best_label)
    for cost, error, name in best:
        axis.annotate(
            name, (cost, error), xytext=(-7, -3), textcoords="offset points", fontsize=8, ha="right", va="top"
        )
