"""Error, size and speed in one picture, laid out as in the paper: LVE to the right, EVE upwards, megabytes as area."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase

from diffusiontalker.evaluation.plots import style

_LARGEST_AREA = 2600.0
"""Area of the largest bubble, in square points."""
_SMALLEST_AREA = 30.0
_BESIDE = 4.0
"""Distance of a label that needs no line to its bubble, in points."""
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bubble:
    """One system."""

    name: str
    lip_error: float
    """LVE in 1e-5 m^2."""
    eye_error: float
    """EVE in 1e-5 m^2."""
    megabytes: float | None
    """Size of its files; None: a control, drawn as a small cross."""
    frames_per_s: float | None
    """Frames of motion per second of compute; None: drawn in grey."""
    is_path: bool = False
    """Whether it stands on the line that joins the same network in different numbers of steps."""


def draw_bubbles(bubbles: Sequence[Bubble]) -> Figure:
    """Every system as a bubble; both errors are better when small, so the best corner is at the lower left.

    Controls far from all sized systems are put at the edge with their numbers, so that they do not squeeze the rest.
    """
    figure = Figure(figsize=(11.0, 6.4), layout="constrained")
    axis = figure.subplots()
    sized = [bubble for bubble in bubbles if bubble.megabytes is not None]
    places = _places(bubbles, _limits(sized or bubbles, axis))
    _draw_path(axis, bubbles, places)
    _draw_sized(figure, axis, sized, [places[bubble.name] for bubble in sized])
    for bubble in bubbles:
        if bubble.megabytes is None:
            axis.plot(*places[bubble.name], marker="x", color=style.ink(), markersize=7, linestyle="none", zorder=4)
    axis.set_xlabel("LVE, lip vertex error (10⁻⁵ m²): left is better")
    axis.set_ylabel("EVE, eye and brow vertex error (10⁻⁵ m²): down is better")
    areas = [_area(bubble, sized) for bubble in bubbles]
    labels = [_label(axis, bubble, places[bubble.name], area=area) for bubble, area in zip(bubbles, areas, strict=True)]
    _spread_labels(figure, axis, labels, [places[bubble.name] for bubble in bubbles], areas)
    return figure


def _limits(bubbles: Sequence[Bubble], axis: Axes) -> tuple[tuple[float, float], tuple[float, float]]:
    """Sets the view so that the sized systems fill most of it."""
    view = []
    for values, set_limits in (
        ([bubble.lip_error for bubble in bubbles], axis.set_xlim),
        ([bubble.eye_error for bubble in bubbles], axis.set_ylim),
    ):
        low, high = min(values), max(values)
        margin = max(0.3 * (high - low), 0.06 * high, 1e-9)
        view.append((low - margin, high + 1.6 * margin))
        set_limits(*view[-1])
    return view[0], view[1]


def _places(
    bubbles: Sequence[Bubble], view: tuple[tuple[float, float], tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    (left, right), (low, high) = view
    inset_x, inset_y = 0.02 * (right - left), 0.03 * (high - low)
    return {
        bubble.name: (
            float(np.clip(bubble.lip_error, left + inset_x, right - inset_x)),
            float(np.clip(bubble.eye_error, low + inset_y, high - inset_y)),
        )
        for bubble in bubbles
    }


def _draw_path(axis: Axes, bubbles: Sequence[Bubble], places: dict[str, tuple[float, float]]) -> None:
    points = [places[bubble.name] for bubble in bubbles if bubble.is_path]
    if len(points) > 1:
        axis.plot(
            *zip(*points, strict=True), color=axis.xaxis.label.get_color(), linewidth=1.0, linestyle=":", zorder=1
        )


def _draw_sized(
    figure: Figure, axis: Axes, bubbles: Sequence[Bubble], places: Sequence[tuple[float, float]]
) -> None:  # fmt: skip
    if not bubbles:
        return
    speeds = [bubble.frames_per_s for bubble in bubbles if bubble.frames_per_s]
    norm = LogNorm(vmin=0.8 * min(speeds, default=1.0), vmax=1.25 * max(speeds, default=1.0))
    scale = ScalarMappable(norm=norm)
    axis.scatter(
        [x for x, _ in places],
        [y for _, y in places],
        s=[_area(bubble, bubbles) for bubble in bubbles],
        facecolors=[scale.cmap(norm(bubble.frames_per_s)) if bubble.frames_per_s else "gray" for bubble in bubbles],
        edgecolors=style.ink(), linewidths=0.8, alpha=0.75, zorder=2,
    )  # fmt: skip
    if speeds:
        bar = figure.colorbar(scale, ax=axis, pad=0.02, shrink=0.9)
        bar.set_label("frames of motion per second of compute (log scale)")
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _area(bubble: Bubble, sized: Sequence[Bubble]) -> float:
    if bubble.megabytes is None:
        return _SMALLEST_AREA
    largest = max(other.megabytes or 0.0 for other in sized)
    return max(_LARGEST_AREA * bubble.megabytes / largest, _SMALLEST_AREA)


def _label(axis: Axes, bubble: Bubble, place: tuple[float, float], *, area: float) -> Annotation:
    text = bubble.name if bubble.megabytes is None else f"{bubble.name}\n{bubble.megabytes:.2f} MB"
    if place != (bubble.lip_error, bubble.eye_error):
        text += f"\nbeyond the edge: LVE {bubble.lip_error:.2f}, EVE {bubble.eye_error:.2f}"
    return axis.annotate(
        text, place, xytext=(0, 0), textcoords="offset points", fontsize=8, ha="center", va="center", zorder=5,
        arrowprops={"arrowstyle": "-", "color": axis.xaxis.label.get_color(), "linewidth": 0.6, "shrinkA": 1.0,
                    "shrinkB": float(np.sqrt(area / np.pi))},
    )  # fmt: skip


def _spread_labels(
    figure: Figure, axis: Axes, labels: Sequence[Annotation], places: Sequence[tuple[float, float]],
    areas: Sequence[float],
) -> None:  # fmt: skip
    """Puts every label beside its bubble where it covers neither another label, a bubble, nor the frame."""
    figure.draw_without_rendering()
    pixels = figure.dpi / 72.0
    frame = axis.get_window_extent()
    centres = axis.transData.transform(np.asarray(places))
    radii = np.sqrt(np.asarray(areas) / np.pi) * pixels
    taken = [Bbox.from_bounds(x - r, y - r, 2 * r, 2 * r) for (x, y), r in zip(centres, radii, strict=True)]
    for label, (x, y), radius in zip(labels, centres, radii, strict=True):
        box = Text.get_window_extent(label)
        best: tuple[float, tuple[float, float], Bbox, bool] | None = None
        for distance in (_BESIDE, 16.0, 32.0, 52.0, 76.0, 104.0):
            for right, up in _DIRECTIONS:
                dx = right * (radius + box.width / 2 + distance * pixels)
                dy = up * (radius + box.height / 2 + distance * pixels)
                moved = Bbox.from_bounds(x + dx - box.width / 2, y + dy - box.height / 2, box.width, box.height)
                cost = distance + 1e3 * sum(_overlap(moved, other) for other in taken)
                cost += 1e3 * (moved.width * moved.height - _overlap(moved, frame))
                if best is None or cost < best[0]:
                    best = cost, (dx / pixels, dy / pixels), moved, distance > _BESIDE
        assert best is not None
        label.set_position(best[1])
        if label.arrow_patch is not None:
            label.arrow_patch.set_visible(best[3])
        taken.append(best[2].padded(2.0 * pixels))


def _overlap(first: BboxBase, second: BboxBase) -> float:
    """Shared area in square pixels."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(width, 0.0) * max(height, 0.0)
