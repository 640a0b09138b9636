"""Training in plain torch, one process per rank, without Ray: objectives, loop, optimizer, checkpoints, telemetry."""

from diffusiontalker.training.batches import batches_ahead, training_batch
from diffusiontalker.training.build import build_objective, build_talker, require_fitting, student_of
from diffusiontalker.training.checkpoint import (
    SUM_NAME,
    CheckpointError,
    TrainingState,
    UnfinishedCheckpointError,
    load_state,
    require_whole,
    save_state,
)
from diffusiontalker.training.loop import TrainingConfig, optimize, run_digest, train, validate
from diffusiontalker.training.objectives import (
    ConditioningConfig,
    DistillationObjective,
    DistillationObjectiveConfig,
    TeacherObjective,
    TeacherObjectiveConfig,
)
from diffusiontalker.training.optim import OptimizerConfig, build_optimizer, learning_rate, update_ema
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.speech_features import FeatureStore, encoder_digest
from diffusiontalker.training.teacher_paths import record_teacher_paths
from diffusiontalker.training.telemetry import FileTelemetry, NoTelemetry, Telemetry
from diffusiontalker.training.timing import TimedTraining, TrainingTime, batch_flops, step_flops, time_trainings
from diffusiontalker.training.windows import is_streamed, require_lanes, window_source

__all__ = [
    "SUM_NAME",
    "CheckpointError",
    "ConditioningConfig",
    "DistillationObjective",
    "DistillationObjectiveConfig",
    "FeatureStore",
    "FileTelemetry",
    "NoTelemetry",
    "OptimizerConfig",
    "Ranks",
    "TeacherObjective",
    "TeacherObjectiveConfig",
    "Telemetry",
    "TimedTraining",
    "TrainingConfig",
    "TrainingState",
    "TrainingTime",
    "UnfinishedCheckpointError",
    "batch_flops",
    "batches_ahead",
    "build_objective",
    "build_optimizer",
    "build_talker",
    "encoder_digest",
    "is_streamed",
    "learning_rate",
    "load_state",
    "optimize",
    "record_teacher_paths",
    "require_fitting",
    "require_lanes",
    "require_whole",
    "run_digest",
    "save_state",
    "step_flops",
    "student_of",
    "time_trainings",
    "train",
    "training_batch",
    "update_ema",
    "validate",
    "window_source",
]
