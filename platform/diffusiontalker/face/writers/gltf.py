"""Writer of GLB (binary glTF 2.0): a rig's mesh with its shapes as morph targets, and the clip as their animation.

Offsets are stored sparsely (only vertices that a shape moves), which makes the file several times smaller. A rig with a
finish becomes one primitive per part, each with a material, whose attribute `_SURFACE` holds gloss, hair and fade.
"""

import dataclasses
import json
import struct
import weakref
from typing import Any

import numpy as np
import pygltflib as gltf

from diffusiontalker.face.motion import MotionClip
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.writers.tables import frame_times_s

_HEADS: weakref.WeakKeyDictionary[Rig, tuple[dict[str, Any], bytes]] = weakref.WeakKeyDictionary()
_SMALLEST_OFFSET_M = 1e-5
_GRID_M = 2.0**-17
_SKIN_RGB = (0.86, 0.69, 0.60)
_SURFACE = "_SURFACE"
_ROUGHNESS = {
    "skin": 0.55,
    "ears": 0.55,
    "eyes": 0.08,
    "brows": 0.8,
    "lashes": 0.8,
    "teeth": 0.25,
    "tongue": 0.35,
    "hair": 0.7,
}


def glb_bytes(clip: MotionClip, *, rig: Rig, audio_name: str | None = None) -> bytes:
    """Mesh, shapes and animation in one file; every frame becomes one key, in seconds, linearly interpolated.

    Channels that the rig has no shape for are left out; shapes without a channel stay at 0. The animation's extras hold
    `fps`, `names` (the clip's channels) and, when known, `audio`: the name of the sound file that belongs to it (glTF
    itself carries no sound).
    """
    head, content = _head(rig)
    binary = _Binary(
        content=bytearray(content), views_before=len(head["bufferViews"]), accessors_before=len(head["accessors"])
    )
    weights = clip.with_channels(rig.shape_names).coefficients
    animation = _animation(clip, weights, binary, audio_name)
    added = _plain(gltf.GLTF2(animations=[animation], accessors=binary.accessors, bufferViews=binary.views))
    lists = {name: head[name] + added[name] for name in ("accessors", "bufferViews")}
    return _packed(head | lists | {"animations": added["animations"]}, binary.content)


def head_glb_bytes(rig: Rig) -> bytes:
    """Mesh and shapes without an animation, for programs that move the shapes themselves.

    Places are whole multiples of 2^-17 m (8 micrometres), which lets the file be compressed to two thirds.
    """
    coarse = dataclasses.replace(rig, neutral=_on_grid(rig.neutral), shape_deltas=_on_grid(rig.shape_deltas))
    return _packed(*_head(coarse))


def _on_grid(places: np.ndarray) -> np.ndarray:
    return np.round(places / _GRID_M) * np.float32(_GRID_M)


def _head(rig: Rig) -> tuple[dict[str, Any], bytes]:
    """The document and the binary chunk of a head at rest; made once for a rig, as it costs more than any animation."""
    if rig not in _HEADS:
        binary = _Binary()
        mesh = _mesh(rig, binary)
        document = gltf.GLTF2(
            asset=gltf.Asset(version="2.0", generator="diffusiontalker"),
            scene=0,
            scenes=[gltf.Scene(nodes=[0])],
            nodes=[gltf.Node(name="head", mesh=0)],
            meshes=[mesh],
            materials=[_material(rig, name) for name, _ in _parts(rig)],
            accessors=binary.accessors,
            bufferViews=binary.views,
        )
        _HEADS[rig] = _plain(document), bytes(binary.content)
    return _HEADS[rig]


def _plain(document: gltf.GLTF2) -> dict[str, Any]:
    return json.loads(document.gltf_to_json())


