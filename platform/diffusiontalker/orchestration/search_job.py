"""The search job: tries students of many sizes, shows which of them nothing beats, and chooses one for a budget.

    teacher's paths, once -> trials on Ray Tune -> speeds side by side -> report -> bundle, chosen.yaml

A search that was interrupted goes on with what is in its folder; only the trials that were running are lost.
"""

import dataclasses
import logging
import math
from pathlib import Path
from typing import Any

import ray.tune

from diffusiontalker.config import ConfigError, expanded_path, run_provenance, to_plain, write_yaml
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import search_table, write_search_report
from diffusiontalker.face import load_rig
from diffusiontalker.inference import Bundle, load_bundle, save_bundle
from diffusiontalker.orchestration.candidates import Candidates, steps_of
from diffusiontalker.orchestration.cluster import absolute_uri, environment, ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus
from diffusiontalker.orchestration.distill_plan import DistillJobConfig
from diffusiontalker.orchestration.hello import shown
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_results import Outcome, outcome_of
from diffusiontalker.orchestration.search_space import STEPS_KEY, Range
from diffusiontalker.orchestration.search_trial import TrialTask, run_trial
from diffusiontalker.orchestration.searching import ParetoHalving, SearchProgress, StudentSearch
from diffusiontalker.orchestration.train import OrchestrationConfig
from diffusiontalker.training import (
    DistillationObjectiveConfig,
    TrainingConfig,
    record_teacher_paths,
    require_fitting,
)

logger = logging.getLogger(__name__)

_EXPERIMENT = "tune"
_TUNE_SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C interrupts, as in every job; else `fit` would return half a search
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # seconds of finished trials that a killed search may forget
}


def run_search_job(config: SearchJobConfig, *, out: Path | None = None, resume: bool = False) -> str:
    """Runs the whole search and returns what to tell the user: the trials, the checks, what to do next.

    Args:
        config: the search.
        out: run folder; `runs/<name>` when None.
        resume: continue the search that stands there; without it, anything that stands there is an error.

    Raises:
        ArtefactError: when the run folder exists (without `resume`), does not (with it), or cannot be written.
        BundleError: when the teacher cannot be read.
        ConfigError: for a space that is none, a budget nothing meets, or a resumed search of another configuration.
        CorpusError: when the corpus cannot be opened.
    """
    rig = expanded_path(config.rig, field="rig")
    load_rig(rig)
    teacher_path = Path(expanded_path(config.teacher, field="teacher")).resolve()
    teacher = load_bundle(teacher_path)
    states = _states(config, teacher, where=teacher_path)
    logger.info("measuring what students of the space cost")
    candidates = Candidates(config, teacher)
    num_trials = _num_trials(config, candidates)
    tracking = _tracking_callbacks(config)
    folder = (RunFolder.reopen if resume else RunFolder.create)(out or Path("runs") / config.name, config)
    try:
        corpus = _searchable(open_corpus(config.corpus, default_uri=folder.corpus, resume=resume), config, teacher)
    except ValueError:
        folder.discard_if_nothing_was_made()
        raise
    task = TrialTask(
        teacher=str(teacher_path),
        corpus_uri=absolute_uri(corpus.uri),
        rig=rig and absolute_uri(rig),
        paths=str(folder.paths),
        storage_uri=str(folder.training),
        trial=config.trial,
        headline_speaker=config.headline_speaker,
        precision=config.precision,
    )
    record_teacher_paths(
        _taught_by(config.training, teacher_path), corpus, folder.paths, states=states, per_clip=config.paths_per_clip
    )
    with ray_cluster(num_cpus=_cpus(config)):
        tuner = _tuner(config, candidates, folder, task, num_trials=num_trials, callbacks=tracking)
        with environment(_TUNE_SETTINGS):
            results = tuner.fit()
        outcome = outcome_of(results, config)
        content = outcome.content | {
            "teacher_digest": teacher.digest,
            "corpus": {"uri": corpus.uri, "digest": corpus.info.digest},
            "group": f"{corpus.uri}, validation" + (f", {config.headline_speaker}" if config.headline_speaker else ""),
            "precision": config.precision,
            "config": to_plain(config),
            "provenance": run_provenance(),
        }
        _promote(outcome, config, folder, teacher_path=teacher_path, corpus=corpus)
    write_search_report(content, folder.root)
    if outcome.bundle is None and not any(row["state"] == "done" for row in content["trials"]):
        raise RuntimeError(f"no trial finished, see {folder.root / 'search.html'}: {content['trials'][0]['error']}")
    return _text(content, folder)


def _states(config: SearchJobConfig, teacher: Bundle, *, where: Path) -> int:
    """Steps in which the teacher's paths are kept: what every student's number of steps divides."""
    values = config.space.get(STEPS_KEY, (steps_of(config.training),))
    if isinstance(values, Range):
        raise ConfigError(f"space.{STEPS_KEY} is a range, expected a list such as [1, 2, 4]")
    counts = {int(value) for value in values if isinstance(value, int | float)}
    counts |= {config.preset_steps} if config.presets else set()
    for count in sorted(counts):
        if count < 1 or teacher.sampling.num_steps % count:
            raise ConfigError(
                f"a student of {count} steps is asked for, but {where} takes {teacher.sampling.num_steps}; "
                f"choose divisors of {teacher.sampling.num_steps}"
            )
    return math.lcm(*counts)


