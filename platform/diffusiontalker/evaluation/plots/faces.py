"""Pictures of a face: a small software renderer (z-buffer, Lambert light) and figures of frames.

Vertices come from a rig (Y up, Z towards the viewer); nothing here knows shapes or channels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.face import MotionClip, Rig, vertex_normals

SKIN_RGB = (0.82, 0.69, 0.61)
"""Colour of vertices that have none."""
_LIGHTS = (((-0.45, 0.55, 0.75), 0.52), ((0.75, 0.15, 0.60), 0.26), ((0.0, -0.6, 0.8), 0.10))
_AMBIENT = 0.28
_CAMERA_DISTANCE = 4.0
"""Distance of the eye from the middle of the head, in head heights."""
_SUPERSAMPLING = 2
_CHUNK_PIXELS = 50_000
_MARGIN = 1.04
_CELL_WIDTH_INCHES = 1.5


def draw_face(
    ax: Axes,
    vertices: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    *,
    colors: Float[np.ndarray, "vertices 3"] | None = None,
    bounds: Float[np.ndarray, "2 3"] | None = None,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    pixels: int = 420,
) -> None:
    """Draws one posed head into `ax`, which loses its frame and ticks.

    Args:
        ax: the axes to draw into.
        vertices: posed vertices in any unit.
        triangles: vertex indices.
        colors: RGB in [0, 1] per vertex; one skin tone when None.
        bounds: lowest and highest corner of what must stay in the picture (those of `vertices` when None):
            give those of the neutral face to keep the camera still over several frames.
        yaw_deg: turns the head to its left (positive) or right.
        pitch_deg: nods the head down (positive) or up.
        pixels: height of the picture.
    """
    image = render_face(
        vertices, triangles, colors=colors, bounds=bounds, yaw_deg=yaw_deg, pitch_deg=pitch_deg, pixels=pixels
    )
    show_picture(ax, image)


def render_face_strip(
    rig: Rig,
    clips: MotionClip | Mapping[str, MotionClip],
    times_s: Sequence[float],
    *,
    yaw_deg: float = 0.0,
    pixels: int = 300,
) -> dict[str, Float[np.ndarray, "instants rows columns 4"]]:
    """Pictures of the part of the head that moves, for `draw_face_strip`: one per clip's label and instant.

    They do not depend on the theme, and are most of the work. An instant past the end of a clip shows its last frame.
    """
    bounds = _moving_part(rig)
    strips = {}
    for label, clip in (clips if isinstance(clips, Mapping) else {"": clips}).items():
        frames = np.clip(np.round(np.asarray(times_s) * clip.fps).astype(int), 0, clip.num_frames - 1)
        posed = rig.vertices(MotionClip(
            coefficients=clip.coefficients[frames], fps=clip.fps, channel_names=clip.channel_names
        ))  # fmt: skip
        strips[label] = np.stack([
            render_face(vertices, rig.triangles, colors=rig.colors, bounds=bounds, yaw_deg=yaw_deg, pixels=pixels)
            for vertices in posed
        ])  # fmt: skip
    return strips


def draw_face_strip(
    strips: Mapping[str, Float[np.ndarray, "instants rows columns 4"]],
    times_s: Sequence[float],
    *,
    title: str | None = None,
) -> Figure:
    """A figure of frames: one column per instant, one row per strip, labelled."""
    height, width = next(iter(strips.values())).shape[1:3]
    cell_height = _CELL_WIDTH_INCHES * height / width
    size = (_CELL_WIDTH_INCHES * len(times_s) + 0.4, (cell_height + 0.1) * len(strips) + (0.7 if title else 0.4))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(strips), len(times_s), squeeze=False)
    for ax, time_s in zip(axes[0], times_s, strict=True):
        ax.set_title(f"{time_s:.2f} s", fontsize=8)
    for row_axes, (label, images) in zip(axes, strips.items(), strict=True):
        for ax, image in zip(row_axes, images, strict=True):
            show_picture(ax, image)
        row_axes[0].text(-0.04, 0.5, label, rotation=90, va="center", ha="right", transform=row_axes[0].transAxes,
                         fontsize=9)  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def render_face(
    vertices: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    *,
    colors: Float[np.ndarray, "vertices 3"] | None = None,
    bounds: Float[np.ndarray, "2 3"] | None = None,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    pixels: int = 420,
) -> Float[np.ndarray, "rows columns 4"]:
    """The picture behind `draw_face`: RGBA in [0, 1], transparent where there is no head."""
    low, high = bounds if bounds is not None else (vertices.min(axis=0), vertices.max(axis=0))
    middle, extent = (low + high) / 2, high - low
    rotation = _rotation(yaw_deg, pitch_deg)
    size = np.abs(rotation) @ extent
    rows = pixels * _SUPERSAMPLING
    columns = max(8, round(rows * float(size[0] / size[1])))

    camera = (vertices - middle) @ rotation.T / (size[1] * _MARGIN)
    shrink = (_CAMERA_DISTANCE - 0.5 * size[2] / size[1]) / (_CAMERA_DISTANCE - camera[:, 2])
    screen = np.stack(
        [columns / 2 + camera[:, 0] * shrink * rows, rows / 2 - camera[:, 1] * shrink * rows, camera[:, 2]], axis=1
    )
    shaded = _lambert(vertex_normals(camera, triangles), colors)
    image = _rasterize(screen.astype(np.float32), shaded.astype(np.float32), triangles, rows=rows, columns=columns)
    columns -= columns % _SUPERSAMPLING
    blocks = image[:, :columns].reshape(pixels, _SUPERSAMPLING, columns // _SUPERSAMPLING, _SUPERSAMPLING, 4)
    averaged = blocks.mean(axis=(1, 3))
    averaged[..., :3] /= np.maximum(averaged[..., 3:], 1e-6)
    return np.clip(averaged, 0.0, 1.0)


def show_picture(ax: Axes, image: Float[np.ndarray, "rows columns 4"]) -> None:
    """Fills `ax` with a rendered picture; it loses its frame and ticks."""
    ax.imshow(image, interpolation="antialiased")
    ax.set_axis_off()


def _moving_part(rig: Rig) -> np.ndarray:
    """Lowest and highest corner of what the shapes move, and a little more."""
    lengths = np.linalg.norm(rig.shape_deltas, axis=2)
    moved = rig.neutral[(lengths > 0.05 * lengths.max(axis=1, keepdims=True)).any(axis=0)]
    low, high = moved.min(axis=0), moved.max(axis=0)
    margin = 0.04 * (high - low)
    return np.stack([low - margin, high + margin])


def _rotation(yaw_deg: float, pitch_deg: float) -> np.ndarray:
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return nod @ turn


def _lambert(normals: np.ndarray, colors: np.ndarray | None) -> np.ndarray:
    """RGB per vertex; normals that point away are turned round, so that the inside of a mouth is lit too."""
    facing = normals * np.where(normals[:, 2:] < -0.2, -1.0, 1.0)
    light = np.full(len(normals), _AMBIENT)
    for direction, strength in _LIGHTS:
        unit = np.asarray(direction) / np.linalg.norm(direction)
        light += strength * np.clip(facing @ unit, 0.0, None)
    return np.clip((np.asarray(SKIN_RGB) if colors is None else colors) * light[:, None] * 1.12, 0.0, 1.0)


def _rasterize(screen: np.ndarray, shaded: np.ndarray, triangles: np.ndarray, *, rows: int, columns: int) -> np.ndarray:
    """Z-buffer with colours interpolated over each triangle; (rows, columns, 4), alpha 1 where a triangle is."""
    image = np.zeros((rows * columns, 4), dtype=np.float32)
    nearest = np.full(rows * columns, -np.inf, dtype=np.float32)
    corners = screen[triangles]  # (triangles, 3, xyz)
    low = np.maximum(np.floor(corners[:, :, :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.ceil(corners[:, :, :2].max(axis=1)), [columns - 1, rows - 1]).astype(np.int64)
    spans = np.maximum(high - low + 1, 0)
    counts = spans[:, 0] * spans[:, 1]  # pixels of each triangle's box
    second, third = _barycentric_planes(corners)
    boundaries = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + _CHUNK_PIXELS, _CHUNK_PIXELS))
    for start, stop in zip(boundaries, [*boundaries[1:], len(triangles)], strict=True):
        owner = np.repeat(np.arange(start, stop), counts[start:stop])
        within = np.arange(len(owner)) - np.repeat(
            np.cumsum(counts[start:stop]) - counts[start:stop], counts[start:stop]
        )
        width = spans[owner, 0]
        x, y = low[owner, 0] + within % width, low[owner, 1] + within // width
        weight_second = second[0, owner] + second[1, owner] * x + second[2, owner] * y
        weight_third = third[0, owner] + third[1, owner] * x + third[2, owner] * y
        lowest = np.minimum(np.minimum(weight_second, weight_third), 1 - weight_second - weight_third)
        inside = np.nonzero(lowest >= -1e-4)[0]
        owner, pixel = owner[inside], (y * columns + x)[inside]
        weight_second, weight_third = weight_second[inside], weight_third[inside]
        weights = np.stack([1 - weight_second - weight_third, weight_second, weight_third], axis=1)
        depth = np.einsum("pc,pc->p", weights, corners[owner, :, 2])
        order = np.argsort(depth)
        order = order[depth[order] > nearest[pixel[order]]]
        nearest[pixel[order]] = depth[order]
        image[pixel[order], :3] = np.einsum("pc,pck->pk", weights[order], shaded[triangles[owner[order]]])
        image[pixel[order], 3] = 1.0
    return image.reshape(rows, columns, 4)


def _barycentric_planes(corners: np.ndarray) -> np.ndarray:
    """(2, 3, triangles): constant, x and y parts of the weights of each triangle's second and third corner.

    They are for pixel numbers: a pixel's middle is half a pixel further. NaN for triangles without area, which
    therefore cover no pixel.
    """
    (x0, y0), (x1, y1), (x2, y2) = corners[:, :, :2].astype(np.float64).transpose(1, 2, 0)
    area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    area = np.where(area == 0, np.nan, area)
    slopes = np.array([[y2 - y0, x0 - x2], [y0 - y1, x1 - x0]]) / area  # (weight, axis, triangles)
    constants = slopes[:, 0] * (0.5 - x0) + slopes[:, 1] * (0.5 - y0)
    return np.concatenate([constants[:, None], slopes], axis=1)
