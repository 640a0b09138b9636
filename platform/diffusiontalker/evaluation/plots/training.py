"""What a training run logged, drawn from its JSON-lines records."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style

_SPREAD_FOR_LOG = 8.0


def draw_training(records: Sequence[Mapping[str, object]], *, step_key: str = "step", columns: int = 3) -> Figure:
    """One panel per quantity; `train/x` and `validation/x` share the panel of x.

    Only losses and validation numbers are drawn: timings and rates are for TensorBoard. A step that was logged twice
    (after a resume) counts with its later value.

    Raises:
        ValueError: when no record holds a step and a loss.
    """
    panels: dict[str, dict[str, dict[float, float]]] = {}
    for record in records:
        for key, value in record.items():
            side, _, quantity = key.partition("/")
            is_drawn = quantity and ("loss" in quantity or side == "validation")
            step = record.get(step_key)
            if is_drawn and isinstance(value, int | float) and isinstance(step, int | float):
                panels.setdefault(quantity, {}).setdefault(side, {})[float(step)] = float(value)
    if not panels:
        raise ValueError(f"training log: no record of {len(records)} holds '{step_key}' and a 'train/loss...' number")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.7 * columns, 0.3 + 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis, (quantity, sides) in zip(axes, panels.items(), strict=False):
        for side, points in sorted(sides.items()):
            steps, values = list(points), list(points.values())
            color = style.series(0 if side == "train" else 1)
            axis.plot(steps, values, color=color, label=side, linewidth=1.2, marker="." if len(steps) < 4 else "")
        everything = [value for points in sides.values() for value in points.values()]
        if min(everything) > 0 and max(everything) > _SPREAD_FOR_LOG * min(everything):
            axis.set_yscale("log")
        axis.set_title(quantity)
        axis.set_xlabel("step")
        axis.legend()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return figure