def _num_trials(config: SearchJobConfig, candidates: Candidates) -> int:
    """Trials that there will be: of a grid no more than it has points."""
    if config.sampler != "grid":
        return config.num_trials
    return min(config.num_trials, len(config.presets) + sum(1 for _ in candidates.space.grid()))


def _searchable(corpus: Corpus, config: SearchJobConfig, teacher: Bundle) -> Corpus:
    require_fitting(corpus, teacher.talker)
    if not corpus.info.splits.get("validation"):
        raise ConfigError(
            f"{corpus.uri} has no clips in its split 'validation', by which students are chosen; its splits are "
            f"{corpus.info.splits}"
        )
    return corpus


def _taught_by(training: TrainingConfig, teacher_path: Path) -> TrainingConfig:
    return dataclasses.replace(training, objective=dataclasses.replace(training.objective, teacher=str(teacher_path)))


def _cpus(config: SearchJobConfig) -> float:
    """Logical CPUs that the trials which run at once reserve."""
    trial = config.trial
    driver = 0.0 if trial.workers == 1 else 0.5
    return trial.at_once * (driver + trial.workers * trial.cpus_per_worker)


def _tuner(
    config: SearchJobConfig, candidates: Candidates, folder: RunFolder, task: TrialTask, *, num_trials: int,
    callbacks: list[ray.tune.Callback],
) -> ray.tune.Tuner:  # fmt: skip
    """A new search, or the one that stands in the run folder."""
    trial = config.trial
    resources: dict[str, float] = {"cpu": 0.5}
    if trial.workers == 1:
        resources = {"cpu": trial.cpus_per_worker, "gpu": int(trial.use_gpu)}
    trainable = ray.tune.with_resources(ray.tune.with_parameters(run_trial, task=to_plain(task)), resources)
    experiment = folder.root / _EXPERIMENT
    if ray.tune.Tuner.can_restore(str(experiment)):
        logger.info("going on with the search in %s", shown(experiment))
        return ray.tune.Tuner.restore(str(experiment), trainable=trainable)
    return ray.tune.Tuner(
        trainable,
        tune_config=ray.tune.TuneConfig(
            search_alg=StudentSearch(config, candidates),
            scheduler=ParetoHalving(halving_factor=trial.halving_factor) if trial.stop_early else None,
            num_samples=num_trials,
            max_concurrent_trials=trial.at_once,
            time_budget_s=60.0 * config.max_minutes or None,
            trial_dirname_creator=lambda one: f"trial-{one.trial_id}",
        ),
        run_config=ray.tune.RunConfig(
            name=_EXPERIMENT,
            storage_path=str(folder.root),
            callbacks=[SearchProgress(num_trials=num_trials, num_steps=config.training.num_steps), *callbacks],
            verbose=0,
        ),
    )


def _tracking_callbacks(config: SearchJobConfig) -> list[ray.tune.Callback]:
    if not config.mlflow_tracking_uri:
        return []
    try:
        import mlflow  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ConfigError(
            f"mlflow_tracking_uri is '{config.mlflow_tracking_uri}', but MLflow is not installed; "
            "pip install 'diffusiontalker[mlflow]', or leave it empty"
        ) from None
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return [MLflowLoggerCallback(tracking_uri=config.mlflow_tracking_uri, experiment_name=config.name)]


def _promote(
    outcome: Outcome, config: SearchJobConfig, folder: RunFolder, *, teacher_path: Path, corpus: Corpus
) -> None:
    """The chosen student becomes the run's bundle, and the request for its full distillation a file."""
    if outcome.bundle is None or outcome.training is None:
        return
    if not folder.bundle.exists() or load_bundle(folder.bundle).digest != outcome.bundle.digest:
        save_bundle(outcome.bundle, folder.bundle, overwrite=True)
    steps, plain = steps_of(outcome.training), TrainingConfig()
    objective, defaults = outcome.training.objective, DistillationObjectiveConfig()
    assert isinstance(objective, DistillationObjectiveConfig)
    training = dataclasses.replace(
        outcome.training,
        objective=dataclasses.replace(
            objective, student_steps=defaults.student_steps, condition_dropout=defaults.condition_dropout
        ),
        num_steps=plain.num_steps,
        seed=plain.seed,
    )
    job = DistillJobConfig(
        name=f"{config.name}_student",
        teacher=str(teacher_path),
        corpus=CorpusSourceConfig(source="corpus", uri=absolute_uri(corpus.uri)),
        size="custom",
        precision=config.precision,
        deployed_steps=steps,
        training=training,
        chain=dataclasses.replace(config.chain, until=steps),
        controls=("direct",),
        rig=config.rig,
        orchestration=OrchestrationConfig(cpus_per_worker=config.trial.cpus_per_worker),
    )
    write_yaml(job, folder.root / "chosen.yaml")


def _text(content: dict[str, Any], folder: RunFolder) -> str:
    checks = "\n".join(f"{'holds' if check['holds'] else 'FAILS'}  {check['text']}" for check in content["checks"])
    made = {"report": folder.root / "search.html", "figures": folder.root / "search.json"}
    lines = [content["headline"], "", search_table(content["trials"]), "", checks, ""]
    if folder.bundle.exists():
        made["student"] = folder.bundle
    lines += [f"{name:12} {shown(path)}" for name, path in made.items()]
    if (folder.root / "chosen.yaml").exists():
        lines.append(f"in full      python jobs/distill_student.py --config {shown(folder.root / 'chosen.yaml')}")
    return "\n".join(lines)
