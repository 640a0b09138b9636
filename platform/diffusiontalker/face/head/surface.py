"""The bare surface of the built-in head: a loft through three outlines, and the relief of the face on it.

Centimetres; origin midway between the ears, Y up, Z out of the face, the character's left at +X. A point of the loft
is addressed by (azimuth, station): azimuth 0 in front, pi/2 at the left ear, pi behind; station 0 at the crown, growing
downwards. All numbers were modelled for this project by eye on the proportions that drawing lessons teach.
"""

import numpy as np
from jaxtyping import Float

# One row per station: front (y, z), side (half width, y, z), back (y, z), roundness of the front quarter.
_STATIONS = np.array([
    # front          side                    back             round
    (11.80, 0.00,    0.00, 11.80, 0.00,      11.80, 0.00,     2.0),
    (11.50, 2.70,    2.60, 11.40, -0.60,     11.20, -3.80,    2.0),
    (10.55, 5.40,    4.75, 10.35, -0.80,     9.60, -6.60,     2.05),
    (8.85, 7.50,     6.25, 8.50, -1.00,      7.20, -8.60,     2.1),
    (6.60, 8.80,     6.95, 6.20, -1.00,      4.60, -9.50,     2.2),
    (4.40, 9.35,     7.10, 3.90, -0.80,      2.00, -9.65,     2.3),
    (2.60, 9.50,     6.95, 2.10, -0.50,      0.00, -9.30,     2.35),
    (1.00, 9.20,     6.80, 0.50, -0.20,      -1.80, -8.60,    2.3),
    (-1.00, 9.20,    6.72, -1.20, 0.00,      -3.40, -7.70,    2.2),
    (-3.00, 9.40,    6.52, -2.70, 0.20,      -4.80, -6.95,    2.1),
    (-4.60, 9.55,    6.28, -4.00, 0.30,      -6.00, -6.50,    2.0),
    (-6.00, 9.50,    6.05, -5.00, 0.30,      -7.00, -6.25,    1.98),
    (-7.40, 9.15,    5.78, -5.95, 0.10,      -7.90, -6.15,    1.96),
    (-8.80, 9.05,    5.50, -6.80, -0.20,     -8.70, -6.15,    1.95),
    (-9.90, 8.60,    5.28, -7.60, -0.60,     -9.40, -6.20,    1.95),
    (-10.50, 7.40,   5.10, -8.40, -1.00,     -10.10, -6.25,   1.92),
    (-10.85, 5.60,   5.02, -9.30, -1.30,     -10.80, -6.35,   1.95),
    (-11.50, 4.20,   5.02, -10.50, -1.50,    -11.60, -6.45,   2.0),
    (-13.00, 3.75,   5.25, -12.40, -1.60,    -12.90, -6.65,   2.0),
    (-14.60, 3.80,   6.10, -14.10, -1.80,    -14.20, -7.10,   2.0),
    (-16.20, 4.30,   8.10, -15.50, -2.10,    -15.50, -7.80,   2.0),
    (-17.80, 5.20,   11.50, -16.60, -2.40,   -16.80, -8.60,   2.1),
])  # fmt: skip
NUM_STATIONS = len(_STATIONS)

EYE_CENTER = np.array([3.15, 0.75, 7.25])
"""Middle of the left eyeball; the right one is its mirror image."""
EYE_RADIUS = 1.32
LID_RADIUS = 1.50

MOUTH_HALF_WIDTH = 2.55
MOUTH_Y = -5.85


