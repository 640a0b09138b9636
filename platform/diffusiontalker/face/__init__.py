"""Faces as data: ARKit names, motion clips, rigs, and the files both come from and go to.

Knows nothing about sound, models or pictures.
"""

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.postprocess import postprocess
from diffusiontalker.face.readers import read_motion
from diffusiontalker.face.rig import Rig, RigError, vertex_normals
from diffusiontalker.face.rig_files import load_rig
from diffusiontalker.face.writers import MOTION_FORMATS, MOTION_SUFFIXES, encode_motion, write_motion

__all__ = [
    "CHANNELS",
    "MOTION_FORMATS",
    "MOTION_SUFFIXES",
    "MotionClip",
    "MotionError",
    "Rig",
    "RigError",
    "builtin_rig",
    "encode_motion",
    "load_rig",
    "postprocess",
    "read_motion",
    "vertex_normals",
    "write_motion",
]
