"""Errors between predicted and true motion, averaged over the frames inside the clips."""

from jaxtyping import Float
from torch import Tensor


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
