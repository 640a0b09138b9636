"""Rigs as `.npz`, the format of this package: `neutral`, `triangles`, `names`, `deltas`; readable without pickle."""

from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.config import publish_file
from diffusiontalker.face.rig import Rig, RigError
from diffusiontalker.face.rig_parts import Meaning, RawRig

_REGIONS = ("lip_vertices", "upper_face_vertices")


def read_npz(path: Path, *, meaning: Meaning) -> RawRig:
    """Everything in the file; optional are `lip_vertices`, `upper_face_vertices`, `colors` and `units`.

    Raises:
        RigError: when the file is broken, or an array is missing, holds no numbers, or does not fit the others.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except Exception as error:  # a damaged archive fails in many ways, each with its own type
        raise RigError(f"{path}: cannot be read as NPZ without pickle: {error}") from None
    missing = [key for key in ("neutral", "triangles", "names", "deltas") if key not in content]
    if missing:
        raise RigError(f"{path}: lacks {', '.join(missing)}; expected arrays neutral, triangles, names and deltas")
    names = np.atleast_1d(content["names"])
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise RigError(f"{path}: names holds {names.dtype} in shape {names.shape}, expected a list of texts")
    names = [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names.tolist()]
    deltas, neutral = content["deltas"], _numbers(content, "neutral", path)
    if deltas.shape != (len(names), *neutral.shape):
        raise RigError(f"{path}: deltas are {deltas.shape}, expected {(len(names), *neutral.shape)} for these names")
    if len(set(names)) < len(names):
        raise RigError(f"{path}: 'names' holds a name twice; keep one of each")
    shapes = dict(zip(names, _numbers(content, "deltas", path), strict=True))
    return RawRig(
        neutral=neutral,
        triangles=_indices(content, "triangles", path),
        shapes={name: offsets for name, offsets in shapes.items() if meaning(name) is not None},
        foreign=tuple(name for name in names if meaning(name) is None),
        colors=_numbers(content, "colors", path) if "colors" in content else None,
        units=str(content["units"]) if "units" in content else None,
        regions={key: _indices(content, key, path) for key in _REGIONS if key in content},
    )


def save_rig(rig: Rig, path: Path, *, overwrite: bool = False) -> None:
    """Writes a rig that `load_rig` gives back exactly: metres, Y up, ARKit names, its regions and colours.

    Raises:
        RigError: when the file name does not end in `.npz`.
        ArtefactError: when `path` exists (unless `overwrite`) or cannot be written.
    """
    if path.suffix.lower() != ".npz":
        raise RigError(f"{path}: rigs are written as .npz; end the name with .npz")
    arrays: dict[str, Any] = {
        "neutral": rig.neutral,
        "triangles": rig.triangles,
        "names": np.array(rig.shape_names),
        "deltas": rig.shape_deltas,
        "units": np.array("m"),
        **{region: getattr(rig, region) for region in _REGIONS},
    }
    if rig.colors is not None:
        arrays["colors"] = rig.colors
    with publish_file(path, overwrite=overwrite) as temporary:
        np.savez_compressed(temporary, **arrays)


def _numbers(content: dict[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    if content[key].dtype.kind not in "fiu":
        raise RigError(f"{path}: {key} holds {content[key].dtype}, expected numbers")
    return content[key].astype(np.float32)


def _indices(content: dict[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    array = content[key]
    if array.dtype.kind not in "iu" and not (array.dtype.kind == "f" and (array == np.round(array)).all()):
        raise RigError(f"{path}: {key} holds {array.dtype}, expected whole numbers: indices of vertices")
    if array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
        raise RigError(f"{path}: {key} reaches {array.max():.6g}, expected indices of vertices")
    return array.astype(np.int64)
