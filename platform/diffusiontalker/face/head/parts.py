"""What is not skin: eyeballs, brows, teeth, tongue and ears of the built-in head (cm, see `surface`)."""

import numpy as np

from diffusiontalker.face.head import skin, surface
from diffusiontalker.face.head.piece import (
    Kind,
    Piece,
    joined,
    make_piece,
    mirrored,
    smoothstep,
    strip_triangles,
)

# Polar angles of the eyeball's rings; close pairs make sharp borders of pupil and iris.
_EYE_POLAR_DEG = (0.0, 9.5, 10.5, 17.0, 23.5, 25.5, 34.0, 45.0, 60.0, 78.0, 100.0)
_EYE_SEGMENTS = 32
PUPIL_DEG, IRIS_DEG = 10.0, 24.5
GLINT_DEPTH = -1.0
"""`Piece.depth` of the glint on the eye."""

_TEETH_PER_ARCH, _SAMPLES_PER_TOOTH = 12, 4
_EAR_SEGMENTS = 40

_HAIRLINE_DEG = np.array([0.0, 16.0, 30.0, 40.0, 50.0, 60.0, 68.0, 76.0, 84.0, 92.0, 104.0, 118.0, 132.0, 150.0, 180.0])
_HAIRLINE_Y = np.array([6.9, 7.1, 7.5, 7.1, 5.9, 4.2, 1.8, -0.8, -1.0, 1.9, 2.7, 0.8, -3.2, -5.6, -6.0])


def build_parts() -> dict[str, Piece]:
    """Name -> both sides of a part as one piece."""

    def both(left: Piece) -> Piece:
        return joined([left, mirrored(left)])

    return {
        "eyes": joined([both(_left_eyeball()), _glint(1.0), _glint(-1.0)]),
        "caruncles": both(_left_caruncle()),
        "lashes": both(_left_lashes()),
        "brows": both(_left_brow()),
        "ears": both(_left_ear()),
        "teeth": joined([_teeth(upper=True), _teeth(upper=False)]),
        "tongue": _tongue(),
        "hair": _hair(),
    }


def _left_eyeball() -> Piece:
    polar, turn = np.meshgrid(np.radians(_EYE_POLAR_DEG), 2 * np.pi * np.arange(_EYE_SEGMENTS) / _EYE_SEGMENTS,
                              indexing="ij")  # fmt: skip
    direction = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], axis=-1)
    return make_piece(
        surface.EYE_CENTER + surface.EYE_RADIUS * direction.reshape(-1, 3),
        strip_triangles(len(_EYE_POLAR_DEG), _EYE_SEGMENTS, closed=True),
        kind=Kind.EYEBALL,
        depth=np.degrees(polar).reshape(-1),
    )


def _glint(side: float) -> Piece:
    """A small bright disc on the cornea: eyes without a reflection look dead."""
    turn = 2 * np.pi * np.arange(10) / 10
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    flat = np.array([-0.22, 0.26]) + 0.085 * np.concatenate([np.zeros((1, 2)), circle])
    depth = np.sqrt((surface.EYE_RADIUS + 0.015) ** 2 - (flat**2).sum(axis=1))
    rim = np.arange(1, 11)
    fan = np.stack([np.zeros(10, dtype=int), rim, np.roll(rim, -1)], axis=1)
    vertices = surface.EYE_CENTER * [side, 1, 1] + np.column_stack([flat, depth])
    return make_piece(vertices, fan, kind=Kind.EYEBALL, depth=np.full(11, GLINT_DEPTH))


def _left_caruncle() -> Piece:
    """The flesh in the inner corner of the eye, between the eyeball and the lids."""
    polar, turn = np.meshgrid(np.linspace(0.05, np.pi - 0.05, 9), 2 * np.pi * np.arange(14) / 14, indexing="ij")
    ball = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], axis=-1).reshape(-1, 3)
    center = surface.EYE_CENTER + np.array([-1.14, -0.03, 0.62])
    triangles = strip_triangles(9, 14, closed=True)[:, ::-1]
    return make_piece(center + ball * [0.30, 0.22, 0.26], triangles, kind=Kind.CARUNCLE)


def _left_lashes() -> Piece:
    """A ribbon that curls out of the upper lid's edge; `depth` runs along the lid, `shade` falls to the tips."""
    along = np.linspace(-0.96, 0.98, 40)
    x = surface.EYE_CENTER[0] + skin.EYE_HALF_WIDTH * along
    y = surface.EYE_CENTER[1] + skin.lid_edge(skin.EYE_HALF_WIDTH * along, upper=True)
    edge = np.column_stack([x, y, surface.skin_depth(x, y)])
    length = 0.62 * (1 - np.abs(along) ** 4 * 0.55) * (0.75 + 0.25 * along)
    rows = ((0.0, -0.02), (0.35, -0.05), (0.7, 0.12), (1.0, 0.42))  # out of the lid, up: shares of the length
    vertices = [edge + np.column_stack([0.45 * along * out * length, up * length, 0.9 * out * length - 0.04])
                for out, up in rows]  # fmt: skip
    return make_piece(
        np.concatenate(vertices), strip_triangles(len(rows), len(along)), kind=Kind.LASH,
        chart=np.tile(edge[:, :2], (len(rows), 1)), lower=np.zeros(len(rows) * len(along)),
        depth=np.tile((along + 1) / 2, len(rows)), shade=np.repeat([1.0, 0.8, 0.4, 0.0], len(along)),
    )  # fmt: skip


