"""Rigs from folders of OBJ files: `neutral.obj` and one `<shape>.obj` for each shape."""

import itertools
from pathlib import Path

import numpy as np

from diffusiontalker.face.rig import RigError
from diffusiontalker.face.rig_parts import Meaning, RawRig


def read_obj_folder(folder: Path, *, meaning: Meaning) -> RawRig:
    """The neutral and the shapes whose file names mean something.

    Raises:
        RigError: when there is no neutral, a file cannot be read, or a shape has another number of vertices.
    """
    files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".obj"}
    neutral_file = next((file for stem, file in files.items() if stem.lower() == "neutral"), None)
    if neutral_file is None:
        raise RigError(f"{folder}: has no neutral.obj; put the face at rest there under that name")
    neutral, triangles = _read_obj(neutral_file)
    if not len(triangles):
        raise RigError(f"{neutral_file}: has no faces (lines 'f ...'); export the mesh, not only its points")
    shapes: dict[str, np.ndarray] = {}
    foreign: list[str] = []
    for stem, file in files.items():
        if file == neutral_file:
            continue
        if meaning(stem) is None:
            foreign.append(stem)
            continue
        vertices, _ = _read_obj(file)
        if len(vertices) != len(neutral):
            raise RigError(
                f"{file}: has {len(vertices)} vertices but {neutral_file.name} {len(neutral)}; export all shapes from "
                "one mesh with 'keep vertex order'"
            )
        shapes[stem] = vertices - neutral
    return RawRig(neutral=neutral, triangles=triangles, shapes=shapes, foreign=tuple(foreign))


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles (polygons become fans) of an OBJ file; everything else in it is ignored."""
    vertices: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RigError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        word, *cells = line.split() or [""]
        try:
            if word == "v":
                vertices.append([float(cell) for cell in cells[:3]])
                if len(vertices[-1]) != 3:
                    raise ValueError("fewer than three coordinates")
            elif word == "f":
                triangles.extend(_fan(cells, num_vertices=len(vertices)))
        except ValueError as error:
            raise RigError(f"{path}: line {number}, '{line[:60]}', cannot be read: {error}") from None
    if not vertices:
        raise RigError(f"{path}: holds no vertices (lines 'v x y z'); is it an OBJ file?")
    return np.array(vertices, dtype=np.float32), np.array(triangles, dtype=np.int32).reshape(-1, 3)


def _fan(cells: list[str], *, num_vertices: int) -> list[tuple[int, int, int]]:
    corners = [int(cell.split("/")[0]) for cell in cells]
    if len(corners) < 3:
        raise ValueError(f"{len(corners)} corners, a face has at least 3")
    indices = [corner - 1 if corner > 0 else num_vertices + corner for corner in corners]
    if 0 in corners or not 0 <= min(indices) <= max(indices) < 2**31:
        raise ValueError("a corner is no vertex; they are counted from 1, or from -1 backwards")
    return [(indices[0], *pair) for pair in itertools.pairwise(indices[1:])]
