"""One trial of a search: trains a student from the teacher's ready-made paths and measures it as it goes.

Runs in a process of Ray Tune's. Plain data in, plain figures out; the student is the last report's checkpoint.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import ray.tune
import torch

from diffusiontalker.config import from_plain, to_plain
from diffusiontalker.data import Corpus
from diffusiontalker.evaluation import BundleSystem, EvaluationConfig, Stage, headline_figures
from diffusiontalker.face import load_rig
from diffusiontalker.inference import Bundle, Precision, load_bundle, save_bundle
from diffusiontalker.models import Talker
from diffusiontalker.orchestration.candidates import Candidate, steps_of
from diffusiontalker.orchestration.cards import training_card
from diffusiontalker.orchestration.search_plan import TrialConfig
from diffusiontalker.orchestration.train import OrchestrationConfig, train_on_ray
from diffusiontalker.training import TrainingConfig, build_talker, load_state, run_digest, train

BUNDLE = "bundle"
"""Folder of the student in a trial's last checkpoint."""
ERRORS = ("lve_m2", "eve_m2", "fdd_abs")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrialTask:
    """What is the same for all trials; plain data, as it travels to other machines."""

    teacher: str
    """Folder of the teacher's bundle."""
    corpus_uri: str
    rig: str
    paths: str
    """Folder of the teacher's paths."""
    storage_uri: str
    """Where trials of several workers keep their checkpoints."""
    trial: TrialConfig
    headline_speaker: str
    precision: Precision


def open_stage(task: TrialTask, corpus: Corpus) -> Stage:
    """The validation clips that trials are measured on.

    Raises:
        EvaluationError: when the corpus has none, or none of the headline speaker.
    """
    config = EvaluationConfig(
        headline_speaker=task.headline_speaker, num_samples=task.trial.num_samples, max_clips=task.trial.max_clips
    )
    return Stage.open(corpus, rig=load_rig(task.rig), splits=("validation",), config=config)


def parameters_of(candidate: Candidate) -> dict[str, Any]:
    """What Tune hands to a trial."""
    return {
        "name": candidate.name,
        "point": candidate.point,
        "training": to_plain(candidate.training),
        "cost": dataclasses.asdict(candidate.cost),
    }


def run_trial(parameters: dict[str, Any], *, task: dict[str, Any]) -> None:
    """Ray Tune's trainable: `parameters_of` a candidate and a plain `TrialTask` in, errors and costs reported."""
    trial = _Trial(parameters, from_plain(TrialTask, task, source="task sent to a trial"))
    if trial.task.trial.workers == 1:
        trial.train_here()
    else:
        trial.train_on_workers()


class _Trial:
    """A student in training and what it is measured on."""

    def __init__(self, parameters: dict[str, Any], task: TrialTask) -> None:
        training = from_plain(TrainingConfig, parameters["training"], source="training config sent to a trial")
        teacher = load_bundle(task.teacher)
        objective = dataclasses.replace(
            training.objective, teacher=task.teacher, teacher_digest=teacher.digest, paths=task.paths
        )
        self.task, self._teacher, self._cost = task, teacher, parameters["cost"]
        self._name = parameters["name"]
        self.training = dataclasses.replace(
            training, objective=objective, checkpoint_every=min(task.trial.report_every, training.num_steps)
        )
        self._corpus = Corpus.open(task.corpus_uri)
        self._stage = open_stage(task, self._corpus)

    def train_here(self) -> None:
        """In this process, measured at every checkpoint."""
        torch.set_num_threads(self.task.trial.cpus_per_worker)
        device = torch.device("cuda" if self.task.trial.use_gpu else "cpu")
        talker = build_talker(self.training, self._corpus)
        digest = run_digest(self.training, self._corpus)

        def measure(folder: Path | None, metrics: dict[str, float]) -> None:
            assert folder is not None
            talker.load_state_dict(load_state(folder, run_digest=digest).ema)
            self._report(talker.eval(), metrics)

        train(self.training, self._corpus, device=device, on_checkpoint=measure)

    def train_on_workers(self) -> None:
        """On workers of Ray Train, measured at the end."""
        trial, run_name = self.task.trial, f"trial-{ray.tune.get_context().get_trial_id()}"
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as telemetry:
            talker = train_on_ray(
                self.training,
                self.task.corpus_uri,
                run_name=run_name,
                storage_uri=self.task.storage_uri,
                telemetry_folder=Path(telemetry),
                orchestration=OrchestrationConfig(
                    num_workers=trial.workers, use_gpu=trial.use_gpu, cpus_per_worker=trial.cpus_per_worker
                ),
            )
        self._report(talker, {"step": float(self.training.num_steps)})

    def _report(self, talker: Talker, metrics: dict[str, float]) -> None:
        card = training_card(self.training, self._corpus, name=self._name, teacher=self._teacher)
        sampling = dataclasses.replace(self._teacher.sampling, num_steps=steps_of(self.training))
        bundle = Bundle(talker=talker, sampling=sampling, card=card, precision=self.task.precision)
        figures = headline_figures(self._stage, BundleSystem(bundle=bundle, name="student"))
        step = int(metrics["step"])
        found: dict[str, Any] = {name: float(figures[name]) for name in ERRORS} | self._cost
        found |= {"step": step, "num_steps": steps_of(self.training)}
        found |= {name: value for name, value in metrics.items() if name.startswith(("train/", "validation/"))}
        if step < self.training.num_steps:
            ray.tune.report(found)
            return
        with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
            save_bundle(bundle, Path(folder) / BUNDLE)
            ray.tune.report(found, checkpoint=ray.tune.Checkpoint.from_directory(folder))
