"""The skin of the built-in head as one mesh: a grid with rings of vertices round the eyes and the mouth.

The grid follows the loft of `surface`. Three rectangles of it are cut out and filled with rings that lead from the
rectangle to an eyelid's edge, or over the lips into the cavity of the mouth.
"""

import dataclasses

import numpy as np

from diffusiontalker.face.head import surface
from diffusiontalker.face.head.piece import Kind, Piece, joined, make_piece, smoothstep, strip_triangles

EYE_HALF_WIDTH = 1.40
_EYE_RINGS, _MOUTH_RINGS, _LIP_RINGS = 8, 6, 6
_EYE_COLUMNS, _EYE_ROWS = (1.2, 5.15), (2.05, -0.55)
_MOUTH_COLUMN, _MOUTH_ROWS = 3.55, (-4.5, -7.3)
# Rings inside the mouth: set back from the seam, half height, spread sideways.
_CAVITY = (
    (0.30, 0.02, 1.0), (0.62, 0.22, 1.04), (0.95, 0.75, 1.10), (1.5, 1.3, 1.16), (2.4, 1.55, 1.18), (3.6, 1.35, 1.1),
    (4.8, 0.8, 0.8), (5.4, 0.05, 0.5),
)  # fmt: skip


def seam(x: np.ndarray) -> np.ndarray:
    """The y of the line where the closed lips meet."""
    share = np.clip(x / surface.MOUTH_HALF_WIDTH, -1.2, 1.2)
    return surface.MOUTH_Y + 0.10 * share**2 - 0.07 * np.exp(-((share / 0.22) ** 2))


def lip_border(x: np.ndarray, *, upper: bool) -> np.ndarray:
    """The y of the vermilion border, where lip meets skin."""
    share = np.clip(np.abs(x) / surface.MOUTH_HALF_WIDTH, 0.0, 1.0)
    if upper:
        arch = 0.72 * (1 - share**1.7) ** 0.95 + 0.06 * np.exp(-(((share - 0.2) / 0.12) ** 2))
        return surface.MOUTH_Y + 0.10 * share**2 + arch - 0.10 * np.exp(-((share / 0.1) ** 2))
    return surface.MOUTH_Y + 0.10 * share**2 - 0.92 * (1 - share**2.6) ** 0.85


def lid_edge(offset: np.ndarray, *, upper: bool) -> np.ndarray:
    """The y of a lid's edge relative to the eye's middle; `offset` is x from it, growing towards the ear."""
    share = np.clip(offset / EYE_HALF_WIDTH, -1.0, 1.0)
    tilt = 0.07 * share
    if upper:
        return tilt + 0.46 * (1 - np.abs(share + 0.10 * (1 - share**2)) ** 2.3) ** 0.9
    return tilt - 0.42 * (1 - np.abs(share - 0.14 * (1 - share**2)) ** 2.2)


def build_skin() -> Piece:
    """The skin with eye openings, lips and mouth cavity."""
    columns, stations = _columns(), _stations()
    azimuth, station = (plane.ravel() for plane in np.meshgrid(columns, stations))
    grid = _with_relief(surface.loft(azimuth, station), azimuth)
    index = np.arange(len(grid)).reshape(len(stations), len(columns))

    holes = _holes(columns, stations)
    keep_cell = np.ones((len(stations) - 1, len(columns)), dtype=bool)
    keep_vertex = np.ones(index.shape, dtype=bool)
    keep_vertex[0, 1:] = False
    for (top, bottom), (first, last) in holes:
        keep_cell[top:bottom, first:last] = False
        keep_vertex[top + 1 : bottom, first + 1 : last] = False

    loops = [_hole_loop(index, rows, columns) for rows, columns in holes]
    patches = [
        _mouth_patch(grid[loops[0]]),
        _eye_patch(grid[loops[1]], side=1.0),
        _eye_patch(grid[loops[2]], side=-1.0),
    ]
    front = make_piece(grid, _grid_triangles(index, keep_cell), kind=Kind.FACE)
    return _compacted(_filled(front, loops, patches), keep_vertex.ravel())


