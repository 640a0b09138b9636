"""What a distillation job is asked for, and which networks it trains for that: student, other sizes, controls."""

import dataclasses
from pathlib import Path
from typing import Literal

from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import ComparisonConfig, EvaluationConfig
from diffusiontalker.models import STUDENT_SIZES, TalkerConfig
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig
from diffusiontalker.orchestration.distill import ChainConfig
from diffusiontalker.orchestration.hello import HelloConfig
from diffusiontalker.orchestration.train import OrchestrationConfig
from diffusiontalker.training import (
    ConditioningConfig,
    DistillationObjectiveConfig,
    TeacherObjectiveConfig,
    TrainingConfig,
)

Size = Literal["base", "small", "nano", "custom"]
Control = Literal["direct", "without_enhancer", "without_dynamics", "without_alignment"]
TEACHER, STUDENT, DIRECT = "teacher", "student", "direct"
WITHOUT_ENHANCER, WITHOUT_DYNAMICS, WITHOUT_ALIGNMENT = "without L_pc", "without L_dyn", "without L_ae"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DistillJobConfig:
    """Everything about one run of the distillation job."""

    name: str = STUDENT
    """Name of the run: of its folder under runs/, and of its checkpoints in the storage."""
    teacher: str = "runs/demo/bundle"
    """Folder of the teacher's bundle; with several machines, one that all of them see."""
    corpus: CorpusSourceConfig = dataclasses.field(
        default_factory=lambda: CorpusSourceConfig(source="corpus", uri="runs/demo/corpus")
    )
    """What to distil on and to measure with."""
    size: Size = "nano"
    """Network of the student: base (20.6 MB), small (5.4 MB), nano (3.3 MB), or custom for `training.talker`."""
    more_sizes: tuple[Size, ...] = ()
    """Further sizes that are distilled with the first seed, as far as `deployed_steps`, to be compared."""
    precision: Literal["float32", "float16"] = "float16"
    """How the students' weights are stored; they always compute in float32."""
    deployed_steps: int = 2
    """Diffusion steps of the student that becomes `bundle` and says hello."""
    training: TrainingConfig = dataclasses.field(
        default_factory=lambda: TrainingConfig(objective=DistillationObjectiveConfig())
    )
    """Windows, batch, optimizer, and the weights of the distillation objective."""
    chain: ChainConfig = dataclasses.field(default_factory=ChainConfig)
    """How long each stage trains."""
    seeds: tuple[int, ...] = (0,)
    """The student's chain runs once per seed; several show the spread. All else is trained once, with the first."""
    controls: tuple[Control, ...] = ("direct", "without_enhancer", "without_dynamics", "without_alignment")
    """What the student is compared with: the same network trained on the corpus directly, for as many steps as the
    student's whole chain; and, distilled as far as `deployed_steps`, the student without the personalizer enhancer;
    without the dynamics loss; without feature alignment and warm-up."""
    repeated_controls: tuple[Control, ...] = ()
    """Those of `controls` that are trained with every seed, as the student is, where chance could decide."""
    comparison: ComparisonConfig = dataclasses.field(default_factory=ComparisonConfig)
    """How students, teacher and controls are compared; which name plays which part is filled in."""
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    """What to measure."""
    rig: str = ""
    """Head for vertex errors and hello.glb: an .npz, a folder of OBJ files or a GLB; empty for the built-in one."""
    hello: HelloConfig = dataclasses.field(default_factory=HelloConfig)
    """What to say at the end."""
    orchestration: OrchestrationConfig = dataclasses.field(default_factory=OrchestrationConfig)
    """Where to train."""

    def __post_init__(self) -> None:
        """Checks what would otherwise be noticed, or not, after hours."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'student'")
        for field in ("seeds", "more_sizes"):
            values = getattr(self, field)
            if len(values) != len({*values}) or (not values and field != "more_sizes"):
                raise ValueError(f"{field} is {values}, expected different ones, at least one")
        for control in self.repeated_controls:
            if control not in self.controls:
                raise ValueError(f"repeated_controls holds '{control}', expected some of controls {self.controls}")
        if self.size in self.more_sizes:
            raise ValueError(f"more_sizes holds '{self.size}', which is the student's size already")
        if not isinstance(self.training.objective, DistillationObjectiveConfig):
            kind = self.training.objective.kind
            raise ValueError(f"training.objective.kind is '{kind}', expected 'distillation'")  # noqa: TRY004
        if self.training.batch_size % self.orchestration.num_workers:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} does not divide by orchestration.num_workers "
                f"{self.orchestration.num_workers}; choose a multiple"
            )
        self._check_nothing_is_ignored(self.training.objective)

    def _check_nothing_is_ignored(self, objective: DistillationObjectiveConfig) -> None:
        plain, own = TrainingConfig(), DistillationObjectiveConfig()
        remedies = {"num_steps": "chain", "seed": "seeds", "start_from": "chain"}
        if "custom" not in (self.size, *self.more_sizes):
            remedies["talker"] = "size custom"
        for field, remedy in remedies.items():
            if getattr(self.training, field) != getattr(plain, field):
                raise ValueError(f"training.{field} has no effect here; use {remedy}")
        for field in ("teacher", "teacher_digest", "student_steps"):
            if getattr(objective, field) != getattr(own, field):
                raise ValueError(
                    f"training.objective.{field} has no effect here; use teacher, chain and deployed_steps"
                )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One network to train."""

    name: str
    """Name in the comparison; several trainings may share it."""
    seed: int
    """Seed of this training."""
    talker: TalkerConfig
    """The network."""
    training: TrainingConfig
    """Windows, batch, optimizer, objective."""
    chain: ChainConfig | None
    """Stages; None: trained directly on the corpus."""

    @property
    def run_name(self) -> str:
        """Names its folder and its checkpoints."""
        return f"{self.name}-seed{self.seed}".replace(" ", "-")


