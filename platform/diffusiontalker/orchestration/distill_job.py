"""The distillation job: a teacher's bundle becomes a small, fast student, with the proof beside it.

    teacher -> chains (student, other sizes, ablations) -> direct training -> comparison -> bundle -> hello

Each stage leaves an artefact in the run folder; a resumed run skips what is there.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from diffusiontalker.config import ConfigError
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import ComparisonConfig, EvaluationConfig, compare
from diffusiontalker.face import Rig, builtin_rig, load_rig
from diffusiontalker.inference import Bundle, load_bundle, save_bundle
from diffusiontalker.models import STUDENT_SIZES, TalkerConfig
from diffusiontalker.orchestration.cards import measured, training_card
from diffusiontalker.orchestration.cluster import ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus
from diffusiontalker.orchestration.distill import ChainConfig, chain_stages, distill
from diffusiontalker.orchestration.evaluate_job import comparison_text
from diffusiontalker.orchestration.hello import HelloConfig, say_hello, shown
from diffusiontalker.orchestration.progress import Span
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray
from diffusiontalker.training import (
    ConditioningConfig,
    DistillationObjectiveConfig,
    TeacherObjectiveConfig,
    TrainingConfig,
    student_of,
)

logger = logging.getLogger(__name__)

Size = Literal["base", "small", "nano", "custom"]
Control = Literal["direct", "without_enhancer", "without_alignment"]
TEACHER, STUDENT, DIRECT = "teacher", "student", "direct"
WITHOUT_ENHANCER, WITHOUT_ALIGNMENT = "without L_pc", "without L_ae"


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
    """Network of the student: base (up to 45 MB), small (12 MB), nano (3.4 MB), or custom for `training.talker`."""
    more_sizes: tuple[Size, ...] = ()
    """Further sizes that are distilled with the first seed, to be compared."""
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
    """The chain, and the direct training, run once per seed; several show the spread."""
    controls: tuple[Control, ...] = ("direct", "without_enhancer", "without_alignment")
    """What the student is compared with: the same network trained on the corpus directly, for as many steps as the
    chain; the student without the personalizer enhancer; without feature alignment and warm-up."""
    control_seeds: tuple[int, ...] = (0,)
    """The students without a part are trained once per seed."""
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
        """Checks name, seeds and objective."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'student'")
        if not self.seeds or len({*self.seeds}) != len(self.seeds) or not self.control_seeds:
            raise ValueError(
                f"seeds {self.seeds}, control_seeds {self.control_seeds}: expected different ones, at least one"
            )
        if not isinstance(self.training.objective, DistillationObjectiveConfig):
            kind = self.training.objective.kind
            raise ValueError(f"training.objective.kind is '{kind}', expected 'distillation'")  # noqa: TRY004


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """One network to train: name in the comparison, and how."""

    name: str
    seed: int
    talker: TalkerConfig
    training: TrainingConfig
    chain: ChainConfig | None
    """None: trained directly on the corpus."""

    @property
    def run_name(self) -> str:
        return f"{self.name}-seed{self.seed}".replace(" ", "-")


def run_distill_job(config: DistillJobConfig, *, out: Path | None = None, resume: bool = False) -> str:
    """Runs the whole job and returns what to tell the user: tables, checks, and the paths of what was made.

    Args:
        config: the run.
        out: run folder; `runs/<name>` when None.
        resume: continue the run that stands there; without it, anything that stands there is an error.

    Raises:
        ArtefactError: when the run folder exists (without `resume`), does not (with it), or cannot be written.
        BundleError: when the teacher cannot be read.
        ConfigError: when a resumed run was started with another configuration, or the steps cannot be halved as asked.
        CorpusError: when the corpus cannot be opened.
    """
    rig = load_rig(Path(config.rig)) if config.rig else builtin_rig()
    teacher_path = Path(os.path.expandvars(config.teacher)).expanduser().resolve()
    teacher = load_bundle(teacher_path)
    stages = chain_stages(
        config.chain,
        teacher_steps=teacher.sampling.num_steps,
        learning_rate=config.training.optimizer.learning_rate,
    )
    if config.deployed_steps not in {stage.student_steps for stage in stages}:
        raise ConfigError(
            f"deployed_steps is {config.deployed_steps}, but the chain gives students of "
            f"{', '.join(str(stage.student_steps) for stage in stages if stage.student_steps)} steps; name one of them"
        )
    plans = list(_plans(config, sum(stage.training_steps for stage in stages)))
    for plan in plans:
        student_of(teacher.talker, plan.talker)
    folder = (RunFolder.reopen if resume else RunFolder.create)(out or Path("runs") / config.name, config)
    try:
        corpus = open_corpus(config.corpus, default_uri=folder.corpus, resume=resume)
    except ValueError:
        folder.discard_if_nothing_was_made()
        raise
    bundles: dict[str, list[Bundle]] = {TEACHER: [teacher]}
    workers = config.orchestration
    with ray_cluster(num_cpus=workers.num_workers * workers.cpus_per_worker):
        for number, plan in enumerate(plans, start=1):
            logger.info("network %d of %d: %s, seed %d", number, len(plans), plan.name, plan.seed)
            for name, path in _trained(plan, config, corpus, folder, teacher=teacher, teacher_path=teacher_path):
                bundles.setdefault(name, []).append(load_bundle(path))
    logger.info("comparison")
    content = _compared(config, corpus, bundles, folder, rig=rig)
    logger.info("hello")
    say_hello(config.hello, load_bundle(folder.bundle), folder, rig=rig)
    return f"{comparison_text(content)}\n\n{_paths(folder)}"


