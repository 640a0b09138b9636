"""The distillation job: a teacher's bundle becomes a small, fast student, with the proof beside it.

    teacher -> chains (student, other sizes, ablations) -> direct training -> comparison -> bundle -> hello

Each stage leaves an artefact in the run folder; a resumed run skips what is there.
"""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from diffusiontalker.config import ConfigError, expanded_path
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import ComparisonConfig, compare
from diffusiontalker.face import Rig, load_rig
from diffusiontalker.inference import Bundle, load_bundle, save_bundle
from diffusiontalker.orchestration.cards import measured, training_card
from diffusiontalker.orchestration.cluster import ray_cluster
from diffusiontalker.orchestration.corpus_source import open_corpus, require_measurable
from diffusiontalker.orchestration.distill import chain_stages, distill, require_made_from
from diffusiontalker.orchestration.distill_plan import (
    DIRECT,
    STUDENT,
    TEACHER,
    WITHOUT_ENHANCER,
    DistillJobConfig,
    Plan,
    planned_networks,
)
from diffusiontalker.orchestration.evaluate_job import changes_since, comparison_text
from diffusiontalker.orchestration.hello import say_hello
from diffusiontalker.orchestration.progress import Span
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.train import train_on_ray
from diffusiontalker.storage import absolute_uri
from diffusiontalker.training import require_fitting, student_of

logger = logging.getLogger(__name__)


