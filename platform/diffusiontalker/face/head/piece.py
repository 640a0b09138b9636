"""`Piece`: a part of the built-in head with what deformations and colours must know about each vertex."""

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


class Kind(enum.IntEnum):
    """What a vertex of the head belongs to."""

    FACE = 0
    LID = 1
    LASH = 2
    LIP = 3
    CAVITY = 4
    EYEBALL = 5
    BROW = 6
    UPPER_TEETH = 7
    LOWER_TEETH = 8
    TONGUE = 9
    EAR = 10
    HAIR = 11
    CARUNCLE = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A mesh with one value of each attribute per vertex. Centimetres."""

    vertices: np.ndarray
    """(vertices, 3)."""
    triangles: np.ndarray
    """(triangles, 3), counter-clockwise seen from outside."""
    chart: np.ndarray
    """(vertices, 2): the frontal position whose motion a vertex follows (its own x and y; in the mouth, the seam's)."""
    kind: np.ndarray
    """(vertices,): a `Kind`."""
    lower: np.ndarray
    """(vertices,): 1 on the lower lip and behind it, 0 on the upper lip, 0.5 at the corners and where neither is."""
    depth: np.ndarray
    """(vertices,): on the lips 0 at the border to the skin and 1 at the seam; growing inwards from there; else 0.
    On the eyeball the polar angle in degrees, on the tongue the share of the way from root to tip, on the
    hair that from crown to hairline, on brows and lashes that along them (-1 on a
    lid's inside)."""
    shade: np.ndarray
    """(vertices,): 1 for a part's plain colour, lower for its darker places (gaps between teeth)."""


def make_piece(
    vertices: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    *,
    kind: Kind | Int[np.ndarray, " vertices"],
    chart: Float[np.ndarray, "vertices 2"] | None = None,
    lower: Float[np.ndarray, " vertices"] | None = None,
    depth: Float[np.ndarray, " vertices"] | None = None,
    shade: Float[np.ndarray, " vertices"] | None = None,
) -> Piece:
    """A piece whose attributes default to: own position, neither lip, depth 0, plain colour."""
    count = len(vertices)
    return Piece(
        vertices=vertices,
        triangles=triangles,
        chart=vertices[:, :2] if chart is None else chart,
        kind=np.broadcast_to(np.asarray(kind, dtype=np.int64), (count,)),
        lower=np.full(count, 0.5) if lower is None else lower,
        depth=np.zeros(count) if depth is None else depth,
        shade=np.ones(count) if shade is None else shade,
    )


def joined(pieces: Sequence[Piece]) -> Piece:
    """Several pieces as one mesh, side by side."""
    offsets = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
    triangles = [piece.triangles + offset for piece, offset in zip(pieces, offsets, strict=True)]
    fields = ("vertices", "chart", "kind", "lower", "depth", "shade")
    columns = {field: np.concatenate([getattr(piece, field) for piece in pieces]) for field in fields}
    return Piece(triangles=np.concatenate(triangles), **columns)


def mirrored(piece: Piece) -> Piece:
    """The piece on the other side of the face."""
    return dataclasses.replace(
        piece, vertices=piece.vertices * [-1, 1, 1], chart=piece.chart * [-1, 1], triangles=piece.triangles[:, ::-1]
    )


def strip_triangles(rows: int, columns: int, *, closed: bool = False) -> Int[np.ndarray, "triangles 3"]:
    """Triangles of a rows x columns lattice numbered row by row; `closed` joins the last column to the first.

    Counter-clockwise when columns run left to right and rows downwards in the picture.
    """
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, axis=1)
    if not closed:
        index, right = index[:, :-1], right[:, :-1]
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    return np.concatenate([np.stack([a, d, c], -1).reshape(-1, 3), np.stack([a, c, b], -1).reshape(-1, 3)])


def smoothstep(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """0 below 0, 1 above 1, smooth between."""
    clipped = np.clip(x, 0.0, 1.0)
    return clipped * clipped * (3.0 - 2.0 * clipped)
