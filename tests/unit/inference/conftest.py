"""A real talker of tiny size, untrained, with statistics that are not the defaults."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from diffusiontalker.inference import Bundle, SamplingConfig
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig

TINY = TalkerConfig(
    encoder=SpeechEncoderConfig(width=16, dilations=(1,)),
    personalizer=PersonalizerConfig(personalized_dim=16, hidden_dim=16),
    denoiser=DenoiserConfig(width=16, dilations=(1, 2)),
)
CARD = {
    "name": "tiny",
    "description": "A talker for tests.",
    "measured": [{"system": "teacher", "mae": 0.01684, "num_steps": 16}, {"system": "ridge", "mae": 0.0216}],
    "data_licences": [{"name": "GRID", "licence": "CC BY 4.0", "credit": "Cooke et al. 2006"}],
    "training": {"config_digest": "0123456789abcdef", "versions": {"torch": "2.13.0"}},
}


@pytest.fixture(scope="session")
def bundle() -> Iterator[Bundle]:
    """The same for all tests: who needs another copies its talker first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        talker = Talker(
            TINY,
            speakers=["anna", "björn"],
            emotions=["neutral", "joy", "anger"],
            channel_names=["jawOpen", "mouthClose", "browInnerUp"],
            motion_fps=25.0,
        )
        talker.statistics.mean.copy_(torch.rand(3))
        talker.statistics.scale.copy_(torch.rand(3) + 0.1)
    bundle = Bundle(talker=talker.eval(), sampling=SamplingConfig(num_steps=4, temperature=0.5), card=CARD)
    yield bundle
    assert dataclasses.replace(bundle, digest="", file_bytes=0).digest == bundle.digest, "a test wrote to it"
