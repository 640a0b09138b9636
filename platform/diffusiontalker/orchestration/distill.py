"""The distillation chain on Ray Train: warm-up, then 16 -> 8 -> 4 -> 2 -> 1 diffusion steps, one bundle per stage.

A stage is done when its bundle is there, so a chain that was killed goes on where it stopped: finished stages are only
read, an unfinished one continues from its newest checkpoint.
"""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

from diffusiontalker.config import ConfigError
from diffusiontalker.data import Corpus
from diffusiontalker.inference import Bundle, Precision, load_bundle, save_bundle
from diffusiontalker.models import TalkerConfig
from diffusiontalker.orchestration.cards import training_card
from diffusiontalker.orchestration.progress import Span
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray
from diffusiontalker.training import DistillationObjectiveConfig, OptimizerConfig, TrainingConfig

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ChainConfig:
    """How long each stage of a chain trains."""

    warm_up_steps: int = 150
    """Training steps in which only speech features and embeddings are aligned with the teacher's; 0: no warm-up."""
    first_steps: int = 800
    """Training steps of the first halving, in which the small network learns to move."""
    halving_steps: int = 250
    """Training steps of every later halving."""
    halving_learning_rate: float = 5e-4
    """Peak learning rate of the later halvings; the first stages use `training.optimizer.learning_rate`."""
    until: int = 1
    """Diffusion steps of the last student."""

    def __post_init__(self) -> None:
        """Checks counts."""
        least = {"warm_up_steps": 0, "first_steps": 1, "halving_steps": 1, "until": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        if self.halving_learning_rate <= 0:
            raise ValueError(f"halving_learning_rate is {self.halving_learning_rate}, expected a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ChainStage:
    """One training of a chain."""

    name: str
    """Name of its bundle: `warm_up`, `8_steps` ..."""
    student_steps: int
    """Diffusion steps of the student; 0 for the warm-up."""
    training_steps: int
    """Optimizer steps."""
    learning_rate: float
    """Peak learning rate."""


def chain_stages(config: ChainConfig, *, teacher_steps: int, learning_rate: float) -> list[ChainStage]:
    """The stages from a teacher of so many diffusion steps to the last student.

    Raises:
        ConfigError: when halving does not lead from the teacher's steps to the last student's.
    """
    counts = [teacher_steps]
    while counts[-1] % 2 == 0:
        counts.append(counts[-1] // 2)
    if config.until not in counts[1:]:
        raise ConfigError(
            f"chain.until is {config.until}, but halving {teacher_steps} diffusion steps gives "
            f"{', '.join(map(str, counts[1:])) or 'nothing'}; choose one of these, or a teacher that takes 16 steps"
        )
    first, *later = [count for count in counts[1:] if count >= config.until]
    lengths = [
        (0, config.warm_up_steps, learning_rate),
        (first, config.first_steps, learning_rate),
        *((count, config.halving_steps, config.halving_learning_rate) for count in later),
    ]
    return [
        ChainStage(name=stage_name(count), student_steps=count, training_steps=steps, learning_rate=rate)
        for count, steps, rate in lengths
        if steps
    ]


def stage_name(student_steps: int) -> str:
    """Name of the bundle of a stage."""
    return {0: "warm_up", 1: "1_step"}.get(student_steps, f"{student_steps}_steps")


def distill(
    training: TrainingConfig,
    chain: ChainConfig,
    corpus: Corpus,
    *,
    teacher_path: str,
    talker: TalkerConfig,
    out: Path,
    published: Callable[[Path], str] = str,
    run_name: str,
    storage_uri: str | Path,
    precision: Precision = "float32",
    orchestration: OrchestrationConfig | None = None,
) -> dict[int, Path]:
    """Distils a teacher step by step and returns the bundle of every student by its number of diffusion steps.

    Args:
        training: windows, batch, optimizer and the weights of the distillation objective; what differs from stage to
            stage is filled in here.
        chain: length of the stages.
        corpus: sound to learn from; its motion is where the noise starts.
        teacher_path: bundle, where all workers find it; halving begins at its own number of diffusion steps.
        talker: network of the student.
        out: gets one bundle per stage, `metrics.jsonl` and `tensorboard/` over the whole chain.
        published: called with every bundle below `out`; gives the path or URL where all workers find it.
        run_name: begins the names of the stages' trainings below `storage_uri`.
        storage_uri: where checkpoints go.
        precision: how the students' weights are stored.
        orchestration: workers, retries.

    Raises:
        ConfigError: when the training is no distillation, or the teacher's steps cannot be halved as asked.
        BundleError: when the teacher, or the student of a finished stage, cannot be read.
    """
    objective = training.objective
    if not isinstance(objective, DistillationObjectiveConfig):
        raise ConfigError(f"training.objective.kind is '{objective.kind}', a chain needs 'distillation'")
    teacher = load_bundle(teacher_path)
    require_unguided(teacher, where=teacher_path)
    stages = chain_stages(
        chain, teacher_steps=teacher.sampling.num_steps, learning_rate=training.optimizer.learning_rate
    )
    in_all, before = sum(stage.training_steps for stage in stages), 0
    current, start_from = teacher_path, ""
    for number, stage in enumerate(stages, start=1):
        path = out / stage.name
        title = f"{run_name}, stage {number} of {len(stages)} ({stage.name})"
        if path.exists():
            require_made_from(path, corpus, teacher=teacher)
            logger.info("%s: done", title)
        else:
            config = dataclasses.replace(
                training,
                talker=talker,
                objective=dataclasses.replace(
                    objective,
                    teacher=current,
                    teacher_digest=load_bundle(current).digest,
                    student_steps=stage.student_steps,
                ),
                optimizer=_optimizer(training.optimizer, stage),
                start_from=start_from,
                seed=1000 * training.seed + number,  # other windows and noise in every stage
                num_steps=stage.training_steps,
            )
            student = train_on_ray(
                config,
                corpus.uri,
                run_name=f"{run_name}-{stage.name}",
                storage_uri=storage_uri,
                telemetry_folder=out,
                orchestration=orchestration,
                span=Span(title=title, steps_before=before, steps_in_all=in_all),
            )
            num_steps = stage.student_steps or teacher.sampling.num_steps
            card = training_card(config, corpus, name=f"{run_name}, {stage.name}", teacher=teacher, steps_before=before)
            sampling = dataclasses.replace(teacher.sampling, num_steps=num_steps)
            save_bundle(Bundle(talker=student, sampling=sampling, card=card, precision=precision), path)
        before += stage.training_steps
        start_from = published(path)
        current = start_from if stage.student_steps else current
    return {stage.student_steps: out / stage.name for stage in stages if stage.student_steps}


def require_unguided(teacher: Bundle, *, where: str) -> None:
    """Refuses a teacher that is sampled with classifier-free guidance.

    Raises:
        ConfigError: names the bundle and its guidance.
    """
    if teacher.sampling.guidance_scale != 1.0:
        raise ConfigError(
            f"{where}: the teacher is sampled with guidance {teacher.sampling.guidance_scale:g}, distillation "
            "knows only 1; export it with sampling.guidance_scale 1"
        )


def require_made_from(path: Path, corpus: Corpus, *, teacher: Bundle | None) -> None:
    """Refuses the bundle of a finished stage that was made from another corpus, or from another teacher.

    Raises:
        ConfigError: names the bundle and what differs.
    """
    card = load_bundle(path).card
    made_from = {
        "corpus": (card["training"]["corpus_digest"], corpus.info.digest),
        "teacher": (card.get("teacher_digest"), teacher and teacher.digest),
    }
    for what, (then, now) in made_from.items():
        if then != now:
            raise ConfigError(
                f"{path} was made from another {what} ({str(then)[:12]}, now {str(now)[:12]}); put the old one back, "
                "or start a new run with --out"
            )


def _optimizer(config: OptimizerConfig, stage: ChainStage) -> OptimizerConfig:
    """The stage's learning rate, and a warm-up no longer than a fifth of the stage."""
    warmup = min(config.warmup_steps, stage.training_steps // 5)
    return dataclasses.replace(config, learning_rate=stage.learning_rate, warmup_steps=warmup)
