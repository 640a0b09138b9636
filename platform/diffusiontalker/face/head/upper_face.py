"""Brow, eye, cheek-squint and nose shapes of the built-in head: displacements in cm at coefficient 1."""

import numpy as np

from diffusiontalker.face.head import skin, surface
from diffusiontalker.face.head.coordinates import Coordinates
from diffusiontalker.face.head.lower_face import SIDES
from diffusiontalker.face.head.piece import Kind, smoothstep

_CLOSING_HEIGHT = 0.22
"""Where closed lids meet: the share of the opening that the lower lid comes up."""
_LOOK_SIDEWAYS_DEG, _LOOK_UP_DEG, _LOOK_DOWN_DEG = 30.0, 24.0, 26.0


def upper_face_shapes(at: Coordinates) -> dict[str, np.ndarray]:
    """Name -> (vertices, 3) for the brow, eye, cheekSquint and noseSneer shapes."""
    left, right = (_brow(at, side, (0.7, 2.75), (2.0, 1.5), up=0.85) for _, side in SIDES)
    shapes = {"browInnerUp": left + right}
    for label, side in SIDES:
        shapes |= {
            f"browDown{label}": _brow(at, side, (2.0, 2.6), (2.4, 1.3), up=-0.58, inwards=0.20),
            f"browOuterUp{label}": _brow(at, side, (4.1, 2.8), (2.0, 1.5), up=0.66),
            f"eyeBlink{label}": _lids(at, side, upper=-(1 - _CLOSING_HEIGHT), lower=_CLOSING_HEIGHT),
            f"eyeSquint{label}": _lids(at, side, upper=-0.16, lower=0.26) + _raised_cheek(at, side, 0.22),
            f"eyeWide{label}": _lids(at, side, upper=0.24, lower=-0.05),
            f"eyeLookUp{label}": _gaze(at, side, up_deg=_LOOK_UP_DEG) + _lids(at, side, upper=0.17, lower=0.05),
            f"eyeLookDown{label}": _gaze(at, side, up_deg=-_LOOK_DOWN_DEG) + _lids(at, side, upper=-0.42, lower=-0.08),
            f"eyeLookIn{label}": _gaze(at, side, turn_deg=-side * _LOOK_SIDEWAYS_DEG),
            f"eyeLookOut{label}": _gaze(at, side, turn_deg=side * _LOOK_SIDEWAYS_DEG),
            f"cheekSquint{label}": _raised_cheek(at, side, 0.50) + _lids(at, side, upper=0.0, lower=0.13),
            f"noseSneer{label}": _sneer(at, side),
        }
    return shapes


def _brow(
    at: Coordinates, side: float, center: tuple[float, float], widths: tuple[float, float], *, up: float,
    inwards: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """The brow and the skin about it slide over the bone; the lids below stay."""
    on_half = at.on_side(side, width=0.25) if center[0] < 1.5 else 1.0
    field = at.hill(center, widths, side=side) * smoothstep((at.y - 1.15) / 1.2) * on_half
    return at.slid(-side * inwards * field, up * field, 0.06 * np.abs(field) * (1 if up < 0 else 0))


def _lids(at: Coordinates, side: float, *, upper: float, lower: float) -> np.ndarray:
    """Moves the edges of the lids by shares of the opening; the skin above and below follows less and less."""
    outwards = side * at.x - surface.EYE_CENTER[0]
    height = at.y - surface.EYE_CENTER[1]
    upper_edge, lower_edge = skin.lid_edge(outwards, upper=True), skin.lid_edge(outwards, upper=False)
    opening = np.where(np.abs(outwards) < skin.EYE_HALF_WIDTH, upper_edge - lower_edge, 0.0)
    is_upper = height > (upper_edge + lower_edge) / 2
    follows_upper = 1 - smoothstep((height - upper_edge) / 1.05)
    follows_lower = 1 - smoothstep((lower_edge - height) / 0.85)
    up = opening * np.where(is_upper, upper * follows_upper, lower * follows_lower)
    is_near = np.isin(at.head.kind, (Kind.FACE, Kind.LID, Kind.LASH)) & (side * at.x > 0)
    return at.slid_over_eye(np.where(is_near, up, 0.0))


def _gaze(at: Coordinates, side: float, *, turn_deg: float = 0.0, up_deg: float = 0.0) -> np.ndarray:
    """The eyeball turns about its middle."""
    chosen = (at.head.kind == Kind.EYEBALL) & (side * at.head.vertices[:, 0] > 0)
    turn, lift = np.radians(turn_deg), np.radians(up_deg)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(lift), np.sin(lift)], [0, -np.sin(lift), np.cos(lift)]])
    radius = at.head.vertices - surface.EYE_CENTER * [side, 1, 1]
    return np.where(chosen[:, None], radius @ (about_x @ about_y).T - radius, 0.0)


def _raised_cheek(at: Coordinates, side: float, up: float) -> np.ndarray:
    field = at.hill((3.9, -1.6), (1.7, 1.3), side=side) * (1 - smoothstep((at.y + 0.9) / 1.1))
    return at.slid(0.0, up * field, 0.35 * up * field)


def _sneer(at: Coordinates, side: float) -> np.ndarray:
    wing = at.hill((1.25, -2.9), (0.75, 0.8), side=side)
    bridge = at.hill((0.9, -0.6), (0.7, 1.5), side=side)
    lip = at.round_lips(0.9) * smoothstep(2 * at.upper - 1) * at.hill((1.0, -5.2), (1.2, 1.2), side=side)
    return at.slid(0.0, 0.36 * wing + 0.16 * bridge + 0.20 * lip, 0.10 * bridge + 0.06 * wing)
