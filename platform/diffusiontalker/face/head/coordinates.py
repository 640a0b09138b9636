"""`Coordinates`: where every vertex of the built-in head lies with respect to the mouth, the eyes and the skull.

Shapes are written as displacements in the frontal plane; `slid` bends them round the head.
"""

import numpy as np
from jaxtyping import Bool, Float

from diffusiontalker.face.head import skin, surface
from diffusiontalker.face.head.piece import Kind, Piece, smoothstep

_SKIN_KINDS = (Kind.FACE, Kind.LID, Kind.LASH, Kind.LIP, Kind.CAVITY, Kind.BROW)
_DIFFERENCE = 0.3


class Coordinates:
    """Precomputed coordinates of all vertices of a head (arrays of one value per vertex, cm)."""

    def __init__(self, head: Piece):
        self.head = head
        self.x, self.y = head.chart.T
        """Frontal position."""
        self.is_skin: Bool[np.ndarray, " vertices"] = np.isin(head.kind, _SKIN_KINDS)
        """Vertices that follow the skin: face, lids, lips, cavity, brows."""
        self.front = np.where(self.is_skin, smoothstep((head.vertices[:, 2] - 1.0) / 4.0), 0.0)
        self.front[head.kind == Kind.CAVITY] = 1.0
        """1 on the face, falling to 0 at the ears; 0 on parts that are not skin."""
        self.inward = np.maximum(head.depth - 1.0, 0.0) * (head.kind == Kind.CAVITY)
        """How far inside the mouth."""

        self.above_seam = self.y - skin.seam(self.x)
        on_slit = np.abs(self.above_seam) < 1e-3
        height = np.where(on_slit, np.where(head.lower > 0.5, -1e-3, 1e-3), self.above_seam)
        elliptic = np.arccosh((self.x + 1j * height) / surface.MOUTH_HALF_WIDTH)
        sine = np.sin(elliptic.imag)
        sine[head.lower == 0.5] = np.where(on_slit, 0.0, sine)[head.lower == 0.5]
        self.upper = 0.5 + 0.5 * sine
        """1 above the middle of the mouth, 0 below it, 0.5 beside its corners: smooth but for the slit of the mouth."""
        share = np.clip(np.abs(self.x) / surface.MOUTH_HALF_WIDTH, 0.0, 1.0)
        above_lips = np.maximum(np.abs(self.above_seam) - 0.85 * (1 - share**2.5), 0.0)
        self.beyond_lips = np.hypot(np.maximum(np.abs(self.x) - surface.MOUTH_HALF_WIDTH, 0.0), above_lips)
        """Distance outside the lips, 0 on them."""
        self._slopes = self._bare_slopes()

    def round_lips(self, radius: float) -> Float[np.ndarray, " vertices"]:
        """1 on the lips, falling off outside within `radius` and inside the mouth within a centimetre."""
        return np.exp(-((self.beyond_lips / radius) ** 2) - (self.inward / 0.7) ** 2) * self.front

    def hill(self, center: tuple[float, float], widths: tuple[float, float], *, side: float) -> np.ndarray:
        """1 at a frontal point given for the left half (`side` -1: its mirror image), falling off round it."""
        across, along = (side * self.x - center[0]) / widths[0], (self.y - center[1]) / widths[1]
        return np.exp(-(across**2) - along**2) * self.front * np.exp(-((self.inward / 1.2) ** 2))

    def on_side(self, side: float, *, width: float = 1.3) -> Float[np.ndarray, " vertices"]:
        """1 on one half of the face, 0 on the other, adding up to 1 with its mirror image."""
        return smoothstep(0.5 + side * self.x / (2 * width))

    def slid(
        self,
        across: Float[np.ndarray, " vertices"] | float,
        up: Float[np.ndarray, " vertices"] | float,
        out: Float[np.ndarray, " vertices"] | float = 0.0,
    ) -> Float[np.ndarray, "vertices 3"]:
        """A displacement in the frontal plane, led along the curve of the head, plus `out` along z."""
        across, up = np.broadcast_to(across, self.x.shape), np.broadcast_to(up, self.x.shape)
        first_x, first_y, second_x, second_y, mixed = self._slopes
        along = first_x * across + first_y * up
        bend = 0.5 * second_x * across**2 + 0.5 * second_y * up**2 + mixed * across * up
        return np.stack([across, up, along + bend + out], axis=1)

    def slid_over_eye(self, up: Float[np.ndarray, " vertices"]) -> Float[np.ndarray, "vertices 3"]:
        """A vertical displacement of lids, led over the eyeball and the socket."""
        moved = np.nonzero(up)[0]
        delta = np.zeros((len(self.x), 3))
        x, y = self.x[moved], self.y[moved]
        rise = self.slid(0.0, up)[moved, 2]
        bare = surface.bare_depth(x, y)
        before = surface.skin_depth(x, y, bare=bare)
        delta[moved, 1] = up[moved]
        delta[moved, 2] = surface.skin_depth(x, y + up[moved], bare=bare + rise) - before
        return delta

    def _bare_slopes(self) -> tuple[np.ndarray, ...]:
        """First and second derivatives of the smooth head's depth, 0 where the skin does not reach."""
        chosen = np.nonzero(self.front > 0)[0]
        x, y, step = self.x[chosen], self.y[chosen], _DIFFERENCE
        offsets = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1))
        shifted_x = np.concatenate([x + step * across for across, _ in offsets])
        shifted_y = np.concatenate([y + step * up for _, up in offsets])
        middle, right, left, top, bottom, corner = np.split(surface.bare_depth(shifted_x, shifted_y), len(offsets))
        slopes = (
            (right - left) / (2 * step), (top - bottom) / (2 * step), (right - 2 * middle + left) / step**2,
            (top - 2 * middle + bottom) / step**2, (corner - right - top + middle) / step**2,
        )  # fmt: skip
        full = [np.zeros(len(self.x)) for _ in slopes]
        for column, slope in zip(full, slopes, strict=True):
            column[chosen] = np.clip(slope, -1.5, 1.5) * self.front[chosen]
        return tuple(full)
