"""Rigs from GLB files: every mesh with morph targets, and the still meshes beside it, become one.

Understands dense, sparse, interleaved and normalised accessors inside the binary chunk; not Draco or meshopt.
"""

import warnings
from pathlib import Path

import numpy as np
import pygltflib as gltf

from diffusiontalker.face.rig import RigError
from diffusiontalker.face.rig_parts import Meaning, RawRig

_DTYPES = {
    gltf.BYTE: np.int8, gltf.UNSIGNED_BYTE: np.uint8, gltf.SHORT: np.int16, gltf.UNSIGNED_SHORT: np.uint16,
    gltf.UNSIGNED_INT: np.uint32, gltf.FLOAT: np.float32,
}  # fmt: skip
_WIDTHS = {gltf.SCALAR: 1, gltf.VEC2: 2, gltf.VEC3: 3, gltf.VEC4: 4}
_SUPPORTED_EXTENSIONS = {"KHR_mesh_quantization"}
_PICTURE_EXTENSIONS = ("KHR_texture_", "EXT_texture_", "KHR_materials_", "KHR_lights_", "EXT_lights_")
"""Textures, materials and lights are not read, so whatever they need does not matter."""
_TRIANGLES = 4


def read_glb(path: Path, *, meaning: Meaning) -> RawRig:
    """Neutral, triangles and the morph targets whose names mean something, in scene coordinates.

    Raises:
        RigError: when the file is broken, uses compression, or holds no named morph target.
    """
    document = _document(path)
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused later, by name
            return _assembled(document, path, meaning=meaning)
    except RigError:
        raise
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RigError(f"{path}: contradicts itself ({type(error).__name__}: {error}); export it again") from None


def _assembled(document: gltf.GLTF2, path: Path, *, meaning: Meaning) -> RawRig:
    reader = _Reader(document, document.binary_blob() or b"", path)
    neutrals, triangles, targets, total = [], [], [], 0
    known: dict[str, None] = {}
    foreign: dict[str, None] = {}
    for node_index, transform in _placed_nodes(document, path):
        mesh_index = document.nodes[node_index].mesh
        if mesh_index is None:
            continue
        mesh = document.meshes[mesh_index]
        names = _target_names(mesh, path)
        for name in names:
            (foreign if meaning(name) is None else known)[name] = None
        for primitive in mesh.primitives:
            if (primitive.mode if primitive.mode is not None else _TRIANGLES) != _TRIANGLES:
                raise RigError(f"{path}: mesh '{mesh.name}' is not made of triangles; triangulate it on export")
            if primitive.attributes.POSITION is None:
                continue
            positions = reader.accessor(primitive.attributes.POSITION)
            indices = (np.arange(len(positions)) if primitive.indices is None
                       else reader.accessor(primitive.indices)[:, 0].astype(np.int64))  # fmt: skip
            neutrals.append(positions @ transform[:3, :3].T + transform[:3, 3])
            triangles.append(indices.reshape(-1, 3) + total)
            offsets = {}
            for name, target in zip(names, primitive.targets or [], strict=False):
                accessor = target.get("POSITION") if isinstance(target, dict) else target.POSITION
                if accessor is not None and name in known:
                    offsets[name] = reader.accessor(accessor) @ transform[:3, :3].T
            targets.append((slice(total, total + len(positions)), offsets))
            total += len(positions)
    if not neutrals or not (known or foreign):
        raise RigError(f"{path}: no mesh has morph targets; export the head with its shape keys (blend shapes)")
    neutral = np.concatenate(neutrals)
    shapes = {name: np.zeros(neutral.shape, dtype=np.float32) for name in known}
    for part, offsets in targets:
        for name, offset in offsets.items():
            shapes[name][part] = offset
    return RawRig(neutral=neutral, triangles=np.concatenate(triangles), shapes=shapes, foreign=tuple(foreign))


