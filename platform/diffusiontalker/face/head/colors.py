"""Vertex colours of the built-in head (sRGB)."""

import numpy as np
from jaxtyping import Float

from diffusiontalker.face.head.parts import GLINT_DEPTH, IRIS_DEG, PUPIL_DEG
from diffusiontalker.face.head.piece import Kind, Piece

SKIN = np.array([0.86, 0.69, 0.60])
_BLUSH = np.array([0.83, 0.56, 0.49])
_FOREHEAD = np.array([0.87, 0.71, 0.60])
_BEARD = np.array([0.70, 0.60, 0.56])
_LID = np.array([0.80, 0.60, 0.56])
_NECK = np.array([0.83, 0.66, 0.56])
_LIP = np.array([0.74, 0.46, 0.43])
_CAVITY = np.array([0.38, 0.13, 0.12])
_GUM = np.array([0.70, 0.36, 0.36])
_TOOTH = np.array([0.96, 0.94, 0.89])
_TONGUE = np.array([0.76, 0.44, 0.42])
_BROW = np.array([0.30, 0.21, 0.16])
_HAIR = np.array([0.30, 0.20, 0.14])
_LASH = np.array([0.20, 0.13, 0.11])
_WET_LID = np.array([0.80, 0.56, 0.51])
_WHITE_OF_EYE = np.array([0.96, 0.95, 0.93])
_IRIS = np.array([0.34, 0.48, 0.52])
_IRIS_RIM = np.array([0.13, 0.20, 0.24])
_PUPIL = np.array([0.02, 0.02, 0.03])


def vertex_colors(head: Piece) -> Float[np.ndarray, "vertices 3"]:
    """One RGB per vertex, in [0, 1]."""
    side, y = np.abs(head.vertices[:, 0]), head.vertices[:, 1]
    front = np.clip(head.vertices[:, 2] - 5.0, 0.0, 1.0)
    blush = 0.42 * _spot(side, y, (4.0, -1.7), (1.7, 1.4)) + 0.45 * _spot(side, y, (0.0, -2.7), (1.5, 0.8))
    chin = 0.22 * _spot(side, y, (0.0, -8.9), (1.6, 1.0))
    beard = np.clip(_spot(side, y, (0.0, -7.6), (5.2, 3.2)) * 1.3 - 0.3, 0, 1) * np.clip((-3.9 - y) / 0.8, 0, 1)
    lids = _spot(side, y, (3.15, 0.75), (1.9, 1.2))
    neck = np.clip((-10.3 - y) / 1.5, 0, 1)
    colors = _mix(np.broadcast_to(SKIN, head.vertices.shape), _FOREHEAD, np.clip((y - 2.0) / 4.0, 0, 1) * 0.5)
    for tone, share in ((_BEARD, 0.30 * beard), (_LID, 0.34 * lids), (_BLUSH, blush + chin)):
        colors = _mix(colors, tone, np.clip(share * front, 0, 1))
    colors = _mix(colors, _NECK, 0.5 * neck)
    nostril = 0.85 * _spot(side, y, (0.64, -3.42), (0.30, 0.15)) * front
    colors = _mix(colors, np.array([0.25, 0.12, 0.10]), nostril)

    lip = head.kind == Kind.LIP
    redness = np.clip(0.15 + 2.0 * head.depth, 0, 1)
    darkness = np.clip((head.depth - 0.85) / 0.4, 0, 1) * 0.55
    colors[lip] = _mix(_mix(colors[lip], _LIP, redness[lip]), _CAVITY, darkness[lip])
    colors[head.kind == Kind.CAVITY] = _CAVITY
    lash = head.kind == Kind.LASH
    colors[lash] = _mix(SKIN, _LASH, np.where(head.lower[lash] < 0.5, 0.80, 0.30))
    colors[(head.kind == Kind.LASH) & (head.depth < 0)] = _WET_LID
    colors[head.kind == Kind.CARUNCLE] = _WET_LID
    colors[head.kind == Kind.BROW] = _mix(SKIN, _BROW, head.shade[head.kind == Kind.BROW])
    for kind in (Kind.UPPER_TEETH, Kind.LOWER_TEETH):
        chosen = head.kind == kind
        tone = head.shade[chosen][:, None]
        colors[chosen] = np.where(tone < 0.6, _GUM * np.minimum(1.0, tone / 0.55), _TOOTH * tone)
    colors[head.kind == Kind.TONGUE] = _TONGUE * head.shade[head.kind == Kind.TONGUE][:, None]
    ear = head.kind == Kind.EAR
    colors[ear] = _mix(SKIN, _BLUSH, np.full(int(ear.sum()), 0.40)) * head.shade[ear][:, None]
    hair = head.kind == Kind.HAIR
    colors[hair] = _HAIR * head.shade[hair][:, None]
    eye = head.kind == Kind.EYEBALL
    colors[eye] = _eye_colors(head.depth[eye])
    return colors


def _eye_colors(polar_deg: np.ndarray) -> np.ndarray:
    colors = np.tile(_WHITE_OF_EYE, (len(polar_deg), 1))
    reddened = np.clip((polar_deg - 45) / 60, 0, 0.35)
    colors = _mix(colors, _BLUSH, reddened)
    iris = polar_deg < IRIS_DEG
    rim = np.clip((polar_deg[iris] - PUPIL_DEG) / (IRIS_DEG - PUPIL_DEG), 0, 1) ** 3
    colors[iris] = _mix(_IRIS, _IRIS_RIM, rim)
    colors[polar_deg < PUPIL_DEG] = _PUPIL
    colors[polar_deg == GLINT_DEPTH] = 1.0
    return colors


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share[:, None]


def _spot(x: np.ndarray, y: np.ndarray, center: tuple[float, float], widths: tuple[float, float]) -> np.ndarray:
    return np.exp(-(((x - center[0]) / widths[0]) ** 2) - ((y - center[1]) / widths[1]) ** 2)
