"""`MotionClip`: coefficients that never travel without their frame rate and channel names."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from diffusiontalker.audio import timebase
from diffusiontalker.face.arkit import CHANNELS


class MotionError(ValueError):
    """Motion data that cannot be used; the message names the file or clip, the frame and the channel."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MotionClip:
    """A face animation: frame `i` is valid at `i / fps` seconds.

    Raises:
        MotionError: when the shape does not match the names, a value is not finite, or the rate is not positive.
    """

    coefficients: np.ndarray
    """(frames, channels) float32; ARKit weights, nominally in [0, 1]."""
    fps: float
    """Frames per second."""
    channel_names: tuple[str, ...] = CHANNELS
    """One name per column."""

    def __post_init__(self) -> None:
        """Checks shape, finiteness and rate."""
        object.__setattr__(self, "coefficients", np.asarray(self.coefficients, dtype=np.float32))
        if self.coefficients.ndim != 2 or self.coefficients.shape[1] != len(self.channel_names):
            raise MotionError(
                f"motion has shape {self.coefficients.shape}, expected (frames, {len(self.channel_names)}): "
                "one column per channel name"
            )
        if not np.isfinite(self.fps) or self.fps <= 0:
            raise MotionError(f"motion fps is {self.fps}, expected a positive number such as 25, 30 or 60")
        bad = np.argwhere(~np.isfinite(self.coefficients))
        if len(bad):
            frame, channel = bad[0]
            raise MotionError(
                f"motion holds {len(bad)} values that are NaN or infinite, the first at frame {frame}, "
                f"channel {self.channel_names[channel]}; repair or drop the clip"
            )

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.coefficients.shape[0]

    @property
    def duration_s(self) -> float:
        """Seconds covered: frames / fps."""
        return self.num_frames / self.fps

    def column(self, name: str) -> np.ndarray:
        """The (frames,) curve of one channel.

        Raises:
            MotionError: when the clip has no such channel.
        """
        if name not in self.channel_names:
            raise MotionError(f"no channel '{name}'; this clip has {', '.join(self.channel_names)}")
        return self.coefficients[:, self.channel_names.index(name)]

    def resampled(self, fps: float) -> "MotionClip":
        """The same motion at another frame rate, linearly interpolated; the last frame is held.

        Frames of both rates that fall on the same instant are equal, however long the clip.

        Raises:
            MotionError: when the rate is no positive number.
        """
        if fps == self.fps:
            return self
        if not np.isfinite(fps) or fps <= 0:
            raise MotionError(f"motion cannot be resampled to {fps} fps, expected a positive number such as 25 or 60")
        num_frames = timebase.num_frames(self.num_frames, rate_hz=self.fps, fps=fps)
        lower, weight = timebase.interpolation(
            num_frames, target_fps=fps, source_frames=self.num_frames, source_fps=self.fps
        )
        upper = np.minimum(lower + 1, self.num_frames - 1)
        before, after = self.coefficients[lower], self.coefficients[upper]
        return dataclasses.replace(self, coefficients=before + weight[:, np.newaxis] * (after - before), fps=fps)

    def with_channels(self, names: Sequence[str] = CHANNELS, *, fill: float = 0.0) -> "MotionClip":
        """The clip in another channel order; channels it lacks are filled with a constant."""
        names = tuple(names)
        if names == self.channel_names:
            return self
        own = {name: column for column, name in reversed(list(enumerate(self.channel_names)))}
        shared = [(target, own[name]) for target, name in enumerate(names) if name in own]
        coefficients = np.full((self.num_frames, len(names)), fill, dtype=np.float32)
        coefficients[:, [target for target, _ in shared]] = self.coefficients[:, [column for _, column in shared]]
        return MotionClip(coefficients=coefficients, fps=self.fps, channel_names=names)
