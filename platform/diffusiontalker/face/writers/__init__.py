"""Motion to files; the suffix chooses the format. Files appear whole or not at all."""

from pathlib import Path

from diffusiontalker.config import publish_file
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.writers.gltf import glb_bytes
from diffusiontalker.face.writers.tables import (
    arrow_bytes,
    csv_bytes,
    json_bytes,
    ndjson_bytes,
    npz_bytes,
    parquet_bytes,
)

__all__ = ["MOTION_FORMATS", "MOTION_SUFFIXES", "encode_motion", "write_motion"]

MOTION_FORMATS: tuple[str, ...] = ("csv", "json", "ndjson", "npz", "parquet", "arrow", "glb")
"""Formats that `encode_motion` knows."""
MOTION_SUFFIXES: tuple[str, ...] = tuple(f".{name}" for name in MOTION_FORMATS)
"""Suffixes that `write_motion` knows."""


def encode_motion(
    clip: MotionClip, motion_format: str, *, rig: Rig | None = None, audio_name: str | None = None
) -> bytes:
    """A clip as the content of a file; the arguments are those of `write_motion`.

    Raises:
        MotionError: for an unknown format or an empty clip.
    """
    if motion_format not in MOTION_FORMATS:
        raise MotionError(f"unknown motion format '{motion_format}'; choose one of {', '.join(MOTION_FORMATS)}")
    if clip.num_frames == 0:
        raise MotionError("the clip has no frames, so there is nothing to write")
    match motion_format:
        case "csv":
            return csv_bytes(clip)
        case "json":
            return json_bytes(clip, audio_name=audio_name)
        case "ndjson":
            return ndjson_bytes(clip)
        case "npz":
            return npz_bytes(clip)
        case "parquet":
            return parquet_bytes(clip)
        case "arrow":
            return arrow_bytes(clip)
        case _:
            return glb_bytes(clip, rig=rig if rig is not None else builtin_rig(), audio_name=audio_name)


def write_motion(
    clip: MotionClip,
    path: Path | str,
    *,
    rig: Rig | None = None,
    audio_path: Path | str | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a clip as .csv, .json, .ndjson, .npz, .parquet, .arrow (named columns) or .glb (animated head).

    Args:
        clip: at least one frame.
        path: where; its suffix chooses the format.
        rig: the head of a .glb (the built-in one when None); other formats do not use it.
        audio_path: the sound the motion belongs to; .json and .glb note its file name.
        overwrite: whether a file that stands there may be replaced.

    Raises:
        MotionError: for an unknown suffix or an empty clip.
        ArtefactError: when the file exists or cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MOTION_SUFFIXES:
        raise MotionError(f"{path}: unknown motion format '{path.suffix}'; choose one of {', '.join(MOTION_SUFFIXES)}")
    if clip.num_frames == 0:
        raise MotionError(f"{path}: the clip has no frames, so there is nothing to write")
    audio_name = Path(audio_path).name if audio_path is not None else None
    with publish_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(encode_motion(clip, suffix[1:], rig=rig, audio_name=audio_name))