def run_distill_job(config: DistillJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Runs the whole job and returns what to tell the user: tables, checks, and the paths of what was made.

    Args:
        config: the run.
        out: run folder, a path or URL; `runs/<name>` when None.
        resume: continue the run that stands there; without it, anything that stands there is an error. None: continue
            it if there is one.

    Raises:
        ArtefactError: when the run folder exists (without `resume`), does not (with it), or cannot be written.
        BundleError: when the teacher cannot be read.
        ConfigError: when a resumed run was started with another configuration, or the steps cannot be halved as asked.
        CorpusError: when the corpus cannot be opened.
    """
    rig = load_rig(expanded_path(config.rig, field="rig"))
    teacher_path = absolute_uri(expanded_path(config.teacher, field="teacher"))
    teacher = load_bundle(teacher_path)
    stages = chain_stages(
        config.chain,
        teacher_steps=teacher.sampling.num_steps,
        learning_rate=config.training.optimizer.learning_rate,
    )
    students = [stage.student_steps for stage in stages if stage.student_steps]
    if config.deployed_steps not in students:
        raise ConfigError(
            f"deployed_steps is {config.deployed_steps}, but the chain gives students of "
            f"{', '.join(map(str, students))} steps; name one of them"
        )
    plans = planned_networks(config, num_steps=sum(stage.training_steps for stage in stages))
    for plan in plans:
        student_of(teacher.talker, plan.talker)
    names = dict.fromkeys([TEACHER, *(plan.name for plan in plans), *_last_student(config, students)])
    _with_parts(config, names).resolved(list(names))
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        return _run(config, folder, plans, teacher=teacher, teacher_path=teacher_path, rig=rig)


def _run(
    config: DistillJobConfig, folder: RunFolder, plans: Sequence[Plan], *, teacher: Bundle, teacher_path: str, rig: Rig
) -> str:
    try:
        corpus = open_corpus(config.corpus, default_uri=folder.corpus, resume=folder.is_resumed)
        require_fitting(corpus, teacher.talker)
        for uri in config.training.extra_corpora:
            require_fitting(Corpus.open(uri), teacher.talker)
        require_measurable(corpus, headline_speaker=config.evaluation.headline_speaker)
    except ValueError:
        folder.discard_if_nothing_was_made()
        raise
    bundles: dict[str, list[Bundle]] = {TEACHER: [teacher]}
    workers = config.orchestration
    cluster = ray_cluster(num_cpus=workers.num_workers * workers.cpus_per_worker)
    # One for all trainings; where the bundle is there, they are done.
    with contextlib.nullcontext() if folder.bundle.exists() else cluster:
        for number, plan in enumerate(plans, start=1):
            logger.info("network %d of %d: %s, seed %d", number, len(plans), plan.name, plan.seed)
            for name, path in _trained(plan, config, corpus, folder, teacher=teacher, teacher_path=teacher_path):
                bundles.setdefault(name, []).append(load_bundle(path))
    logger.info("comparison")
    content = _compared(config, corpus, bundles, folder, rig=rig)
    logger.info("hello")
    say_hello(config.hello, load_bundle(folder.bundle), folder, rig=rig)
    return f"{comparison_text(content)}\n\n{_paths(folder)}"


def _trained(
    plan: Plan, config: DistillJobConfig, corpus: Corpus, folder: RunFolder, *, teacher: Bundle, teacher_path: str
) -> list[tuple[str, Path]]:
    """Names in the comparison and bundles: of a student also the one of the fewest steps."""
    out = folder.network(plan.run_name)
    storage = config.orchestration.storage_uri or folder.training
    if plan.chain is None:
        path = _train_directly(plan, config, corpus, out=out, storage=storage, teacher=teacher)
        folder.published(path)
        return [(plan.name, path)]
    students = distill(
        plan.training,
        plan.chain,
        corpus,
        teacher_path=teacher_path,
        talker=plan.talker,
        out=out,
        published=folder.published,
        run_name=f"{config.name}-{plan.run_name}",
        storage_uri=storage,
        precision=config.precision,
        orchestration=config.orchestration,
    )
    chosen = [(plan.name, students[config.deployed_steps])]
    if plan.name == STUDENT:
        chosen += [(name, students[min(students)]) for name in _last_student(config, students)]
    return chosen


def _last_student(config: DistillJobConfig, steps: Iterable[int]) -> list[str]:
    """Name of the student of the fewest steps, unless it is the deployed one."""
    last = min(steps)
    return [] if last == config.deployed_steps else [f"{STUDENT}, {last} step" + "s" * (last > 1)]


def _with_parts(config: DistillJobConfig, names: Collection[str]) -> ComparisonConfig:
    """The comparison with the names of this job's networks, where there are such."""
    parts = {"teacher": TEACHER, "student": STUDENT, "direct": DIRECT, "without_enhancer": WITHOUT_ENHANCER}
    return dataclasses.replace(config.comparison, **{part: name for part, name in parts.items() if name in names})


def _train_directly(
    plan: Plan, config: DistillJobConfig, corpus: Corpus, *, out: Path, storage: str, teacher: Bundle
) -> Path:
    path = out / "bundle"
    if path.exists():
        require_made_from(path, corpus, teacher=None)
    else:
        talker = train_on_ray(
            plan.training,
            corpus.uri,
            run_name=f"{config.name}-{plan.run_name}",
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
    comparison = _with_parts(config, bundles)
    source = folder.evaluation / "report.json"
    if source.exists():
        content = json.loads(source.read_text(encoding="utf-8"))
        changes = changes_since(
            content, corpus=corpus, bundles=bundles, rig=rig, comparison=comparison, evaluation=config.evaluation
        )
        if changes:
            logger.info("comparing again, because of %s", ", ".join(changes))
            folder.set_evaluation_aside()
    if not source.exists():
        compare(
            corpus,
            bundles,
            rig=rig,
            out=folder.evaluation,
            comparison=comparison,
            evaluation=config.evaluation,
            training_log=folder.network(f"{STUDENT}-seed{config.seeds[0]}") / "metrics.jsonl",
        )
    content = json.loads(source.read_text(encoding="utf-8"))
    student = bundles[STUDENT][0]
    card = student.card | {"measured": measured(content["systems"], family=STUDENT)}
    if not folder.bundle.exists() or load_bundle(folder.bundle).card != card:
        folder.hello("glb").unlink(missing_ok=True)  # said by the bundle that is replaced
        save_bundle(dataclasses.replace(student, card=card), folder.bundle, overwrite=True)
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
    return "\n".join(f"{name:12} {folder.shown(path)}" for name, path in made.items())
