"""Losses as pure functions over tensors; which of them are summed with which weights is the objectives' business."""

from diffusiontalker.losses.contrastive import pair_contrast, prototype_contrast
from diffusiontalker.losses.motion import masked_mean_square, motion_velocity_loss, reconstruction_loss

__all__ = [
    "masked_mean_square",
    "motion_velocity_loss",
    "pair_contrast",
    "prototype_contrast",
    "reconstruction_loss",
]
