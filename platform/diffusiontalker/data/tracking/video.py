"""What a video file holds, on one clock: its pictures, upright and with their presentation times, and its sound.

Needs PyAV (`pip install 'diffusiontalker[track]'`), which brings FFmpeg's decoders. Knows nothing about faces.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from diffusiontalker.audio import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import av.container

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv", ".ogv"}
)
"""Files of a folder that are taken for videos."""

_FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg"
"""Containers that are opened; playlists and scripts, which could make FFmpeg open other files, are not among them."""
_SOUND_GAP_S = 0.05
"""Time stamps of sound that are off by less are rounding."""
_LOST_SHARE, _LOST_S = 0.1, 0.5
"""A file that lacks more than this of its declared length is cut off."""


class VideoError(ValueError):
    """A video that cannot be used; the message names the file, what is wrong and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """One frame of a video."""

    image: np.ndarray
    """(rows, columns, 3) uint8 sRGB, upright, pixels square."""
    time_s: float
    """When it is shown, in seconds on the file's clock."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sound:
    """The sound of a video."""

    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono in [-1, 1]."""
    start_s: float
    """When its first sample is heard, in seconds on the file's clock."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.waveform) / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """When it ends, in seconds on the file's clock."""
        return self.start_s + self.seconds


def read_pictures(path: Path) -> Iterator[Picture]:
    """The frames of a file's first video stream in the order they are shown, one in memory at a time.

    Rotation that the file asks for is applied, and pixels that are not square are made so. A frame that is not later
    than the one before it is left out.

    Raises:
        VideoError: when the file is missing, is no video, is damaged or cut off.
    """
    last_s, frame_s, declared_s = None, 0.0, None
    with _opened(path) as container:
        if not container.streams.video:
            raise VideoError(f"{path}: holds no pictures; give a video file")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        declared_s = _declared_s(container, stream)
        first_s = None
        for frame in _decoded(container, stream, path):
            if frame.time is None:
                raise VideoError(f"{path}: a frame has no presentation time; convert the video to mp4 or mkv")
            if last_s is not None:
                if frame.time <= last_s:
                    continue
                frame_s = frame.time - last_s
            first_s = frame.time if first_s is None else first_s
            last_s = frame.time
            yield Picture(image=_upright(frame, stream.sample_aspect_ratio), time_s=frame.time)
    if last_s is None or first_s is None:
        raise VideoError(f"{path}: holds no picture that can be decoded; export it again")
    shown_s = last_s + frame_s - first_s
    if declared_s is not None and shown_s < (1 - _LOST_SHARE) * declared_s - _LOST_S:
        raise VideoError(
            f"{path}: declares {declared_s:.2f} s of pictures but only {shown_s:.2f} s can be decoded; it is cut off, "
            "copy or export it again"
        )


def read_sound(path: Path) -> Sound:
    """The first sound stream of a file: channels averaged, resampled to 16 kHz, silence where the stream has gaps.

    Raises:
        VideoError: when the file is missing, has no sound, or its sound is damaged.
    """
    import av

    with _opened(path) as container:
        if not container.streams.audio:
            raise VideoError(f"{path}: has no sound, so no speech to pair the face with; use a video with sound")
        stream = container.streams.audio[0]
        convert = av.AudioResampler(format="fltp")
        resample: Any = None
        pieces: list[np.ndarray] = []
        rate_hz, start_s, num_taken = 0, 0.0, 0
        for frame in _decoded(container, stream, path):
            if resample is None:
                rate_hz, start_s = frame.sample_rate, frame.time or 0.0
                resample = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
            if frame.sample_rate != rate_hz:
                raise VideoError(f"{path}: the sound changes its rate at {frame.time} s; convert the video first")
            samples = np.concatenate([part.to_ndarray() for part in convert.resample(frame)], axis=1).mean(axis=0)
            late_s = 0.0 if frame.time is None else frame.time - start_s - num_taken / rate_hz
            if late_s > _SOUND_GAP_S:
                samples = np.concatenate([np.zeros(round(late_s * rate_hz), dtype=np.float32), samples])
            elif late_s < -_SOUND_GAP_S:
                samples = samples[round(-late_s * rate_hz) :]
            num_taken += len(samples)
            pieces.append(resample.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32)))
        if resample is None or not num_taken:
            raise VideoError(f"{path}: its sound holds no samples; export it again")
        pieces.append(resample.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    waveform = np.concatenate(pieces)
    if not np.isfinite(waveform).all():
        raise VideoError(f"{path}: its sound holds NaN or infinite samples; export it again")
    return Sound(waveform=np.clip(waveform, -1.0, 1.0), start_s=start_s)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator["av.container.InputContainer"]:
    try:
        import av
        import av.error
    except ImportError:
        raise VideoError("videos need PyAV, which is not installed; pip install 'diffusiontalker[track]'") from None
    if not path.is_file():
        raise VideoError(f"{path}: there is no such file; check the path")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({error.strerror}); check its permissions") from None
    with stream, contextlib.ExitStack() as stack:
        try:
            # A stream instead of a name: FFmpeg takes names such as concat:a|b for more than a file.
            container = stack.enter_context(av.open(stream, "r", options={"format_whitelist": _FORMATS}))
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(
                f"{path}: cannot be read as a video ({error.strerror}); expected a whole mp4, mov, mkv, webm, avi, mpg "
                "or wmv"
            ) from None
        yield container


def _decoded(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Decoded frames; a damaged stretch ends in an error that says when."""
    import av.error

    last_s = 0.0
    try:
        for frame in container.decode(stream):
            last_s = frame.time if frame.time is not None else last_s
            yield frame
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path}: cannot be decoded after {last_s:.2f} s of its {stream.type} ({error.strerror}); "
            "the file is damaged, copy or export it again"
        ) from None


def _declared_s(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000


def _upright(frame: Any, pixel_aspect: Any) -> np.ndarray:
    aspect = float(pixel_aspect) if pixel_aspect else 1.0
    width = frame.width if aspect == 1.0 else max(1, round(frame.width * aspect))
    image = frame.reformat(width=width, height=frame.height, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90)))
