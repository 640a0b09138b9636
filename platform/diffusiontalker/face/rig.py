"""`Rig`: a neutral head and one offset per ARKit shape; turns coefficients into vertices.

Metres, Y up, Z out of the face, and the character's left at +X. Where rigs come from is not known here:
`face.head` builds one, `face.rig_files` reads them.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip

LIP_SHAPES = ("mouthRollLower", "mouthRollUpper", "mouthFunnel", "mouthPucker")
"""Shapes whose motion is concentrated in the lips proper: they tell where the lips of an unknown mesh are."""

UPPER_FACE_SHAPES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
)  # fmt: skip
"""Shapes that move eyelids, brows and forehead skin (gaze is left out: it turns eyeballs)."""

_LIP_SHARE = 0.65
_LIP_SHAPES_NEEDED = 2
_UPPER_FACE_SHARE = 0.3


class RigError(ValueError):
    """A rig that cannot be used; the message names the file, what is wrong with it and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Finish:
    """What pictures need beside colours: which part a vertex belongs to, and how its surface is."""

    parts: tuple[tuple[str, int], ...]
    """Names of the parts (skin, eyes, ...) and their numbers of vertices, which lie one after the other."""
    gloss: np.ndarray
    """(vertices,) in [0, 1]: 0 dry, 1 wet; on brows and lashes the place along them."""
    hair: np.ndarray
    """(vertices,) in [0, 1]: how dense hair grows."""
    fade: np.ndarray
    """(vertices,) in [0, 1]: 0 opaque, 1 where a bust has faded out."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """A head that ARKit coefficients move: vertices = neutral + sum of coefficient x shape.

    Raises:
        RigError: when arrays do not fit together, a value is not finite, or a shape is unknown or given twice.
    """

    name: str
    """Name for reports and files."""
    neutral: np.ndarray
    """(vertices, 3) float32, metres: the face at rest."""
    triangles: np.ndarray
    """(triangles, 3) int32 vertex indices, counter-clockwise seen from outside."""
    shape_names: tuple[str, ...]
    """ARKit names of the shapes, each at most once."""
    shape_deltas: np.ndarray
    """(shapes, vertices, 3) float32, metres: offsets at coefficient 1."""
    colors: np.ndarray | None = None
    """(vertices, 3) float32 sRGB in [0, 1], or None for plain skin."""
    lip_vertices: np.ndarray = dataclasses.field(default=None)  # type: ignore[assignment]
    """Indices of the lips (for LVE); None: found by `find_lip_vertices`."""
    upper_face_vertices: np.ndarray = dataclasses.field(default=None)  # type: ignore[assignment]
    """Indices of eyelids, brows and forehead (for EVE and FDD); None: found by `find_upper_face_vertices`."""
    finish: Finish | None = None
    """What pictures need beside colours, or None: one part, all skin."""

    def __post_init__(self) -> None:
        """Checks that the arrays fit together and derives the regions that were not given."""
        for field, dtype in (("neutral", np.float32), ("triangles", np.int32), ("shape_deltas", np.float32)):
            _store(self, field, dtype)
        if self.colors is not None:
            _store(self, "colors", np.float32)
        _check_mesh(self)
        _check_shapes(self)
        finders = {"lip_vertices": find_lip_vertices, "upper_face_vertices": find_upper_face_vertices}
        for field, find in finders.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, find(self.shape_names, self.shape_deltas))
            _store(self, field, np.int64)
            indices, last = getattr(self, field), self.num_vertices - 1
            if indices.ndim != 1 or (len(indices) and not 0 <= indices.min() <= indices.max() <= last):
                raise RigError(f"rig '{self.name}': {field} must be indices between 0 and {last}")

    @property
    def num_vertices(self) -> int:
        """Number of vertices."""
        return len(self.neutral)

    @property
    def missing_shapes(self) -> tuple[str, ...]:
        """ARKit shapes this rig lacks: their coefficients have no effect."""
        return tuple(name for name in CHANNELS if name not in self.shape_names)

    def vertices(
        self, motion: MotionClip | np.ndarray, *, only: Int[np.ndarray, " chosen"] | None = None
    ) -> Float[np.ndarray, "frames chosen 3"]:
        """The moving head, in metres.

        Needs 12 bytes per frame and vertex: for long clips ask for a region by `only`, or pass a few frames at a time.

        Args:
            motion: a clip (matched by name; a channel without a shape and a shape without a channel do nothing)
                or coefficients (frames, 52) in the order of `arkit.CHANNELS`.
            only: indices of the vertices wanted (such as `lip_vertices`); all when None.

        Raises:
            RigError: when a bare array has not 52 columns.
        """
        if isinstance(motion, MotionClip):
            coefficients, names = motion.coefficients, motion.channel_names
        else:
            coefficients, names = np.asarray(motion, dtype=np.float32), CHANNELS
            if coefficients.ndim != 2 or coefficients.shape[1] != len(CHANNELS):
                raise RigError(
                    f"rig '{self.name}': bare coefficients have shape {coefficients.shape}, expected "
                    f"(frames, {len(CHANNELS)}) in the order of arkit.CHANNELS; or pass a MotionClip"
                )
        used = [name for name in self.shape_names if name in names]
        shapes = self.shape_deltas[[self.shape_names.index(name) for name in used]]
        neutral, shapes = (self.neutral, shapes) if only is None else (self.neutral[only], shapes[:, only])
        weights = coefficients[:, [names.index(name) for name in used]]
        posed = weights @ shapes.reshape(len(used), -1)
        posed += neutral.reshape(-1)
        return posed.reshape(len(coefficients), -1, 3)

    @functools.cached_property
    def normals(self) -> Float[np.ndarray, "vertices 3"]:
        """Unit normals of the neutral face."""
        return vertex_normals(self.neutral, self.triangles)


def find_lip_vertices(
    shape_names: tuple[str, ...], shape_deltas: Float[np.ndarray, "shapes vertices 3"]
) -> Int[np.ndarray, " chosen"]:
    """The lips proper of an unknown mesh.

    Rule: a vertex belongs to the lips when at least two of `LIP_SHAPES` move it by 65 % or more of that shape's largest
    offset (one suffices where the rig has only one of them). Without any of them nothing is found.
    """
    moved = _relative_motion(shape_names, shape_deltas, LIP_SHAPES) >= _LIP_SHARE
    return np.nonzero(moved.sum(axis=0) >= min(_LIP_SHAPES_NEEDED, max(1, len(moved))))[0]


def find_upper_face_vertices(
    shape_names: tuple[str, ...], shape_deltas: Float[np.ndarray, "shapes vertices 3"]
) -> Int[np.ndarray, " chosen"]:
    """Eyelids, brows and forehead of an unknown mesh.

    Rule: a vertex belongs to the upper face when any of `UPPER_FACE_SHAPES` moves it by 30 % or more of that shape's
    largest offset. Without any of them nothing is found.
    """
    moved = _relative_motion(shape_names, shape_deltas, UPPER_FACE_SHAPES) >= _UPPER_FACE_SHARE
    return np.nonzero(moved.any(axis=0))[0]


def vertex_normals(
    vertices: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Unit normals, the area-weighted mean of the triangles round each vertex; +Z where there is none."""
    first, second, third = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(second - first, third - first)
    corners = triangles.reshape(-1)
    totals = [np.bincount(corners, np.repeat(faces[:, axis], 3), minlength=len(vertices)) for axis in range(3)]
    normals = np.stack(totals, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = normals / np.where(lengths > 0, lengths, 1.0)
    return np.where(lengths > 0, unit, (0.0, 0.0, 1.0)).astype(np.float32)


def _relative_motion(names: tuple[str, ...], deltas: np.ndarray, wanted: tuple[str, ...]) -> np.ndarray:
    """(shapes found, vertices): length of each offset over the largest of its shape."""
    lengths = np.linalg.norm(deltas[[names.index(name) for name in wanted if name in names]], axis=2)
    return lengths / np.maximum(lengths.max(axis=1, keepdims=True), 1e-9)


def _store(rig: Rig, field: str, dtype: type) -> None:
    object.__setattr__(rig, field, np.ascontiguousarray(getattr(rig, field), dtype=dtype))


def _check_mesh(rig: Rig) -> None:
    place, count, triangles = f"rig '{rig.name}'", len(rig.neutral), rig.triangles
    if rig.neutral.ndim != 2 or rig.neutral.shape[1] != 3 or not count:
        raise RigError(f"{place}: neutral has shape {rig.neutral.shape}, expected (vertices, 3)")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or not len(triangles):
        raise RigError(f"{place}: triangles have shape {triangles.shape}, expected (triangles, 3), at least one")
    if triangles.min() < 0 or triangles.max() >= count:
        raise RigError(
            f"{place}: triangles use vertices {triangles.min()} to {triangles.max()}, "
            f"but there are {count} (0 to {count - 1})"
        )
    if rig.colors is not None and rig.colors.shape != rig.neutral.shape:
        raise RigError(f"{place}: colors have shape {rig.colors.shape}, expected {rig.neutral.shape}")
    if not np.isfinite(rig.neutral).all():
        raise RigError(f"{place}: the neutral holds NaN or infinite values; export it again")


def _check_shapes(rig: Rig) -> None:
    place, names, expected = f"rig '{rig.name}'", rig.shape_names, (len(rig.shape_names), len(rig.neutral), 3)
    if rig.shape_deltas.shape != expected:
        raise RigError(
            f"{place}: shape offsets are {rig.shape_deltas.shape}, expected {expected}: "
            "one (vertices, 3) block per shape name, all with the neutral's vertices"
        )
    unknown = [name for name in names if name not in CHANNELS]
    if unknown:
        raise RigError(f"{place}: {', '.join(unknown)} are not ARKit shape names such as jawOpen")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RigError(f"{place}: shapes given twice: {', '.join(twice)}; keep one of each")
    bad = [name for name, offsets in zip(names, rig.shape_deltas, strict=True) if not np.isfinite(offsets).all()]
    if bad:
        raise RigError(f"{place}: {', '.join(bad)}: NaN or infinite offsets; export the rig again")
