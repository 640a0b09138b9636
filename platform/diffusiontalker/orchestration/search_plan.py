"""What a search job is asked for."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from diffusiontalker.models import STUDENT_SIZES
from diffusiontalker.orchestration.corpus_source import CorpusSourceConfig
from diffusiontalker.orchestration.distill import ChainConfig
from diffusiontalker.orchestration.search_space import Space
from diffusiontalker.training import DistillationObjectiveConfig, TrainingConfig

SPACE: Space = {
    "talker.encoder.width": (64, 96, 128, 144, 176),
    "talker.encoder.dilations": ((1, 2, 4), (1, 2, 4, 1, 2), (1, 2, 4, 1, 2, 4)),
    "talker.denoiser.width": (64, 96, 128, 144, 176),
    "talker.denoiser.dilations": ((1, 2, 4, 8), (1, 2, 4, 8, 1, 2), (1, 2, 4, 8, 1, 2, 4, 8)),
    "talker.personalizer.hidden_dim": (32, 64),
    "talker.personalizer.personalized_dim": (32, 64),
    "objective.student_steps": (1, 2, 4),
}
"""Around the hand-made sizes small and nano, and below them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BudgetConfig:
    """What a student may cost. Beyond it only presets are trained, to be compared with."""

    max_megabytes: float = 0.0
    """Most 10^6 bytes of the files that animation needs, as stored; 0: no limit."""
    max_ms_per_s: float = 0.0
    """Most milliseconds of one CPU core per second of audio; 0: no limit."""
    max_look_ahead_ms: float = 0.0
    """Most milliseconds of sound beyond a frame that a live stream waits for; 0: no limit."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        limits = dataclasses.asdict(self)
        if min(limits.values()) < 0:
            told = ", ".join(f"{name} is {limit:g}" for name, limit in limits.items())
            raise ValueError(f"{told}, expected 0 (no limit) or more")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrialConfig:
    """How one student is tried, and with what."""

    report_every: int = 75
    """Training steps between two measurements of a trial: when it may be stopped early."""
    stop_early: bool = True
    """Stop a trial that others dominate in error, size, speed (and look-ahead, if asked for) after as many steps."""
    halving_factor: int = 3
    """Of so many trials that were measured after as many steps, one may go on."""
    workers: int = 1
    """Ranks of one trial. More than one: each trial is a Ray Train run of its own, and is not stopped early."""
    cpus_per_worker: int = 1
    """CPUs reserved by each rank; also its number of threads."""
    use_gpu: bool = False
    """One GPU per rank."""
    at_once: int = 1
    """Trials that run at the same time, resources permitting."""
    max_clips: int = 0
    """Validation clips that trials are measured on, the first ones; 0: all."""
    num_samples: int = 2
    """Predictions per validation clip."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        least = {
            "report_every": 1, "halving_factor": 2, "workers": 1, "cpus_per_worker": 1, "at_once": 1, "max_clips": 0,
            "num_samples": 1,
        }  # fmt: skip
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {lowest}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchJobConfig:
    """Everything about one search."""

    name: str = "search"
    """Name of the run: of its folder under runs/."""
    teacher: str = "runs/demo/bundle"
    """Folder of the teacher's bundle; with several machines, one that all of them see."""
    corpus: CorpusSourceConfig = dataclasses.field(
        default_factory=lambda: CorpusSourceConfig(source="corpus", uri="runs/demo/corpus")
    )
    """What to distil on (its `train` split) and to choose by (its `validation` split)."""
    space: Annotated[Space, tyro.conf.Fixed] = dataclasses.field(default_factory=lambda: dict(SPACE))
    """What varies: dotted keys of `training` with a list of values, or {low:, high:, log:}; in the YAML file."""
    presets: tuple[Literal["base", "small", "nano"], ...] = ("nano",)
    """Hand-made sizes that are tried first, in `preset_steps` steps and whatever the budget, to be compared with."""
    preset_steps: int = 2
    """Diffusion steps of the presets."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """Where to look next: multi-objective TPE learns from what was tried; random and grid do not."""
    num_trials: int = 12
    """Students that are tried, presets included."""
    max_minutes: float = 0.0
    """No new trial begins after so many minutes of searching, resumed ones included; 0: no limit."""
    seed: int = 0
    """Seed of the sampler."""
    budget: BudgetConfig = dataclasses.field(default_factory=BudgetConfig)
    """What the chosen student may cost; without any limit the knee of the front is chosen."""
    trial: TrialConfig = dataclasses.field(default_factory=TrialConfig)
    """How students are tried."""
    paths_per_clip: int = 2
    """Windows of every training clip on which the teacher's path is taken, once for all trials."""
    training: TrainingConfig = dataclasses.field(
        default_factory=lambda: TrainingConfig(
            objective=DistillationObjectiveConfig(condition_dropout=0.0, student_steps=2), num_steps=300, batch_size=32
        )
    )
    """What all trials have in common, their number of training steps included."""
    precision: Literal["float32", "float16"] = "float16"
    """How students' weights are stored."""
    chain: ChainConfig = dataclasses.field(default_factory=ChainConfig)
    """Stages of the full distillation that `chosen.yaml` asks for."""
    headline_speaker: str = ""
    """Speaker whose validation clips decide; empty: everybody's."""
    rig: str = ""
    """Head for vertex errors: an .npz, a folder of OBJ files or a GLB; empty for the built-in one."""
    mlflow_tracking_uri: str = ""
    """Also log trials to this MLflow server or folder (needs the extra `mlflow`); empty: not."""

    def __post_init__(self) -> None:
        """Checks what would otherwise be noticed after the teacher's work is done."""
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is '{self.name}', expected a folder name such as 'search'")
        for field, lowest in (("num_trials", 1), ("preset_steps", 1), ("paths_per_clip", 1), ("max_minutes", 0)):
            if getattr(self, field) < lowest:
                raise ValueError(f"{field} is {getattr(self, field)}, expected at least {lowest}")
        objective = self.training.objective
        if not isinstance(objective, DistillationObjectiveConfig):
            raise ValueError(  # noqa: TRY004
                f"training.objective.kind is '{objective.kind}', expected 'distillation'"
            )
        if objective.condition_dropout:
            raise ValueError(
                f"training.objective.condition_dropout is {objective.condition_dropout:g}, but trials share the "
                "teacher's paths, which it went with its condition; set it to 0"
            )
        for field in ("teacher", "teacher_digest", "paths"):
            if getattr(objective, field):
                raise ValueError(f"training.objective.{field} has no effect here; use teacher")
        if not objective.precompute or self.training.start_from or self.training.talker.encoder.is_frozen:
            raise ValueError(
                "training.objective.precompute false, training.start_from and a pretrained student encoder cannot be "
                "searched with: trials of many sizes start afresh, hear sound, and share what the teacher made of it"
            )
        unknown = [name for name in self.presets if name not in STUDENT_SIZES]
        if unknown or len(self.presets) != len({*self.presets}):
            raise ValueError(f"presets is {self.presets}, expected different ones of {', '.join(STUDENT_SIZES)}")
        if self.training.batch_size % self.trial.workers:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} does not divide by trial.workers "
                f"{self.trial.workers}; choose a multiple"
            )