def _holes(columns: np.ndarray, stations: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(top row, bottom row), (first column, last column) of the mouth, the left and the right eye."""
    middle = len(columns) // 2 - 1
    row_y = surface.loft(np.zeros(len(stations)), stations)[:, 1]
    column_x = surface.loft(columns[middle:-8], np.full(len(columns) - 8 - middle, 7.5))[:, 0]

    def rows(highest: float, lowest: float) -> tuple[int, int]:
        top, bottom = int(np.argmin(np.abs(row_y - highest))), int(np.argmin(np.abs(row_y - lowest)))
        return top, bottom + (bottom - top) % 2

    reach = int(np.argmin(np.abs(column_x - _MOUTH_COLUMN)))
    near, far = (int(np.argmin(np.abs(column_x - x))) for x in _EYE_COLUMNS)
    return [
        (rows(*_MOUTH_ROWS), (middle - reach, middle + reach)),
        (rows(*_EYE_ROWS), (middle + near, middle + far)),
        (rows(*_EYE_ROWS), (middle - far, middle - near)),
    ]


def _columns() -> np.ndarray:
    """Azimuths round the head, fine in front, with the middle of the face as the central one."""
    x = np.concatenate([np.arange(0, 2.05, 0.2), np.arange(2.3, 5.4, 0.285), [5.75, 6.15, 6.5, 6.8]])
    front = np.arcsin((x / 7.0) ** 1.1)
    back = np.radians([86, 98, 110, 122, 135, 150, 165])
    half = np.concatenate([front[1:], back])
    return np.concatenate([-half[::-1], [0.0], half, [np.pi]])


def _stations() -> np.ndarray:
    """Rows from crown to shoulders, fine from the brows to the chin, finest under the nose."""
    y = np.concatenate([
        [11.8, 11.62, 11.2, 10.5, 9.6, 8.6, 7.6, 6.7, 5.9, 5.2, 4.6, 4.1, 3.7, 3.35], np.arange(3.05, -2.2, -0.27),
        np.arange(-2.3, -2.8, -0.2), np.arange(-2.85, -3.95, -0.11), np.arange(-4.0, -4.4, -0.2),
        np.arange(-4.5, -10.0, -0.28), [-10.1, -10.35, -10.55, -10.7, -10.85, -11.0, -11.2, -11.6, -12.2, -12.9],
        [-13.6, -14.2, -14.8, -15.4, -16.0, -16.6, -17.2, -17.8],
    ])  # fmt: skip
    numbers = np.arange(surface.NUM_STATIONS, dtype=float)
    fine = np.linspace(0, surface.NUM_STATIONS - 1, 4000)
    front_y = surface.cubic_interpolation(numbers, surface._STATIONS[:, 0], fine)
    return np.interp(-y, -front_y, fine)


def _with_relief(smooth: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    share = smoothstep((smooth[:, 2] - 1.5) / 3.5) * (np.cos(azimuth) > 0) * smoothstep((smooth[:, 1] + 11.2) / 1.0)
    chosen = share > 0
    raised = smooth.copy()
    depth = surface.skin_depth(smooth[chosen, 0], smooth[chosen, 1], bare=smooth[chosen, 2])
    raised[chosen, 2] += share[chosen] * (depth - smooth[chosen, 2])
    return raised


def _grid_triangles(index: np.ndarray, keep: np.ndarray) -> np.ndarray:
    wrapped = np.concatenate([index, index[:, :1]], axis=1)
    wrapped[0] = wrapped[0, 0]
    a, b, c, d = wrapped[:-1, :-1], wrapped[:-1, 1:], wrapped[1:, 1:], wrapped[1:, :-1]
    # Diagonals mirror at the middle column, so that the mesh is symmetric.
    half = np.arange(a.shape[1])[None, :] >= a.shape[1] // 2 - 1
    one = np.where(half[..., None], np.stack([a, d, c], -1), np.stack([a, d, b], -1))
    two = np.where(half[..., None], np.stack([a, c, b], -1), np.stack([d, c, b], -1))
    triangles = np.concatenate([one[keep], two[keep]])
    distinct = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2])
    return triangles[distinct & (triangles[:, 0] != triangles[:, 2])]


def _hole_loop(index: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Vertices round a hole: from the middle of the +X side over the top to -X and back below."""
    (top, bottom), (first, last) = rows, columns
    center = (top + bottom) // 2
    return np.concatenate([
        index[center:top:-1, last], index[top, last:first:-1], index[top:bottom, first],
        index[bottom, first:last], index[bottom:center:-1, last],
    ])  # fmt: skip


def _around(half: int, width: float) -> np.ndarray:
    """The x of `2 * half` points of a contour: from +width over the upper half to -width and back."""
    upper = np.cos(np.pi * np.arange(half) / half)
    return width * np.concatenate([upper, -upper])


def _eye_patch(loop: np.ndarray, *, side: float) -> Piece:
    """Rings from the hole's loop to the edge of the lids, over it, and behind to the eyeball."""
    half = len(loop) // 2
    x = _around(half, EYE_HALF_WIDTH)
    upper = np.arange(2 * half) < half
    edge_y = np.where(upper, lid_edge(x * side, upper=True), lid_edge(x * side, upper=False))
    center = surface.EYE_CENTER * [side, 1, 1]
    edge = np.stack([center[0] + x, center[1] + edge_y], axis=1)
    charts, vertices, kinds, depths = [], [], [], [0.0] * _EYE_RINGS
    for ring in range(1, _EYE_RINGS + 1):
        share = 1 - (1 - ring / _EYE_RINGS) ** 1.5
        flat = loop[:, :2] + share * (edge - loop[:, :2])
        charts.append(flat)
        vertices.append(np.column_stack([flat, surface.skin_depth(flat[:, 0], flat[:, 1])]))
        kinds.append(Kind.LASH if ring == _EYE_RINGS else Kind.LID)
    for radius, growth, back in ((surface.EYE_RADIUS + 0.02, 1.0, 0.0), (surface.EYE_RADIUS - 0.10, 1.12, 0.12)):
        flat = center[:2] + (edge - center[:2]) * [1.0, growth]
        behind = np.sqrt(np.maximum(radius**2 - ((flat - center[:2]) ** 2).sum(axis=1), 0.04))
        charts.append(edge)
        vertices.append(np.column_stack([flat, center[2] + behind - back]))
        kinds.append(Kind.LASH)
        depths.append(-1.0)
    return _rings(charts, vertices, kinds, depths=depths, lower=np.where(upper, 0.0, 1.0))


def _mouth_patch(loop: np.ndarray) -> Piece:
    """Rings from the hole's loop to the lips' border, over the lips to their seam, and into the cavity."""
    half = len(loop) // 2
    upper = np.arange(2 * half) < half
    across = _around(half, 1.0)
    corner = 1 - np.abs(across) ** 3
    seam_x = across * surface.MOUTH_HALF_WIDTH
    border_y = np.where(upper, lip_border(seam_x, upper=True), lip_border(seam_x, upper=False))
    border = np.stack([seam_x + 0.14 * across, border_y], axis=1)
    seam_line = np.stack([seam_x, seam(seam_x)], axis=1)
    charts, vertices, kinds, depths = [], [], [], []
    for ring in range(1, _MOUTH_RINGS + 1):
        share = 1 - (1 - ring / _MOUTH_RINGS) ** 1.25
        flat = loop[:, :2] + share * (border - loop[:, :2])
        charts.append(flat)
        vertices.append(np.column_stack([flat, surface.skin_depth(flat[:, 0], flat[:, 1])]))
        kinds.append(Kind.LIP if ring == _MOUTH_RINGS else Kind.FACE)
        depths.append(0.0)
    fullness = np.where(upper, 0.34, 0.46) * corner
    for share in np.arange(1, _LIP_RINGS + 1) / _LIP_RINGS:
        flat = border + share**0.85 * (seam_line - border)
        bulge = fullness * np.sin(np.pi * share**0.8) + 0.08 * corner * share - 0.16 * (1 - corner) * share
        charts.append(flat)
        vertices.append(np.column_stack([flat, surface.skin_depth(flat[:, 0], flat[:, 1]) + bulge]))
        kinds.append(Kind.LIP)
        depths.append(share)
    front = vertices[-1][:, 2]
    height_of = np.where(upper, 1.0, -1.0) * np.sqrt(np.maximum(1 - across**2, 0.0))
    for step, (back, height, spread) in enumerate(_CAVITY):
        charts.append(seam_line)
        vertices.append(np.column_stack([seam_x * spread, seam_line[:, 1] + height * height_of, front - back]))
        kinds.append(Kind.LIP if step == 0 else Kind.CAVITY)
        depths.append(1.0 + back)
    lower = np.where(upper, 0.0, 1.0)
    lower[[0, half]] = 0.5
    return _rings(charts, vertices, kinds, depths=depths, lower=lower)


def _rings(
    charts: list[np.ndarray], vertices: list[np.ndarray], kinds: list[Kind], *, depths: list[float], lower: np.ndarray
) -> Piece:
    """Rings joined to each other and, first of all, to the hole's loop, whose vertices stand before theirs."""
    count = len(lower)
    return make_piece(
        np.concatenate(vertices), strip_triangles(len(vertices) + 1, count, closed=True)[:, ::-1],
        chart=np.concatenate(charts), kind=np.repeat(kinds, count), depth=np.repeat(np.asarray(depths), count),
        lower=np.tile(lower, len(vertices)),
    )  # fmt: skip


def _filled(grid: Piece, loops: list[np.ndarray], patches: list[Piece]) -> Piece:
    """The grid with its holes filled."""
    whole = joined([grid, *patches])
    start = len(grid.vertices)
    triangles = [grid.triangles]
    for loop, patch in zip(loops, patches, strict=True):
        lookup = np.concatenate([loop, start + np.arange(len(patch.vertices))])
        triangles.append(lookup[patch.triangles])
        start += len(patch.vertices)
    return dataclasses.replace(whole, triangles=np.concatenate(triangles))


def _compacted(piece: Piece, keep_first: np.ndarray) -> Piece:
    """Without the grid vertices that the holes and the crown swallowed."""
    keep = np.concatenate([keep_first, np.ones(len(piece.vertices) - len(keep_first), dtype=bool)])
    triangles = (np.cumsum(keep) - 1)[piece.triangles]
    fields = ("vertices", "chart", "kind", "lower", "depth", "shade")
    return Piece(triangles=triangles, **{field: getattr(piece, field)[keep] for field in fields})
