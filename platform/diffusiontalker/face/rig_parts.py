"""`RawRig`: what a file says about a rig, before names and units are settled."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawRig:
    """A neutral mesh and its shapes, in the file's unit and under the file's names."""

    neutral: np.ndarray
    """(vertices, 3)."""
    triangles: np.ndarray
    """(triangles, 3)."""
    shapes: dict[str, np.ndarray]
    """Name in the file -> (vertices, 3) offsets from the neutral."""
    regions: dict[str, np.ndarray | None] = dataclasses.field(default_factory=dict)
    """`lip_vertices` and `upper_face_vertices`, where the file names them."""
