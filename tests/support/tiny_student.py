"""A student of tiny size whose output depends on everything it is given, as after training."""

from collections.abc import Sequence

import torch

from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig


def tiny_bundle(
    *,
    seed: int = 1,
    fps: float = 25.0,
    ahead: tuple[int | None, int | None] = (2, 1),
    dilations: tuple[int, ...] = (1, 2),
    steps: int = 2,
    guidance: float = 1.0,
    channel_names: Sequence[str] = CHANNELS,
    mean: float = 0.5,
    scale: float = 0.05,
) -> Bundle:
    """`ahead` and `dilations`: the look-aheads of encoder and denoiser, and the encoder's blocks.

    `mean` and `scale`: of the motion; by default it is seldom clamped.
    """
    config = TalkerConfig(
        encoder=SpeechEncoderConfig(width=16, dilations=dilations, look_ahead_frames=ahead[0], dropout=0.0),
        personalizer=PersonalizerConfig(embedding_dim=8, personalized_dim=8, hidden_dim=8, num_heads=2),
        denoiser=DenoiserConfig(width=16, dilations=(1, 2), look_ahead_frames=ahead[1], dropout=0.0),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        talker = Talker(
            config, speakers=("anna", "Ben"), emotions=("neutral", "happy", "sad"), channel_names=tuple(channel_names),
            motion_fps=fps,
        ).eval()  # fmt: skip
        for parameter in talker.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
        talker.statistics.mean.fill_(mean)
        talker.statistics.scale.fill_(scale)
    return Bundle(
        talker=talker, sampling=SamplingConfig(num_steps=steps, guidance_scale=guidance), card={"name": "tiny"}
    )
