"""The training loop: corpus in, averaged weights out; plain torch, one process per rank, no Ray.

A step is a pure function of (config, corpus, weights, step): which windows it sees and every random choice come from
counters, so resuming equals never having stopped. Only dropout masks depend on the number of ranks.
"""

import contextlib
import copy
import dataclasses
import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from diffusiontalker.audio import AugmentConfig
from diffusiontalker.config import config_digest
from diffusiontalker.data import Corpus, ReadingConfig, WindowConfig, mixed
from diffusiontalker.data.collate import Batch, collate
from diffusiontalker.inference import load_bundle
from diffusiontalker.models import Precision, Talker, TalkerConfig, autocast
from diffusiontalker.training.batches import batches_ahead
from diffusiontalker.training.build import Objective, build_objective, build_talker, load_teacher
from diffusiontalker.training.checkpoint import TrainingState, load_state, restore, save_state
from diffusiontalker.training.objectives import DistillationObjectiveConfig, TeacherObjectiveConfig
from diffusiontalker.training.optim import OptimizerConfig, build_optimizer, learning_rate, update_ema
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.telemetry import NoTelemetry, Telemetry
from diffusiontalker.training.windows import Windows, window_source

_LOG = logging.getLogger(__name__)

_VALIDATION_BATCH = 16
"""Windows of a batch in validation."""

CheckpointCallback = Callable[[Path | None, dict[str, float]], None]
"""Called on every rank at every checkpoint: (folder with the state on the main rank, None elsewhere; metrics)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """A whole training run of one talker."""

    talker: TalkerConfig = dataclasses.field(default_factory=TalkerConfig)
    """The network."""
    objective: TeacherObjectiveConfig | DistillationObjectiveConfig = dataclasses.field(
        default_factory=TeacherObjectiveConfig
    )
    """What is minimized."""
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    """How it is minimized."""
    windows: WindowConfig = dataclasses.field(default_factory=WindowConfig)
    """How clips are cut."""
    reading: ReadingConfig = dataclasses.field(default_factory=ReadingConfig)
    """How the corpus is held: in memory, or streamed."""
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    """How sound and face are varied."""
    start_from: str = ""
    """Folder of a bundle of the same network whose weights training starts from; empty: random weights."""
    extra_corpora: tuple[str, ...] = ()
    """Further corpora whose training clips are used too, such as speech labelled by a teacher."""
    num_steps: int = 4000
    """Optimizer steps."""
    batch_size: int = 64
    """Windows per step, over all ranks."""
    checkpoint_every: int = 500
    """Steps between checkpoints, each with a validation."""
    log_every: int = 20
    """Steps between lines of telemetry."""
    feature_cache: str | None = None
    """Folder or URL that keeps the features of frozen encoders, a teacher's too, between runs and may have been filled
    by jobs/precompute_features.py; None: computed anew at each start, in each epoch when the corpus is streamed."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass; auto: bfloat16 autocast where the hardware has it (GPUs, recent CPUs)."""
    seed: int = 0
    """Seed of weights, windows and noise."""

    def __post_init__(self) -> None:
        """Checks counts."""
        for field in ("num_steps", "batch_size", "checkpoint_every", "log_every"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}, expected at least 1")
        if self.talker.diffusion.prediction == "noise":
            raise ValueError("prediction 'noise' says nothing about the motion at t = 1; use 'clean' or 'velocity'")