def _left_brow() -> Piece:
    along, across = np.meshgrid(np.linspace(0, 1, 22), np.linspace(1, -1, 7))
    x = 1.05 + 4.1 * along + 0.12 * across * (1 - along)
    middle = 2.60 + 0.50 * np.sin(np.pi * np.clip(along * 0.72, 0, 1)) ** 1.4 - 0.42 * along**3
    half_width = 0.38 * np.minimum(1, 0.75 + 2 * along) * (1 - 0.72 * along**1.6)
    y = middle + half_width * across
    depth = surface.skin_depth(x.ravel(), y.ravel()) + 0.02 + 0.07 * (1 - across.ravel() ** 2)
    fade = (
        np.clip(1.1 - np.abs(across) ** 2.2, 0, 1)
        * np.clip(along * 5 + 0.1, 0, 1)
        * np.clip((1 - along) * 8 + 0.2, 0, 1)
    )
    return make_piece(np.column_stack([x.ravel(), y.ravel(), depth]), strip_triangles(7, 22), kind=Kind.BROW,
                      depth=along.ravel(), shade=fade.ravel())  # fmt: skip


def _teeth(*, upper: bool) -> Piece:
    """An arch of teeth: rows from the gum over the cutting edge to the back."""
    columns = _TEETH_PER_ARCH * _SAMPLES_PER_TOOTH + 1
    place = np.linspace(-1, 1, columns)
    x = 2.25 * np.sin(place * 1.25) / np.sin(1.25)
    within = np.abs(((place + 1) / 2 * _TEETH_PER_ARCH) % 1.0 - 0.5) * 2  # 1 between teeth, 0 in the middle of one
    gap = within**6
    front = (8.98 if upper else 8.78) - 0.21 * x**2 - 0.02 * x**4
    edge = np.where(gap > 0.5, 0.10 if upper else 0.04, 0.0) + 0.10 * np.abs(place) ** 2
    sign = 1.0 if upper else -1.0
    edge_y = surface.MOUTH_Y + (-0.34 if upper else -0.26)
    rows = (  # height above the edge, set back, shade
        (1.35, -0.12, 0.35), (1.02, -0.02, 0.55), (0.92, 0.0, 1.0), (0.45, 0.03, 1.0), (0.06, -0.01, 1.0),
        (0.0, -0.10, 0.95), (0.5, -0.42, 0.7),
    )  # fmt: skip
    vertices = [np.column_stack([x, edge_y + sign * (height + edge * (1 - height / 1.4)), front + back - 0.07 * gap])
                for height, back, _ in rows]  # fmt: skip
    shade = np.concatenate([np.where(gap > 0.5, 0.72, 1.0) * tone for *_, tone in rows])
    triangles = strip_triangles(len(rows), columns)
    return make_piece(np.concatenate(vertices), triangles if upper else triangles[:, ::-1],
                      kind=Kind.UPPER_TEETH if upper else Kind.LOWER_TEETH, shade=shade)  # fmt: skip


def _tongue() -> Piece:
    """Rings from the root to the tip of a flat, rounded body."""
    share = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.72, 0.82, 0.9, 0.96, 1.0])
    turn = 2 * np.pi * np.arange(18) / 18
    width = 1.75 * np.sqrt(np.maximum(1 - (0.15 + 0.85 * share) ** 3.2, 0.0004))
    height = 0.50 * np.sqrt(np.maximum(1 - (0.2 + 0.8 * share) ** 4, 0.0004))
    middle_y = surface.MOUTH_Y - 0.95 + 0.15 * np.sin(np.pi * share)
    z = 4.6 + 3.85 * share
    groove = 0.12 * np.exp(-((np.cos(turn) / 0.3) ** 2)) * (np.sin(turn) > 0)
    x = width[:, None] * np.cos(turn)
    y = middle_y[:, None] + height[:, None] * (np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.8 - groove)
    vertices = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1).reshape(-1, 3)
    triangles = strip_triangles(len(share), len(turn), closed=True)
    shade = np.repeat(0.8 + 0.2 * share, len(turn))
    return make_piece(vertices, triangles[:, ::-1], kind=Kind.TONGUE, depth=np.repeat(share, len(turn)), shade=shade)


