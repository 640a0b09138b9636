"""Room: face."""
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.rig import Rig, RigError, vertex_normals
from diffusiontalker.face.head import builtin_rig
