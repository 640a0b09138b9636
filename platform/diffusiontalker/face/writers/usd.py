"""Writer of USD: a rig as a `UsdSkel` mesh with blend shapes, and the clip as their `SkelAnimation`.

One time code is one frame, so any frame rate is exact. Metres, Y up.
"""

import errno
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.face.motion import MotionClip
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.usd import usd_module

_SMALLEST_OFFSET_M = 1e-5
_SKIN_RGB = (0.86, 0.69, 0.60)
_ROUGHNESS = 0.65
_JOINT = "head"


def usd_bytes(clip: MotionClip, *, suffix: str, rig: Rig, audio_name: str | None = None) -> bytes:
    """A stage with mesh, shapes, animation and, when known, the sound as a `SpatialAudio` that names its file.

    The animation holds every channel of the clip, also those that the rig has no shape for.

    Args:
        clip: at least one frame.
        suffix: `.usda` for text, `.usdc` for binary.
        rig: the head.
        audio_name: a sound file that lies beside the USD file.

    Raises:
        MotionError: when usd-core is not installed.
        OSError: when the folder for temporary files has no space: OpenUSD writes files only.
    """
    usd, geom, skel = usd_module("Usd"), usd_module("UsdGeom"), usd_module("UsdSkel")
    stage = usd.Stage.CreateInMemory()
    geom.SetStageMetersPerUnit(stage, 1.0)
    geom.SetStageUpAxis(stage, geom.Tokens.y)
    stage.SetTimeCodesPerSecond(clip.fps)
    stage.SetFramesPerSecond(clip.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(clip.num_frames - 1)
    root = skel.Root.Define(stage, "/Head")
    stage.SetDefaultPrim(root.GetPrim())
    animation = _animation(stage, clip)
    skeleton = _skeleton(stage, animation)
    mesh = _mesh(stage, rig, skeleton)
    root.CreateExtentAttr(mesh.GetExtentAttr().Get())
    if audio_name:
        _sound(stage, audio_name)
    return _content(stage.GetRootLayer(), suffix)


def _content(layer: Any, suffix: str) -> bytes:
    """The bytes of the layer's file; OpenUSD itself says hundreds of lines where a disk is full, and not which one."""
    tf = usd_module("Tf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"motion{suffix}"
        try:
            is_written = layer.Export(str(path))
        except tf.ErrorException:
            is_written = False
        if not is_written:
            raise OSError(errno.ENOSPC, f"no space for a temporary file in {tempfile.gettempdir()}")
        return path.read_bytes()


def _animation(stage: Any, clip: MotionClip) -> Any:
    skel, vt = usd_module("UsdSkel"), usd_module("Vt")
    animation = skel.Animation.Define(stage, "/Head/Speech")
    animation.CreateBlendShapesAttr(list(clip.channel_names))
    weights = animation.CreateBlendShapeWeightsAttr()
    for frame, values in enumerate(clip.coefficients):
        weights.Set(vt.FloatArray.FromNumpy(np.ascontiguousarray(values)), frame)
    return animation


def _skeleton(stage: Any, animation: Any) -> Any:
    """One joint that never moves: readers look for blend shapes only where a skeleton is."""
    gf, skel, vt = usd_module("Gf"), usd_module("UsdSkel"), usd_module("Vt")
    skeleton = skel.Skeleton.Define(stage, "/Head/Skeleton")
    skeleton.CreateJointsAttr([_JOINT])
    still = vt.Matrix4dArray([gf.Matrix4d(1.0)])
    skeleton.CreateBindTransformsAttr(still)
    skeleton.CreateRestTransformsAttr(still)
    binding = skel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    return skeleton


def _mesh(stage: Any, rig: Rig, skeleton: Any) -> Any:
    geom, skel, vt = usd_module("UsdGeom"), usd_module("UsdSkel"), usd_module("Vt")
    mesh = geom.Mesh.Define(stage, "/Head/Face")
    mesh.CreateSubdivisionSchemeAttr(geom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    mesh.CreatePointsAttr(vt.Vec3fArray.FromNumpy(rig.neutral))
    mesh.CreateFaceVertexCountsAttr(vt.IntArray(len(rig.triangles), 3))
    mesh.CreateFaceVertexIndicesAttr(vt.IntArray.FromNumpy(rig.triangles.reshape(-1)))
    mesh.CreateNormalsAttr(vt.Vec3fArray.FromNumpy(rig.normals))
    mesh.SetNormalsInterpolation(geom.Tokens.vertex)
    mesh.CreateExtentAttr(vt.Vec3fArray.FromNumpy(_extent(rig)))
    colors = rig.colors if rig.colors is not None else np.array([_SKIN_RGB])
    kind = geom.Tokens.vertex if rig.colors is not None else geom.Tokens.constant
    mesh.CreateDisplayColorPrimvar(kind).Set(vt.Vec3fArray.FromNumpy(_linear(colors).astype(np.float32)))
    _bind_skin(stage, mesh)
    binding = skel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(True, 1).Set(vt.IntArray([0]))
    binding.CreateJointWeightsPrimvar(True, 1).Set(vt.FloatArray([1.0]))
    paths = [
        _blend_shape(stage, name, offsets) for name, offsets in zip(rig.shape_names, rig.shape_deltas, strict=True)
    ]
    binding.CreateBlendShapesAttr(list(rig.shape_names))
    binding.CreateBlendShapeTargetsRel().SetTargets(paths)
    return mesh


def _bind_skin(stage: Any, mesh: Any) -> None:
    """A material that takes its colour from `displayColor`: not every program shows that by itself."""
    sdf, shade = usd_module("Sdf"), usd_module("UsdShade")
    material = shade.Material.Define(stage, "/Head/Skin")
    color = shade.Shader.Define(stage, "/Head/Skin/Color")
    color.CreateIdAttr("UsdPrimvarReader_float3")
    color.CreateInput("varname", sdf.ValueTypeNames.String).Set("displayColor")
    surface = shade.Shader.Define(stage, "/Head/Skin/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", sdf.ValueTypeNames.Float).Set(_ROUGHNESS)
    diffuse = surface.CreateInput("diffuseColor", sdf.ValueTypeNames.Color3f)
    diffuse.ConnectToSource(color.CreateOutput("result", sdf.ValueTypeNames.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", sdf.ValueTypeNames.Token))
    shade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _blend_shape(stage: Any, name: str, offsets: np.ndarray) -> Any:
    """Only the vertices that the shape moves; its path."""
    skel, vt = usd_module("UsdSkel"), usd_module("Vt")
    moved = np.nonzero((np.abs(offsets) > _SMALLEST_OFFSET_M).any(axis=1))[0]
    shape = skel.BlendShape.Define(stage, f"/Head/Face/{name}")
    shape.CreateOffsetsAttr(vt.Vec3fArray.FromNumpy(np.ascontiguousarray(offsets[moved])))
    shape.CreatePointIndicesAttr(vt.IntArray.FromNumpy(moved.astype(np.int32)))
    return shape.GetPath()


def _sound(stage: Any, audio_name: str) -> None:
    """It starts at time code 0, which needs no saying."""
    media, sdf = usd_module("UsdMedia"), usd_module("Sdf")
    sound = media.SpatialAudio.Define(stage, "/Head/Sound")
    sound.CreateFilePathAttr(sdf.AssetPath(f"./{audio_name}"))
    sound.CreateAuralModeAttr(media.Tokens.nonSpatial)
    sound.CreatePlaybackModeAttr(media.Tokens.onceFromStart)


def _extent(rig: Rig) -> np.ndarray:
    """(2, 3): a box that holds the face whatever one shape does."""
    lowest = np.minimum(rig.shape_deltas.min(axis=0, initial=0.0), 0.0) + rig.neutral
    highest = np.maximum(rig.shape_deltas.max(axis=0, initial=0.0), 0.0) + rig.neutral
    return np.stack([lowest.min(axis=0), highest.max(axis=0)]).astype(np.float32)


def _linear(srgb: np.ndarray) -> np.ndarray:
    """From sRGB to the linear light that USD colours are in."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
