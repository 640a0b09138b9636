"""Pictures of a face: a small software renderer (z-buffer, Lambert light) and figures of frames.

Vertices come from a rig (Y up, Z towards the viewer); nothing here knows shapes or channels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffusiontalker.face import MotionClip, Rig, vertex_normals

_SKIN = (0.82, 0.69, 0.61)
_LIGHTS = (((-0.45, 0.55, 0.75), 0.52), ((0.75, 0.15, 0.60), 0.26), ((0.0, -0.6, 0.8), 0.10))
_AMBIENT = 0.28
_CAMERA_DISTANCE = 4.0
"""Distance of the eye from the middle of the head, in head heights."""
_SUPERSAMPLING = 2
_CHUNK_PIXELS = 400_000
_MARGIN = 1.04


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
    ax.imshow(image, interpolation="antialiased")
    ax.set_axis_off()


def draw_face_strip(
    rig: Rig,
    clips: MotionClip | Mapping[str, MotionClip],
    times_s: Sequence[float],
    *,
    title: str | None = None,
    yaw_deg: float = 0.0,
    pixels: int = 300,
) -> Figure:
    """A figure of frames: one column per instant, one row per clip (labelled when a mapping is given).

    An instant past the end of a clip shows its last frame.
    """
    rows = clips if isinstance(clips, Mapping) else {"": clips}
    bounds = np.stack([rig.neutral.min(axis=0), rig.neutral.max(axis=0)])
    figure = Figure(figsize=(1.6 * len(times_s) + 0.4, 2.1 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(len(rows), len(times_s), squeeze=False)
    for row_axes, (label, clip) in zip(axes, rows.items(), strict=True):
        frames = np.clip(np.round(np.asarray(times_s) * clip.fps).astype(int), 0, clip.num_frames - 1)
        posed = rig.vertices(MotionClip(
            coefficients=clip.coefficients[frames], fps=clip.fps, channel_names=clip.channel_names
        ))  # fmt: skip
        for ax, vertices, time_s in zip(row_axes, posed, times_s, strict=True):
            draw_face(ax, vertices, rig.triangles, colors=rig.colors, bounds=bounds, yaw_deg=yaw_deg, pixels=pixels)
            if row_axes is axes[0]:
                ax.set_title(f"{time_s:.2f} s", fontsize=8)
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
    return np.clip((np.asarray(_SKIN) if colors is None else colors) * light[:, None] * 1.12, 0.0, 1.0)


def _rasterize(screen: np.ndarray, shaded: np.ndarray, triangles: np.ndarray, *, rows: int, columns: int) -> np.ndarray:
    """Z-buffer with colours interpolated over each triangle; (rows, columns, 4), alpha 1 where a triangle is."""
    image = np.zeros((rows * columns, 4), dtype=np.float32)
    nearest = np.full(rows * columns, -np.inf, dtype=np.float32)
    corners = screen[triangles]  # (triangles, 3, xyz)
    low = np.maximum(np.floor(corners[:, :, :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.ceil(corners[:, :, :2].max(axis=1)), [columns - 1, rows - 1]).astype(np.int64)
    spans = np.maximum(high - low + 1, 0)
    counts = spans[:, 0] * spans[:, 1]
    boundaries = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum() + _CHUNK_PIXELS, _CHUNK_PIXELS))
    for start, stop in zip(boundaries, [*boundaries[1:], len(triangles)], strict=True):
        chosen = np.arange(start, stop)
        owner = np.repeat(chosen, counts[start:stop])
        if not len(owner):
            continue
        within = np.arange(len(owner)) - np.repeat(
            np.cumsum(counts[start:stop]) - counts[start:stop], counts[start:stop]
        )
        x = low[owner, 0] + within % spans[owner, 0]
        y = low[owner, 1] + within // spans[owner, 0]
        first, second, third = corners[owner, 0], corners[owner, 1], corners[owner, 2]
        area = _cross(second - first, third - first)
        center = np.stack([x + 0.5, y + 0.5], axis=1).astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight_second = _cross(center - first[:, :2], third - first) / area
            weight_third = _cross(second - first, center - first[:, :2]) / area
        weights = np.stack([1 - weight_second - weight_third, weight_second, weight_third], axis=1)
        inside = np.nonzero((weights >= -1e-4).all(axis=1))[0]
        weights, owner, pixel = weights[inside], owner[inside], (y * columns + x)[inside]
        depth = np.einsum("pc,pc->p", weights, corners[owner, :, 2])
        order = np.argsort(depth)
        order = order[depth[order] > nearest[pixel[order]]]
        nearest[pixel[order]] = depth[order]
        image[pixel[order], :3] = np.einsum("pc,pck->pk", weights[order], shaded[triangles[owner[order]]])
        image[pixel[order], 3] = 1.0
    return image.reshape(rows, columns, 4)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
