"""Small trainings on Ray that several tests start, and what they left behind."""

import dataclasses
import json
from pathlib import Path

import torch

from diffusiontalker.audio import AugmentConfig
from diffusiontalker.data import Corpus, WindowConfig
from diffusiontalker.models import DenoiserConfig, PersonalizerConfig, SpeechEncoderConfig, Talker, TalkerConfig
from diffusiontalker.orchestration import OrchestrationConfig
from diffusiontalker.training import OptimizerConfig, Telemetry, TrainingConfig, train

TINY = TrainingConfig(
    talker=TalkerConfig(
        encoder=SpeechEncoderConfig(width=16, dilations=(1, 2), dropout=0.1),
        personalizer=PersonalizerConfig(embedding_dim=16, personalized_dim=16, hidden_dim=16, num_heads=2),
        denoiser=DenoiserConfig(width=16, dilations=(1, 2), dropout=0.1),
    ),
    optimizer=OptimizerConfig(warmup_steps=2),
    windows=WindowConfig(seconds=0.8, reference_seconds=0.8),
    augment=AugmentConfig(muted_probability=0.0),
    num_steps=12,
    batch_size=4,
    checkpoint_every=4,
    log_every=2,
    seed=7,
)
LONG = dataclasses.replace(TINY, num_steps=120, checkpoint_every=20, log_every=1)
QUICK = OrchestrationConfig(health_check_interval_s=0.2)


def without_dropout(config: TrainingConfig) -> TrainingConfig:
    """Dropout masks are drawn per rank: what a split over ranks changes. Rounding must not hide the rest."""
    talker = dataclasses.replace(
        config.talker,
        encoder=dataclasses.replace(config.talker.encoder, dropout=0.0),
        denoiser=dataclasses.replace(config.talker.denoiser, dropout=0.0),
    )
    return dataclasses.replace(config, talker=talker, precision="float32")


def differences(one: Talker, other: Talker) -> list[str]:
    weights = other.state_dict()
    return [name for name, tensor in one.state_dict().items() if not torch.equal(tensor, weights[name])]


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def checkpoints(run: Path) -> list[Path]:
    return sorted(path for path in run.glob("checkpoint_*") if path.is_dir())


def trained_here(config: TrainingConfig, corpus: Path, *, telemetry: Telemetry | None = None) -> Talker:
    """The same training without Ray, in this process, on one thread as in a worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(config, Corpus.open(corpus), telemetry=telemetry)
    finally:
        torch.set_num_threads(threads)
