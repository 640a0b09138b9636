"""Losses as pure functions over tensors; which of them are summed with which weights is the objectives' business."""

from diffusiontalker.losses.contrastive import pair_contrast, prototype_contrast
from diffusiontalker.losses.distillation import (
    distillation_loss,
    embedding_alignment_loss,
    enhancer_loss,
    feature_alignment_loss,
    progressive_target,
    truncated_snr_weight,
)
from diffusiontalker.losses.motion import (
    dynamics_loss,
    masked_mean_square,
    moments_over_time,
    motion_velocity_loss,
    reconstruction_loss,
)

__all__ = [
    "distillation_loss",
    "dynamics_loss",
    "embedding_alignment_loss",
    "enhancer_loss",
    "feature_alignment_loss",
    "masked_mean_square",
    "moments_over_time",
    "motion_velocity_loss",
    "pair_contrast",
    "progressive_target",
    "prototype_contrast",
    "reconstruction_loss",
    "truncated_snr_weight",
]