def train(
    config: TrainingConfig,
    corpus: Corpus,
    *,
    ranks: Ranks = Ranks(),  # noqa: B008
    device: torch.device | None = None,
    resume_from: Path | None = None,
    on_checkpoint: CheckpointCallback | None = None,
    telemetry: Telemetry | None = None,
) -> Talker:
    """Trains a talker and returns it with its averaged weights, in eval mode. Call on every rank.

    Args:
        config: the run; its digest must match the checkpoint's when resuming.
        corpus: needs the split `train`; `validation` is used when there.
        ranks: position in an initialized process group.
        device: where to compute; default CPU.
        resume_from: folder of a checkpoint.
        on_checkpoint: receives a temporary folder with the training state, and the newest metrics.
        telemetry: sink of the main rank.

    Raises:
        ValueError: when the batch does not divide by the ranks, the corpus lacks clips, or the loss is not finite.
    """
    device = device or torch.device("cpu")
    if config.batch_size % ranks.world_size:
        raise ValueError(
            f"batch_size {config.batch_size} does not divide by {ranks.world_size} workers; choose a multiple"
        )
    telemetry = telemetry or NoTelemetry()
    digest = run_digest(config, corpus)
    torch.manual_seed(config.seed)
    teacher = None
    if isinstance(config.objective, DistillationObjectiveConfig):
        teacher = load_teacher(config.objective, device=device).talker
    talker = build_talker(config, corpus, teacher=teacher).to(device)
    average = copy.deepcopy(talker).eval().requires_grad_(False)
    if config.talker.encoder.is_frozen:
        average.encoder = talker.encoder
    objective = build_objective(talker, config, ranks=ranks, teacher=teacher)
    module: nn.Module = objective
    if ranks.world_size > 1:
        module = DistributedDataParallel(
            objective, find_unused_parameters=objective.leaves_unused, gradient_as_bucket_view=True
        )
    optimizer = build_optimizer(objective, config.optimizer)
    first_step = 0
    if resume_from is not None:
        state = load_state(resume_from, run_digest=digest)
        restore(objective, state.model)
        restore(average, state.ema)
        optimizer.load_state_dict(state.optimizer)
        first_step = state.step
        _LOG.info("resumed at step %d of %d", first_step, config.num_steps)
    source = window_source(config, corpus, talker, split="train", ranks=ranks, teacher=teacher)
    validation = None
    if "validation" in corpus.info.splits:
        validation = window_source(config, corpus, talker, split="validation", teacher=teacher)
    metrics = dict[str, float]()
    steps = range(first_step, config.num_steps)
    logged_step, logged_at, waited_s = first_step, time.perf_counter(), 0.0
    with batches_ahead(source, config, steps=steps, ranks=ranks) as batches:
        for step in steps:
            data_started = time.perf_counter()
            batch = next(batches).to(device)
            step_started = time.perf_counter()
            waited_s += step_started - data_started
            rate = learning_rate(step, num_steps=config.num_steps, config=config.optimizer)
            torch.manual_seed(mixed(config.seed, step, ranks.rank))  # dropout
            losses, gradient_norm = optimize(module, optimizer, batch, rate=rate, config=config)
            update_ema(average, talker, step=step, decay=config.optimizer.ema_decay)
            done = step + 1
            is_checkpoint = done % config.checkpoint_every == 0 or done == config.num_steps
            is_logged = is_checkpoint or done % config.log_every == 0
            if is_logged:
                metrics = _step_metrics(losses, gradient_norm, ranks=ranks, step=done)  # waits for the device
                now = time.perf_counter()
                metrics |= {
                    "train/learning_rate": rate,
                    "data/wait_seconds": waited_s / (done - logged_step),
                    "train/step_seconds": now - step_started,
                    "train/samples_per_second": config.batch_size * (done - logged_step) / (now - logged_at),
                    "train/workers": float(ranks.world_size),
                }
                logged_step, logged_at, waited_s = done, now, 0.0
            if is_checkpoint and validation is not None:
                metrics |= validate(objective.validating(average), validation, ranks=ranks, device=device)
            if is_logged:
                telemetry.log(done, metrics)
            if is_checkpoint and on_checkpoint is not None:
                state = TrainingState(
                    step=done,
                    run_digest=digest,
                    model=objective.state_dict(),
                    ema=average.state_dict(),
                    optimizer=optimizer.state_dict(),
                )
                with _checkpoint_folder(state, ranks=ranks) as folder:
                    on_checkpoint(folder, metrics | {"step": float(done)})
    telemetry.close()
    return average


def run_digest(config: TrainingConfig, corpus: Corpus) -> str:
    """What a checkpoint belongs to: the resolved config, and the contents of all that its paths lead to."""
    objective = config.objective
    if isinstance(objective, DistillationObjectiveConfig) and objective.teacher_digest:
        objective = dataclasses.replace(objective, teacher="")
    by_content = dataclasses.replace(
        config,
        objective=objective,
        start_from=config.start_from and load_bundle(config.start_from).digest,
        extra_corpora=tuple(Corpus.open(uri).info.digest for uri in config.extra_corpora),
        feature_cache=None,
    )
    return f"{config_digest(by_content)}-{corpus.info.digest[:16]}"


@torch.no_grad()
def validate(objective: Objective, source: Windows, *, ranks: Ranks, device: torch.device) -> dict[str, float]:
    """Losses of the averaged weights on fixed windows with fixed noise, shared out over the ranks; call on every rank.

    The batches, of which the contrasts are made, depend neither on the ranks nor on the training's batch size.
    """
    batches = range(0, len(source), _VALIDATION_BATCH)
    # Neighbours, which lie in the same blocks of a streamed corpus.
    share = math.ceil(len(batches) / ranks.world_size)
    own = batches[ranks.rank * share : (ranks.rank + 1) * share]
    totals: dict[str, float] = {}
    for first in own or batches[:1]:
        indices = range(first, min(first + _VALIDATION_BATCH, len(source)))
        batch = collate([source.window(index, seed=mixed(0, index, 3)) for index in indices])
        weight = len(indices) / len(source) if own else 0.0
        for name, value in objective(batch.to(device)).items():
            totals[name] = totals.get(name, 0.0) + float(value) * weight
    values = ranks.total(torch.tensor(list(totals.values()), dtype=torch.float64, device=device))
    return {f"validation/{name}": value for name, value in zip(totals, values.tolist(), strict=True)}


def optimize(
    module: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, *, rate: float, config: TrainingConfig
) -> tuple[dict[str, Tensor], Tensor]:
    """One optimizer step in the configured precision."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with autocast(config.precision, batch.motion.device):
        losses = module(batch)
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    norm = nn.utils.clip_grad_norm_(module.parameters(), config.optimizer.gradient_clip)
    optimizer.step()
    return losses, norm


def _step_metrics(losses: dict[str, Tensor], norm: Tensor, *, ranks: Ranks, step: int) -> dict[str, float]:
    values = ranks.total(torch.stack([value.detach().float() for value in losses.values()])) / ranks.world_size
    if not (torch.isfinite(values).all() and torch.isfinite(norm)):
        raise ValueError(
            f"loss or gradient is not finite at step {step}; lower optimizer.learning_rate or check the corpus"
        )
    named = {f"train/{name}": float(value) for name, value in zip(losses, values, strict=True)}
    return named | {"train/gradient_norm": float(norm)}


@contextlib.contextmanager
def _checkpoint_folder(state: TrainingState, *, ranks: Ranks) -> Iterator[Path | None]:
    if not ranks.is_main:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as name:
        save_state(state, Path(name))
        yield Path(name)
