"""Tiny real things for tests: a corpus of made-up clips and a network that trains on it in a second."""

import json
import math
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from diffusiontalker.config import from_plain
from diffusiontalker.data import Clip, Corpus, write_corpus
from diffusiontalker.face import CHANNELS, MotionClip
from diffusiontalker.training import Ranks, TrainingConfig, train

JAW = CHANNELS.index("jawOpen")


def tiny_clips(*, speakers: int = 2, clips_each: int = 4, fps: float = 25.0, seconds: float = 0.8) -> Iterator[Clip]:
    """Tones whose loudness drives the jaw; the pitch tells the speaker, the emotion the brows."""
    generator = np.random.default_rng(0)
    for split, count in (("train", clips_each), ("validation", 1), ("test", 1)):
        for speaker in range(speakers):
            for number in range(count):
                time = np.arange(round(seconds * 16_000)) / 16_000
                rate, phase = generator.uniform(2.0, 5.0), generator.uniform(0.0, 2.0 * math.pi)
                envelope = 0.5 + 0.5 * np.sin(2.0 * math.pi * rate * time + phase)
                tone = np.sin(2.0 * math.pi * (120.0 + 90.0 * speaker) * time)
                frames = np.arange(round(seconds * fps)) / fps
                motion = np.zeros((len(frames), len(CHANNELS)), dtype=np.float32)
                motion[:, JAW] = 0.25 + 0.25 * np.sin(2.0 * math.pi * rate * frames + phase)
                emotion = ("neutral", "happy")[number % 2]
                motion[:, CHANNELS.index("browInnerUp")] = 0.3 * (emotion == "happy")
                yield Clip(
                    clip_id=f"{split}_{speaker}_{number}",
                    waveform=(0.3 * envelope * tone).astype(np.float32),
                    motion=MotionClip(coefficients=motion, fps=fps),
                    speaker=f"speaker{speaker}",
                    emotion=emotion,
                    split=split,
                )


def tiny_corpus(folder, *, motion_fps: float = 25.0, channel_names=CHANNELS, **options) -> Corpus:
    """`tiny_clips` written to a folder and opened."""
    write_corpus(
        tiny_clips(**options), folder, motion_fps=motion_fps, channel_names=channel_names, source={"kind": "test"}
    )
    return Corpus.open(folder)


TINY_TRAINING = {
    "num_steps": 8,
    "precision": "float32",
    "batch_size": 4,
    "checkpoint_every": 4,
    "log_every": 2,
    "talker": {
        "encoder": {"width": 16, "dilations": [1, 2], "dropout": 0.1},
        "personalizer": {"embedding_dim": 8, "personalized_dim": 8, "hidden_dim": 8, "num_heads": 2},
        "denoiser": {"width": 16, "dilations": [1, 2], "dropout": 0.1},
    },
    "objective": {"noise_levels": 2},
    "windows": {"seconds": 0.6, "reference_seconds": 0.4},
    "optimizer": {"warmup_steps": 2, "learning_rate": 3e-3},
}


def tiny_training(**changes) -> TrainingConfig:
    """The tiny config with top-level changes."""
    return from_plain(TrainingConfig, TINY_TRAINING | changes)


def tiny_hubert(folder: Path) -> Path:
    """Checkpoint of a pretrained speech encoder, as small as one can be, in a folder."""
    import transformers

    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    """Bit by bit."""
    expected, found = first.state_dict(), second.state_dict()
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def train_on_two_ranks(config: dict, uri: str, folder) -> None:
    """Trains in two processes, which are forked from one that has imported what training needs, and nothing else."""
    multiprocessing.set_forkserver_preload(["diffusiontalker.training"])
    torch.multiprocessing.start_processes(
        train_rank, args=(2, config, uri, str(folder)), nprocs=2, start_method="forkserver"
    )


def train_rank(rank: int, world_size: int, config: dict, uri: str, folder: str) -> None:
    """One process of a distributed training; leaves weights and newest metrics in `folder/rank<n>.pt` and `.json`."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size
    )

    def keep(_: Path | None, metrics: dict[str, float]) -> None:
        Path(f"{folder}/rank{rank}.json").write_text(json.dumps(metrics))

    ranks = Ranks(rank=rank, world_size=world_size)
    talker = train(from_plain(TrainingConfig, config), Corpus.open(uri), ranks=ranks, on_checkpoint=keep)
    torch.save(talker.state_dict(), f"{folder}/rank{rank}.pt")
    torch.distributed.destroy_process_group()
