"""What is evaluated: anything that turns clips into motions. A bundle gives several systems, controls are others.

Systems see only `clip.waveform` (and the length of its motion); truths and labels are for the scores.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch

from diffusiontalker.data import Clip
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle, animate_batch


@runtime_checkable
class System(Protocol):
    """Something that predicts the motion of clips."""

    @property
    def name(self) -> str:
        """Unique within a report."""
        ...

    @property
    def num_steps(self) -> int | None:
        """Diffusion steps, None where there are none."""
        ...

    @property
    def parameters(self) -> int | None:
        """Numbers learnt and needed to predict, None where that means nothing."""
        ...

    @property
    def file_bytes(self) -> int | None:
        """Size of its files, None where there are none."""
        ...

    @property
    def is_stochastic(self) -> bool:
        """Whether another seed gives another motion, so that several samples are worth drawing."""
        ...

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """One motion per clip, as long as and at the rate of the clip's own."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BundleSystem:
    """A talker at given sampling settings; identity and emotion come from the clip's own audio."""

    bundle: Bundle
    name: str
    num_steps: int | None = None
    """Diffusion steps; the bundle's own when None."""
    temperature: float | None = None
    """Scale of the initial noise; the bundle's own when None, 0 for the deterministic answer."""
    guidance_scale: float | None = None
    """Weight of classifier-free guidance; the bundle's own when None."""
    batch_size: int = 16
    """Clips computed at once."""
    family: str | None = None
    """What rows of one bundle have in common in a report; the name when None."""

    def __post_init__(self) -> None:
        """Fills in the bundle's own settings, so that the report can name them."""
        if self.family is None:
            object.__setattr__(self, "family", self.name)
        if self.num_steps is None:
            object.__setattr__(self, "num_steps", self.bundle.sampling.num_steps)
        if self.temperature is None:
            object.__setattr__(self, "temperature", self.bundle.sampling.temperature)

    @property
    def parameters(self) -> int:
        """All parameters needed at inference."""
        return self.bundle.parameters

    @property
    def file_bytes(self) -> int:
        """Size of the bundle."""
        return self.bundle.file_bytes

    @property
    def precision(self) -> str:
        """Number format of the stored weights."""
        return self.bundle.precision

    @property
    def training_steps(self) -> int | None:
        """How long the bundle was trained, None where its card does not say."""
        return self.bundle.card.get("training", {}).get("num_steps")

    @property
    def device(self) -> torch.device:
        """Where the bundle computes."""
        return next(self.bundle.talker.parameters()).device

    @property
    def is_stochastic(self) -> bool:
        """Whether the initial noise is not scaled to nothing."""
        return self.temperature != 0

    def predict(self, clips: Sequence[Clip], *, seeds: Sequence[int]) -> list[MotionClip]:
        """Motions in batches of `batch_size`."""
        motions: list[MotionClip] = []
        for begin in range(0, len(clips), self.batch_size):
            chosen = slice(begin, begin + self.batch_size)
            motions += animate_batch(
                self.bundle,
                [clip.waveform for clip in clips[chosen]],
                seeds=list(seeds[chosen]),
                num_steps=self.num_steps,
                temperature=self.temperature,
                guidance_scale=self.guidance_scale,
            )
        return motions
