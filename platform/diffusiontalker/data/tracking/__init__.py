"""Videos of speaking faces as a source of corpora: pictures and sound of a file, faces found in them, clips on disk.

Needs the optional extra `track`. What finds faces is behind `FaceTracker`; `MediaPipeTracker` is the one that ships.
"""

from diffusiontalker.data.tracking.faces import FaceTracker, TrackedFace, TrackerError
from diffusiontalker.data.tracking.mediapipe_tracker import MediaPipeTracker
from diffusiontalker.data.tracking.video import Picture, Sound, VideoError, read_pictures, read_sound
from diffusiontalker.data.tracking.videos import TrackingConfig, TrackingReport, list_videos, track_videos

__all__ = [
    "FaceTracker",
    "MediaPipeTracker",
    "Picture",
    "Sound",
    "TrackedFace",
    "TrackerError",
    "TrackingConfig",
    "TrackingReport",
    "VideoError",
    "list_videos",
    "read_pictures",
    "read_sound",
    "track_videos",
]