def _document(path: Path) -> gltf.GLTF2:
    content = path.read_bytes()
    if content[:4] != b"glTF":
        raise RigError(f"{path}: is not a binary glTF file (it does not start with 'glTF'); export as .glb")
    declared = int.from_bytes(content[8:12], "little")
    if declared > len(content):
        raise RigError(
            f"{path}: is cut off: its header declares {declared} bytes, it holds {len(content)}; copy it again"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document = gltf.GLTF2().load_binary(path)
    except Exception as error:
        raise RigError(f"{path}: cannot be read as GLB: {error}") from error
    if document is None:
        raise RigError(f"{path}: cannot be read as GLB")
    needed = {name for name in document.extensionsRequired or [] if not name.startswith(_PICTURE_EXTENSIONS)}
    unknown = sorted(needed - _SUPPORTED_EXTENSIONS)
    if unknown:
        raise RigError(
            f"{path}: needs {', '.join(unknown)}, which is not supported; export without compression, or undo it with "
            f"'npx @gltf-transform/cli copy {path.name} plain.glb'"
        )
    return document


def _target_names(mesh: gltf.Mesh, path: Path) -> list[str]:
    count = max((len(primitive.targets or []) for primitive in mesh.primitives), default=0)
    holders = [mesh.extras, *(primitive.extras for primitive in mesh.primitives)]  # some exporters name them there
    named = [extras["targetNames"] for extras in holders if isinstance(extras, dict) and extras.get("targetNames")]
    names = named[0] if named else []
    if count and len(names) != count:
        raise RigError(
            f"{path}: mesh '{mesh.name}' has {count} morph targets but {len(names)} names in extras.targetNames; "
            "export with shape key names"
        )
    return [str(name) for name in names]


def _placed_nodes(document: gltf.GLTF2, path: Path) -> list[tuple[int, np.ndarray]]:
    """(node, world matrix) of every node, parents first."""
    children = {child for node in document.nodes for child in node.children or []}
    pending = [(index, np.eye(4)) for index in range(len(document.nodes)) if index not in children]
    placed: list[tuple[int, np.ndarray]] = []
    while pending:
        index, parent = pending.pop(0)
        if len(placed) > len(document.nodes):
            raise RigError(f"{path}: its nodes form a loop; export the file again")
        world = parent @ _local_matrix(document.nodes[index])
        placed.append((index, world))
        pending.extend((child, world) for child in document.nodes[index].children or [])
    return placed


def _local_matrix(node: gltf.Node) -> np.ndarray:
    if node.matrix is not None and len(node.matrix) == 16:
        return np.array(node.matrix, dtype=np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = node.rotation if node.rotation is not None else (0.0, 0.0, 0.0, 1.0)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= node.scale if node.scale is not None else (1.0, 1.0, 1.0)
    matrix[:3, 3] = node.translation if node.translation is not None else (0.0, 0.0, 0.0)
    return matrix


class _Reader:
    """Reads accessors of one document as float64 arrays (count, width)."""

    def __init__(self, document: gltf.GLTF2, blob: bytes, path: Path):
        self._document, self._blob, self._path = document, blob, path

    def accessor(self, index: int) -> np.ndarray:
        accessor = self._document.accessors[index]
        width, dtype = _WIDTHS[accessor.type], np.dtype(_DTYPES[accessor.componentType])
        values = np.zeros((accessor.count, width))
        if accessor.bufferView is not None:
            values[:] = self._rows(accessor.bufferView, accessor.byteOffset or 0, accessor.count, width, dtype)
        if accessor.sparse is not None:
            sparse = accessor.sparse
            kind = np.dtype(_DTYPES[sparse.indices.componentType])
            rows = self._rows(sparse.indices.bufferView, sparse.indices.byteOffset or 0, sparse.count, 1, kind)
            chosen = rows[:, 0].astype(np.int64)
            if len(chosen) and chosen.max() >= accessor.count:
                raise RigError(f"{self._path}: a sparse accessor points outside its {accessor.count} rows")
            values[chosen] = self._rows(
                sparse.values.bufferView, sparse.values.byteOffset or 0, sparse.count, width, dtype
            )
        if accessor.normalized:
            values = np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values

    def _rows(self, view_index: int, offset: int, count: int, width: int, dtype: np.dtype) -> np.ndarray:
        view = self._document.bufferViews[view_index]
        if view.buffer != 0 or self._document.buffers[0].uri is not None:
            raise RigError(f"{self._path}: keeps data outside the binary chunk; export as one self-contained .glb")
        start = (view.byteOffset or 0) + offset
        stride = view.byteStride or width * dtype.itemsize
        end = start + stride * (count - 1) + width * dtype.itemsize if count else start
        if end > len(self._blob):
            raise RigError(f"{self._path}: is cut short ({len(self._blob)} bytes of data, {end} needed)")
        return np.ndarray((count, width), dtype, self._blob, start, (stride, dtype.itemsize))
