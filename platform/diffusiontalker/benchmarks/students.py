"""What is benchmarked: students of the preset sizes without training, which costs are the same without, or a bundle."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import Bundle, EngineName, SamplingConfig, Voice, make_voice
from diffusiontalker.models import STUDENT_SIZES, Talker, TalkerConfig

_SPEAKERS, _EMOTIONS = 20, 8


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Student:
    """One student in one number of steps, on one engine."""

    size: str
    steps: int
    engine: EngineName
    bundle: Bundle

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.size}, {counted_steps(self.steps)}, {self.engine}"


def students_of(bundles: dict[str, Bundle], *, steps: Sequence[int], engines: Sequence[EngineName]) -> list[Student]:
    """Every bundle in every number of steps on every engine.

    Args:
        bundles: size or name -> bundle.
        steps: numbers of diffusion steps.
        engines: that compute.

    Raises:
        BundleError: for an engine that this machine or the bundle does not have.
    """
    return [
        Student(
            size=size,
            steps=number,
            engine=engine,
            bundle=dataclasses.replace(
                bundle, engine=engine, sampling=dataclasses.replace(bundle.sampling, num_steps=number)
            ),
        )
        for size, bundle in bundles.items()
        for number in steps
        for engine in engines
    ]


def untrained(size: str, *, motion_fps: float) -> Bundle:
    """A student of a preset size, with as many speakers and emotions as in its published size."""
    return _untrained(STUDENT_SIZES[size], motion_fps=motion_fps)


def untrained_live(*, motion_fps: float) -> Bundle:
    """The small student whose frames come out soon after their sound; see `jobs/configs/grid_live_student.yaml`."""
    small = STUDENT_SIZES["small"]
    config = dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, look_ahead_frames=4),
        denoiser=dataclasses.replace(small.denoiser, look_ahead_frames=1),
    )
    return _untrained(config, motion_fps=motion_fps)


def some_voice(bundle: Bundle) -> Voice:
    """An enrolled voice; whose it is does not matter to what it costs."""
    size = bundle.talker.config.personalizer.embedding_dim
    identity, emotion = np.random.default_rng(0).standard_normal((2, size)).astype(np.float32)
    return make_voice(name="benchmark", identity=identity, emotion=emotion, bundle_digest=bundle.digest, provenance={})


def _untrained(config: TalkerConfig, *, motion_fps: float) -> Bundle:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        talker = Talker(
            config,
            speakers=[f"speaker{number}" for number in range(_SPEAKERS)],
            emotions=["neutral", *(f"emotion{number}" for number in range(1, _EMOTIONS))],
            channel_names=CHANNELS,
            motion_fps=motion_fps,
        )
    return Bundle(talker=talker.eval().requires_grad_(False), sampling=SamplingConfig(num_steps=2))


def counted_steps(steps: int) -> str:
    """`1 step`, `2 steps`."""
    return f"{steps} step{'' if steps == 1 else 's'}"
