"""The search job: tries students of many sizes, shows which of them nothing beats, and chooses one for a budget.

    teacher's paths, once -> trials on Ray Tune -> speeds side by side -> report -> bundle, chosen.yaml

A search that was interrupted goes on with what is in its folder; only the trials that were running are lost.
"""

import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import Any

import optuna
import ray
import ray.tune
from ray.tune.experiment import Trial

from diffusiontalker.config import ConfigError, expanded_path, run_provenance, to_plain, write_yaml
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import EvaluationConfig, search_table, write_search_report
from diffusiontalker.face import load_rig
from diffusiontalker.inference import Bundle, load_bundle, save_bundle
from diffusiontalker.orchestration.candidates import Candidates, steps_of
from diffusiontalker.orchestration.cluster import environment, ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus
from diffusiontalker.orchestration.distill import chain_stages, require_unguided
from diffusiontalker.orchestration.distill_plan import DistillJobConfig
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_results import Outcome, outcome_of
from diffusiontalker.orchestration.search_space import STEPS_KEY, Range
from diffusiontalker.orchestration.search_trial import TrialTask, open_stage, run_trial
from diffusiontalker.orchestration.searching import (
    HalvingMemory,
    ParetoHalving,
    SearchProgress,
    StudentSearch,
    objectives_of,
)
from diffusiontalker.orchestration.train import OrchestrationConfig
from diffusiontalker.storage import absolute_uri, file_names, open_filesystem
from diffusiontalker.training import (
    DistillationObjectiveConfig,
    TrainingConfig,
    record_teacher_paths,
    require_fitting,
)

logger = logging.getLogger(__name__)

_TRIAL_FOLDER = "trial-"
_DRIVER_CPUS = 0.5
"""Reserved by a trial whose workers are Ray Train's."""
_TUNE_SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C interrupts, as in every job; else `fit` would return half a search
    "RAY_AIR_NEW_OUTPUT": "0",  # its boxes name folders that are of no use afterwards
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # seconds of finished trials that a killed search may forget
}


