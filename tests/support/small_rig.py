"""A head of four vertices and two shapes, in files; and where the real one lies."""

import os
from pathlib import Path

import numpy as np
import pygltflib as gltf

from diffusiontalker.face import MotionClip, load_rig, write_motion

REAL_RIG = (
    Path(os.environ.get("DIFFUSIONTALKER_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    / "ict_face_rig"
    / "rig.npz"
)

NEUTRAL = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.15, 0], [0, 0.15, 0.02]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
DELTAS = np.stack([np.full((4, 3), 0.01), np.eye(4, 3) * 0.02])
NAMES = np.array(["JawOpen", "mouthSmile_L"])


def save_npz(path, **changes):
    arrays = {"neutral": NEUTRAL, "triangles": TRIANGLES, "names": NAMES, "deltas": DELTAS} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def write_glb(tmp_path, *, node=None, mesh=None):
    """A written clip with its node or mesh changed."""
    rig_path, path = save_npz(tmp_path / "head.npz"), tmp_path / "head.glb"
    clip = MotionClip(coefficients=np.zeros((2, 52)), fps=25.0)
    write_motion(clip, path, rig=load_rig(rig_path), overwrite=True)
    document = gltf.GLTF2().load_binary(path)
    for key, value in (node or {}).items():
        setattr(document.nodes[0], key, value)
    for key, value in (mesh or {}).items():
        setattr(document.meshes[0], key, value)
    document.save_binary(path)
    return path
