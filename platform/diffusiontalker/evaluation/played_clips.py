"""Held-out clips that a report plays: which ones, and how sound and faces travel inside a page.

The page decodes them in `studio/src/report/clips.ts`; a fixture that both sides are tested with keeps them together.
"""

import base64
import dataclasses
import gzip
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffusiontalker.audio import timebase
from diffusiontalker.audio.waveform import encode_flac
from diffusiontalker.data import Clip
from diffusiontalker.evaluation.scoring import ClipTerms

FORMAT = "diffusiontalker-played-clips"
VERSION = 1

LONGEST_S = 20.0
"""Seconds of a clip that are played; a minute of sound alone would weigh over a megabyte."""

_LEVELS = 0xFFFF


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlayedClip:
    """A recording, and what one system predicted for it."""

    clip: Clip
    prediction: np.ndarray
    """(frames, channels) of the channels that are scored: one sample, the first seed's."""
    lip_error_mm: float
    """LVE of that sample in this clip."""
    place: str
    """Where it stands among the clips by that error: `best`, `median`, `worst`, or its rank."""

    def summary(self) -> dict[str, Any]:
        """What the report says about it."""
        return {
            "clip_id": self.clip.clip_id, "speaker": self.clip.speaker, "emotion": self.clip.emotion,
            "place": self.place, "lip_error_mm": self.lip_error_mm, "seconds": round(self.clip.seconds, 3),
        }  # fmt: skip


def choose_clips(
    clips: Sequence[Clip], predictions: Sequence[np.ndarray], terms: Sequence[ClipTerms], *, count: int
) -> list[PlayedClip]:
    """`count` clips at even distances from the least lip error to the largest; the median alone when it is 1.

    Args:
        clips: of the headline group.
        predictions: per clip one sample, (frames, channels).
        terms: per clip the terms of that sample.
        count: how many; all where there are fewer.
    """
    errors_mm = [float(np.sqrt(term.lip_error_m2 / term.frames) * 1000.0) for term in terms]
    order = sorted(range(len(clips)), key=lambda index: errors_mm[index])
    last = len(order) - 1
    ranks = [last // 2] if count == 1 else sorted({int(rank) for rank in np.linspace(0, last, min(count, len(order)))})
    return [
        PlayedClip(
            clip=clips[order[rank]], prediction=predictions[order[rank]], lip_error_mm=errors_mm[order[rank]],
            place=_place(rank, last=last),
        )
        for rank in ranks
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Playing:
    """What a report plays."""

    system: str
    """Whose predictions they are."""
    clips: Sequence[PlayedClip]
    """The clips."""
    channel_names: Sequence[str]
    """Columns of the predictions; only these move on either face."""
    curves: Sequence[str]
    """Channels that are drawn over time; those that are no columns are left out."""

    def summary(self) -> dict[str, Any]:
        """What the report says about it."""
        return {
            "system": self.system,
            "longest_s": LONGEST_S,
            "clips": [played.summary() for played in self.clips],
        }

    def encoded(self, *, head: bytes) -> dict[str, Any]:
        """Everything that the player needs, as JSON.

        Sound is FLAC and without loss. Coefficients are 16-bit steps of each channel's own range in the clip: wrong by
        at most 1/131070 of it, under 8 millionths for a channel that goes from 0 to 1.

        Args:
            head: GLB that both faces are shown on.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "system": self.system,
            "curves": [name for name in self.curves if name in self.channel_names],
            "head": _text(gzip.compress(head, mtime=0)),
            "clips": [_encode(played, self.channel_names) for played in self.clips],
        }


def _place(rank: int, *, last: int) -> str:
    if last == 0:
        return "only"
    return {last // 2: "median", 0: "best", last: "worst"}.get(rank, f"rank {rank + 1} of {last + 1}")


def _encode(played: PlayedClip, channel_names: Sequence[str]) -> dict[str, Any]:
    motion = played.clip.motion
    waveform = played.clip.waveform[: round(LONGEST_S * timebase.SAMPLE_RATE_HZ)]
    frames = min(motion.num_frames, timebase.motion_frames(len(waveform), motion_fps=motion.fps))
    truth, prediction = motion.with_channels(channel_names).coefficients[:frames], played.prediction[:frames]
    return played.summary() | {
        "fps": motion.fps,
        "frames": frames,
        "names": list(channel_names),
        "sound": _text(encode_flac(waveform)),
        "truth": _steps(truth),
        "prediction": _steps(prediction),
    }


def _steps(coefficients: np.ndarray) -> dict[str, Any]:
    """`lowest` and `highest` per channel, and the steps between them: uint16, little endian, frame by frame."""
    values = coefficients.astype(np.float64)
    lowest, highest = values.min(axis=0), values.max(axis=0)
    span = np.where(highest > lowest, highest - lowest, 1.0)
    steps = np.rint((values - lowest) / span * _LEVELS).astype("<u2")
    return {"lowest": lowest.tolist(), "highest": highest.tolist(), "steps": _text(steps.tobytes())}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
