import contextlib

import numpy as np
import pygltflib as gltf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_rig import DELTAS, NEUTRAL, REAL_RIG, TRIANGLES, write_glb

from diffusiontalker.face import MotionClip, RigError, builtin_rig, load_rig, write_motion


def test_a_written_glb_is_read_back(tmp_path):
    rig = load_rig(write_glb(tmp_path))
    np.testing.assert_allclose(rig.neutral, NEUTRAL, atol=1e-7)
    np.testing.assert_allclose(rig.shape_deltas, DELTAS, atol=1e-7)
    assert rig.shape_names == ("jawOpen", "mouthSmileLeft")


def test_names_of_shapes_may_stand_at_the_primitive(tmp_path):
    path = write_glb(tmp_path, mesh={"extras": {}})
    document = gltf.GLTF2().load_binary(path)
    document.meshes[0].primitives[0].extras = {"targetNames": ["jawOpen", "mouthSmile_L"]}
    document.save_binary(path)
    assert load_rig(path).shape_names == ("jawOpen", "mouthSmileLeft")


def test_node_transforms_of_a_glb_are_applied(tmp_path):
    half = float(np.sqrt(0.5))
    path = write_glb(tmp_path, node={"scale": [2, 2, 2], "rotation": [0, half, 0, half], "translation": [0, 1, 0]})
    rig = load_rig(path)
    turned = np.stack([NEUTRAL[:, 2], NEUTRAL[:, 1], -NEUTRAL[:, 0]], axis=1)
    np.testing.assert_allclose(rig.neutral, 2 * turned + [0, 1, 0], atol=1e-6)
    x, y, z = DELTAS[1].T
    np.testing.assert_allclose(rig.shape_deltas[1], 2 * np.stack([z, y, -x], axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extras": {"targetNames": ["jawOpen"]}}, "2 morph targets but 1 names"),
        ({"extras": {}}, "export with shape key names"),
        ({"primitives": []}, "no mesh has morph targets"),
    ],
)
def test_a_glb_without_named_targets_is_refused(tmp_path, changes, message):
    with pytest.raises(RigError, match=message):
        load_rig(write_glb(tmp_path, mesh=changes))


def test_broken_and_compressed_glbs_are_refused(tmp_path):
    path = write_glb(tmp_path)
    document = gltf.GLTF2().load_binary(path)
    document.extensionsRequired = ["KHR_draco_mesh_compression"]
    document.save_binary(tmp_path / "draco.glb")
    with pytest.raises(RigError, match=r"needs KHR_draco_mesh_compression.*cli copy draco\.glb plain\.glb"):
        load_rig(tmp_path / "draco.glb")
    document.extensionsRequired = ["KHR_texture_basisu", "EXT_texture_webp", "KHR_materials_unlit"]
    document.save_binary(tmp_path / "textured.glb")  # textures are not read
    assert load_rig(tmp_path / "textured.glb").shape_names == ("jawOpen", "mouthSmileLeft")
    (tmp_path / "text.glb").write_text("{}")
    with pytest.raises(RigError, match="not a binary glTF"):
        load_rig(tmp_path / "text.glb")
    size = path.stat().st_size
    (tmp_path / "torn.glb").write_bytes(path.read_bytes()[:200])
    with pytest.raises(RigError, match=f"is cut off: its header declares {size} bytes, it holds 200"):
        load_rig(tmp_path / "torn.glb")
    (tmp_path / "torn.glb").write_bytes(b"")
    with pytest.raises(RigError, match="the file is empty"):
        load_rig(tmp_path / "torn.glb")


