"""`Clip`: one paired recording of a corpus, sound and face on the same clock.

Knows nothing about files; `corpus` stores clips, the importers and the synthesizer make them.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

import numpy as np

from diffusiontalker.audio import timebase
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip

SPLITS: tuple[str, ...] = ("train", "validation", "test", "test_unseen_speaker")
"""The splits a clip may belong to; speakers of `test_unseen_speaker` occur in no other split."""


class CorpusError(ValueError):
    """A corpus, or a clip of one, that cannot be used; the message says where, what, and what to do next."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """A recording: speech and the face that speaks it, of one speaker in one emotion.

    Raises:
        CorpusError: when the waveform is empty, not one-dimensional or not finite, a label is empty, or the split
            is unknown.
    """

    clip_id: str
    """Unique within its corpus."""
    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono in [-1, 1]."""
    motion: MotionClip
    """The face; `aligned` makes its frames cover the waveform exactly."""
    speaker: str
    """Name of the speaker."""
    emotion: str
    """Name of the emotion, `neutral` where the corpus knows none."""
    split: str
    """One of `SPLITS`."""

    def __post_init__(self) -> None:
        """Checks labels and waveform."""
        object.__setattr__(self, "waveform", np.asarray(self.waveform, dtype=np.float32))
        for field in ("clip_id", "speaker", "emotion"):
            if not getattr(self, field).strip():
                raise CorpusError(f"clip '{self.clip_id}': {field} is empty; give every clip a {field}")
        if self.split not in SPLITS:
            raise CorpusError(f"clip '{self.clip_id}': unknown split '{self.split}'{suggestion(self.split, SPLITS)}")
        if self.waveform.ndim != 1 or not len(self.waveform):
            raise CorpusError(
                f"clip '{self.clip_id}': waveform has shape {self.waveform.shape}, expected (samples,) with at least "
                "one sample at 16 kHz; read it with audio.read_waveform"
            )
        if not np.isfinite(self.waveform).all():
            raise CorpusError(f"clip '{self.clip_id}': waveform holds NaN or infinite samples; repair or drop the clip")

    @property
    def seconds(self) -> float:
        """Duration of the waveform."""
        return len(self.waveform) / timebase.SAMPLE_RATE_HZ

    @property
    def num_frames(self) -> int:
        """Motion frames that cover the waveform at the motion's rate."""
        return timebase.motion_frames(len(self.waveform), motion_fps=self.motion.fps)

    def aligned(self, *, motion_fps: float, channel_names: Sequence[str] = CHANNELS) -> "Clip":
        """The clip as a corpus stores it: one rate, one channel order, as many frames as the waveform needs.

        Channels the motion lacks become 0, surplus frames are cut, missing ones repeat the last.

        Raises:
            CorpusError: when the motion has no frame at all.
        """
        if not self.motion.num_frames:
            raise CorpusError(f"clip '{self.clip_id}': motion has no frames; re-export or drop the clip")
        motion = self.motion.resampled(motion_fps).with_channels(channel_names)
        frames = timebase.motion_frames(len(self.waveform), motion_fps=motion_fps)
        index = np.minimum(np.arange(frames), motion.num_frames - 1)
        return dataclasses.replace(self, motion=dataclasses.replace(motion, coefficients=motion.coefficients[index]))


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """`; perhaps you meant 'x' (allowed: ...)`, for the end of an error message about a name."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f"; perhaps you meant '{close[0]}'" if close else ""
    return f"{hint} (allowed: {', '.join(allowed)})"
