"""Jaw, mouth, cheek and tongue shapes of the built-in head: displacements in cm at coefficient 1."""

from collections.abc import Callable

import numpy as np

from diffusiontalker.face.head import surface
from diffusiontalker.face.head.coordinates import Coordinates
from diffusiontalker.face.head.piece import Kind, smoothstep

_JAW_PIVOT = (-3.4, 0.6)
"""(y, z) of the axis the jaw turns about: lower than the joint, because the real jaw also glides forward."""
_JAW_OPEN_DEG = 15.5
_CLOSING_SHARE_OF_LOWER_LIP = 0.75

SIDES = (("Left", 1.0), ("Right", -1.0))


def lower_face_shapes(at: Coordinates) -> dict[str, np.ndarray]:
    """Name -> (vertices, 3) for the jaw, mouth, cheekPuff and tongue shapes."""
    jaw = _jaw_share(at)
    shapes = {
        "jawOpen": jaw[:, None] * _turned_jaw(at) + at.slid(-0.07 * at.x * at.round_lips(1.2), 0.0),
        "jawForward": jaw[:, None] * [0.0, 0.0, 0.85],
        "jawLeft": at.slid(0.95 * jaw, -0.05 * jaw) * [1, 1, 0.4],
        "jawRight": at.slid(-0.95 * jaw, -0.05 * jaw) * [1, 1, 0.4],
        "mouthClose": _closed_mouth(at),
        "mouthFunnel": _funnel(at),
        "mouthPucker": _pucker(at),
        "mouthRollLower": _rolled(at, upper=False),
        "mouthRollUpper": _rolled(at, upper=True),
        "mouthShrugLower": _shrug_lower(at),
        "mouthShrugUpper": _shrug_upper(at),
        "cheekPuff": _puffed_cheeks(at),
        "tongueOut": _tongue_out(at),
        "mouthLeft": _sideways(at, 1.0),
        "mouthRight": _sideways(at, -1.0),
    }
    one_sided: dict[str, Callable[[Coordinates, float], np.ndarray]] = {
        "mouthSmile": _smile, "mouthFrown": _frown, "mouthDimple": _dimple, "mouthStretch": _stretch,
        "mouthPress": _press, "mouthLowerDown": _lower_down, "mouthUpperUp": _upper_up,
    }  # fmt: skip
    return shapes | {name + label: shape(at, side) for name, shape in one_sided.items() for label, side in SIDES}


def _jaw_share(at: Coordinates) -> np.ndarray:
    """How far each vertex goes with the jaw: 1 for chin, lower lip and teeth, 0 from the nose upwards."""
    _, y, z = at.head.vertices.T
    share = (1 - at.upper) * np.exp(-((np.maximum(at.above_seam, 0) / 1.9) ** 2))
    share = share * smoothstep((z + 1.0) / 5.5) * smoothstep((y + 12.6) / 2.6)
    share = np.where(at.head.kind == Kind.CAVITY, (1 - at.upper) * (1 - smoothstep((at.inward - 3.8) / 1.0)), share)
    share = np.where(at.is_skin, share, 0.0)
    share[np.isin(at.head.kind, (Kind.LOWER_TEETH, Kind.TONGUE))] = 1.0
    return share


def _turned_jaw(at: Coordinates, place: np.ndarray | None = None) -> np.ndarray:
    """Displacement of a point that turns fully with the jaw."""
    place = at.head.vertices if place is None else place
    angle = np.radians(_JAW_OPEN_DEG)
    y, z = place[:, 1] - _JAW_PIVOT[0], place[:, 2] - _JAW_PIVOT[1]
    turned_y, turned_z = y * np.cos(angle) - z * np.sin(angle), y * np.sin(angle) + z * np.cos(angle)
    return np.stack([np.zeros_like(y), turned_y - y, turned_z - z], axis=1)


def _closed_mouth(at: Coordinates) -> np.ndarray:
    """Takes back what jawOpen does to the lips: with both at 1 they meet again, the upper one coming a quarter."""
    x = _within_mouth(at.x)
    depth = surface.bare_depth(x, at.y * 0 + surface.MOUTH_Y) + 0.5
    seam_point = np.stack([x, np.full_like(x, surface.MOUTH_Y), depth], axis=1)
    opening = np.abs(2 * at.upper - 1)[:, None] * _turned_jaw(at, seam_point)
    is_lower = at.above_seam < 0
    is_lower = np.where(np.abs(at.above_seam) < 1e-3, at.head.lower > 0.5, is_lower)
    share = np.where(is_lower, -_CLOSING_SHARE_OF_LOWER_LIP, 1 - _CLOSING_SHARE_OF_LOWER_LIP)
    fade = np.exp(-((at.beyond_lips / np.where(is_lower, 1.7, 0.9)) ** 2) - (at.inward / 2.2) ** 2) * at.front
    return (share * fade)[:, None] * opening


def _funnel(at: Coordinates) -> np.ndarray:
    lips, near = at.round_lips(1.5), at.round_lips(0.8)
    signed = 2 * at.upper - 1
    up = near * np.where(signed > 0, 0.28, 0.36) * signed
    flare = 0.22 * near * np.abs(signed) * np.clip(at.head.depth, 0, 1)
    return at.slid(-0.32 * _within_mouth(at.x) * lips, up, 0.70 * lips * _rounded(at) + flare)


def _pucker(at: Coordinates) -> np.ndarray:
    lips = at.round_lips(1.6)
    return at.slid(
        -0.44 * _within_mouth(at.x) * lips, 0.16 * at.above_seam * at.round_lips(0.7), 0.85 * lips * _rounded(at)
    )


def _within_mouth(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -surface.MOUTH_HALF_WIDTH, surface.MOUTH_HALF_WIDTH)


