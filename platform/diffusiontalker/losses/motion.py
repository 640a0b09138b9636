"""Errors between predicted and true motion, averaged over the frames inside the clips."""

from jaxtyping import Float
from torch import Tensor

_EPSILON = 1e-5
"""Added to variances: the gradient of a still channel's deviation stays finite."""


def masked_mean_square(
    error: Float[Tensor, "batch frames channels"],
    mask: Float[Tensor, "batch frames 1"],
    *,
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Mean of error^2 over masked frames and all channels.

    Args:
        error: differences.
        mask: 1 inside a clip, 0 in its padding.
        count: number of frames to divide by when the batch is part of a larger one; default: the mask's sum.
    """
    frames = mask.sum() if count is None else count
    return (error.square() * mask).sum() / (frames.clamp_min(1.0) * error.shape[-1])


def reconstruction_loss(
    predicted: Float[Tensor, "batch frames channels"],
    target: Float[Tensor, "batch frames channels"],
    mask: Float[Tensor, "batch frames 1"],
    *,
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error of the motion."""
    return masked_mean_square(predicted - target, mask, count=count)


def motion_velocity_loss(
    predicted: Float[Tensor, "batch frames channels"],
    target: Float[Tensor, "batch frames channels"],
    mask: Float[Tensor, "batch frames 1"],
    *,
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error of the frame-to-frame differences (motion velocity, per frame)."""
    error = (predicted - target).diff(dim=1)
    return masked_mean_square(error, mask[:, 1:] * mask[:, :-1], count=count)


def moments_over_time(
    motion: Float[Tensor, "batch frames channels"], mask: Float[Tensor, "batch frames 1"]
) -> tuple[Float[Tensor, "batch channels"], Float[Tensor, "batch channels"]]:
    """Mean and standard deviation of every channel over the masked frames; an empty clip has 0 and sqrt(epsilon)."""
    count = mask.sum(dim=1).clamp_min(1.0)
    mean = (motion * mask).sum(dim=1) / count
    variance = ((motion - mean[:, None]).square() * mask).sum(dim=1) / count
    return mean, (variance + _EPSILON).sqrt()


def dynamics_loss(
    deviation: Float[Tensor, "batch channels"], target: Float[Tensor, "batch channels"]
) -> Float[Tensor, ""]:
    """Mean squared difference of the deviations over time: a face must be as lively as the one it learns from.

    A squared error alone is smallest where an unsure network moves too little.
    """
    return (deviation - target).square().mean()
