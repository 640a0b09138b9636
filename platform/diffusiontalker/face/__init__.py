"""Faces as data: ARKit names, motion clips, rigs, and the files both come from and go to.

Knows nothing about sound, models or pictures.
"""

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.formats import FORMATS, MOTION_FORMATS, MOTION_SUFFIXES, MotionFormat, format_of, like_format
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.motion_files import decode_motion, encode_motion, format_to_write, read_motion, write_motion
from diffusiontalker.face.postprocess import postprocess
from diffusiontalker.face.readers import NoMotionError
from diffusiontalker.face.rig import Rig, RigError, vertex_normals
from diffusiontalker.face.rig_files import RigReading, load_rig, read_rig
from diffusiontalker.face.rig_inspect import RigSummary, inspect_rig
from diffusiontalker.face.rig_names import read_shape_names
from diffusiontalker.face.rig_npz import save_rig

__all__ = [
    "CHANNELS",
    "FORMATS",
    "MOTION_FORMATS",
    "MOTION_SUFFIXES",
    "MotionClip",
    "MotionError",
    "MotionFormat",
    "NoMotionError",
    "Rig",
    "RigError",
    "RigReading",
    "RigSummary",
    "builtin_rig",
    "decode_motion",
    "encode_motion",
    "format_of",
    "format_to_write",
    "inspect_rig",
    "like_format",
    "load_rig",
    "postprocess",
    "read_motion",
    "read_rig",
    "read_shape_names",
    "save_rig",
    "vertex_normals",
    "write_motion",
]