def _rounded(at: Coordinates) -> np.ndarray:
    """1 in the middle of the mouth, less at the corners."""
    return 1 - 0.35 * np.clip(np.abs(at.x) / surface.MOUTH_HALF_WIDTH, 0, 1) ** 2


def _rolled(at: Coordinates, *, upper: bool) -> np.ndarray:
    """One lip curls in over its teeth."""
    share = smoothstep(2 * at.upper - 1) if upper else smoothstep(1 - 2 * at.upper)
    lip = at.round_lips(0.45) * share * (at.head.kind != Kind.BROW)
    inwards = 0.16 + 0.34 * np.clip(at.head.depth, 0, 1)
    return at.slid(0.0, (-0.26 if upper else 0.26) * lip, -inwards * lip)


def _shrug_lower(at: Coordinates) -> np.ndarray:
    lower = 1 - at.upper
    up = 0.46 * at.round_lips(1.2) * (0.42 + 0.58 * lower) * _rounded(at)
    chin = at.hill((0.0, -8.4), (1.7, 1.3), side=1.0)
    return at.slid(0.0, up + 0.34 * chin, (0.30 * at.round_lips(0.7) * lower) + 0.12 * chin)


def _shrug_upper(at: Coordinates) -> np.ndarray:
    up = 0.36 * at.round_lips(1.0) * (0.62 + 0.38 * at.upper) * _rounded(at)
    return at.slid(0.0, up, 0.24 * at.round_lips(0.7) * (0.3 + 0.7 * at.upper))


def _puffed_cheeks(at: Coordinates) -> np.ndarray:
    out = sum(at.hill((4.3, -5.1), (1.9, 2.0), side=side) * side for _, side in SIDES)
    middle = at.hill((0.0, -5.9), (3.2, 1.5), side=1.0)
    return np.stack([0.75 * out, np.zeros_like(out), 0.62 * np.abs(out) + 0.16 * middle], axis=1)


def _tongue_out(at: Coordinates) -> np.ndarray:
    """The tongue reaches out and down, and the lips make way for it."""
    share = np.where(at.head.kind == Kind.TONGUE, at.head.depth, 0.0)
    signed, near = 2 * at.upper - 1, at.round_lips(0.8)
    middle = np.exp(-((at.x / 1.7) ** 2))
    lips = at.slid(0.0, near * middle * signed * np.where(signed > 0, 0.10, 0.62), 0.06 * near * middle)
    thin = -0.30 * (at.head.vertices[:, 1] - (surface.MOUTH_Y - 0.95)) * share
    down = 0.55 * share - 1.25 * smoothstep((share - 0.5) / 0.5) + thin
    narrow = -0.22 * at.head.vertices[:, 0] * share
    return lips + np.stack([narrow, np.where(share > 0, down, 0.0), 3.6 * share**1.1], axis=1)


def _sideways(at: Coordinates, side: float) -> np.ndarray:
    lips = at.round_lips(1.7)
    return at.slid(0.95 * side * lips, 0.10 * lips * (2 * at.on_side(side) - 1))


def _corner(at: Coordinates, side: float, radius: float) -> np.ndarray:
    """1 at a corner of the mouth."""
    return at.hill((surface.MOUTH_HALF_WIDTH, surface.MOUTH_Y + 0.1), (radius, radius), side=side)


def _smile(at: Coordinates, side: float) -> np.ndarray:
    corner, cheek = _corner(at, side, 1.65), at.hill((4.1, -2.7), (1.5, 1.5), side=side)
    fold = at.hill((3.2, -4.6), (0.5, 1.1), side=side)
    return at.slid(side * (0.58 * corner + 0.10 * cheek), 0.82 * corner + 0.30 * cheek,
                   0.24 * cheek - 0.12 * fold - 0.10 * corner)  # fmt: skip


def _frown(at: Coordinates, side: float) -> np.ndarray:
    corner = _corner(at, side, 1.9)
    return at.slid(side * 0.12 * corner, -0.72 * corner, -0.04 * corner)


def _dimple(at: Coordinates, side: float) -> np.ndarray:
    pit = at.hill((3.15, surface.MOUTH_Y + 0.15), (0.65, 0.8), side=side)
    corner = _corner(at, side, 1.4)
    return at.slid(side * 0.48 * corner, 0.10 * corner, -0.30 * pit - 0.06 * corner)


def _stretch(at: Coordinates, side: float) -> np.ndarray:
    corner = _corner(at, side, 1.9)
    jowl = at.hill((3.2, -7.6), (1.4, 1.3), side=side)
    return at.slid(side * (0.85 * corner + 0.15 * jowl), -0.34 * corner - 0.20 * jowl, -0.05 * corner)


def _press(at: Coordinates, side: float) -> np.ndarray:
    lips = at.round_lips(0.6) * at.on_side(side)
    return at.slid(side * 0.10 * lips, -0.42 * np.clip(at.above_seam, -0.95, 0.95) * lips, -0.16 * lips)


def _lower_down(at: Coordinates, side: float) -> np.ndarray:
    lip = at.round_lips(1.1) * smoothstep(1 - 2 * at.upper) * at.on_side(side, width=1.6)
    return at.slid(side * 0.10 * lip, -0.62 * lip, 0.08 * lip)


def _upper_up(at: Coordinates, side: float) -> np.ndarray:
    lip = at.round_lips(1.0) * smoothstep(2 * at.upper - 1) * at.on_side(side, width=1.6)
    fold = at.hill((1.9, -3.9), (0.7, 0.9), side=side)
    return at.slid(side * 0.06 * lip, 0.52 * lip + 0.16 * fold, 0.06 * lip + 0.08 * fold)
