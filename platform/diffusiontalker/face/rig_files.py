"""Rigs from files: `.npz`, a folder of OBJ, `.glb` with morph targets. Shapes are matched by name."""

import itertools
import zipfile
from pathlib import Path

import numpy as np

from diffusiontalker.face.arkit import canonical_name
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.rig import Rig, RigError
from diffusiontalker.face.rig_gltf import read_glb
from diffusiontalker.face.rig_parts import RawRig
from diffusiontalker.storage import StorageError, local_copy

_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_SMALLEST_FACE_M, _LARGEST_FACE_M = 0.05, 0.5


def load_rig(path: Path | str | None, *, units: str = "auto") -> Rig:
    """Reads a rig and brings it to metres.

    Args:
        path: None or empty for the built-in head; otherwise the path or URL of a `.npz` (arrays `neutral`
            (vertices, 3), `triangles`, `names`, `deltas` (shapes, vertices, 3); optional `lip_vertices`,
            `upper_face_vertices`), a folder with `neutral.obj` and one `<shape>.obj` each, or a `.glb` whose mesh
            names its morph targets in `extras.targetNames`. Y up, Z out of the face. Shapes whose name is no ARKit
            name are left out.
        units: of the file: `m`, `cm`, `mm`, or `auto`, which judges by the size of the part that the shapes move.

    Raises:
        RigError: says which file, what is wrong and what to do.
    """
    if not path:
        return builtin_rig()
    try:
        with local_copy(path) as local:
            return _read(local, units=units)
    except StorageError as error:
        raise RigError(f"no rig: {error}") from None


def _read(path: Path, *, units: str) -> Rig:
    if units != "auto" and units not in _METRES:
        raise RigError(f"{path}: unknown units '{units}', expected auto, {', '.join(_METRES)}")
    if path.is_dir():
        raw = _read_obj_folder(path)
    elif not path.exists():
        raise RigError(f"{path}: there is no such rig; give a .npz, a .glb or a folder with neutral.obj")
    elif path.suffix.lower() == ".npz":
        raw = _read_npz(path)
    elif path.suffix.lower() == ".glb":
        raw = read_glb(path)
    else:
        raise RigError(f"{path}: unknown rig format '{path.suffix}'; expected .npz, .glb or a folder of OBJ files")
    return _rig(raw, path, units)


def _rig(raw: RawRig, path: Path, units: str) -> Rig:
    shapes: dict[str, np.ndarray] = {}
    for name, offsets in raw.shapes.items():
        known = canonical_name(name)
        if known in shapes:
            raise RigError(f"{path}: several shapes mean {known} (one is '{name}'); keep one of them")
        if known is not None:
            shapes[known] = offsets
    if not shapes:
        shown = ", ".join(list(raw.shapes)[:8]) or "none"
        raise RigError(f"{path}: no shape has an ARKit name such as jawOpen (found: {shown}); rename the shapes")
    deltas = np.stack(list(shapes.values()))
    scale = _METRES[units] if units != "auto" else _METRES[_guessed_units(raw.neutral, deltas, path)]
    return Rig(
        name=path.stem,
        neutral=raw.neutral * scale,
        triangles=raw.triangles,
        shape_names=tuple(shapes),
        shape_deltas=deltas * scale,
        **{field: indices for field, indices in raw.regions.items() if indices is not None},
    )


def _guessed_units(neutral: np.ndarray, deltas: np.ndarray, path: Path) -> str:
    """The unit in which the moving part of the head is between 5 and 50 cm large."""
    lengths = np.linalg.norm(deltas, axis=2)
    moved = (lengths > 0.01 * np.nanmax(lengths, initial=0.0)).any(axis=0)
    extent = float(np.ptp(neutral[moved], axis=0).max()) if moved.any() else 0.0
    for name, metres in _METRES.items():
        if _SMALLEST_FACE_M <= extent * metres < _LARGEST_FACE_M:
            return name
    raise RigError(
        f"{path}: the part of the head that shapes move is {extent:.4g} units large, which is a face in neither metres "
        f"(0.05 to 0.5), centimetres nor millimetres; pass units if you know them, or scale the rig"
    )


def _read_npz(path: Path) -> RawRig:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RigError(f"{path}: cannot be read as NPZ without pickle: {error}") from None
    missing = [key for key in ("neutral", "triangles", "names", "deltas") if key not in content]
    if missing:
        raise RigError(f"{path}: lacks {', '.join(missing)}; expected arrays neutral, triangles, names and deltas")
    names, deltas = [str(name) for name in np.atleast_1d(content["names"])], content["deltas"]
    neutral = _floats(content["neutral"], "neutral", path)
    if deltas.shape != (len(names), *neutral.shape):
        raise RigError(f"{path}: deltas are {deltas.shape}, expected {(len(names), *neutral.shape)} for these names")
    if len(set(names)) < len(names):
        raise RigError(f"{path}: 'names' holds a name twice; keep one of each")
    regions = {key: content.get(key) for key in ("lip_vertices", "upper_face_vertices")}
    shapes = dict(zip(names, _floats(deltas, "deltas", path), strict=True))
    return RawRig(neutral=neutral, triangles=content["triangles"], shapes=shapes, regions=regions)


def _floats(array: np.ndarray, what: str, path: Path) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise RigError(f"{path}: {what} holds {array.dtype}, expected numbers")
    return array.astype(np.float32)


def _read_obj_folder(folder: Path) -> RawRig:
    files = {file.stem: file for file in sorted(folder.glob("*.obj"))}
    neutral_file = next((file for stem, file in files.items() if stem.lower() == "neutral"), None)
    if neutral_file is None:
        raise RigError(f"{folder}: has no neutral.obj; put the face at rest there under that name")
    neutral, triangles = _read_obj(neutral_file)
    if not len(triangles):
        raise RigError(f"{neutral_file}: has no faces (lines 'f ...'); export the mesh, not only its points")
    shapes: dict[str, np.ndarray] = {}
    for stem, file in files.items():
        if file == neutral_file or canonical_name(stem) is None:
            continue
        vertices, _ = _read_obj(file)
        if len(vertices) != len(neutral):
            raise RigError(
                f"{file}: has {len(vertices)} vertices but {neutral_file.name} {len(neutral)}; export all shapes from "
                "one mesh with 'keep vertex order'"
            )
        shapes[stem] = vertices - neutral
    return RawRig(neutral=neutral, triangles=triangles, shapes=shapes)


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
                corners = [int(cell.split("/")[0]) for cell in cells]
                corners = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
                triangles.extend((corners[0], *pair) for pair in itertools.pairwise(corners[1:]))
        except ValueError as error:
            raise RigError(f"{path}: line {number}, '{line[:60]}', cannot be read: {error}") from None
    if not vertices:
        raise RigError(f"{path}: holds no vertices (lines 'v x y z'); is it an OBJ file?")
    return np.array(vertices, dtype=np.float32), np.array(triangles, dtype=np.int32).reshape(-1, 3)