def run_search_job(config: SearchJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Runs the whole search and returns what to tell the user: the trials, the checks, what to do next.

    Args:
        config: the search.
        out: run folder, a path or URL; `runs/<name>` when None.
        resume: continue the search that stands there; without it, anything that stands there is an error. None:
            continue it if there is one.

    Raises:
        ArtefactError: when the run folder exists (without `resume`), does not (with it), or cannot be written.
        BundleError: when the teacher cannot be read.
        ConfigError: for a space that is none, a budget nothing meets, or a resumed search of another configuration.
        CorpusError: when the corpus cannot be opened.
        EvaluationError: when trials could not be measured on the corpus.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    load_rig(expanded_path(config.rig, field="rig"))
    teacher_path = absolute_uri(expanded_path(config.teacher, field="teacher"))
    teacher = load_bundle(teacher_path)
    states = _states(config, teacher, where=teacher_path)
    logger.info("measuring what students of the space cost")
    candidates = Candidates(config, teacher)
    tracking = _tracking_callbacks(config)
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        if not folder.search.exists():
            _search(config, folder, candidates, teacher, teacher_path=teacher_path, states=states, callbacks=tracking)
        return _text(json.loads(folder.search.read_text(encoding="utf-8")), folder)


def _search(
    config: SearchJobConfig, folder: RunFolder, candidates: Candidates, teacher: Bundle, *, teacher_path: str,
    states: int, callbacks: list[ray.tune.Callback],
) -> None:  # fmt: skip
    """From the corpus to the report."""
    rig = expanded_path(config.rig, field="rig")
    try:
        corpus = open_corpus(config.corpus, default_uri=folder.corpus, resume=folder.is_resumed)
        require_fitting(corpus, teacher.talker)
        task = TrialTask(
            teacher=teacher_path,
            corpus_uri=absolute_uri(corpus.uri),
            rig=rig and absolute_uri(rig),
            paths=folder.copy.address(folder.paths),
            storage_uri=folder.training,
            trial=config.trial,
            headline_speaker=config.headline_speaker,
            precision=config.precision,
        )
        open_stage(task, corpus)
    except ValueError:
        folder.discard_if_nothing_was_made()
        raise
    record_teacher_paths(
        _taught_by(config.training, teacher_path), corpus, folder.paths, states=states, per_clip=config.paths_per_clip
    )
    folder.published(folder.paths)
    with ray_cluster(num_cpus=_cpus_of_a_trial(config) * config.trial.at_once):
        trials = _searched(config, candidates, folder, task, callbacks=callbacks)
        outcome = outcome_of(trials, config)
    content = outcome.content | {
        "teacher_digest": teacher.digest,
        "corpus": {"uri": corpus.uri, "digest": corpus.info.digest},
        "group": f"{corpus.uri}, validation" + (f", {config.headline_speaker}" if config.headline_speaker else ""),
        "precision": config.precision,
        "config": to_plain(config),
        "provenance": run_provenance(),
    }
    if not any(row["state"] == "done" for row in content["trials"]):
        reasons = {row["error"] for row in content["trials"] if row["error"]} or {"all were stopped early"}
        raise RuntimeError(f"no trial finished ({'; '.join(sorted(reasons))}); see {folder.trials}")
    _promote(outcome, config, folder, teacher_path=teacher_path, corpus=corpus)
    write_search_report(content, folder.root)


def _states(config: SearchJobConfig, teacher: Bundle, *, where: str) -> int:
    """Steps in which the teacher's paths are kept: what every student's number of steps divides."""
    require_unguided(teacher, where=where)
    values = config.space.get(STEPS_KEY, (steps_of(config.training),))
    if isinstance(values, Range):
        raise ConfigError(f"space.{STEPS_KEY} is a range, expected a list such as [1, 2, 4]")
    counts = {value for value in values if isinstance(value, int)}
    counts |= {config.preset_steps} if config.presets else set()
    for count in counts:
        try:
            chain_stages(
                dataclasses.replace(config.chain, until=count),
                teacher_steps=teacher.sampling.num_steps,
                learning_rate=config.training.optimizer.learning_rate,
            )
        except ConfigError as error:
            raise ConfigError(f"a student of {count} steps is asked for: {error}") from None
    return math.lcm(*counts)


def _num_trials(config: SearchJobConfig, candidates: Candidates) -> int:
    """Trials that there will be: of a grid no more than it has points."""
    if config.sampler != "grid":
        return config.num_trials
    return min(config.num_trials, len(config.presets) + sum(1 for _ in candidates.space.grid()))


def _taught_by(training: TrainingConfig, teacher_path: str) -> TrainingConfig:
    return dataclasses.replace(training, objective=dataclasses.replace(training.objective, teacher=teacher_path))


def _cpus_of_a_trial(config: SearchJobConfig) -> float:
    """Logical CPUs that one trial reserves; of several workers also its driver."""
    trial = config.trial
    return trial.workers * trial.cpus_per_worker + (_DRIVER_CPUS if trial.workers > 1 else 0.0)


def _searched(
    config: SearchJobConfig, candidates: Candidates, folder: RunFolder, task: TrialTask, *,
    callbacks: list[ray.tune.Callback],
) -> list[Trial]:  # fmt: skip
    """Runs a new search, or goes on with the one in the run folder, and returns its trials.

    Raises:
        ConfigError: when the cluster is too small for one trial, or there is nothing to try.
    """
    available, needed = ray.cluster_resources().get("CPU", 0.0), _cpus_of_a_trial(config)
    if needed > available:
        raise ConfigError(
            f"a trial needs {needed:g} CPUs, the Ray cluster has {available:g}; lower trial.workers or "
            "trial.cpus_per_worker, or add nodes"
        )
    with environment(_TUNE_SETTINGS):
        tuner = _tuner(
            config, candidates, folder, task, at_once=min(config.trial.at_once, int(available / needed)),
            callbacks=callbacks,
        )  # fmt: skip
        tuner.fit()
    filesystem, root = open_filesystem(folder.trials)
    trials = ray.tune.ExperimentAnalysis(root, storage_filesystem=filesystem).trials or []
    begun = sum(name.startswith(_TRIAL_FOLDER) for name in file_names(filesystem, root))
    if len(trials) < begun:
        raise RuntimeError(
            f"{folder.trials} holds {begun} trials, but Ray Tune knows only {len(trials)} of them: its state there is "
            "damaged; search anew with --out"
        )
    if not trials:
        raise ConfigError("no student of the space is within the budget; raise it, or add smaller choices to the space")
    return trials


def _tuner(
    config: SearchJobConfig, candidates: Candidates, folder: RunFolder, task: TrialTask, *, at_once: int,
    callbacks: list[ray.tune.Callback],
) -> ray.tune.Tuner:  # fmt: skip
    """A new search, or the one that stands in the run folder."""
    trial = config.trial
    resources: dict[str, float] = {"cpu": _DRIVER_CPUS}
    if trial.workers == 1:
        resources = {"cpu": trial.cpus_per_worker, "gpu": int(trial.use_gpu)}
    trainable = ray.tune.with_resources(ray.tune.with_parameters(run_trial, task=to_plain(task)), resources)
    filesystem, root = open_filesystem(folder.trials)
    is_begun = any(name.startswith("experiment_state-") for name in file_names(filesystem, root))
    if is_begun and ray.tune.Tuner.can_restore(root, storage_filesystem=filesystem):
        logger.info("going on with the search in %s", folder.trials)
        return ray.tune.Tuner.restore(root, trainable=trainable, storage_filesystem=filesystem)
    storage, _, experiment = root.rpartition("/")
    num_trials, memory = _num_trials(config, candidates), HalvingMemory()
    halving = ParetoHalving(halving_factor=trial.halving_factor, memory=memory, objectives=objectives_of(config))
    progress = SearchProgress(num_trials=num_trials, num_steps=config.training.num_steps)
    return ray.tune.Tuner(
        trainable,
        tune_config=ray.tune.TuneConfig(
            search_alg=StudentSearch(config, candidates),
            scheduler=halving if trial.stop_early else None,
            num_samples=num_trials,
            max_concurrent_trials=at_once,
            trial_dirname_creator=lambda one: f"{_TRIAL_FOLDER}{one.trial_id}",
        ),
        run_config=ray.tune.RunConfig(
            name=experiment,
            storage_path=storage,
            storage_filesystem=filesystem,
            callbacks=[progress, memory, *callbacks],
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
    outcome: Outcome, config: SearchJobConfig, folder: RunFolder, *, teacher_path: str, corpus: Corpus
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
        teacher=teacher_path,
        corpus=CorpusSourceConfig(source="corpus", uri=absolute_uri(corpus.uri)),
        size="custom",
        precision=config.precision,
        deployed_steps=steps,
        training=training,
        chain=dataclasses.replace(config.chain, until=steps),
        controls=("direct",),
        rig=config.rig,
        evaluation=dataclasses.replace(EvaluationConfig(), headline_speaker=config.headline_speaker),
        orchestration=OrchestrationConfig(
            num_workers=config.trial.workers,
            cpus_per_worker=config.trial.cpus_per_worker,
            use_gpu=config.trial.use_gpu,
        ),
    )
    write_yaml(job, folder.root / "chosen.yaml")


def _text(content: dict[str, Any], folder: RunFolder) -> str:
    checks = "\n".join(f"{'holds' if check['holds'] else 'FAILS'}  {check['text']}" for check in content["checks"])
    made = {"report": folder.search.with_suffix(".html"), "figures": folder.search}
    lines = [content["headline"], "", search_table(content["trials"]), "", checks, ""]
    if folder.bundle.exists():
        made["student"] = folder.bundle
    lines += [f"{name:12} {folder.shown(path)}" for name, path in made.items()]
    if (folder.root / "chosen.yaml").exists():
        lines.append(
            f"in full      python jobs/distill_student.py --config {folder.shown(folder.root / 'chosen.yaml')}"
        )
    return "\n".join(lines)
