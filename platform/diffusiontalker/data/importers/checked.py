"""One clip from the recordings to what a corpus stores: read, checked, aligned. Stateless, so any process can do it."""

import dataclasses

import numpy as np

from diffusiontalker.audio.waveform import AudioError
from diffusiontalker.data import checks
from diffusiontalker.data.clip import Clip, CorpusError
from diffusiontalker.data.corpus_writer import EncodedClip
from diffusiontalker.data.importers.config import ImportConfig
from diffusiontalker.data.importers.source import ClipSource
from diffusiontalker.data.sync import SyncEstimate, correction, estimate_sync, in_time
from diffusiontalker.face import CHANNELS, MotionClip, MotionError
from diffusiontalker.face.arkit import is_arkit


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedClip:
    """A clip that may enter the corpus, unless another clip forbids it."""

    clip: Clip | EncodedClip
    """The clip, aligned to the corpus."""
    channel_names: tuple[str, ...]
    """Channels the recording has; the corpus has 0 for the others."""
    content: tuple[tuple[str, str], ...]
    """(`audio` or `motion`, digest) of what was recorded, to find the same recording under two names."""
    sync: SyncEstimate | None
    """How the face stood against the sound before `correct_sync`; None where that cannot be told."""
    is_corrected: bool
    """Whether the face was shifted because of it."""
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
    has_weights = is_arkit(recorded.motion.channel_names)
    checks.check_audible(recorded.waveform)
    if has_weights:
        checks.check_range(recorded.motion, tolerance=config.range_tolerance, place=recorded.place)
    motion = _clamped(recorded.motion) if has_weights else recorded.motion
    labels = {name: getattr(source, name) for name in ("clip_id", "speaker", "emotion", "split")}
    clip = Clip(waveform=recorded.waveform, motion=motion, **labels)
    sync, is_corrected, timed = _in_time(clip, config=config)
    checks.check_drift(timed.motion, timed.waveform, max_drift_s=config.max_drift_s)
    still = ("motion never moves; the face was probably not tracked",) if checks.is_still(motion) else ()
    return CheckedClip(
        clip=timed.aligned(
            motion_fps=config.motion_fps, channel_names=CHANNELS if has_weights else motion.channel_names
        ),
        channel_names=motion.channel_names,
        content=checks.content_keys(clip),
        sync=sync,
        is_corrected=is_corrected,
        warnings=recorded.warnings + still,
    )


def checked_or_rejected(source: ClipSource, *, config: ImportConfig) -> CheckedClip | RejectedClip:
    """`checked_clip`, with what it raises about the clip as a value."""
    try:
        return checked_clip(source, config=config)
    except (AudioError, MotionError, CorpusError, OSError) as error:
        return RejectedClip(reason=str(error))


def _in_time(clip: Clip, *, config: ImportConfig) -> tuple[SyncEstimate | None, bool, Clip]:
    """How the face stands, whether it was corrected because of that, and the clip with all corrections."""
    if config.face_lag_s:
        clip = _moved(clip, config.face_lag_s, config.face_lag_s)
    sync = estimate_sync(clip.waveform, clip.motion)
    lags = None
    if config.correct_sync != "none":
        lags = correction(sync, follows_drift=config.correct_sync == "drift")
    return sync, lags is not None, _moved(clip, *lags) if lags else clip


def _moved(clip: Clip, start_lag_s: float, end_lag_s: float) -> Clip:
    waveform, motion = in_time(clip.waveform, clip.motion, start_lag_s=start_lag_s, end_lag_s=end_lag_s)
    if not len(waveform) or not motion.num_frames:
        raise CorpusError(
            f"lasts {clip.seconds:.2f} s, so that nothing is left when its face is shifted by {start_lag_s:g} s; give "
            "another --face-lag-s, or drop the clip"
        )
    return dataclasses.replace(clip, waveform=waveform, motion=motion)


def _clamped(motion: MotionClip) -> MotionClip:
    return dataclasses.replace(motion, coefficients=np.clip(motion.coefficients, 0.0, 1.0))
