"""One number per ARKit channel: the main system as bars, what it is compared with as markers."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots import style
from diffusiontalker.face.arkit import CHANNELS, LIP_CHANNELS

_MARKERS = "DosX^v"


def draw_channel_bars(
    values: Mapping[str, Mapping[str, float | None]], *, quantity: str, missing: Collection[str] = ()
) -> Figure:
    """Mouth and jaw channels at the left, the rest at the right, longest bar first.

    Args:
        values: system -> channel -> number (None is left out); the first system gets the bars.
        quantity: what the horizontal axis shows, with its unit.
        missing: channels that the corpus lacks; they are marked.
    """
    main = next(iter(values.values()))
    lips = {CHANNELS[index] for index in LIP_CHANNELS}
    names = sorted(main, key=lambda name: -(main[name] or 0.0))
    sides = [[name for name in names if name in lips], [name for name in names if name not in lips]]
    height = 1.2 + 0.21 * max(len(side) for side in sides)
    figure = Figure(figsize=(11.0, height), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    others = "brows, eyes, cheeks, nose" + (", tongue" if "tongueOut" in names else "")
    for axis, side, title in zip(axes, sides, ("mouth and jaw", others), strict=True):
        _fill(axis, side, values)
        axis.set_yticks(range(len(side)), [style.marked(name, missing) for name in side])
        axis.set_title(title)
        axis.set_xlabel(quantity + (f" ({style.MISSING})" if any(name in missing for name in side) else ""))
    handles, labels = axes[0].get_legend_handles_labels()
    order = [len(labels) - 1, *range(len(labels) - 1)]
    figure.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside upper left", ncols=len(labels))
    return figure


def _fill(axis: Axes, names: Sequence[str], values: Mapping[str, Mapping[str, float | None]]) -> None:
    rows = range(len(names))
    for number, (system, numbers) in enumerate(values.items()):
        lengths = [numbers.get(name) for name in names]
        if number == 0:
            axis.barh(rows, [length or 0.0 for length in lengths], color=style.series(0), height=0.72, label=system)
            continue
        known = [(length, row) for row, length in zip(rows, lengths, strict=True) if length is not None]
        axis.plot(
            [length for length, _ in known], [row for _, row in known], label=system, linestyle="none", markersize=4.5,
            marker=_MARKERS[(number - 1) % len(_MARKERS)], color=style.series(number),
            markeredgecolor=style.paper(), markeredgewidth=0.6,
        )  # fmt: skip
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
