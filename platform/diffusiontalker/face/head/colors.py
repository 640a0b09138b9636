"""Vertex colours of the built-in head (sRGB)."""

import numpy as np
from jaxtyping import Float

from diffusiontalker.face.head.parts import GLINT_DEPTH, IRIS_DEG, PUPIL_DEG
from diffusiontalker.face.head.piece import Kind, Piece

SKIN = np.array([0.86, 0.69, 0.60])
_BLUSH = np.array([0.82, 0.52, 0.46])
_LIP = np.array([0.75, 0.43, 0.41])
_CAVITY = np.array([0.30, 0.08, 0.09])
_GUM = np.array([0.70, 0.36, 0.36])
_TOOTH = np.array([0.95, 0.93, 0.87])
_TONGUE = np.array([0.78, 0.40, 0.40])
_BROW = np.array([0.27, 0.18, 0.13])
_HAIR = np.array([0.30, 0.20, 0.14])
_LASH = np.array([0.20, 0.13, 0.11])
_WHITE_OF_EYE = np.array([0.96, 0.95, 0.93])
_IRIS = np.array([0.34, 0.48, 0.52])
_IRIS_RIM = np.array([0.13, 0.20, 0.24])
_PUPIL = np.array([0.02, 0.02, 0.03])


def vertex_colors(head: Piece) -> Float[np.ndarray, "vertices 3"]:
    """One RGB per vertex, in [0, 1]."""
    side, y = np.abs(head.vertices[:, 0]), head.vertices[:, 1]
    front = np.clip(head.vertices[:, 2] - 5.0, 0.0, 1.0)
    blush = 0.34 * _spot(side, y, (4.0, -1.6), (1.5, 1.3)) + 0.30 * _spot(side, y, (0.0, -2.7), (1.5, 0.8))
    colors = _mix(SKIN, _BLUSH, np.clip(blush * front, 0, 1))
    nostril = 0.9 * _spot(side, y, (0.68, -3.42), (0.36, 0.17)) * front
    colors = _mix(colors, np.array([0.25, 0.12, 0.10]), nostril)

    lip = head.kind == Kind.LIP
    redness = np.clip(0.35 + 2.5 * head.depth, 0, 1)
    darkness = np.clip((head.depth - 0.85) / 0.4, 0, 1) * 0.55
    colors[lip] = _mix(_mix(colors[lip], _LIP, redness[lip]), _CAVITY, darkness[lip])
    colors[head.kind == Kind.CAVITY] = _CAVITY
    lash = head.kind == Kind.LASH
    colors[lash] = _mix(SKIN, _LASH, np.where(head.lower[lash] < 0.5, 0.92, 0.45))
    colors[head.kind == Kind.BROW] = _mix(SKIN, _BROW, head.shade[head.kind == Kind.BROW])
    for kind in (Kind.UPPER_TEETH, Kind.LOWER_TEETH):
        chosen = head.kind == kind
        tone = head.shade[chosen][:, None]
        colors[chosen] = np.where(tone < 0.6, _GUM * np.minimum(1.0, tone / 0.55), _TOOTH * tone)
    colors[head.kind == Kind.TONGUE] = _TONGUE * head.shade[head.kind == Kind.TONGUE][:, None]
    ear = head.kind == Kind.EAR
    colors[ear] = _mix(SKIN, _BLUSH, np.full(int(ear.sum()), 0.15)) * head.shade[ear][:, None]
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