def loft(azimuth: Float[np.ndarray, " points"], station: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points 3"]:
    """Points of the smooth head: no nose, no eye sockets, no lips."""
    knots = np.arange(NUM_STATIONS, dtype=float)
    front_y, front_z, width, side_y, side_z, back_y, back_z, roundness = cubic_interpolation(
        knots, _STATIONS, station
    ).T
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    in_front = cosine >= 0
    power = 2.0 / np.where(in_front, roundness, 2.0)
    across = np.sign(sine) * np.abs(sine) ** power
    along = np.abs(cosine) ** power
    depth = np.where(in_front, front_z, back_z)
    height = np.where(in_front, front_y, back_y)
    share = np.abs(cosine) ** 1.6
    return np.stack([width * across, side_y + (height - side_y) * share, side_z + (depth - side_z) * along], axis=1)


def chart(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> tuple[np.ndarray, np.ndarray]:
    """(azimuth, station) of the points of the front half that are seen at (x, y): the inverse of `loft`, by Newton."""
    azimuth = np.arcsin(np.clip(x / 7.5, -0.95, 0.95))
    station = np.interp(-y, -_STATIONS[:, 0], np.arange(NUM_STATIONS, dtype=float))
    step = 1e-4
    for _ in range(6):
        here = loft(azimuth, station)
        along_azimuth = (loft(azimuth + step, station) - here) / step
        along_station = (loft(azimuth, station + step) - here) / step
        missing = np.stack([x, y], axis=1) - here[:, :2]
        determinant = along_azimuth[:, 0] * along_station[:, 1] - along_azimuth[:, 1] * along_station[:, 0]
        determinant = np.where(np.abs(determinant) < 1e-6, 1e-6, determinant)
        turn = (missing[:, 0] * along_station[:, 1] - missing[:, 1] * along_station[:, 0]) / determinant
        descend = (along_azimuth[:, 0] * missing[:, 1] - along_azimuth[:, 1] * missing[:, 0]) / determinant
        azimuth = np.clip(azimuth + np.clip(turn, -0.3, 0.3), -1.45, 1.45)
        station = np.clip(station + np.clip(descend, -1.0, 1.0), 0.05, NUM_STATIONS - 1.0)
    return azimuth, station


def bare_depth(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """The z of the smooth head in front, at frontal positions (x, y)."""
    return loft(*chart(x, y))[:, 2]


def relief(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """What the face adds to the smooth head, in z: sockets, brow ridge, nose, cheekbones, muzzle, chin."""
    side = np.abs(x)
    total = (
        -0.85 * _hill(side, y, (3.0, 1.25), (1.75, 0.85))  # socket
        - 0.40 * _hill(side, y, (1.55, 0.9), (0.65, 0.9))
        + 0.14 * _hill(side, y, (3.7, 1.75), (1.4, 0.45))  # fold over the upper lid
        + 0.30 * _hill(side, y, (4.0, -0.55), (1.2, 0.55))  # below the lower lid
        + 0.16 * _hill(side, y, (4.85, 0.05), (0.8, 1.0))  # beside the eye
        + 0.36 * _hill(side, y, (2.6, 2.65), (2.2, 0.60))  # brow ridge
        + 0.30 * _hill(side, y, (0.0, 2.9), (1.2, 0.8))
        + 0.40 * _hill(side, y, (4.6, -1.3), (1.6, 1.3))  # cheekbone
        + 0.22 * _hill(side, y, (3.0, -2.2), (1.5, 1.3))
        - 0.22 * _hill(side, y, (4.9, -4.6), (1.4, 1.9))  # below it
        + 0.55 * _hill(side, y, (0.0, MOUTH_Y + 0.2), (2.7, 1.75))  # muzzle
        - 0.20 * _hill(side, y, (2.85, MOUTH_Y - 0.05), (0.5, 0.55))  # corners of the mouth
        - 0.40 * _hill(side, y, (0.0, -7.45), (1.7, 0.5))
        + 0.50 * _hill(side, y, (0.0, -8.95), (1.75, 1.05))  # chin
        - 0.11 * _hill(side, y, (0.0, -4.40), (0.28, 0.60))  # philtrum
        + 0.05 * _hill(side, y, (0.50, -4.50), (0.24, 0.60))
    )
    fold_x = 1.75 + 0.30 * (-3.0 - y)
    fold = np.exp(-(((side - fold_x) / 0.45) ** 2)) * np.exp(-(((y + 4.0) / 1.0) ** 2))
    return total - 0.12 * fold + nose(side, y)


def nose(side: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """The nose alone: bridge, tip and wings as a height over the face; `side` is |x|."""
    ridge_y = np.array([2.8, 1.9, 1.0, 0.0, -1.0, -2.0, -2.6, -3.0, -3.35, -3.7, -4.1, -4.6])
    ridge_z = np.array([0.0, 0.18, 0.42, 0.92, 1.46, 1.94, 2.00, 1.70, 1.18, 0.58, 0.14, 0.0])
    ridge_w = np.array([0.9, 0.80, 0.72, 0.78, 0.88, 0.98, 1.02, 1.00, 0.92, 0.90, 0.80, 0.8])
    position = np.clip(-y, -ridge_y[0], -ridge_y[-1])
    height = cubic_interpolation(-ridge_y, ridge_z, position)
    width = cubic_interpolation(-ridge_y, ridge_w, position)
    bridge = height * np.exp(-((side / width) ** 2) * 0.9) * np.where((y < ridge_y[0]) & (y > ridge_y[-1]), 1.0, 0.0)
    tip = 0.32 * _hill(side, y, (0.0, -2.55), (0.85, 0.75))
    wing = 1.15 * _hill(side, y, (1.26, -3.02), (0.46, 0.46)) - 0.22 * _hill(side, y, (0.86, -2.66), (0.20, 0.45))
    return bridge + tip + wing


def skin_depth(
    x: Float[np.ndarray, " points"],
    y: Float[np.ndarray, " points"],
    *,
    bare: Float[np.ndarray, " points"] | None = None,
) -> Float[np.ndarray, " points"]:
    """The z of the skin in front: smooth head + relief, with the lids draped over the eyeballs (no lips).

    `bare` saves the work of `bare_depth` where it is known.
    """
    skin = (bare_depth(x, y) if bare is None else bare) + relief(x, y)
    offset_x, offset_y = np.abs(x) - EYE_CENTER[0], y - EYE_CENTER[1]
    squared = LID_RADIUS**2 - offset_x**2 - offset_y**2
    ball = EYE_CENTER[2] + np.where(squared > 0, np.sqrt(np.maximum(squared, 0)), squared)
    return soft_maximum(skin, ball, 0.95)


def soft_maximum(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """The larger of two heights, with the edge where they cross rounded over about `width`."""
    overlap = np.maximum(width - np.abs(first - second), 0.0) / width
    return np.maximum(first, second) + overlap**2 * width / 4


def cubic_interpolation(
    knots: Float[np.ndarray, " knots"], values: Float[np.ndarray, "knots *columns"], at: Float[np.ndarray, " points"]
) -> Float[np.ndarray, "points *columns"]:
    """Catmull-Rom (cubic Hermite, central differences) through `values` at increasing `knots`; ends held."""
    slopes = np.gradient(values, knots, axis=0)
    cell = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    width = knots[cell + 1] - knots[cell]
    share = np.clip((at - knots[cell]) / width, 0.0, 1.0)
    square, cube = share**2, share**3
    weights = (
        2 * cube - 3 * square + 1, 3 * square - 2 * cube, (cube - 2 * square + share) * width, (cube - square) * width
    )  # fmt: skip
    columns = (values[cell], values[cell + 1], slopes[cell], slopes[cell + 1])
    return sum((column.T * weight).T for weight, column in zip(weights, columns, strict=True))  # type: ignore[return-value]


def _hill(x: np.ndarray, y: np.ndarray, center: tuple[float, float], widths: tuple[float, float]) -> np.ndarray:
    return np.exp(-(((x - center[0]) / widths[0]) ** 2) - ((y - center[1]) / widths[1]) ** 2)