def _plans(config: DistillJobConfig, num_steps: int) -> Iterator[_Plan]:
    """For the first seed everything, in the order of importance; then the other seeds."""
    talker = _talker(config, config.size)

    def plan(name: str, seed: int, *, talker: TalkerConfig = talker, chain: ChainConfig | None = config.chain,
             **objective: float) -> _Plan:  # fmt: skip
        changed = dataclasses.replace(config.training.objective, **objective)
        training = dataclasses.replace(config.training, objective=changed, seed=seed)
        return _Plan(name=name, seed=seed, talker=talker, training=training, chain=chain)

    def student_and_direct(seed: int) -> Iterator[_Plan]:
        yield plan(STUDENT, seed)
        if "direct" in config.controls:
            yield _direct(plan(DIRECT, seed, chain=None), num_steps)

    first, *others = config.seeds
    yield from student_and_direct(first)
    for seed in config.control_seeds:
        if "without_enhancer" in config.controls:
            yield plan(WITHOUT_ENHANCER, seed, enhancer_weight=0.0)
        if "without_alignment" in config.controls:
            steps = config.chain.first_steps + config.chain.warm_up_steps
            chain = dataclasses.replace(config.chain, warm_up_steps=0, first_steps=steps)
            yield plan(WITHOUT_ALIGNMENT, seed, chain=chain, feature_weight=0.0)
    for size in config.more_sizes:
        yield plan(size, first, talker=_talker(config, size))
    for seed in others:
        yield from student_and_direct(seed)


def _direct(plan: _Plan, num_steps: int) -> _Plan:
    """The same network and number of steps, taught by the corpus instead of the teacher."""
    shared = {
        field.name: getattr(plan.training.objective, field.name) for field in dataclasses.fields(ConditioningConfig)
    }
    objective = TeacherObjectiveConfig(**shared)
    training = dataclasses.replace(
        plan.training, objective=objective, talker=plan.talker, num_steps=num_steps, extra_corpora=()
    )
    return dataclasses.replace(plan, training=training)


def _talker(config: DistillJobConfig, size: Size) -> TalkerConfig:
    return config.training.talker if size == "custom" else STUDENT_SIZES[size]


def _trained(
    plan: _Plan, config: DistillJobConfig, corpus: Corpus, folder: RunFolder, *, teacher: Bundle, teacher_path: Path
) -> list[tuple[str, Path]]:
    """Names in the comparison and bundles: of a student also the one-step student of every chain."""
    out = folder.network(plan.run_name)
    storage = config.orchestration.storage_uri or folder.training
    if plan.chain is None:
        return [(plan.name, _train_directly(plan, config, corpus, out=out, storage=storage, teacher=teacher))]
    students = distill(
        plan.training,
        plan.chain,
        corpus,
        teacher_path=teacher_path,
        talker=plan.talker,
        out=out,
        run_name=plan.run_name,
        storage_uri=storage,
        precision=config.precision,
        orchestration=config.orchestration,
    )
    chosen = [(plan.name, students[config.deployed_steps])]
    last = min(students)
    if plan.name == STUDENT and last != config.deployed_steps:
        chosen.append((f"{STUDENT}, {last} step" + "s" * (last > 1), students[last]))
    return chosen


def _train_directly(
    plan: _Plan, config: DistillJobConfig, corpus: Corpus, *, out: Path, storage: str | Path, teacher: Bundle
) -> Path:
    path = out / "bundle"
    if not path.exists():
        talker = train_on_ray(
            plan.training,
            corpus.uri,
            run_name=plan.run_name,
            storage_uri=storage,
            telemetry_folder=out,
            orchestration=config.orchestration,
            span=Span(title=plan.run_name),
        )
        sampling = dataclasses.replace(teacher.sampling, num_steps=config.deployed_steps)
        card = training_card(plan.training, corpus, name=plan.run_name)
        save_bundle(Bundle(talker=talker, sampling=sampling, card=card, precision=config.precision), path)
    return path


def _compared(
    config: DistillJobConfig, corpus: Corpus, bundles: dict[str, list[Bundle]], folder: RunFolder, *, rig: Rig
) -> dict:
    """Compares, and makes the student with its figures on its card the run's bundle."""
    source = folder.evaluation / "report.json"
    if not source.exists():
        roles = {"teacher": TEACHER, "student": STUDENT, "direct": DIRECT, "without_enhancer": WITHOUT_ENHANCER}
        known = {role: name for role, name in roles.items() if name in bundles}
        compare(
            corpus,
            bundles,
            rig=rig,
            out=folder.evaluation,
            comparison=dataclasses.replace(config.comparison, **known),
            evaluation=config.evaluation,
        )
    content = json.loads(source.read_text(encoding="utf-8"))
    if not folder.bundle.exists():
        student = bundles[STUDENT][0]
        card = student.card | {"measured": measured(content["systems"], family=STUDENT)}
        save_bundle(dataclasses.replace(student, card=card), folder.bundle)
    folder.publish_report()
    return content


def _paths(folder: RunFolder) -> str:
    made = {
        "report": folder.report.with_suffix(".html"),
        "figures": folder.report,
        "student": folder.bundle,
        "all stages": folder.networks,
        "sentence": folder.hello("wav"),
        "its face": folder.hello("glb"),
        "its curves": folder.hello("csv"),
    }
    return "\n".join(f"{name:12} {shown(path)}" for name, path in made.items())
