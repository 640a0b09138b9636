"""One clip from the recordings to what a corpus stores: read, checked, aligned. Stateless, so any process can do it."""

import dataclasses

import numpy as np

from diffusiontalker.audio.waveform import AudioError
from diffusiontalker.data import checks
from diffusiontalker.data.clip import Clip, CorpusError
from diffusiontalker.data.importers.config import ImportConfig
from diffusiontalker.data.importers.source import ClipSource
from diffusiontalker.face import CHANNELS, MotionClip, MotionError
from diffusiontalker.face.arkit import CHANNEL_INDEX


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedClip:
    """A clip that may enter the corpus, unless another clip forbids it."""

    clip: Clip
    """The clip, aligned to the corpus."""
    channel_names: tuple[str, ...]
    """Channels the recording has; the corpus has 0 for the others."""
    content: tuple[tuple[str, str], ...]
    """(`audio` or `motion`, digest) of what was recorded, to find the same recording under two names."""
    warnings: tuple[str, ...]
    """What deserves a look, without the name of the clip."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RejectedClip:
    """A clip that cannot be used."""

    reason: str
    """Where, what was found, what is allowed, what to do."""


def checked_clip(source: ClipSource, *, config: ImportConfig) -> CheckedClip:
    """Reads a clip, checks all that can be checked of it alone, and aligns it to the corpus.

    Raises:
        AudioError: for sound that cannot be used.
        MotionError: for motion that cannot be used.
        CorpusError: for labels or a pair that cannot be used.
    """
    recorded = source.read()
    waveform, motion = recorded.waveform, recorded.motion
    is_arkit = all(name in CHANNEL_INDEX for name in motion.channel_names)
    checks.check_audible(waveform)
    if is_arkit:
        checks.check_range(motion, tolerance=config.range_tolerance)
    checks.check_drift(motion, waveform, max_drift_s=config.max_drift_s)
    labels = {name: getattr(source, name) for name in ("clip_id", "speaker", "emotion", "split")}
    clip = Clip(waveform=waveform, motion=_clamped(motion) if is_arkit else motion, **labels)
    warnings = list(recorded.warnings)
    if checks.is_still(clip.motion):
        warnings.append("motion never moves; the face was probably not tracked")
    return CheckedClip(
        clip=clip.aligned(
            motion_fps=config.motion_fps, channel_names=CHANNELS if is_arkit else clip.motion.channel_names
        ),
        channel_names=clip.motion.channel_names,
        content=checks.content_keys(clip),
        warnings=tuple(warnings),
    )


def checked_or_rejected(source: ClipSource, *, config: ImportConfig) -> CheckedClip | RejectedClip:
    """`checked_clip`, with what it raises about the clip as a value."""
    try:
        return checked_clip(source, config=config)
    except (AudioError, MotionError, CorpusError, OSError) as error:
        return RejectedClip(reason=str(error))


def _clamped(motion: MotionClip) -> MotionClip:
    return dataclasses.replace(motion, coefficients=np.clip(motion.coefficients, 0.0, 1.0))
