"""Coefficients over time: predictions against the truth, and one sentence in several emotions or voices."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style
from diffusiontalker.face import MotionClip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CurvePanel:
    """Everything drawn about one clip."""

    title: str
    truth: MotionClip
    samples: Sequence[MotionClip] = ()
    """Single samples of the headline system, drawn thin."""
    lines: Mapping[str, MotionClip] = dataclasses.field(default_factory=dict)
    """Label -> motion, drawn bold in the order given; the same labels in every panel."""


def draw_curves(panels: Sequence[CurvePanel], *, channels: Sequence[str]) -> Figure:
    """One column per clip, one row per channel; truth in ink, samples thin, named predictions in colour."""
    width, height = 1.2 + 3.4 * len(panels), 0.8 + 1.25 * len(channels)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(channels), len(panels), squeeze=False, sharex="col", sharey="row")
    for column, panel in enumerate(panels):
        axes[0, column].set_title(panel.title)
        axes[-1, column].set_xlabel("seconds")
        for axis, channel in zip(axes[:, column], channels, strict=True):
            for number, sample in enumerate(panel.samples):
                label = f"{len(panel.samples)} single samples" if number == 0 else None
                axis.plot(*_curve(sample, channel), color=style.series(0), alpha=0.35, linewidth=0.8, label=label)
            axis.plot(*_curve(panel.truth, channel), color=style.ink(), linewidth=1.8, label="recorded truth")
            for number, (label, motion) in enumerate(panel.lines.items()):
                pattern = "-" if number == 0 else (0, (4, 1.5)) if number == 1 else (0, (1, 1.2))
                axis.plot(*_curve(motion, channel), color=style.series(number), linestyle=pattern, label=label)
    for axis, channel in zip(axes[:, 0], channels, strict=True):
        axis.set_ylabel(channel)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels))
    return figure


def draw_variants(variants: Mapping[str, Mapping[str, MotionClip]], *, channels: Sequence[str]) -> Figure:
    """The same audio spoken in several ways.

    Args:
        variants: column title -> line label -> motion.
        channels: one row each.
    """
    figure = Figure(figsize=(1.2 + 5.0 * len(variants), 0.6 + 1.3 * len(channels)), layout="constrained")
    axes = figure.subplots(len(channels), len(variants), squeeze=False, sharex="col", sharey="row")
    for column, (title, motions) in enumerate(variants.items()):
        for axis, channel in zip(axes[:, column], channels, strict=True):
            for number, (label, motion) in enumerate(motions.items()):
                axis.plot(*_curve(motion, channel), color=style.series(number), label=label, linewidth=1.3)
        axes[0, column].set_title(title)
        axes[0, column].legend(loc="lower left", bbox_to_anchor=(0.0, 1.12), ncols=4, handlelength=1.2)
        axes[-1, column].set_xlabel("seconds")
    for axis, channel in zip(axes[:, 0], channels, strict=True):
        axis.set_ylabel(channel)
    return figure


def _curve(motion: MotionClip, channel: str) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(motion.num_frames) / motion.fps, motion.column(channel)
