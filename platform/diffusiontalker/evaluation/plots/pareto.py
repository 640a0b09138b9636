"""Error against size and against speed: every student that was tried, and the front that nothing dominates."""

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParetoPoint:
    """One student."""

    label: str
    """Short name beside the point; empty for none."""
    lip_error: float
    """LVE in 1e-5 m^2."""
    megabytes: float
    """Size of its files."""
    ms_per_s: float
    """Milliseconds of one CPU core per second of audio."""
    num_steps: int
    """Diffusion steps; decides the colour."""
    is_on_front: bool
    is_preset: bool
    is_chosen: bool


def draw_pareto(points: Sequence[ParetoPoint], *, max_megabytes: float, max_ms_per_s: float) -> Figure:
    """Two panels with one error axis; smaller is better everywhere. Budgets of 0 are not drawn."""
    figure = Figure(figsize=(11.0, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, points, [point.megabytes for point in points], budget=max_megabytes)
    _panel(right, points, [point.ms_per_s for point in points], budget=max_ms_per_s)
    left.set_xlabel("size of the files (MB): left is better")
    right.set_xlabel("compute on one core (ms per second of audio): left is better")
    left.set_ylabel("LVE, lip vertex error (10⁻⁵ m²): down is better")
    left.legend(loc="best")
    return figure


def _panel(axis: Axes, points: Sequence[ParetoPoint], places: Sequence[float], *, budget: float) -> None:
    for color, steps in enumerate(sorted({point.num_steps for point in points})):
        chosen = [(place, point) for place, point in zip(places, points, strict=True) if point.num_steps == steps]
        axis.scatter(
            [place for place, _ in chosen],
            [point.lip_error for _, point in chosen],
            s=[90.0 if point.is_on_front else 36.0 for _, point in chosen],
            marker="o", color=style.series(color), alpha=0.85, zorder=3,
            edgecolors=[style.ink() if point.is_on_front else "none" for _, point in chosen], linewidths=1.2,
            label=f"{steps} step{'s' if steps != 1 else ''}",
        )  # fmt: skip
    for place, point in zip(places, points, strict=True):
        if point.is_preset:
            axis.scatter([place], [point.lip_error], s=230.0, marker="s", facecolors="none", edgecolors=style.ink())
        if point.is_chosen:
            axis.scatter([place], [point.lip_error], s=320.0, marker="*", color=style.ink(), zorder=2)
        if point.label:
            axis.annotate(point.label, (place, point.lip_error), xytext=(8, 5), textcoords="offset points", fontsize=8)
    if budget:
        axis.axvline(budget, color=style.ink(), linestyle="--", linewidth=1.0)
        axis.annotate(
            f"budget {budget:g}", (budget, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -10),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
