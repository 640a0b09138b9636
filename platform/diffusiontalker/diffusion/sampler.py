"""Deterministic DDIM as pure functions over a clean-motion predictor."""

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from diffusiontalker.diffusion.schedule import alpha_sigma, time_grid

CleanPredictor = Callable[[Tensor, Tensor], Tensor]
"""(noisy (batch, frames, channels), time (batch,)) -> clean (batch, frames, channels)."""


def ddim_step(
    noisy: Float[Tensor, "batch frames channels"],
    clean: Float[Tensor, "batch frames channels"],
    time: Float[Tensor, " batch"],
    next_time: Float[Tensor, " batch"],
) -> Float[Tensor, "batch frames channels"]:
    """z_s from z_t and the predicted clean motion: alpha_s x + (sigma_s / sigma_t)(z_t - alpha_t x), s < t.

    Source: Song et al. 2021 (arXiv 2010.02502), equation 12 with sigma = 0.
    """
    alpha, sigma = alpha_sigma(time)
    next_alpha, next_sigma = alpha_sigma(next_time)
    return next_alpha * clean + (next_sigma / sigma) * (noisy - alpha * clean)


def sample_ddim(
    predict_clean: CleanPredictor,
    noise: Float[Tensor, "batch frames channels"],
    *,
    num_steps: int,
    callback: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "batch frames channels"]:
    """Integrates from pure noise at t = 1 to clean motion at t = 0 in `num_steps` DDIM steps.

    Args:
        predict_clean: called once per step.
        noise: z at t = 1; scale it by a temperature for less (0: none) or more variety.
        num_steps: at least 1.
        callback: receives (step, predicted clean motion) after each step.
    """
    noisy = noise
    times = time_grid(num_steps)
    for step, (time, next_time) in enumerate(itertools.pairwise(times)):
        now, then = (torch.full((noise.shape[0],), value, device=noise.device) for value in (time, next_time))
        clean = predict_clean(noisy, now)
        noisy = ddim_step(noisy, clean, now, then)
        if callback is not None:
            callback(step, clean)
    return noisy
