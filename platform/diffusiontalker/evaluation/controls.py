"""What a talker must beat: the mean face, ridge regression from log-mel, another clip's audio; and the truth itself.

Controls are fitted in closed form on the corpus' training split. They implement the `System` protocol of `systems`.
"""

import dataclasses
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from diffusiontalker.audio.log_mel import MEL_FPS, log_mel
from diffusiontalker.data import Clip, Corpus
from diffusiontalker.evaluation.systems import BundleSystem, System
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle

RIDGE_OFFSETS_S = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
"""Instants around a motion frame whose log-mel frames the ridge regression sees."""

RIDGE_PENALTY = 1000.0
"""Weight of the squared coefficients, for standardised inputs. On GRID speech 100 to 10 000 differ by 0.02 in r."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """The recording itself: the reference row for dynamics, jitter and silence closure."""

    name: str = "truth"
    num_steps: int | None = None
    parameters: int | None = None
    file_bytes: int | None = None
    is_stochastic: bool = False

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """The recorded motion of every clip."""
        return [clip.motion for clip in clips]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeanFace:
    """The average training frame, held still."""

    mean: Float[np.ndarray, "channels"]
    name: str = "mean face"
    num_steps: int | None = None
    parameters: int | None = None
    file_bytes: int | None = None
    is_stochastic: bool = False

    @classmethod
    def fit(cls, clips: Iterable[Clip]) -> "MeanFace":
        """The mean over all frames of `clips`."""
        total, frames = 0.0, 0
        for clip in clips:
            total = total + clip.motion.coefficients.sum(axis=0, dtype=np.float64)
            frames += clip.motion.num_frames
        if not frames:
            raise ValueError("mean face: got no training clips, expected at least one; check the corpus' train split")
        mean = np.asarray(total / frames, dtype=np.float32)
        return cls(mean=mean, parameters=mean.size)

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """The same face in every frame of every clip."""
        return [_like(clip, np.tile(self.mean, (clip.motion.num_frames, 1))) for clip in clips]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ridge:
    """Linear regression of a motion frame on the log-mel frames within 120 ms of it (look-ahead included)."""

    weight: Float[np.ndarray, "inputs channels"]
    bias: Float[np.ndarray, "channels"]
    name: str = "ridge from log-mel"
    num_steps: int | None = None
    parameters: int | None = None
    file_bytes: int | None = None
    is_stochastic: bool = False

    @classmethod
    def fit(cls, clips: Iterable[Clip], *, penalty: float = RIDGE_PENALTY) -> "Ridge":
        """Solves for the weights in closed form; memory does not grow with the number of clips."""
        gram, cross, inputs_sum, targets_sum, frames = 0.0, 0.0, 0.0, 0.0, 0
        for clip in clips:
            inputs, targets = _ridge_inputs(clip), clip.motion.coefficients.astype(np.float64)
            gram, cross = gram + inputs.T @ inputs, cross + inputs.T @ targets
            inputs_sum, targets_sum = inputs_sum + inputs.sum(axis=0), targets_sum + targets.sum(axis=0)
            frames += len(inputs)
        if not frames:
            raise ValueError("ridge: got no training clips, expected at least one; check the corpus' train split")
        input_mean, target_mean = np.asarray(inputs_sum) / frames, np.asarray(targets_sum) / frames
        covariance = np.asarray(gram) - frames * np.outer(input_mean, input_mean)
        scale = np.sqrt(np.maximum(np.diag(covariance) / frames, 1e-8))
        standardised = covariance / np.outer(scale, scale) + penalty * np.eye(len(scale))
        cross_covariance = (np.asarray(cross) - frames * np.outer(input_mean, target_mean)) / scale[:, None]
        weight = np.linalg.solve(standardised, cross_covariance) / scale[:, None]
        bias = target_mean - input_mean @ weight
        return cls(weight=weight, bias=bias, parameters=weight.size + bias.size)

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """The regression's face for every clip, clamped to [0, 1]."""
        return [_like(clip, np.clip(_ridge_inputs(clip) @ self.weight + self.bias, 0.0, 1.0)) for clip in clips]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShuffledAudio:
    """A system that hears another clip: what it still gets right comes from timing and habit, not from this speech.

    The other clip is the one `derangement` gives, and its audio is cut or repeated to this clip's length.
    """

    system: System
    seed: int = 0
    is_stochastic: bool = False

    @property
    def name(self) -> str:
        """The wrapped system's name, marked."""
        return f"{self.system.name} (shuffled audio)"

    @property
    def num_steps(self) -> int | None:
        """As the wrapped system."""
        return self.system.num_steps

    @property
    def parameters(self) -> int | None:
        """As the wrapped system."""
        return self.system.parameters

    @property
    def file_bytes(self) -> int | None:
        """As the wrapped system."""
        return self.system.file_bytes

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """Predictions for every clip from another one's audio; needs at least two clips."""
        partners = derangement(clips, seed=self.seed)
        heard = [
            dataclasses.replace(clip, waveform=np.resize(clips[partner].waveform, clip.waveform.shape))
            for clip, partner in zip(clips, partners, strict=True)
        ]
        return self.system.predict(heard, seeds=seeds)


