"""The main job: a corpus becomes a trained, measured talker that says hello.

    corpus -> Ray Train -> bundle -> regression control -> report -> hello.wav, .csv, .glb

Each stage leaves an artefact in the run folder; a resumed run skips the stages whose artefacts are there. A talker of
vertices is not measured, as the figures are about ARKit weights: it has no control and no report, and hello is an .npz.
"""

import contextlib
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

from diffusiontalker.config import expanded_path
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import EvaluationConfig, evaluate, results_table, standard_systems
from diffusiontalker.face import Rig, load_rig
from diffusiontalker.face.arkit import is_arkit
from diffusiontalker.inference import Bundle, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.orchestration.cards import measured, training_card
from diffusiontalker.orchestration.cluster import ray_cluster
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig, open_corpus, require_measurable
from diffusiontalker.orchestration.hello import HelloConfig, say_hello
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray
from diffusiontalker.training import TeacherObjectiveConfig, TrainingConfig

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MainJobConfig:
    """Everything about one run of the main job."""

    name: str = "teacher"
    """Name of the run: of its folder under runs/, and of its checkpoints in the storage."""
    corpus: CorpusSourceConfig = dataclasses.field(default_factory=CorpusSourceConfig)
    """What to learn from."""
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    """What to learn, and how."""
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    """Sampling defaults of the bundle."""
    regression_steps: int = 1000
    """Training steps of the deterministic control of the same network; 0 leaves it out."""
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    """What to measure."""
    rig: str = ""
    """Head for vertex errors and hello.glb: an .npz, a folder of OBJ files or a GLB; empty for the built-in one."""
    hello: HelloConfig = dataclasses.field(default_factory=HelloConfig)
    """What to say at the end."""
    orchestration: OrchestrationConfig = dataclasses.field(default_factory=OrchestrationConfig)
    """Where to train."""

    def __post_init__(self) -> None:
        """Checks name and counts."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'demo'")
        if not isinstance(self.training.objective, TeacherObjectiveConfig):
            raise ValueError(  # noqa: TRY004
                "training.objective.kind is 'distillation'; this job trains teachers, jobs/distill_student.py students"
            )
        if self.regression_steps < 0:
            raise ValueError(f"regression_steps is {self.regression_steps}, expected 0 (none) or more")
        self.orchestration.require_divisible(self.training.batch_size)


def run_main_job(config: MainJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Runs all stages and returns what to tell the user: a results table and the paths of what was made.

    Args:
        config: the run.
        out: run folder, a path or URL; `runs/<name>` when None.
        resume: continue the run that stands there; without it, anything that stands there is an error. None: continue
            it if there is one.

    Raises:
        ArtefactError: when the run folder exists (without `resume`), does not (with it), or cannot be written.
        ConfigError: when a resumed run was started with another configuration.
        CorpusError: when the corpus cannot be made or opened; a new run folder is then removed again.
    """
    rig = load_rig(expanded_path(config.rig, field="rig"))
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        return _run(config, folder, rig=rig)


def _run(config: MainJobConfig, folder: RunFolder, *, rig: Rig) -> str:
    logger.info("stage 1 of 5, corpus")
    try:
        corpus = open_corpus(config.corpus, default_uri=folder.corpus, resume=folder.is_resumed)
        require_measurable(corpus, headline_speaker=config.evaluation.headline_speaker)
    except ValueError:
        folder.discard_if_nothing_was_made()
        raise
    logger.info(
        "%d clips, %.1f minutes, splits %s", corpus.info.num_clips, corpus.info.seconds / 60, corpus.info.splits
    )
    is_measured = is_arkit(corpus.info.channel_names)
    workers = config.orchestration
    cluster = ray_cluster(num_cpus=workers.num_workers * workers.cpus_per_worker)
    # One for all trainings; where the bundle is there, they are done.
    with contextlib.nullcontext() if folder.bundle.exists() else cluster:
        logger.info("stage 2 of 5, teacher")
        bundle = _trained_bundle(config, corpus, folder, path=folder.bundle)
        bundles = {"teacher": bundle}
        if config.regression_steps and is_measured:
            logger.info("stage 3 of 5, regression control")
            bundles["regression"] = _trained_bundle(_regression(config), corpus, folder, path=folder.regression)
    logger.info("stage 4 of 5, evaluation")
    result = "not measured: its faces are vertices, the figures are about ARKit weights"
    if is_measured:
        result = results_table(_measured(config, corpus, bundles, folder, rig=rig)["systems"])
    logger.info("stage 5 of 5, hello")
    say_hello(config.hello, bundle, folder, rig=rig)
    return f"{result}\n\n{_paths(folder)}"


def _regression(config: MainJobConfig) -> MainJobConfig:
    """The same network, asked for the mean motion in one step without noise."""
    objective = dataclasses.replace(config.training.objective, kind="regression", noise_levels=1)
    training = dataclasses.replace(config.training, objective=objective, num_steps=config.regression_steps)
    return dataclasses.replace(
        config,
        name=f"{config.name}-regression",
        training=training,
        sampling=SamplingConfig(num_steps=1, temperature=0.0),
    )


def _trained_bundle(config: MainJobConfig, corpus: Corpus, folder: RunFolder, *, path: Path) -> Bundle:
    if not path.exists():
        talker = train_on_ray(
            config.training,
            corpus.uri,
            run_name=config.name,
            storage_uri=config.orchestration.storage_uri or folder.training,
            telemetry_folder=path.parent,
            orchestration=config.orchestration,
        )
        card = training_card(config.training, corpus, name=config.name)
        save_bundle(Bundle(talker=talker, sampling=config.sampling, card=card), path)
        folder.published(path)
    return load_bundle(path)


def _measured(
    config: MainJobConfig, corpus: Corpus, bundles: dict[str, Bundle], folder: RunFolder, *, rig: Rig
) -> dict[str, Any]:
    """Evaluates, writes the figures into the bundle's card, and puts the report at the top of the run folder."""
    if folder.report.exists():
        return json.loads(folder.report.read_text(encoding="utf-8"))
    source = folder.evaluation / "report.json"
    if not source.exists():
        evaluate(
            corpus,
            standard_systems(corpus, bundles),
            rig=rig,
            out=folder.evaluation,
            config=config.evaluation,
            training_log=folder.metrics,
        )
    content = json.loads(source.read_text(encoding="utf-8"))
    bundle = bundles["teacher"]
    card = bundle.card | {"measured": measured(content["systems"], family="teacher")}
    save_bundle(dataclasses.replace(bundle, card=card), folder.bundle, overwrite=True)
    folder.publish_report()
    return content


def _paths(folder: RunFolder) -> str:
    made = {
        "report": folder.report.with_suffix(".html"),
        "figures": folder.report,
        "bundle": folder.bundle,
        "sentence": folder.hello("wav"),
        "its face": folder.hello("glb"),
        "its curves": folder.hello("csv"),
        "its vertices": folder.hello("npz"),
        "training log": folder.metrics,
    }
    return "\n".join(f"{name:12} {folder.shown(path)}" for name, path in made.items() if path.exists())
