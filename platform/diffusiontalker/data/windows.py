"""Training windows: random crops of clips with augmentation, each a pure function of the corpus and a seed.

Sound enters either as a waveform (16 kHz) or, for a frozen encoder, as its precomputed features (50 Hz).
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from diffusiontalker.audio import (
    SAMPLE_RATE_HZ,
    SPEECH_FPS,
    AugmentConfig,
    add_noise,
    change_gain,
    change_speed,
    timebase,
)
from diffusiontalker.data.clip import Clip
from diffusiontalker.data.order import shuffled_index, window_seed
from diffusiontalker.face.arkit import CHANNELS, MIRROR_PERMUTATION

SILENCE = ""
"""Key of digital silence among a teacher's features; no clip has an empty id."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WindowConfig:
    """How clips are cut into training windows."""

    seconds: float = 2.56
    """Length of a window; shorter clips are padded and masked."""
    reference_seconds: float = 2.56
    """Length of the reference crop that the personalizer hears."""

    def __post_init__(self) -> None:
        """Checks lengths."""
        if min(self.seconds, self.reference_seconds) < 0.2:
            raise ValueError(f"window lengths {self.seconds} s, {self.reference_seconds} s: at least 0.2 s is needed")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One training example."""

    speech: np.ndarray
    """(samples,) waveform at 16 kHz, on the clock of the motion; or what was made of it before: (speech_frames,
    features) by a pretrained encoder, (2 * speech_frames, mels) for one that hears log-mel frames."""
    taught: np.ndarray | None
    """(speech_frames, features) what a teacher made of the same stretch, without augmentation; None without one."""
    motion: np.ndarray
    """(frames, channels) coefficients."""
    reference: np.ndarray
    """Another crop of the same speaker in the same emotion, in the form of `speech`; perhaps in a changed voice."""
    speaker: int
    """Index of the speaker."""
    emotion: int
    """Index of the emotion."""
    is_recorded: bool
    """Whether the motion was recorded; False: a teacher made it up (pseudo-label)."""
    seed: int
    """Seed of the random choices that the objective makes for this example."""
    path: np.ndarray | None = None
    """(frames, states, channels) a teacher's way from clean (state 0) to noise, normalized; None: it is asked anew."""
    taught_embeddings: np.ndarray | None = None
    """(2, 2, embedding) a teacher's identity and emotion of the window and of the reference; None: it is asked anew."""


