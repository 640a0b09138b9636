"""What is minimized: the teacher's objective and the distillation objective. The loop knows neither from the other."""

from diffusiontalker.training.objectives.conditioning import ConditioningConfig, Draws, draw
from diffusiontalker.training.objectives.distillation import (
    DistillationObjective,
    DistillationObjectiveConfig,
    hears_references,
)
from diffusiontalker.training.objectives.teacher import TeacherObjective, TeacherObjectiveConfig

__all__ = [
    "ConditioningConfig",
    "DistillationObjective",
    "DistillationObjectiveConfig",
    "Draws",
    "TeacherObjective",
    "TeacherObjectiveConfig",
    "draw",
    "hears_references",
]
