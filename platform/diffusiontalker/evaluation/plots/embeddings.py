"""Embeddings of the personalizer in two dimensions, by principal components."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmbeddingPanel:
    """One cloud of clips with the prototypes it should gather round."""

    title: str
    embeddings: Float[np.ndarray, "clips width"]
    labels: Sequence[str]
    """One label per clip."""
    prototypes: Float[np.ndarray, "prototypes width"]
    prototype_names: Sequence[str]
    """Labels without a prototype (unseen speakers) are drawn hollow."""


def draw_embeddings(panels: Sequence[EmbeddingPanel]) -> Figure:
    """One square per panel: clips as dots, prototypes as labelled stars."""
    figure = Figure(figsize=(5.6 * len(panels), 4.8), layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axis, panel)
    return figure


def principal_axes(
    points: Float[np.ndarray, "clips width"],
) -> tuple[Float[np.ndarray, "width"], Float[np.ndarray, "two width"], Float[np.ndarray, "two"]]:
    """Mean, first two principal directions and the share of the variance along each."""
    mean = points.mean(axis=0)
    _, strengths, directions = np.linalg.svd(points - mean, full_matrices=False)
    variance = strengths**2
    return mean, directions[:2], variance[:2] / max(float(variance.sum()), 1e-12)


def _draw_panel(axis: Axes, panel: EmbeddingPanel) -> None:
    mean, directions, share = principal_axes(panel.embeddings)
    points, stars = ((x - mean) @ directions.T for x in (panel.embeddings, panel.prototypes))
    labels = np.asarray(panel.labels)
    names = [*panel.prototype_names, *sorted(set(panel.labels) - set(panel.prototype_names))]
    for number, name in enumerate(names):
        chosen, color = points[labels == name], style.series(number)
        has_prototype = name in panel.prototype_names
        if len(chosen):
            count = f"{len(chosen)} clip{'s' if len(chosen) > 1 else ''}"
            axis.scatter(
                chosen[:, 0], chosen[:, 1], s=22, alpha=0.8, linewidths=1.0, label=f"{name} ({count})",
                edgecolors=color, facecolors=color if has_prototype else "none",
            )  # fmt: skip
        if has_prototype:
            x, y = stars[number]
            axis.scatter(x, y, s=170, marker="*", color=color, edgecolors=style.ink(), linewidths=0.8, zorder=3)
            label = axis.annotate(name, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=8, zorder=4)
            label.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground=style.paper())])
    axis.set_title(panel.title)
    axis.set_xlabel(f"first component ({share[0]:.0%} of variance)")
    axis.set_ylabel(f"second component ({share[1]:.0%})" if len(share) > 1 else "")
    axis.margins(0.12)
    axis.legend(loc="best", fontsize=7.5, handletextpad=0.2)