def standard_systems(corpus: Corpus, bundles: Mapping[str, Bundle]) -> list[System]:
    """Everything a report should show: truth, controls fitted on the corpus' `train` split, and per bundle its rows.

    A bundle gives its samples (at its own temperature, or 1 where that is 0), temperature 0 in its own steps and, where
    those are more than two, re-spaced to two, and shuffled audio. One that takes a single step at temperature 0 is a
    regression: it gives itself and shuffled audio.

    Args:
        corpus: where the controls learn.
        bundles: name in the report -> bundle; the first one is what the report is about.
    """
    systems: list[System] = [Truth(), MeanFace.fit(corpus.clips("train")), Ridge.fit(corpus.clips("train"))]
    for name, bundle in bundles.items():
        still = BundleSystem(bundle=bundle, name=name, temperature=0.0)
        if bundle.sampling.num_steps == 1 and bundle.sampling.temperature == 0:
            systems += [still, ShuffledAudio(system=still)]
            continue
        sampled = BundleSystem(bundle=bundle, name=name, temperature=bundle.sampling.temperature or 1.0)
        still = dataclasses.replace(still, name=f"{name} (temperature 0)", family=name)
        systems += [sampled, still]
        if bundle.sampling.num_steps > 2:
            systems.append(dataclasses.replace(still, name=f"{name} (temperature 0, 2 steps)", num_steps=2))
        systems.append(ShuffledAudio(system=sampled))
    return systems


def derangement(clips: Sequence[Clip], *, seed: int) -> list[int]:
    """For each clip the index of another one, each used once, of the same speaker where he has two.

    The clips of each speaker stand in a circle, in a random order by `seed`; each is given the next one's index. The
    clips of speakers who have only one share a circle; if there is but one such clip, it joins the first speaker's.

    Raises:
        ValueError: for fewer than two clips.
    """
    if len(clips) < 2:
        raise ValueError(f"shuffled audio: got {len(clips)} clips, expected at least 2; evaluate more clips")
    by_speaker: dict[str, list[int]] = {}
    for i in sorted(
        range(len(clips)), key=lambda i: (clips[i].speaker, zlib.crc32(f"{seed}/{clips[i].clip_id}".encode()), i)
    ):
        by_speaker.setdefault(clips[i].speaker, []).append(i)
    circles = [circle for circle in by_speaker.values() if len(circle) > 1]
    alone = [circle[0] for circle in by_speaker.values() if len(circle) == 1]
    if len(alone) == 1:
        circles[0] += alone
    elif alone:
        circles.append(alone)
    following = {i: other for circle in circles for i, other in zip(circle, circle[1:] + circle[:1], strict=True)}
    return [following[index] for index in range(len(clips))]


def _ridge_inputs(clip: Clip) -> np.ndarray:
    """(frames, inputs) float64: the log-mel frames around every motion frame, side by side."""
    with torch.inference_mode():
        mels = log_mel(torch.from_numpy(clip.waveform)[None])[0].numpy().astype(np.float64)
    instants_s = np.arange(clip.motion.num_frames)[:, None] / clip.motion.fps + np.asarray(RIDGE_OFFSETS_S)
    index = np.clip(np.rint(instants_s * MEL_FPS).astype(int), 0, len(mels) - 1)
    return mels[index].reshape(len(index), -1)


def _like(clip: Clip, coefficients: np.ndarray) -> MotionClip:
    return dataclasses.replace(clip.motion, coefficients=coefficients)
