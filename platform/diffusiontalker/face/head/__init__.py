"""The built-in head: a human face made by code, with all 52 ARKit shapes.

No scan, no other mesh stands behind it: outlines, relief and shapes are numbers in this folder.
"""

import functools

import numpy as np

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.head.colors import vertex_colors
from diffusiontalker.face.head.coordinates import Coordinates
from diffusiontalker.face.head.finish import finish_of
from diffusiontalker.face.head.lower_face import lower_face_shapes
from diffusiontalker.face.head.parts import build_parts
from diffusiontalker.face.head.piece import Kind, joined
from diffusiontalker.face.head.skin import build_skin
from diffusiontalker.face.head.upper_face import upper_face_shapes
from diffusiontalker.face.rig import Rig, find_upper_face_vertices

__all__ = ["builtin_rig"]

_METRES_PER_CM = 0.01
_SMALLEST_OFFSET_CM = 0.002


@functools.cache
def builtin_rig() -> Rig:
    """The built-in head: deterministic, built in under a second, and kept."""
    pieces = {"skin": build_skin()} | build_parts()
    head = joined(list(pieces.values()))
    coordinates = Coordinates(head)
    shapes = lower_face_shapes(coordinates) | upper_face_shapes(coordinates)
    deltas = np.stack([shapes[name] for name in CHANNELS])
    deltas[np.linalg.norm(deltas, axis=2) < _SMALLEST_OFFSET_CM] = 0.0
    upper_face = find_upper_face_vertices(CHANNELS, deltas)
    return Rig(
        name="builtin head",
        neutral=head.vertices * _METRES_PER_CM,
        triangles=head.triangles,
        shape_names=CHANNELS,
        shape_deltas=deltas * _METRES_PER_CM,
        colors=vertex_colors(head),
        lip_vertices=np.nonzero(head.kind == Kind.LIP)[0],
        # Skin alone is measured: lashes go far with every blink, and how many there are is a matter of looks.
        upper_face_vertices=upper_face[head.kind[upper_face] != Kind.LASH],
        finish=finish_of(head, tuple((name, len(piece.vertices)) for name, piece in pieces.items())),
    )
