"""A tiny rig, a tiny corpus and a real, untrained talker that fits them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data import Clip, Corpus, write_corpus
from diffusiontalker.face import MotionClip, Rig
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig

FPS = 25.0
FRAMES = 30


def make_clip(number: int, *, speaker: str, split: str, emotion: str = "neutral", frames: int = FRAMES) -> Clip:
    """A buzz whose loudness opens the jaw, then silence with closed lips; speakers differ in pitch."""
    generator = np.random.default_rng(number)
    samples = round(frames * SAMPLE_RATE_HZ / FPS)
    seconds, instants = np.arange(samples) / SAMPLE_RATE_HZ, np.arange(frames) / FPS
    rate, pitch = generator.uniform(2.0, 5.0), 120.0 + 60.0 * (sum(map(ord, speaker)) % 7)

    def loudness(at: np.ndarray) -> np.ndarray:
        return np.where(at < 0.8 * frames / FPS, 0.5 - 0.5 * np.cos(2 * np.pi * rate * at), 0.0)

    waveform = 0.5 * loudness(seconds) * np.sign(np.sin(2 * np.pi * pitch * seconds))
    motion = np.zeros((frames, len(CHANNELS)))
    motion[:, CHANNELS.index("jawOpen")] = 0.6 * loudness(instants)
    motion[:, CHANNELS.index("mouthFunnel")] = 0.2 * loudness(instants) ** 2
    motion[:, CHANNELS.index("browInnerUp")] = 0.3 * generator.uniform(size=frames)
    motion[:, CHANNELS.index("eyeBlinkLeft")] = 0.5 * (instants % 0.5 < 0.1)
    return Clip(
        clip_id=f"{speaker}_{number:03d}",
        waveform=waveform,
        motion=MotionClip(coefficients=motion, fps=FPS),
        speaker=speaker,
        emotion=emotion,
        split=split,
    )


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    train = [
        make_clip(number, speaker=("anna", "bert")[number % 2], split="train", emotion=("neutral", "joy")[number % 2])
        for number in range(8)
    ]
    test = [make_clip(number, speaker=("anna", "anna", "bert")[number % 3], split="test") for number in range(10, 15)]
    unseen = [make_clip(number, speaker=f"new{number % 2}", split="test_unseen_speaker") for number in range(20, 24)]
    return [*train, *test, *unseen]


@pytest.fixture(scope="session")
def corpus(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    path: Path = tmp_path_factory.mktemp("evaluation") / "corpus"
    write_corpus(clips, str(path), motion_fps=FPS, channel_names=CHANNELS, source={"made_by": "a test"})
    return Corpus.open(path)


@pytest.fixture(scope="session")
def rig() -> Rig:
    """Two lip vertices and two brow vertices; jawOpen moves the first lip 10 mm down, the second 20 mm."""
    deltas = np.zeros((3, 4, 3), dtype=np.float32)
    deltas[0, 0, 1], deltas[0, 1, 1] = -0.010, -0.020  # jawOpen
    deltas[1, 0, 2] = 0.004  # mouthFunnel
    deltas[2, 2:, 1] = 0.005  # browInnerUp
    return Rig(
        name="tetrahedron",
        neutral=np.array([[0, 0, 0], [0.1, 0, 0.02], [0, 0.1, 0.01], [0.05, 0.05, 0.1]]),
        triangles=np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 2, 1]]),
        shape_names=("jawOpen", "mouthFunnel", "browInnerUp"),
        shape_deltas=deltas,
        lip_vertices=np.array([0, 1]),
        upper_face_vertices=np.array([2, 3]),
    )


def make_bundle(*, num_steps: int, temperature: float) -> Bundle:
    """An untrained talker of the corpus' speakers and emotions."""
    config = TalkerConfig(
        encoder=SpeechEncoderConfig(width=16, dilations=(1,)),
        personalizer=PersonalizerConfig(personalized_dim=16, hidden_dim=16),
        denoiser=DenoiserConfig(width=16, dilations=(1, 2)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        talker = Talker(
            config, speakers=["anna", "bert"], emotions=["neutral", "joy"], channel_names=CHANNELS, motion_fps=FPS
        )
    talker.statistics.mean.fill_(0.2)
    talker.statistics.scale.fill_(0.1)
    sampling = SamplingConfig(num_steps=num_steps, temperature=temperature)
    return Bundle(talker=talker.eval(), sampling=sampling, card={"training": {"num_steps": 10 * num_steps}})


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle(num_steps=2, temperature=1.0)


@pytest.fixture(scope="session")
def regression_bundle() -> Bundle:
    return make_bundle(num_steps=1, temperature=0.0)
