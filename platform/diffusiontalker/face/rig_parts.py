"""`RawRig`: what a file says about a rig, before units and directions are settled."""

import dataclasses
from collections.abc import Callable

import numpy as np

Meaning = Callable[[str], str | None]
"""Name of a shape in a file -> its ARKit name, None where it has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawRig:
    """A neutral mesh and its shapes, in the file's unit and under the file's names."""

    neutral: np.ndarray
    """(vertices, 3)."""
    triangles: np.ndarray
    """(triangles, 3)."""
    shapes: dict[str, np.ndarray]
    """Name in the file -> (vertices, 3) offsets from the neutral, where the name has a meaning."""
    foreign: tuple[str, ...] = ()
    """Names in the file that have none; those shapes were not read."""
    units: str | None = None
    """`m`, `cm` or `mm`, where the file says so."""
    colors: np.ndarray | None = None
    """(vertices, 3) sRGB in [0, 1], where the file has them."""
    regions: dict[str, np.ndarray | None] = dataclasses.field(default_factory=dict)
    """`lip_vertices` and `upper_face_vertices`, where the file names them."""
