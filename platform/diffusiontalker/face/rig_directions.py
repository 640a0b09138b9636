"""Which way a head lies: told from where its shapes are and how they move, so that no axis convention is assumed."""

import dataclasses

import numpy as np
from jaxtyping import Float

from diffusiontalker.face.rig import LIP_SHAPES, UPPER_FACE_SHAPES, Rig

_LOWER_FACE_SHAPES = (*LIP_SHAPES, "jawOpen", "mouthLowerDownLeft", "mouthLowerDownRight")
_FORWARD_SHAPES = ("jawForward", "mouthFunnel", "mouthPucker", "tongueOut")
_DOMINANCE = 0.8
"""A direction is told when it lies within 37 degrees of an axis: faces slope, axes do not."""
_AXES = "XYZ"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Directions:
    """Two directions of a head in the coordinates of its file, each an axis with a sign, such as `+Y`."""

    up: str
    """From the mouth to the brows."""
    forward: str
    """Out of the face."""

    @property
    def is_ours(self) -> bool:
        """Whether the head already stands as rigs do here: Y up, Z out of the face."""
        return (self.up, self.forward) == ("+Y", "+Z")

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Turns it so: `vertices @ rotation.T`."""
        up, forward = _axis(self.up), _axis(self.forward)
        return np.stack([np.cross(up, forward), up, forward])

    def text(self) -> str:
        """`Y up, facing Z`."""
        return f"{self.up.lstrip('+')} up, facing {self.forward.lstrip('+')}"


OURS = Directions(up="+Y", forward="+Z")
Z_UP = Directions(up="+Z", forward="-Y")
"""How Blender and 3ds Max let a head stand."""


def find_directions(rig: Rig) -> Directions | None:
    """How a head lies; None when its shapes do not tell.

    Rule: up is from the middle of what the shapes of mouth and jaw move to the middle of what those of eyes and brows
    move. Forward is where jawForward, mouthFunnel, mouthPucker and tongueOut move to; without them, where the skin
    that the shapes of the mouth move looks.
    """
    shapes = dict(zip(rig.shape_names, rig.shape_deltas, strict=True))
    lower, upper = (_motion(shapes, names) for names in (_LOWER_FACE_SHAPES, UPPER_FACE_SHAPES))
    if not lower.any() or not upper.any():
        return None
    up = np.average(rig.neutral, axis=0, weights=upper) - np.average(rig.neutral, axis=0, weights=lower)
    moved = [_unit(shapes[name].sum(axis=0)) for name in _FORWARD_SHAPES if name in shapes]
    forward = np.sum(moved, axis=0) if moved else lower @ rig.normals
    up_name, forward_name = _axis_name(up), _axis_name(forward)
    if up_name is None or forward_name is None or up_name[1] == forward_name[1]:
        return None
    return Directions(up=up_name, forward=forward_name)


def _motion(shapes: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """(vertices,): how far each vertex is moved by all the named shapes together."""
    lengths = [np.linalg.norm(shapes[name], axis=1) for name in names if name in shapes]
    return np.sum(lengths, axis=0) if lengths else np.zeros(1)


def _axis(name: str) -> np.ndarray:
    return np.eye(3)[_AXES.index(name[1])] * (1.0 if name[0] == "+" else -1.0)


def _axis_name(direction: np.ndarray) -> str | None:
    unit = _unit(direction)
    axis = int(np.abs(unit).argmax())
    return ("+" if unit[axis] > 0 else "-") + _AXES[axis] if abs(unit[axis]) >= _DOMINANCE else None


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