DAMAGES = {
    "an accessor that is not there": lambda d: setattr(d.meshes[0].primitives[0], "indices", 99),
    "a view that is not there": lambda d: setattr(d.accessors[0], "bufferView", 99),
    "a mesh that is not there": lambda d: setattr(d.nodes[0], "mesh", 9),
    "a child that is not there": lambda d: setattr(d.nodes[0], "children", [9]),
    "a parent that is its own child": lambda d: setattr(d.nodes[0], "children", [0]),
    "an unknown component type": lambda d: setattr(d.accessors[0], "componentType", 1),
    "an unknown element type": lambda d: setattr(d.accessors[0], "type", "MAT9"),
    "more rows than bytes": lambda d: setattr(d.accessors[0], "count", 10**7),
    "a negative count": lambda d: setattr(d.accessors[0], "count", -3),
    "an offset past the end": lambda d: setattr(d.accessors[0], "byteOffset", 10**9),
    "lines instead of triangles": lambda d: setattr(d.meshes[0].primitives[0], "mode", 1),
    "a rotation of two numbers": lambda d: setattr(d.nodes[0], "rotation", [0, 1]),
    "shapes of another length": lambda d: (
        d.meshes[0].primitives[0].targets.__setitem__(0, gltf.Attributes(POSITION=d.meshes[0].primitives[0].indices))
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_glbs_that_contradict_themselves_are_refused(tmp_path, damage):
    path = write_glb(tmp_path)
    document = gltf.GLTF2().load_binary(path)
    DAMAGES[damage](document)
    document.save_binary(path)
    with pytest.raises(RigError, match=r"head\.glb"):
        load_rig(path)


@given(st.integers(min_value=12), st.integers(0, 255))
def test_a_glb_with_any_byte_changed_is_read_or_refused_but_never_fails_otherwise(tmp_path_factory, place, value):
    folder = tmp_path_factory.getbasetemp() / "bytes"
    if not folder.exists():
        folder.mkdir()
        write_glb(folder)
    content = bytearray((folder / "head.glb").read_bytes())
    content[place % len(content)] = value
    (folder / "changed.glb").write_bytes(content)
    with contextlib.suppress(RigError):
        load_rig(folder / "changed.glb")


def test_interleaved_and_normalised_accessors_are_understood(tmp_path):
    positions = np.round(NEUTRAL / 0.15 * 32767).astype(np.int16)
    interleaved = np.zeros((4, 8), dtype=np.int16)
    interleaved[:, :3] = positions
    offsets = DELTAS[0].astype(np.float32)
    blob = interleaved.tobytes() + offsets.tobytes() + TRIANGLES.astype(np.uint32).tobytes()
    document = gltf.GLTF2(
        scenes=[gltf.Scene(nodes=[0])],
        nodes=[gltf.Node(mesh=0)],
        meshes=[
            gltf.Mesh(
                extras={"targetNames": ["jawOpen"]},
                primitives=[
                    gltf.Primitive(
                        attributes=gltf.Attributes(POSITION=0), targets=[gltf.Attributes(POSITION=1)], indices=2
                    )
                ],
            )
        ],
        accessors=[
            gltf.Accessor(bufferView=0, componentType=gltf.SHORT, normalized=True, count=4, type="VEC3"),
            gltf.Accessor(bufferView=1, componentType=gltf.FLOAT, count=4, type="VEC3"),
            gltf.Accessor(bufferView=2, componentType=gltf.UNSIGNED_INT, count=6, type="SCALAR"),
        ],
        bufferViews=[
            gltf.BufferView(buffer=0, byteOffset=0, byteLength=64, byteStride=16),
            gltf.BufferView(buffer=0, byteOffset=64, byteLength=48),
            gltf.BufferView(buffer=0, byteOffset=112, byteLength=24),
        ],
        buffers=[gltf.Buffer(byteLength=len(blob))],
    )
    document.set_binary_blob(blob)
    document.save_binary(tmp_path / "packed.glb")
    rig = load_rig(tmp_path / "packed.glb", units="m")
    np.testing.assert_allclose(rig.neutral, NEUTRAL / 0.15, atol=1e-4)
    np.testing.assert_allclose(rig.shape_deltas[0], offsets)
    np.testing.assert_array_equal(rig.triangles, TRIANGLES)


def test_the_builtin_head_survives_a_glb(tmp_path):
    rig = builtin_rig()
    write_motion(MotionClip(coefficients=np.zeros((2, 52)), fps=25.0), tmp_path / "head.glb")
    read = load_rig(tmp_path / "head.glb")
    np.testing.assert_allclose(read.neutral, rig.neutral, atol=1e-7)
    np.testing.assert_allclose(read.shape_deltas, rig.shape_deltas, atol=2e-5)
    assert read.shape_names == rig.shape_names
    assert (tmp_path / "head.glb").stat().st_size < 2_500_000


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_a_real_head_survives_a_glb_that_we_wrote(tmp_path):
    rig = load_rig(REAL_RIG)
    write_motion(MotionClip(coefficients=np.zeros((2, 52)), fps=25.0), tmp_path / "head.glb", rig=rig)
    read = load_rig(tmp_path / "head.glb")
    assert read.shape_names == rig.shape_names
    np.testing.assert_array_equal(read.triangles, rig.triangles)
    np.testing.assert_allclose(read.neutral, rig.neutral, atol=1e-7)
    np.testing.assert_allclose(read.shape_deltas, rig.shape_deltas, atol=2e-5)
    assert len(np.setxor1d(read.lip_vertices, rig.lip_vertices)) <= 2
