"""GLB files: the weights animation of a mesh whose morph targets have names.

Understands dense accessors inside the binary chunk, with `LINEAR`, `STEP` and `CUBICSPLINE` keys; what spline keys say
between frames is not kept.
"""

import struct
from typing import Any

import numpy as np

from diffusiontalker.face.arkit import canonical_name
from diffusiontalker.face.motion import MotionError
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import MotionTable, NoMotionError, checked_rate

_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_DTYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5126: np.float32}
_SPLINE_PARTS = 3


def read_glb(source: MotionSource) -> MotionTable:
    """The animation of the weights, by the names in the mesh's `extras.targetNames`.

    Where several meshes are animated (face, teeth, eyes), each name counts once; they must agree.

    Raises:
        MotionError: when the file is broken, or animates no named morph target.
    """
    try:
        return _read(source)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, MotionError):
            raise
        raise MotionError(
            f"{source.place}: cannot be read as GLB: its parts do not fit together ({type(error).__name__}: {error}); "
            "export it again"
        ) from None


def _read(source: MotionSource) -> MotionTable:
    document = _Document(source)
    columns: dict[str, np.ndarray] = {}
    times_s, extras = None, {}
    for animation in document.part("animations"):
        channels = [channel for channel in animation.get("channels", []) if channel["target"].get("path") == "weights"]
        for channel in channels:
            keys_s, weights = document.keys(animation["samplers"][channel["sampler"]])
            names = document.target_names(channel["target"].get("node"), weights.shape[1])
            if times_s is not None and not np.array_equal(keys_s, times_s):
                raise MotionError(f"{source.place}: its meshes are animated at different times; bake the animation")
            times_s = keys_s
            for name, column in zip(names, weights.T, strict=True):
                other = columns.setdefault(canonical_name(name) or name, column)
                if not np.allclose(other, column, atol=1e-6, equal_nan=True):
                    raise MotionError(f"{source.place}: two meshes animate '{name}' differently; keep one of them")
        if channels:
            extras = animation.get("extras") or {}
            break
    if times_s is None:
        raise NoMotionError(
            f"{source.place}: holds no animation of morph target weights; export the head with its shape key animation"
        )
    kept = extras.get("names")
    names = [name for name in kept if name in columns] if isinstance(kept, list) else list(columns)
    return MotionTable(
        names=names,
        values=np.stack([columns[name] for name in names], axis=1) if names else np.zeros((len(times_s), 0)),
        fps=checked_rate(extras.get("fps"), source.place),
        times_s=times_s,
        time_name="key time",
        row_word="key",
    )


class _Document:
    """A GLB file whose parts are looked up with care: other programs wrote it."""

    def __init__(self, source: MotionSource) -> None:
        self._place, content = source.place, source.content
        if content[:4] != b"glTF" or len(content) < 20:
            raise MotionError(f"{self._place}: cannot be read as GLB: it does not begin with 'glTF'")
        declared = int.from_bytes(content[8:12], "little")
        if declared > len(content):
            raise MotionError(
                f"{self._place}: cannot be read as GLB: it is cut off, its header declares {declared} bytes, it holds "
                f"{len(content)}; copy it again"
            )
        self._document: dict[str, Any] = {}
        self._binary, offset = b"", 12
        while offset + 8 <= len(content):
            size, kind = struct.unpack_from("<II", content, offset)
            chunk = content[offset + 8 : offset + 8 + size]
            if len(chunk) < size:
                raise MotionError(f"{self._place}: cannot be read as GLB: it is cut off, export it again")
            if kind == _JSON_CHUNK:
                found = source.json(chunk.decode("utf-8", errors="replace"))
                self._document = found if isinstance(found, dict) else {}
            elif kind == _BINARY_CHUNK:
                self._binary = chunk
            offset += 8 + size

    def part(self, key: str) -> list[dict[str, Any]]:
        """A list at the top of the document; empty if it has none."""
        return self._document.get(key) or []

    def keys(self, sampler: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """(keys,) seconds and (keys, targets) weights."""
        times_s, weights = self._accessor(sampler["input"]), self._accessor(sampler["output"])
        parts = _SPLINE_PARTS if sampler.get("interpolation") == "CUBICSPLINE" else 1
        if not len(times_s) or len(weights) % (parts * len(times_s)):
            raise MotionError(
                f"{self._place}: {len(weights)} weights do not fit {len(times_s)} keys; export the file again"
            )
        return times_s, weights.reshape(len(times_s), parts, -1)[:, parts // 2]

    def target_names(self, node: int | None, count: int) -> list[str]:
        """Names of the morph targets of a node's mesh."""
        mesh = self.part("meshes")[self.part("nodes")[node]["mesh"]] if node is not None else {}
        names = (mesh.get("extras") or {}).get("targetNames") or []
        if len(names) != count:
            raise MotionError(
                f"{self._place}: mesh '{mesh.get('name')}' has {count} morph targets but {len(names)} names in "
                "extras.targetNames; export with shape key names"
            )
        return [str(name) for name in names]

    def _accessor(self, index: int) -> np.ndarray:
        accessor = self.part("accessors")[index]
        dtype = np.dtype(_DTYPES.get(accessor["componentType"], np.float32)).newbyteorder("<")
        if accessor.get("type") != "SCALAR" or accessor["componentType"] not in _DTYPES or "sparse" in accessor:
            raise MotionError(f"{self._place}: accessor {index} of the animation is no dense list of numbers")
        view = self.part("bufferViews")[accessor["bufferView"]]
        if view.get("buffer", 0) != 0 or "uri" in self.part("buffers")[0]:
            raise MotionError(f"{self._place}: keeps data outside the file; export as one self-contained .glb")
        start, count = view.get("byteOffset", 0) + accessor.get("byteOffset", 0), accessor["count"]
        if count < 0 or start < 0 or start + count * dtype.itemsize > len(self._binary):
            raise MotionError(f"{self._place}: cannot be read as GLB: it is cut off, export it again")
        values = np.frombuffer(self._binary, dtype, count, start).astype(np.float64)
        return np.maximum(values / np.iinfo(dtype).max, -1.0) if accessor.get("normalized") else values