def planned_networks(config: DistillJobConfig, *, num_steps: int) -> list[Plan]:
    """Student, controls and other sizes with the first seed, in the order of importance; then the repetitions.

    Args:
        config: the job.
        num_steps: training steps of the student's whole chain; the direct training gets as many.
    """
    first, *others = config.seeds
    plans = [_plan(config, STUDENT, first)]
    plans += [_control(config, control, first, num_steps=num_steps) for control in config.controls]
    plans += [_plan(config, size, first, size=size) for size in config.more_sizes]
    for seed in others:
        plans.append(_plan(config, STUDENT, seed))
        plans += [_control(config, control, seed, num_steps=num_steps) for control in config.repeated_controls]
    return plans


def _plan(config: DistillJobConfig, name: str, seed: int, *, size: Size | None = None, **weights: float) -> Plan:
    """A chain; only the student's goes on beyond the deployed steps. `weights` differ from the job's objective."""
    size = size or config.size
    until = config.chain.until if name == STUDENT else config.deployed_steps
    return Plan(
        name=name,
        seed=seed,
        talker=config.training.talker if size == "custom" else STUDENT_SIZES[size],
        training=dataclasses.replace(
            config.training, objective=dataclasses.replace(config.training.objective, **weights), seed=seed
        ),
        chain=dataclasses.replace(config.chain, until=until),
    )


def _control(config: DistillJobConfig, control: Control, seed: int, *, num_steps: int) -> Plan:
    if control == "direct":
        return _taught_by_recordings(_plan(config, DIRECT, seed), num_steps=num_steps)
    if control == "without_enhancer":
        return _plan(config, WITHOUT_ENHANCER, seed, enhancer_weight=0.0)
    if control == "without_dynamics":
        return _plan(config, WITHOUT_DYNAMICS, seed, dynamics_weight=0.0)
    steps = config.chain.first_steps + config.chain.warm_up_steps
    config = dataclasses.replace(config, chain=dataclasses.replace(config.chain, warm_up_steps=0, first_steps=steps))
    return _plan(config, WITHOUT_ALIGNMENT, seed, feature_weight=0.0)


def _taught_by_recordings(plan: Plan, *, num_steps: int) -> Plan:
    """The same network, for as many steps, without a teacher and what it made up."""
    given = plan.training.objective
    objective = TeacherObjectiveConfig(
        **{field.name: getattr(given, field.name) for field in dataclasses.fields(ConditioningConfig)}
    )
    recorded = [uri for uri in plan.training.extra_corpora if not Corpus.open(uri).info.is_pseudo_labelled]
    training = dataclasses.replace(
        plan.training,
        objective=objective,
        talker=plan.talker,
        num_steps=num_steps,
        extra_corpora=tuple(recorded),
    )
    return dataclasses.replace(plan, training=training, chain=None)
