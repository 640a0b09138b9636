"""What a training run logged, drawn from its JSON-lines records."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style

_SPREAD_FOR_LOG = 8.0


def draw_training(records: Sequence[Mapping[str, object]], *, step_key: str = "step", columns: int = 3) -> Figure:
    """One panel per quantity; `train/x` and `validation/x` share the panel of x.

    Only losses and validation numbers are drawn: timings and rates are for TensorBoard.

    Raises:
        ValueError: when no record holds a step and a loss.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in records:
        for key, value in record.items():
            side, _, quantity = key.partition("/")
            is_drawn = quantity and ("loss" in quantity or side == "validation")
            if is_drawn and isinstance(value, int | float) and isinstance(record.get(step_key), int | float):
                panels.setdefault(quantity, {}).setdefault(side, []).append((float(record[step_key]), float(value)))  # type: ignore[arg-type]
    if not panels:
        raise ValueError(f"training log: no record of {len(records)} holds '{step_key}' and a 'train/loss...' number")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.7 * columns, 0.3 + 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis, (quantity, sides) in zip(axes, panels.items(), strict=False):
        for side, points in sorted(sides.items()):
            steps, values = np.asarray(points).T
            color = style.series(0 if side == "train" else 1)
            axis.plot(steps, values, color=color, label=side, linewidth=1.2, marker="." if len(steps) < 4 else "")
        positive = np.concatenate([np.asarray(points)[:, 1] for points in sides.values()])
        if positive.min() > 0 and positive.max() / positive.min() > _SPREAD_FOR_LOG:
            axis.set_yscale("log")
        axis.set_title(quantity)
        axis.set_xlabel("step")
        axis.legend()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return figure
