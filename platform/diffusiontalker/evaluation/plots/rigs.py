"""A rig on one page: the head at rest, and every shape at its full extent with what it moves tinted."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.evaluation.plots.faces import SKIN_RGB, render_face, show_picture
from diffusiontalker.evaluation.plots.style import ink
from diffusiontalker.face import Rig

_TINT = np.array([0.93, 0.28, 0.16])
_MOST_TINT = 0.55
_REST_YAW_DEG, _SIDE_YAW_DEG = -18.0, -50.0
_CUT_SHARE = 0.03
"""Share of all motion that may lie outside of the picture on each side."""
_MARGIN = 0.16

_SEEN_FROM_THE_SIDE = frozenset({"cheekPuff", "jawForward", "mouthFunnel", "mouthPucker", "tongueOut"})
_SHOWN_OPEN = frozenset({"mouthClose", "tongueOut"})
"""Shapes that mean nothing while the mouth is shut."""
_OPENED = 0.6
"""jawOpen of those."""

_COLUMNS = 8
_CELL_INCHES = 1.35
_CELL_ASPECT = 0.9
"""Width of a picture over its height."""
_LABEL_INCHES = 0.3
_GAP = 0.06
"""Space between two cells, in cell widths."""
_HEAD_INCHES, _FOOT_INCHES = 0.6, 0.1
_REST_CELLS = 2
"""Cells that the picture of the head at rest is wide and high."""


def render_rig(rig: Rig, shapes: Sequence[str], *, pixels: int = 200) -> dict[str, Float[np.ndarray, "rows columns 4"]]:
    """Pictures for `draw_rig`: the head at rest under `""`, then one per shape under its label, all equally large.

    The camera is the same for all, but what moves forward is seen from the side. Tint is how far a vertex moves,
    relative to the shape's largest offset. mouthClose and tongueOut are shown with jawOpen.

    Args:
        rig: the head.
        shapes: ARKit names; one that the rig lacks is an empty picture that is labelled so.
        pixels: height of a shape's picture; the head at rest is twice as high.
    """
    bounds = _framed(rig)
    skin = np.broadcast_to(SKIN_RGB, rig.neutral.shape) if rig.colors is None else rig.colors
    width = round(_CELL_ASPECT * pixels)
    images = {"": render_face(rig.neutral, rig.triangles, colors=rig.colors, yaw_deg=_REST_YAW_DEG, pixels=2 * pixels)}
    for name in shapes:
        if name not in rig.shape_names:
            images[f"{name}\nnot in this head"] = np.zeros((pixels, width, 4), dtype=images[""].dtype)
            continue
        offsets = rig.shape_deltas[rig.shape_names.index(name)]
        lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
        tint = _MOST_TINT * np.sqrt(lengths / max(float(lengths.max()), 1e-9))
        label, posed = _posed(rig, name)
        is_side = name in _SEEN_FROM_THE_SIDE
        image = render_face(
            posed,
            rig.triangles,
            colors=skin + tint * (_TINT - skin),
            bounds=bounds,
            yaw_deg=_SIDE_YAW_DEG if is_side else 0.0,
            pixels=pixels,
        )
        images[label] = _fitted(image, width=width, is_side=is_side)
    return images


def draw_rig(images: Mapping[str, Float[np.ndarray, "rows columns 4"]], *, title: str, note: str = "") -> Figure:
    """The page: the head at rest at the top left, the shapes round it, labelled; `note` stands under the title."""
    (_, rest), *cells = images.items()
    columns = min(_COLUMNS, _REST_CELLS + max(1, -(-len(cells) // _REST_CELLS)))
    beside = _REST_CELLS * (columns - _REST_CELLS)
    rows = _REST_CELLS + max(0, -(-(len(cells) - beside) // columns))
    rows_pixels, columns_pixels = cells[0][1].shape[:2] if cells else (1, 1)
    height = (1 - _GAP) * _CELL_INCHES * rows_pixels / columns_pixels + _LABEL_INCHES
    figure = Figure(figsize=(_CELL_INCHES * columns, _HEAD_INCHES + height * rows + _FOOT_INCHES))
    unit = 1 / figure.get_figheight()
    figure.text(0.012, 1 - 0.28 * unit, title, fontsize=12, weight="bold")
    figure.text(0.012, 1 - 0.48 * unit, note, fontsize=8, color=ink(), alpha=0.75)

    def place(row: int, column: int, *, cells: int = 1) -> Axes:
        left, bottom = (column + _GAP / 2) / columns, 1 - (_HEAD_INCHES + height * (row + cells)) * unit
        return figure.add_axes((left, bottom, (cells - _GAP) / columns, (height * cells - _LABEL_INCHES) * unit))

    show_picture(place(0, 0, cells=_REST_CELLS), rest)
    free = [(row, column) for row in range(rows) for column in range(columns)
            if row >= _REST_CELLS or column >= _REST_CELLS]  # fmt: skip
    for (label, image), (row, column) in zip(cells, free, strict=False):
        ax = place(row, column)
        show_picture(ax, image)
        ax.set_title(label, fontsize=7, loc="center", pad=3)
    return figure


def _posed(rig: Rig, name: str) -> tuple[str, np.ndarray]:
    """Label and vertices of the head with one shape at 1, and the jaw open where the shape needs it."""
    offsets = rig.shape_deltas[rig.shape_names.index(name)]
    if name not in _SHOWN_OPEN or "jawOpen" not in rig.shape_names:
        return name, rig.neutral + offsets
    opened = _OPENED * rig.shape_deltas[rig.shape_names.index("jawOpen")]
    if name == "mouthClose":  # undoes jawOpen at the same weight
        offsets = _OPENED * offsets
    return f"{name} + jawOpen", rig.neutral + opened + offsets


def _framed(rig: Rig) -> np.ndarray:
    """Lowest and highest corner of where most motion is: the face without what only follows it, neck and scalp."""
    lengths = np.linalg.norm(rig.shape_deltas, axis=2)
    motion = (lengths / np.maximum(lengths.max(axis=1, keepdims=True), 1e-9)).sum(axis=0)
    if not motion.any():
        motion = np.ones(rig.num_vertices)
    corners = []
    for vertices in (rig.neutral, _with_open_jaw(rig)):
        for coordinate in vertices.T:
            order = np.argsort(coordinate)
            share = np.cumsum(motion[order]) / motion.sum()
            corners.append(coordinate[order][np.searchsorted(share, (_CUT_SHARE, 1 - _CUT_SHARE))])
    lows, highs = np.array(corners).reshape(2, 3, 2).transpose(2, 0, 1)
    low, high = lows.min(axis=0), highs.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    return np.stack([low - margin, high + margin])


def _with_open_jaw(rig: Rig) -> np.ndarray:
    if "jawOpen" not in rig.shape_names:
        return rig.neutral
    return rig.neutral + rig.shape_deltas[rig.shape_names.index("jawOpen")]


def _fitted(image: np.ndarray, *, width: int, is_side: bool) -> np.ndarray:
    """Another width: both sides get transparent columns or are cut; of a side view only the back of the head is cut."""
    missing = width - image.shape[1]
    if missing >= 0:
        return np.pad(image, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)))
    first = 0 if is_side else -missing // 2
    return image[:, first : first + width]
