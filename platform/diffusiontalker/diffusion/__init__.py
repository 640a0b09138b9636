"""Diffusion maths as pure functions: noise schedule, prediction types, time grids, DDIM sampling, noise.

Knows nothing about speech or faces: everything here works on `(batch, frames, channels)` tensors.
"""

from diffusiontalker.diffusion.noise import frame_noise
from diffusiontalker.diffusion.sampler import ddim_step, sample_ddim
from diffusiontalker.diffusion.schedule import (
    DiffusionConfig,
    PredictionType,
    add_noise,
    alpha_sigma,
    prediction_target,
    signal_to_noise,
    time_grid,
    to_clean,
)

__all__ = [
    "DiffusionConfig",
    "PredictionType",
    "add_noise",
    "alpha_sigma",
    "ddim_step",
    "frame_noise",
    "prediction_target",
    "sample_ddim",
    "signal_to_noise",
    "time_grid",
    "to_clean",
]
