"""Ray Train around the plain training loop: workers, storage, retries, resuming.

What is learnt, and how, is entirely `diffusiontalker.training`'s; this module only decides where it runs.
"""

import contextlib
import dataclasses
import logging
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
from diffusiontalker.orchestration.checkpoints import (
    newest_step,
    newest_whole_checkpoint,
    set_unusable_record_aside,
)
from diffusiontalker.orchestration.cluster import environment, ray_cluster
from diffusiontalker.orchestration.failure import JobError
from diffusiontalker.orchestration.progress import QueueTelemetry, Span, TrainingMonitor
from diffusiontalker.storage import absolute_uri, open_filesystem
from diffusiontalker.training import (
    CheckpointError,
    FileTelemetry,
    NoTelemetry,
    Ranks,
    TrainingConfig,
    build_talker,
    is_streamed,
    load_state,
    require_lanes,
    run_digest,
    train,
)

logger = logging.getLogger(__name__)


class TrainingError(JobError):
    """A training that ended before it was done; the message says why and how to go on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OrchestrationConfig:
    """Where a training runs and what happens when something dies."""

    num_workers: int = 1
    """Ranks; the global batch is split among them."""
    min_workers: int = 0
    """Elastic training: as few ranks as this go on while nodes are missing, and the group grows back to `num_workers`
    when they return; every number between must divide the batch. 0: always `num_workers`."""
    resize_check_interval_s: float = 60.0
    """Elastic training: seconds between two looks for returned nodes."""
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
    """Seconds between two looks at the workers: how soon a death is noticed. A look takes one checkpoint at most, so
    more than `training.checkpoint_every` steps in this time are not possible."""
    start_timeout_s: float = 60.0
    """Seconds that workers may take to start; after the death of a node, how long an elastic group waits for it."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        least = {
            "num_workers": 1, "min_workers": 0, "cpus_per_worker": 1, "max_failures": -1, "checkpoints_to_keep": 1,
        }  # fmt: skip
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        if self.min_workers > self.num_workers:
            raise ValueError(f"min_workers is {self.min_workers}, expected at most num_workers, {self.num_workers}")
        for name in ("health_check_interval_s", "resize_check_interval_s", "start_timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number")

    @property
    def worker_numbers(self) -> range:
        """Every number of workers with which a training may go on."""
        return range(self.min_workers or self.num_workers, self.num_workers + 1)

    def require_divisible(self, batch_size: int) -> None:
        """Refuses a global batch that some number of workers could not share equally.

        Raises:
            ValueError: names the numbers.
        """
        for workers in self.worker_numbers:
            if batch_size % workers:
                raise ValueError(
                    f"training.batch_size {batch_size} does not divide by {workers} workers (orchestration.num_workers "
                    f"{self.num_workers}, min_workers {self.min_workers}); choose a multiple"
                )


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
    read, without Ray. Without a Ray cluster (see `ray_cluster`) a local one is started for the length of the call.

    Args:
        training: what to learn; the same on every worker.
        corpus_uri: a corpus that every worker can open by this path or URL.
        run_name: folder below `storage_uri`.
        storage_uri: a path or URL that every node can write.
        telemetry_folder: gets `metrics.jsonl` and `tensorboard/` on this machine.
        orchestration: workers, retries, storage.
        span: how this training is called, and counted, in a longer job; by default it is the whole job.

    Raises:
        ConfigError: when the batch, or the lanes of a streamed corpus, do not divide by the workers.
        CorpusError: when the corpus cannot be opened.
        TrainingError: when workers fail more often than allowed.
    """
    orchestration = orchestration or OrchestrationConfig()
    try:
        orchestration.require_divisible(training.batch_size)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    corpus = Corpus.open(absolute_uri(corpus_uri))
    training = _for_workers(training)
    if is_streamed(training, corpus):
        for workers in orchestration.worker_numbers:
            require_lanes(training, num_workers=workers)
    run_uri = f"{absolute_uri(storage_uri)}/{run_name}"
    if newest_step(run_uri) >= training.num_steps and (talker := _trained_talker(run_uri, training, corpus)):
        return talker
    set_unusable_record_aside(run_uri)
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
                "run_uri": run_uri,
                "num_threads": orchestration.cpus_per_worker,
                "queue": monitor.queue,
            },
            scaling_config=scaling_config(orchestration),
            run_config=run_config(orchestration, run_name=run_name, storage_uri=storage_uri),
        )
        # Read by Ray Train from the environment of the process that calls `fit`.
        settings = {
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(orchestration.health_check_interval_s),
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(orchestration.start_timeout_s),
        }
        with environment(settings), _own_interrupt_handler():
            try:
                trainer.fit()
            except ray.train.TrainingFailedError as error:
                raise TrainingError(
                    f"{run_name}: {_reason(error)}; what was reached is kept in {storage_uri}, mend this and resume"
                ) from error
    if talker := _trained_talker(run_uri, training, corpus):
        return talker
    raise TrainingError(f"{run_uri}: the last whole checkpoint holds less than {training.num_steps} steps; resume")


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
    most, least = orchestration.num_workers, orchestration.min_workers
    return ray.train.ScalingConfig(
        num_workers=(least, most) if 0 < least < most else most,
        elastic_resize_monitor_interval_s=orchestration.resize_check_interval_s,
        use_gpu=orchestration.use_gpu,
        resources_per_worker={"CPU": orchestration.cpus_per_worker} | ({"GPU": 1} if orchestration.use_gpu else {}),
    )


def run_config(orchestration: OrchestrationConfig, *, run_name: str, storage_uri: str | Path) -> ray.train.RunConfig:
    """Ray Train's view of storage, checkpoints and retries."""
    filesystem, root = open_filesystem(absolute_uri(storage_uri))
    return ray.train.RunConfig(
        name=run_name,
        storage_path=root,
        storage_filesystem=filesystem,
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
    telemetry = QueueTelemetry(plain["queue"])
    with newest_whole_checkpoint(plain["run_uri"], ranks, say=telemetry.note) as folder:
        train(
            training,
            Corpus.open(plain["corpus_uri"]),
            ranks=ranks,
            device=ray.train.torch.get_device(),
            resume_from=folder,
            on_checkpoint=_report,
            telemetry=telemetry if ranks.is_main else NoTelemetry(),
        )


def _report(folder: Path | None, metrics: dict[str, float]) -> None:
    """Called on every rank; returns when the checkpoint is in the storage."""
    checkpoint = ray.train.Checkpoint.from_directory(str(folder)) if folder else None
    ray.train.report({name: float(value) for name, value in metrics.items()}, checkpoint=checkpoint)


def _trained_talker(run_uri: str, training: TrainingConfig, corpus: Corpus) -> Talker | None:
    """What a training has made that was done; None when it was not, or the checkpoints of its end are damaged."""
    try:
        with newest_whole_checkpoint(run_uri, Ranks(), say=logger.warning) as folder:
            state = folder and load_state(folder, run_digest=run_digest(training, corpus))
    except CheckpointError as error:
        raise TrainingError(str(error)) from None
    if state is None or state.step < training.num_steps:
        return None
    talker = build_talker(training, corpus)
    talker.load_state_dict(state.ema)
    return talker.eval().requires_grad_(False)


def _reason(error: ray.train.TrainingFailedError) -> str:
    """What went wrong in one line: where Ray tells a traceback, its last line."""
    if isinstance(error, ray.train.WorkerGroupError):
        failures = {rank: str(failure).strip().splitlines() for rank, failure in error.worker_failures.items()}
        rank, lines = next(((rank, lines) for rank, lines in failures.items() if lines), (0, ["a worker died"]))
        return f"worker {rank}: {lines[-1]}"
    return str(error).strip().splitlines()[-1]


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
