"""Rigs from files: `.npz`, a folder of OBJ, `.glb` with morph targets, brought to metres and ARKit names."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.rig import Rig, RigError
from diffusiontalker.face.rig_directions import OURS, Z_UP, Directions, find_directions
from diffusiontalker.face.rig_gltf import read_glb
from diffusiontalker.face.rig_names import check_shape_names, meaning_of_shapes
from diffusiontalker.face.rig_npz import read_npz
from diffusiontalker.face.rig_obj import read_obj_folder
from diffusiontalker.face.rig_units import check_size, metres_per_unit, units_of
from diffusiontalker.storage import StorageError, local_copy

logger = logging.getLogger(__name__)

UP_AXES = ("auto", "y", "z")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RigReading:
    """A rig and how its file was understood."""

    rig: Rig
    """Metres, ARKit names, turned to Y up unless asked otherwise."""
    source: str
    """Where it is from."""
    units: str
    """`m`, `cm`, `mm` or metres per unit: what the file's numbers were taken for."""
    units_from: str
    """How that was known: `given`, `as the file says`, `by its size`."""
    names: dict[str, str]
    """ARKit name -> name in the file."""
    foreign: tuple[str, ...]
    """Shapes of the file that are none of ARKit's; they are left out."""
    found: Directions | None
    """How the head lies in the file; None when its shapes do not tell."""
    turned_from: Directions | None
    """From where it was turned to Y up; None when it was left as it is."""


def load_rig(path: Path | str | None, *, units: str = "auto") -> Rig:
    """Reads a rig and brings it to metres; a head that does not stand Y up is left so, with a warning in the log.

    Args:
        path: None or empty for the built-in head; otherwise the path or URL of a `.npz` (arrays `neutral`
            (vertices, 3), `triangles`, `names`, `deltas` (shapes, vertices, 3); optional `lip_vertices`,
            `upper_face_vertices`), a folder with `neutral.obj` and one `<shape>.obj` each, or a `.glb` whose mesh
            names its morph targets in `extras.targetNames`. Y up, Z out of the face. Shapes whose name is no ARKit
            name are left out.
        units: of the file: `m`, `cm`, `mm`, metres per unit as a number (`0.1`), or `auto`, which judges by the size of
            the part that the shapes move.

    Raises:
        RigError: says which file, what is wrong and what to do.
    """
    reading = read_rig(path, units=units, up="y")
    if reading.found is not None and not reading.found.is_ours:
        logger.warning(
            "%s: the head lies %s, expected %s; turn it with 'diffusiontalker rig import'",
            *(reading.source, reading.found.text(), OURS.text()),
        )
    return reading.rig


def read_rig(
    path: Path | str | None, *, units: str = "auto", up: str = "auto", names: Mapping[str, str] | None = None
) -> RigReading:
    """Reads a rig as `load_rig` does, turns it to Y up, and tells how it was understood.

    Args:
        path: as of `load_rig`.
        units: as of `load_rig`.
        up: `y`: the head stands Y up; `z`: Z up, facing -Y; `auto`: judged by its shapes (Y when they do not tell).
        names: foreign shape name -> ARKit name, or empty to leave the shape out; others go by their spelling.

    Raises:
        RigError: says which file, what is wrong and what to do.
    """
    if not path:
        rig = builtin_rig()
        own_names = {name: name for name in rig.shape_names}
        return RigReading(rig=rig, source="the built-in head", units="m", units_from="as the file says",
                          names=own_names, foreign=(), found=OURS, turned_from=None)  # fmt: skip
    if units != "auto":
        metres_per_unit(units, place=path)
    if up not in UP_AXES:
        raise RigError(f"{path}: unknown up '{up}', expected {', '.join(UP_AXES)}")
    try:
        with local_copy(path) as local:
            return _settled(local, source=str(path), units=units, up=up, names=names)
    except StorageError as error:
        raise RigError(f"no rig: {error}") from None


def _settled(path: Path, *, source: str, units: str, up: str, names: Mapping[str, str] | None) -> RigReading:
    meaning = meaning_of_shapes(names)
    if path.is_dir():
        raw = read_obj_folder(path, meaning=meaning)
    elif not path.exists():
        raise RigError(f"{path}: there is no such rig; give a .npz, a .glb or a folder with neutral.obj")
    elif not path.stat().st_size:
        raise RigError(f"{path}: the file is empty (0 bytes)")
    elif path.suffix.lower() == ".npz":
        raw = read_npz(path, meaning=meaning)
    elif path.suffix.lower() == ".glb":
        raw = read_glb(path, meaning=meaning)
    else:
        raise RigError(
            f"{path}: unknown rig format '{path.suffix}'; expected .npz, .glb or a folder of OBJ files; "
            "a 3D program such as Blender exports it as .glb with its shape keys"
        )
    check_shape_names(tuple(raw.shapes), foreign=raw.foreign, place=path, meaning=meaning, table=names)
    check_size(raw, path)
    named = {str(meaning(name)): name for name in raw.shapes}
    unit, units_from = (units, "given") if units != "auto" else units_of(raw, named, path)
    metres = metres_per_unit(unit, place=path)
    try:
        rig = Rig(
            name=path.stem,
            neutral=raw.neutral * metres,
            triangles=raw.triangles,
            shape_names=tuple(named),
            shape_deltas=np.stack(list(raw.shapes.values())) * metres,
            colors=raw.colors,
            **{field: indices for field, indices in raw.regions.items() if indices is not None},  # type: ignore[arg-type]
        )
    except RigError as error:  # it knows the rig's name only
        problem = str(error).removeprefix(f"rig '{path.stem}': ")
        raise RigError(f"{source}: {problem}") from None
    found = find_directions(rig)
    lies = Z_UP if up == "z" else found if up == "auto" and found is not None else OURS
    return RigReading(
        rig=rig if lies.is_ours else _turned(rig, lies.rotation),
        source=source,
        units=unit,
        units_from=units_from,
        names=named,
        foreign=raw.foreign,
        found=found,
        turned_from=None if lies.is_ours else lies,
    )


def _turned(rig: Rig, rotation: np.ndarray) -> Rig:
    return dataclasses.replace(
        rig, neutral=rig.neutral @ rotation.T, shape_deltas=(rig.shape_deltas @ rotation.T).astype(np.float32)
    )
