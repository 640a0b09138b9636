"""Motion as other programs store it: Live Link Face recordings, files of the BEAT corpus, exports of Audio2Face."""

import csv
import io
import json

from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.live_link import CSV_CHANNELS, NUM_VALUES, ROTATIONS, timecode
from diffusiontalker.face.motion import MotionClip
from diffusiontalker.face.writers.tables import frame_times_s, json_lists

BEAT_CHANNELS: tuple[str, ...] = tuple(name for name in CHANNELS if name != "tongueOut")
"""What files of the BEAT corpus hold, in their order."""


def live_link_bytes(clip: MotionClip) -> bytes:
    """A recording of Live Link Face: all 52 shapes to 10 decimals, those the clip lacks and the rotations being 0.

    The timecode starts at midnight.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    header = [name[0].upper() + name[1:] for name in CSV_CHANNELS]
    writer.writerow(["Timecode", "BlendshapeCount", *header, *ROTATIONS])
    still = ["0.0000000000"] * len(ROTATIONS)
    for number, frame in enumerate(clip.with_channels(CSV_CHANNELS).coefficients.tolist()):
        weights = (f"{value:.10f}" for value in frame)
        writer.writerow([timecode(number, fps=clip.fps), NUM_VALUES, *weights, *still])
    return buffer.getvalue().encode()


def beat_bytes(clip: MotionClip) -> bytes:
    """A file of the BEAT corpus: its 51 channels (no tongueOut), those the clip lacks being 0, and times in seconds."""
    frames = json_lists(clip.with_channels(BEAT_CHANNELS))
    content = [
        f'{{"weights": {weights}, "time": {time_s:.12g}, "rotation": []}}'
        for weights, time_s in zip(frames, frame_times_s(clip), strict=True)
    ]
    return f'{{"names": {json.dumps(BEAT_CHANNELS)}, "frames": [{", ".join(content)}]}}\n'.encode()


def audio2face_bytes(clip: MotionClip, *, audio_name: str | None = None) -> bytes:
    """An export of Audio2Face: the clip's channels under their ARKit names, one list of weights per frame."""
    head = {
        "exportFps": clip.fps,
        "trackPath": audio_name or "",
        "numPoses": len(clip.channel_names),
        "numFrames": clip.num_frames,
        "facsNames": list(clip.channel_names),
    }
    return f'{json.dumps(head)[:-1]}, "weightMat": [{", ".join(json_lists(clip))}]}}\n'.encode()
