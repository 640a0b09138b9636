"""Motion from and to files and bytes. The end of the name chooses the format, unless it is named."""

import logging
from collections.abc import Callable
from pathlib import Path

from diffusiontalker.config import publish_file
from diffusiontalker.face.formats import FORMATS, MOTION_FORMATS, MOTION_SUFFIXES, MotionFormat, format_named, format_of
from diffusiontalker.face.head import builtin_rig
from diffusiontalker.face.motion import MotionClip, MotionError
from diffusiontalker.face.readers import MAX_GAP_S, MotionSource, to_clip
from diffusiontalker.face.rig import Rig

logger = logging.getLogger(__name__)


def read_motion(
    path: Path | str,
    *,
    motion_format: str | None = None,
    fps: float | None = None,
    fps_name: str = "the caller",
    name: str | None = None,
    max_gap_s: float = MAX_GAP_S,
    report: Callable[[str], None] = logger.warning,
) -> MotionClip:
    """Reads a clip; its channels keep the file's order under their ARKit names.

    Args:
        path: a file of any format in `formats.FORMATS`. A `.csv` may also be a recording of Live Link Face, a `.json`
            one of the BEAT corpus or of Audio2Face. Columns that are no ARKit channel (head rotation, ids) are ignored.
        motion_format: its format, when its name does not say it.
        fps: frames per second, if known. Needed where the file tells none; an error where it tells another.
        fps_name: what messages call the one who gave `fps`, such as a flag or a column.
        name: what to call the file in messages (its path when None).
        max_gap_s: longest gap in a Live Link Face or BEAT recording that is filled by interpolation, in seconds.
        report: told which gaps were filled; the log by default.

    Raises:
        MotionError: says which file, row and column, what was found and what is expected; `NoMotionError` for a file
            that holds something else.
    """
    path = Path(path)
    place = name or str(path)
    known = format_named(motion_format) if motion_format else format_of(path)
    if known is None:
        expected = ", ".join(found.suffix for found in FORMATS.values())
        raise MotionError(f"{place}: unknown motion format '{path.suffix}'; expected one of {expected}")
    if not path.is_file():
        raise MotionError(f"{place}: there is no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MotionError(f"{place}: cannot be read: {error.strerror}; check its permissions") from None
    return decode_motion(
        content, known.name, fps=fps, fps_name=fps_name, name=place, max_gap_s=max_gap_s, report=report
    )


def decode_motion(
    content: bytes,
    motion_format: str,
    *,
    fps: float | None = None,
    fps_name: str = "the caller",
    name: str = "motion",
    max_gap_s: float = MAX_GAP_S,
    report: Callable[[str], None] = logger.warning,
) -> MotionClip:
    """A clip from the content of a file; the arguments are those of `read_motion`.

    Raises:
        MotionError: as `read_motion`.
    """
    known = format_named(motion_format)
    if not content:
        raise MotionError(f"{name}: the file is empty (0 bytes)")
    table = known.decode(MotionSource(content=content, place=name, suffix=known.suffix, fps=fps))
    return to_clip(table, name, fps=fps, fps_name=fps_name, max_gap_s=max_gap_s, report=report)


def encode_motion(
    clip: MotionClip, motion_format: str, *, rig: Rig | None = None, audio_name: str | None = None
) -> bytes:
    """A clip as the content of a file; the arguments are those of `write_motion`.

    Raises:
        MotionError: for an unknown format or an empty clip.
    """
    known = format_named(motion_format)
    if known.encode is None:
        raise MotionError(f"motion format '{motion_format}' can only be read; choose {', '.join(MOTION_FORMATS)}")
    if clip.num_frames == 0:
        raise MotionError("the clip has no frames, so there is nothing to write")
    held = (rig or builtin_rig()).shape_names if known.has_head else known.channels
    if held is not None and not set(held) & set(clip.channel_names):
        raise MotionError(
            f"motion format '{motion_format}' holds {held[0]} and the like, but none of {clip.channel_names[0]} to "
            f"{clip.channel_names[-1]}; write them as npz, parquet, csv or json"
        )
    return known.encode(clip, rig, audio_name)


def write_motion(
    clip: MotionClip,
    path: Path | str,
    *,
    motion_format: str | None = None,
    rig: Rig | None = None,
    audio_path: Path | str | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a clip in one of `MOTION_FORMATS`. The file appears whole or not at all.

    Args:
        clip: at least one frame.
        path: where.
        motion_format: the format; by default the one that the name ends in.
        rig: the head of formats that hold one (the built-in one when None); other formats do not use it.
        audio_path: the sound the motion belongs to; formats that can name a sound note its file name, USD only where
            it lies beside `path`.
        overwrite: whether a file that stands there may be replaced.

    Raises:
        MotionError: for an unknown suffix or an empty clip.
        ArtefactError: when the file exists or cannot be written.
    """
    path = Path(path)
    known = format_to_write(path, motion_format)
    if clip.num_frames == 0:
        raise MotionError(f"{path}: the clip has no frames, so there is nothing to write")
    audio_name = Path(audio_path).name if audio_path is not None else None
    if audio_name and known.audio_must_exist and not (path.parent / audio_name).is_file():
        audio_name = None
    with publish_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(encode_motion(clip, known.name, rig=rig, audio_name=audio_name))


def format_to_write(path: Path | str, motion_format: str | None = None) -> MotionFormat:
    """The format that `write_motion` would write there.

    Raises:
        MotionError: when there is none of that name or suffix, or it can only be read.
    """
    known = format_named(motion_format) if motion_format else format_of(path)
    if known is None or known.encode is None:
        suffix = Path(path).suffix
        what = f"unknown motion format '{suffix}'" if known is None else f"files of format '{known.name}' are only read"
        raise MotionError(f"{path}: {what}; choose one of {', '.join(MOTION_SUFFIXES)}")
    return known
