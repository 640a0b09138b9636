"""Ray Train around the plain training loop: workers, storage, retries, resuming.

What is learnt, and how, is entirely `diffusiontalker.training`'s; this module only decides where it runs.
"""

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch

from diffusiontalker.config import ConfigError, from_plain, to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.models import Talker
from diffusiontalker.orchestration.cluster import absolute_uri, environment, ray_cluster
from diffusiontalker.orchestration.progress import QueueTelemetry, Span, TrainingMonitor
from diffusiontalker.training import (
    FileTelemetry,
    NoTelemetry,
    Ranks,
    TrainingConfig,
    build_talker,
    load_state,
    run_digest,
    train,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OrchestrationConfig:
    """Where a training runs and what happens when something dies."""

    num_workers: int = 1
    """Ranks; the global batch is split among them."""
    use_gpu: bool = False
    """One GPU per rank and NCCL; otherwise CPUs and gloo."""
    cpus_per_worker: int = 1
    """CPUs reserved by each rank; also its number of threads."""
    storage_uri: str = ""
    """Where checkpoints go: a folder all nodes see, or a URL such as s3://bucket/prefix; empty for the run folder."""
    max_failures: int = 3
    """How often a dead worker is replaced, from the newest checkpoint, before the run fails; -1 for always."""
    checkpoints_to_keep: int = 2
    """Newest checkpoints that stay in the storage."""
    health_check_interval_s: float = 2.0
    """Seconds between two looks at the workers: how soon a death is noticed."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        least = {"num_workers": 1, "cpus_per_worker": 1, "max_failures": -1, "checkpoints_to_keep": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        if not self.health_check_interval_s > 0:
            raise ValueError(f"health_check_interval_s is {self.health_check_interval_s}, expected a positive number")


def train_on_ray(
    training: TrainingConfig,
    corpus_uri: str | Path,
    *,
    run_name: str,
    storage_uri: str | Path,
    telemetry_folder: Path,
    orchestration: OrchestrationConfig | None = None,
    span: Span | None = None,
) -> Talker:
    """Trains a talker on Ray and returns it with its averaged weights, in eval mode.

    The same `run_name` and `storage_uri` continue from the newest checkpoint there; a run that was finished is only
    read. Without a Ray cluster (see `ray_cluster`) a local one is started for the length of the call.

    Args:
        training: what to learn; the same on every worker.
        corpus_uri: a corpus that every worker can open by this path or URL.
        run_name: folder below `storage_uri`.
        storage_uri: a path or URL that every node can write.
        telemetry_folder: gets `metrics.jsonl` and `tensorboard/` on this machine.
        orchestration: workers, retries, storage.
        span: how this training is called, and counted, in a longer job; by default it is the whole job.

    Raises:
        ConfigError: when the batch does not divide by the workers.
        CorpusError: when the corpus cannot be opened.
        ray.train.TrainingFailedError: when workers fail more often than allowed.
    """
    orchestration = orchestration or OrchestrationConfig()
    if training.batch_size % orchestration.num_workers:
        raise ConfigError(
            f"training.batch_size {training.batch_size} does not divide by orchestration.num_workers "
            f"{orchestration.num_workers}; choose a multiple"
        )
    corpus = Corpus.open(absolute_uri(corpus_uri))
    training = _for_workers(training)
    with (
        ray_cluster(num_cpus=orchestration.num_workers * orchestration.cpus_per_worker),
        TrainingMonitor(
            FileTelemetry(telemetry_folder), span=span or Span(title=run_name), num_steps=training.num_steps
        ) as monitor,
    ):
        trainer = ray.train.torch.TorchTrainer(
            _train_worker,
            train_loop_config={
                "training": to_plain(training),
                "corpus_uri": absolute_uri(corpus_uri),
                "num_threads": orchestration.cpus_per_worker,
                "queue": monitor.queue,
            },
            scaling_config=scaling_config(orchestration),
            run_config=run_config(orchestration, run_name=run_name, storage_uri=storage_uri),
        )
        # Read by Ray Train from the environment of the process that calls `fit`.
        interval = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(orchestration.health_check_interval_s)}
        with environment(interval), _own_interrupt_handler():
            result = trainer.fit()
        return _trained_talker(result.checkpoint, training, corpus)


def _for_workers(training: TrainingConfig) -> TrainingConfig:
    """With absolute paths: workers run in a folder of their own."""
    return dataclasses.replace(
        training,
        extra_corpora=tuple(absolute_uri(uri) for uri in training.extra_corpora),
        feature_cache=training.feature_cache and absolute_uri(training.feature_cache),
        start_from=training.start_from and absolute_uri(training.start_from),
    )


def scaling_config(orchestration: OrchestrationConfig) -> ray.train.ScalingConfig:
    """Ray Train's view of how many workers run, and on what."""
    return ray.train.ScalingConfig(
        num_workers=orchestration.num_workers,
        use_gpu=orchestration.use_gpu,
        resources_per_worker={"CPU": orchestration.cpus_per_worker} | ({"GPU": 1} if orchestration.use_gpu else {}),
    )


def run_config(orchestration: OrchestrationConfig, *, run_name: str, storage_uri: str | Path) -> ray.train.RunConfig:
    """Ray Train's view of storage, checkpoints and retries."""
    return ray.train.RunConfig(
        name=run_name,
        storage_path=absolute_uri(storage_uri),
        failure_config=ray.train.FailureConfig(max_failures=orchestration.max_failures),
        checkpoint_config=ray.train.CheckpointConfig(num_to_keep=orchestration.checkpoints_to_keep),
        logging_config=ray.train.LoggingConfig(log_level="ERROR"),
    )


def _train_worker(plain: dict[str, Any]) -> None:
    """What every Ray worker does: validate the plain data, open the corpus, hand over to the Ray-free loop."""
    training = from_plain(TrainingConfig, plain["training"], source="training config sent to a worker")
    torch.set_num_threads(plain["num_threads"])
    context = ray.train.get_context()
    ranks = Ranks(rank=context.get_world_rank(), world_size=context.get_world_size())
    checkpoint = ray.train.get_checkpoint()
    with checkpoint.as_directory() if checkpoint else contextlib.nullcontext() as folder:
        train(
            training,
            Corpus.open(plain["corpus_uri"]),
            ranks=ranks,
            device=ray.train.torch.get_device(),
            resume_from=Path(folder) if folder else None,
            on_checkpoint=_report,
            telemetry=QueueTelemetry(plain["queue"]) if ranks.is_main else NoTelemetry(),
        )


def _report(folder: Path | None, metrics: dict[str, float]) -> None:
    """Called on every rank; returns when the checkpoint is in the storage."""
    checkpoint = ray.train.Checkpoint.from_directory(str(folder)) if folder else None
    ray.train.report({name: float(value) for name, value in metrics.items()}, checkpoint=checkpoint)


def _trained_talker(checkpoint: ray.train.Checkpoint | None, training: TrainingConfig, corpus: Corpus) -> Talker:
    if checkpoint is None:
        raise RuntimeError("the training ended without a checkpoint: no worker reported its last step")
    with checkpoint.as_directory() as folder:
        state = load_state(Path(folder), run_digest=run_digest(training, corpus))
    talker = build_talker(training, corpus)
    talker.load_state_dict(state.ema)
    return talker.eval().requires_grad_(False)


@contextlib.contextmanager
def _own_interrupt_handler() -> Iterator[None]:
    """Keeps Ctrl-C an interrupt: `fit` installs a handler that outlives it and ends the process with exit code 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