def _left_ear() -> Piece:
    """Closed curves from behind the ear over its rim into the hollow, on a plate that stands off the head."""
    turn = 2 * np.pi * np.arange(_EAR_SEGMENTS) / _EAR_SEGMENTS  # 0 at the back, pi / 2 on top, pi in front
    up = 2.95 * np.sin(turn)
    back = np.cos(turn) * (1.55 + 0.30 * np.sin(turn)) - 0.10 * np.cos(2 * turn)
    attached = 0.6 * np.exp(-((np.angle(np.exp(1j * (turn - np.pi))) / 0.9) ** 2))
    behind = [(scale, out - attached) for scale, out in ((0.62, -0.75), (0.90, -0.15), (0.985, 0.06))]
    front = [(scale, _ear_relief(scale, turn)) for scale in np.linspace(1.0, 0.03, 26)]
    lean = np.radians(10)
    vertices, shades = [], []
    for scale, outwards in [*behind, *front]:
        q, p = up * scale - 0.25 * (1 - scale), back * scale - 0.35 * (1 - scale)
        p, q = p * np.cos(lean) + q * np.sin(lean), q * np.cos(lean) - p * np.sin(lean)
        fixed = 0.35 + 0.65 * np.clip((p + 1.6) / 1.6, 0, 1)
        stand_off = 0.40 * np.clip(p + 1.3, 0, None)
        lobe = -0.34 * np.clip(-q - 0.9, 0, None)
        x = 6.72 + outwards * fixed + stand_off + lobe
        vertices.append(np.column_stack([x, -0.55 + q, -0.9 - p]))
        shades.append(np.broadcast_to(0.92 + 0.2 * np.clip(outwards, -0.5, 0.4), _EAR_SEGMENTS))
    triangles = strip_triangles(len(vertices), _EAR_SEGMENTS, closed=True)
    return make_piece(np.concatenate(vertices), triangles[:, ::-1], kind=Kind.EAR, shade=np.concatenate(shades))


def _ear_relief(scale: float, turn: np.ndarray) -> np.ndarray:
    """How far the ear's front stands out: rim, groove, inner ridge, bowl, and the two knobs before and below it."""

    def ridge(at: float, width: float) -> float:
        return float(np.exp(-(((scale - at) / width) ** 2)))

    def knob(angle: float, spread: float) -> np.ndarray:
        return np.exp(-((np.angle(np.exp(1j * (turn - angle))) / spread) ** 2))

    on_rim = smoothstep((np.sin(turn + 0.25) + 0.75) / 0.6)
    on_ridge = smoothstep((np.cos(turn - 0.5) + 0.55) / 0.5)
    bowl = smoothstep(np.full_like(turn, (0.58 - scale) / 0.26))
    attached = 0.45 * knob(np.pi - 0.2, 0.75) * smoothstep(np.full_like(turn, (scale - 0.72) / 0.16))
    return (
        0.20
        - attached
        + on_rim * (0.28 * ridge(0.94, 0.06) - 0.12 * ridge(0.80, 0.07))
        + 0.30 * on_ridge * ridge(0.64, 0.085)
        - 0.50 * bowl * (1 - 0.75 * knob(np.pi, 0.5) * ridge(0.42, 0.2))
        + 0.16 * knob(np.pi - 0.1, 0.42) * ridge(0.48, 0.15)
        + 0.22 * knob(-2.1, 0.35) * ridge(0.55, 0.11)
    )


def _hair() -> Piece:
    """Short hair: a cap over the skull that ends in a crisp hairline."""
    columns, rows = 72, 15
    azimuth = -np.pi + 2 * np.pi * np.arange(columns) / columns
    hairline = surface.cubic_interpolation(_HAIRLINE_DEG, _HAIRLINE_Y, np.degrees(np.abs(azimuth)))
    stations = np.linspace(0.05, surface.NUM_STATIONS - 1, 400)
    lowest = np.empty(columns)
    for column, angle in enumerate(azimuth):
        height = surface.loft(np.full(400, angle), stations)[:, 1]
        lowest[column] = np.interp(-hairline[column], -height, stations)
    share = np.linspace(0.0, 1.0, rows) ** 0.9
    station = 0.02 + share[:, None] * (lowest - 0.02)[None, :]
    turn = np.broadcast_to(azimuth, station.shape)
    skull = surface.loft(turn.ravel(), station.ravel())
    wave = np.abs(turn)
    strand = 0.5 + 0.5 * np.sin(37.0 * wave + 3.0 * np.sin(5.0 * wave)) * np.sin(23.0 * wave + share[:, None] * 2.0)
    thickness = (0.55 + 0.08 * strand) * (1 - share[:, None] ** 1.5) + 0.04
    normals = skull / [6.0, 7.5, 8.0] ** np.array(2)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return make_piece(skull + thickness.reshape(-1, 1) * normals, strip_triangles(rows, columns, closed=True),
                      kind=Kind.HAIR, depth=np.repeat(share, columns), shade=(0.85 + 0.3 * strand).ravel())  # fmt: skip
