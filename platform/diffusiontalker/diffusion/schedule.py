"""Cosine noise schedule in continuous time, prediction types and sampling grids.

`z_t = alpha_t x + sigma_t e` with `alpha_t = cos(pi t / 2)`, `sigma_t = sin(pi t / 2)`; t in [0, 1], 1 is pure noise.
Source: Nichol & Dhariwal 2021 (arXiv 2102.09672) and Salimans & Ho 2022 (arXiv 2202.00512), section 2.
"""

import dataclasses
import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

PredictionType = Literal["clean", "noise", "velocity"]

_SMALLEST_ALPHA = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DiffusionConfig:
    """What the denoiser predicts."""

    prediction: PredictionType = "clean"
    """Output of the network: the clean motion (the paper's choice), the noise, or v = alpha e - sigma x."""


def alpha_sigma(time: Float[Tensor, " batch"]) -> tuple[Float[Tensor, "batch 1 1"], Float[Tensor, "batch 1 1"]]:
    """Signal and noise amplitudes at times in [0, 1], shaped to multiply (batch, frames, channels)."""
    angle = time[:, None, None] * (math.pi / 2)
    return torch.cos(angle).clamp_min(0.0), torch.sin(angle)


def signal_to_noise(time: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1"]:
    """SNR = alpha^2 / sigma^2 (infinite at t = 0)."""
    alpha, sigma = alpha_sigma(time)
    return alpha.square() / sigma.square()


def add_noise(
    clean: Float[Tensor, "batch frames channels"],
    noise: Float[Tensor, "batch frames channels"],
    time: Float[Tensor, " batch"],
) -> Float[Tensor, "batch frames channels"]:
    """z_t of the forward process."""
    alpha, sigma = alpha_sigma(time)
    return alpha * clean + sigma * noise


def prediction_target(
    clean: Float[Tensor, "batch frames channels"],
    noise: Float[Tensor, "batch frames channels"],
    time: Float[Tensor, " batch"],
    *,
    prediction: PredictionType,
) -> Float[Tensor, "batch frames channels"]:
    """What a network of this prediction type should output."""
    if prediction == "clean":
        return clean
    if prediction == "noise":
        return noise
    alpha, sigma = alpha_sigma(time)
    return alpha * noise - sigma * clean


def to_clean(
    output: Float[Tensor, "batch frames channels"],
    noisy: Float[Tensor, "batch frames channels"],
    time: Float[Tensor, " batch"],
    *,
    prediction: PredictionType,
) -> Float[Tensor, "batch frames channels"]:
    """The clean motion that a network output stands for."""
    if prediction == "clean":
        return output
    alpha, sigma = alpha_sigma(time)
    if prediction == "velocity":
        return alpha * noisy - sigma * output
    return (noisy - sigma * output) / alpha.clamp_min(_SMALLEST_ALPHA)


def time_grid(num_steps: int) -> list[float]:
    """Times 1 = t_0 > t_1 > ... > t_n = 0 of an n-step sampler; the grid of n steps contains that of n / 2.

    Raises:
        ValueError: for fewer than one step.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps is {num_steps}, expected at least 1 (a bundle's card names the tested values)")
    return [1.0 - step / num_steps for step in range(num_steps + 1)]
