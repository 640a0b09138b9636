"""Motion to files; the suffix chooses the format. Files appear whole or not at all."""

from pathlib import Path

from diffusiontalker.config import publish_file
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.writers.gltf import write_glb
from diffusiontalker.face.writers.tables import write_csv, write_json, write_npz, write_parquet

__all__ = ["MOTION_SUFFIXES", "write_motion"]

MOTION_SUFFIXES: tuple[str, ...] = (".csv", ".json", ".npz", ".parquet", ".glb")
"""Suffixes that `write_motion` knows."""


def write_motion(
    clip: MotionClip,
    path: Path | str,
    *,
    rig: Rig | None = None,
    audio_path: Path | str | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a clip as .csv, .json, .npz, .parquet (named columns) or .glb (animated head).

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
        match suffix:
            case ".csv":
                write_csv(clip, temporary)
            case ".json":
                write_json(clip, temporary, audio_name=audio_name)
            case ".npz":
                write_npz(clip, temporary)
            case ".parquet":
                write_parquet(clip, temporary)
            case _:
                write_glb(clip, temporary, rig=rig if rig is not None else builtin_rig(), audio_name=audio_name)
