"""Real video files whose pictures say what a face does, and a tracker that reads it.

A picture is grey with a square in its upper left corner: black to white for jawOpen 0 to 1, green where no face is.
Smaller squares right of it are further faces. The sound is a tone as loud as the jaw is open.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from diffusiontalker.data.tracking import Picture, TrackedFace

SIZE = 64
_SQUARE = 24
_GREY = 90


def picture(level: float | None, *, num_faces: int = 1) -> np.ndarray:
    """(64, 64, 3) uint8."""
    image = np.full((SIZE, SIZE, 3), _GREY, dtype=np.uint8)
    image[:_SQUARE, :_SQUARE] = (0, 255, 0) if level is None else round(255 * level)
    for number in range(1, num_faces):
        image[:8, _SQUARE + 12 * number : _SQUARE + 12 * number + 8] = 255
    return image


@dataclasses.dataclass
class SquareTracker:
    """Reads the squares; counts the videos and pictures that it was shown."""

    identity: str = "squares"
    num_videos: int = 0
    num_pictures: int = 0
    fails_at: int | None = None
    seen: list[tuple[float, tuple[int, ...]]] = dataclasses.field(default_factory=list)

    def track(self, pictures: Iterable[Picture]) -> Iterator[TrackedFace | None]:
        self.num_videos += 1
        for shown in pictures:
            self.num_pictures += 1
            if self.num_pictures == self.fails_at:
                raise KeyboardInterrupt
            self.seen.append((shown.time_s, shown.image.shape))
            yield self._face(shown.image)

    def _face(self, image: np.ndarray) -> TrackedFace | None:
        inside = image[4 : _SQUARE - 4, 4 : _SQUARE - 4].reshape(-1, 3).mean(axis=0)
        if inside[1] > inside[0] + 60:
            return None
        right = image[2:6, _SQUARE + 12 :].mean(axis=(0, 2))
        weights = {"jawOpen": inside.mean() / 255, "EyeBlink_L": 0.25, "_neutral": 0.5}
        return TrackedFace(coefficients=weights, num_faces=1 + int((right > 200).any()))


def tone(levels: Callable[[np.ndarray], np.ndarray], *, seconds: float, rate_hz: int = 48_000) -> np.ndarray:
    """(samples,) float32: 440 Hz at a loudness given as a function of time."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * levels(times) * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    times: Sequence[Fraction | float] | None = None,
    fps: Fraction | int = 25,
    sound: np.ndarray | None = None,
    rate_hz: int = 48_000,
    sound_start_s: float = 0.0,
    codecs: tuple[str, str] = ("ffv1", "pcm_s16le"),
    pixels: str = "bgr0",
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encodes pictures at their times (i / fps by default) and mono sound; the container goes by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codecs[0], rate=fps)
        video.width, video.height, video.pix_fmt = columns, rows, pixels
        video.time_base = video.codec_context.time_base = (
            Fraction(1, 90_000) if times is not None else 1 / Fraction(fps)
        )
        if pixel_aspect is not None:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            video.set_display_rotation(rotation)
        audio = None
        if sound is not None:
            audio = container.add_stream(codecs[1], rate=rate_hz, layout="mono")
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.time_base = video.codec_context.time_base
            frame.pts = number if times is None else round(times[number] / frame.time_base)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            for frame in _sound_frames(sound, rate_hz=rate_hz, start_s=sound_start_s):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def _sound_frames(sound: np.ndarray, *, rate_hz: int, start_s: float) -> Iterator[av.AudioFrame]:
    for start in range(0, len(sound), 1024):
        piece = (sound[start : start + 1024] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = start + round(start_s * rate_hz)
        yield frame