class WindowSource:
    """Cuts windows out of clips held in memory.

    Args:
        clips: the clips of a split.
        speakers: names in the order of the talker's prototypes.
        emotions: the same for emotions.
        config: lengths.
        augment: augmentation; None: none at all (validation).
        features: (speech_frames, features) per clip_id when the encoder is frozen; sound is then not augmented.
        pseudo_labelled: ids of clips whose motion a teacher made up.
        taught: a teacher's (speech_frames, features) per clip_id, and of silence under `SILENCE`, as long as a window;
            sound is then not changed in speed, which a teacher's features could not follow.
        voice_range: references (waveforms) are played up to so many times faster or slower, which makes other voices of
            them; 1: as they are.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        speakers: Sequence[str],
        emotions: Sequence[str],
        config: WindowConfig,
        augment: AugmentConfig | None,
        features: dict[str, np.ndarray] | None = None,
        pseudo_labelled: Collection[str] = (),
        taught: Mapping[str, np.ndarray] | None = None,
        voice_range: float = 1.0,
    ) -> None:
        self._clips, self._config, self._augment, self._features = list(clips), config, augment, features
        self._pseudo_labelled, self._taught = frozenset(pseudo_labelled), taught
        self._voice_range = voice_range
        self._speaker_index = {name: index for index, name in enumerate(speakers)}
        self._emotion_index = {name: index for index, name in enumerate(emotions)}
        self._mirror = mirror_columns(clips[0].motion.channel_names) if clips else None
        self._alike: dict[tuple[str, str], list[int]] = {}
        for index, clip in enumerate(self._clips):
            self._alike.setdefault((clip.speaker, clip.emotion), []).append(index)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._clips)

    def at(self, position: int, *, seed: int) -> Window:
        """The window at a position of the endless row of shuffled epochs."""
        index = shuffled_index(position, length=len(self), seed=seed)
        return self.window(index, seed=window_seed(position, seed=seed))

    def window(self, index: int, *, seed: int) -> Window:
        """The window of clip `index` that this seed stands for."""
        generator = np.random.default_rng(seed)
        clip = self._clips[index]
        fps = clip.motion.fps
        frames = min(round(self._config.seconds * fps), clip.motion.num_frames)
        speed = self._speed(generator)
        # Frames of the recording that the window covers; a faster window covers more of it.
        span = min(clip.motion.num_frames, round(frames * speed))
        first = int(generator.integers(0, clip.motion.num_frames - span + 1))
        frames = max(1, min(frames, round(span / speed)))
        motion = _interpolated(clip.motion.coefficients, first + np.arange(frames) * speed)
        length = timebase.samples_of_frames(frames, fps=fps)
        positions = timebase.speech_positions(length, start_s=first / fps)
        taught = None if self._taught is None else _interpolated(self._taught[clip.clip_id], positions)
        if self._features is None:
            speech = _cut(clip.waveform, SAMPLE_RATE_HZ, first / fps, span / fps)
            speech = self._augmented(speech, speed=speed, generator=generator)
            speech = np.pad(speech[:length], (0, max(0, length - len(speech))))
        else:
            speech = _interpolated(self._features[clip.clip_id], positions)
        if self._augment and self._mirror is not None and generator.random() < self._augment.mirror_probability:
            motion = motion[:, self._mirror]
        if self._augment and speech.ndim == 1 and generator.random() < self._augment.muted_probability:
            speech, motion = np.zeros_like(speech), _held_at_quietest(clip, frames=len(motion))
            taught = None if taught is None or self._taught is None else self._taught[SILENCE][: len(taught)]
        return Window(
            speech=speech,
            taught=taught,
            motion=motion,
            reference=self._reference(index, generator),
            speaker=self._speaker_index.get(clip.speaker, -1),
            emotion=self._emotion_index.get(clip.emotion, -1),
            is_recorded=clip.clip_id not in self._pseudo_labelled,
            seed=int(generator.integers(0, 2**62)),
        )

    def _speed(self, generator: np.random.Generator) -> float:
        if self._augment is None or self._features is not None or self._taught is not None:
            return 1.0
        if generator.random() >= self._augment.speed_probability:
            return 1.0
        return 1.0 + float(generator.uniform(-1.0, 1.0)) * self._augment.max_speed_change

    def _crop(self, clip: Clip, start_s: float, seconds: float) -> np.ndarray:
        if self._features is not None:
            return _cut(self._features[clip.clip_id], SPEECH_FPS, start_s, seconds)
        return _cut(clip.waveform, SAMPLE_RATE_HZ, start_s, seconds)

    def _augmented(self, waveform: np.ndarray, *, speed: float, generator: np.random.Generator) -> np.ndarray:
        if self._augment is None:
            return waveform
        if speed != 1.0:
            waveform = change_speed(waveform, speed)
        waveform = change_gain(waveform, gain_db=float(generator.uniform(-1.0, 1.0)) * self._augment.gain_db)
        if generator.random() < self._augment.noise_probability:
            snr_db = float(generator.uniform(*self._augment.noise_snr_db))
            waveform = add_noise(waveform, snr_db=snr_db, generator=generator)
        return waveform

    def _reference(self, index: int, generator: np.random.Generator) -> np.ndarray:
        """A crop of a clip of the same speaker and emotion (of the clip itself when it is the only one)."""
        clip = self._clips[index]
        alike = self._alike[(clip.speaker, clip.emotion)]
        other = self._clips[alike[int(generator.integers(0, len(alike)))]]
        speed = self._voice_range ** float(generator.uniform(-1.0, 1.0)) if self._voice_range > 1.0 else 1.0
        seconds = self._config.reference_seconds * speed
        slack = max(0.0, other.seconds - seconds)
        crop = self._crop(other, float(generator.uniform(0.0, 1.0)) * slack, seconds)
        return crop if speed == 1.0 else change_speed(crop, speed)


def _cut(rows: np.ndarray, rate: int, start_s: float, seconds: float) -> np.ndarray:
    """Rows of a stretch of time, at least one."""
    first = round(start_s * rate)
    return rows[first : max(first + 1, round((start_s + seconds) * rate))]


def mirror_columns(channel_names: Sequence[str]) -> np.ndarray | None:
    """Column order of the mirrored face; None when the channels are not ARKit's (vertices, say)."""
    if tuple(channel_names) != CHANNELS:
        return None
    return np.asarray(MIRROR_PERMUTATION)


def _interpolated(rows: Float[np.ndarray, "frames channels"], position: np.ndarray) -> np.ndarray:
    """Rows at fractional frame positions; beyond the last frame it is held."""
    position = np.minimum(position, len(rows) - 1)
    lower = np.floor(position + 1e-6).astype(np.int64)
    upper = np.minimum(lower + 1, len(rows) - 1)
    share = np.maximum(position - lower, 0.0).astype(np.float32)[:, None]
    return rows[lower] * (1.0 - share) + rows[upper] * share


def _held_at_quietest(clip: Clip, *, frames: int) -> np.ndarray:
    """The pose of the clip's quietest frame, held: what this face does when nothing is said."""
    bounds = np.linspace(0, len(clip.waveform), clip.motion.num_frames + 1).astype(np.int64)[:-1]
    energy = np.add.reduceat(np.square(clip.waveform), np.minimum(bounds, len(clip.waveform) - 1))
    return np.repeat(clip.motion.coefficients[[int(np.argmin(energy))]], frames, axis=0)
