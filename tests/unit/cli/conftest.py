"""A tiny bundle and a spoken sentence on disk, and the command line as a function."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.cli import main
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig, save_bundle
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig

TINY = TalkerConfig(
    encoder=SpeechEncoderConfig(width=16, dilations=(1,)),
    personalizer=PersonalizerConfig(personalized_dim=16, hidden_dim=16),
    denoiser=DenoiserConfig(width=16, dilations=(1, 2)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(*args: object) -> Outcome:
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        talker = Talker(
            TINY, speakers=["amy", "bob"], emotions=["neutral", "happy"], channel_names=CHANNELS, motion_fps=30.0
        )
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    save_bundle(Bundle(talker=talker.eval(), sampling=SamplingConfig(num_steps=2)), path)
    return path


@pytest.fixture(scope="session")
def speech_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 24_000)
    write_wav((noise * np.sin(np.arange(24_000) / 2_000) ** 2).astype(np.float32), path)
    return path