def _packed(document: dict[str, Any], content: bytes | bytearray) -> bytes:
    """A GLB file: header, document, binary chunk; chunks end on 4-byte boundaries."""
    text = json.dumps(document | {"buffers": [{"byteLength": len(content)}]}, separators=(",", ":")).encode()
    chunks = ((b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", bytes(content) + b"\0" * (-len(content) % 4)))
    body = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


@dataclasses.dataclass
class _Binary:
    """The binary chunk and the accessors into it, as they grow."""

    content: bytearray = dataclasses.field(default_factory=bytearray)
    views: list[gltf.BufferView] = dataclasses.field(default_factory=list)
    accessors: list[gltf.Accessor] = dataclasses.field(default_factory=list)
    views_before: int = 0
    """Views that the content begins with, which stand elsewhere."""
    accessors_before: int = 0

    def view(self, array: np.ndarray, *, target: int | None = None) -> int:
        """Appends an array on a 4-byte boundary; the index of its buffer view."""
        self.content.extend(b"\0" * (-len(self.content) % 4))
        data = np.ascontiguousarray(array).tobytes()
        self.views.append(gltf.BufferView(buffer=0, byteOffset=len(self.content), byteLength=len(data), target=target))
        self.content.extend(data)
        return self.views_before + len(self.views) - 1

    def accessor(
        self, array: np.ndarray, *, kind: str, target: int | None = None, bounds: bool = False, normalized: bool = False
    ) -> int:
        """Appends a dense array; the index of its accessor."""
        lowest, highest = _limits(array) if bounds else (None, None)
        self.accessors.append(
            gltf.Accessor(
                bufferView=self.view(array, target=target),
                componentType=_component(array),
                normalized=normalized,
                count=len(array),
                type=kind,
                min=lowest,  # type: ignore[arg-type]
                max=highest,  # type: ignore[arg-type]
            )
        )
        return self.accessors_before + len(self.accessors) - 1

    def sparse_offsets(self, offsets: np.ndarray) -> int:
        """Appends the (vertices, 3) offsets of one shape, only those that are not nil; the index of its accessor."""
        moved = np.nonzero((np.abs(offsets) > _SMALLEST_OFFSET_M).any(axis=1))[0]
        if not len(moved):
            moved = np.array([0])
        kept = np.zeros_like(offsets)
        kept[moved] = offsets[moved]
        indices = moved.astype(np.uint16 if len(offsets) <= 0xFFFF else np.uint32)
        # byteOffset must be absent in sparse parts as long as there is none: a 0 is an error to validators.
        sparse = gltf.Sparse(
            count=len(moved),
            indices=gltf.AccessorSparseIndices(
                bufferView=self.view(indices), byteOffset=None, componentType=_component(indices)
            ),
            values=gltf.AccessorSparseValues(bufferView=self.view(kept[moved]), byteOffset=None),
        )
        lowest, highest = _limits(kept)
        self.accessors.append(
            gltf.Accessor(
                byteOffset=None,
                componentType=gltf.FLOAT,
                count=len(offsets),
                type=gltf.VEC3,
                sparse=sparse,
                min=lowest,
                max=highest,
            )
        )
        return self.accessors_before + len(self.accessors) - 1


def _parts(rig: Rig) -> tuple[tuple[str, int], ...]:
    return rig.finish.parts if rig.finish else (("skin", rig.num_vertices),)


def _mesh(rig: Rig, binary: _Binary) -> gltf.Mesh:
    primitives, start = [], 0
    for material, (_, count) in enumerate(_parts(rig)):
        primitives.append(_primitive(rig, slice(start, start + count), binary, material=material))
        start += count
    return gltf.Mesh(
        name=rig.name,
        primitives=primitives,
        weights=[0.0] * len(rig.shape_names),
        extras={"targetNames": list(rig.shape_names)},
    )


def _primitive(rig: Rig, part: slice, binary: _Binary, *, material: int) -> gltf.Primitive:
    """The vertices of one part, and the triangles between them."""

    def column(array: np.ndarray, kind: str, *, bounds: bool = False, normalized: bool = False) -> int:
        return binary.accessor(array, kind=kind, target=gltf.ARRAY_BUFFER, bounds=bounds, normalized=normalized)

    attributes = gltf.Attributes(
        POSITION=column(rig.neutral[part], gltf.VEC3, bounds=True), NORMAL=column(rig.normals[part], gltf.VEC3)
    )
    count = part.stop - part.start
    if rig.colors is not None:
        linear = np.concatenate([_linear(rig.colors[part]), np.ones((count, 1))], axis=1)
        attributes.COLOR_0 = column(np.round(linear * 0xFFFF).astype(np.uint16), gltf.VEC4, normalized=True)
    if rig.finish is not None:
        surface = np.stack([rig.finish.gloss, rig.finish.hair, rig.finish.fade, np.ones(rig.num_vertices)], axis=1)
        levels = np.round(surface[part] * 0xFF).astype(np.uint8)
        setattr(attributes, _SURFACE, column(levels, gltf.VEC4, normalized=True))
    triangles = rig.triangles[(rig.triangles[:, 0] >= part.start) & (rig.triangles[:, 0] < part.stop)] - part.start
    indices = triangles.reshape(-1).astype(np.uint16 if count <= 0xFFFF else np.uint32)
    still: list[int] = []  # shared by all shapes that do not move this part

    def offsets(shape: np.ndarray) -> int:
        if (np.abs(shape) > _SMALLEST_OFFSET_M).any():
            return binary.sparse_offsets(shape)
        if not still:
            still.append(binary.sparse_offsets(shape))
        return still[0]

    return gltf.Primitive(
        attributes=attributes,
        indices=binary.accessor(indices, kind=gltf.SCALAR, target=gltf.ELEMENT_ARRAY_BUFFER),
        targets=[gltf.Attributes(POSITION=offsets(shape[part])) for shape in rig.shape_deltas],
        material=material,
    )


def _animation(clip: MotionClip, weights: np.ndarray, binary: _Binary, audio_name: str | None) -> gltf.Animation:
    times = frame_times_s(clip).astype(np.float32)
    sampler = gltf.AnimationSampler(
        input=binary.accessor(times, kind=gltf.SCALAR, bounds=True),
        output=binary.accessor(weights.reshape(-1), kind=gltf.SCALAR),
        interpolation=gltf.ANIM_LINEAR,
    )
    target = gltf.AnimationChannelTarget(node=0, path="weights")
    return gltf.Animation(
        name="speech",
        samplers=[sampler],
        channels=[gltf.AnimationChannel(sampler=0, target=target)],
        extras={"fps": clip.fps, "names": list(clip.channel_names)} | ({"audio": audio_name} if audio_name else {}),
    )


def _material(rig: Rig, part: str) -> gltf.Material:
    color = (1.0, 1.0, 1.0) if rig.colors is not None else tuple(_linear(np.array(_SKIN_RGB)).tolist())
    return gltf.Material(
        name=part,
        doubleSided=True,
        alphaCutoff=None,
        pbrMetallicRoughness=gltf.PbrMetallicRoughness(
            baseColorFactor=[*color, 1.0], metallicFactor=0.0, roughnessFactor=_ROUGHNESS.get(part, 0.65)
        ),
    )


def _linear(srgb: np.ndarray) -> np.ndarray:
    """From sRGB to the linear light that glTF colours are in."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _component(array: np.ndarray) -> int:
    return {
        "float32": gltf.FLOAT, "uint8": gltf.UNSIGNED_BYTE, "uint16": gltf.UNSIGNED_SHORT, "uint32": gltf.UNSIGNED_INT
    }[array.dtype.name]  # fmt: skip


def _limits(array: np.ndarray) -> tuple[list[float], list[float]]:
    rows = array.reshape(len(array), -1)
    return rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
