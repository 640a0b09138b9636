"""Losses of distillation: the target of two teacher steps, its weight, feature alignment and the personalizer enhancer.

Source: Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models" (arXiv 2202.00512);
DiffusionTalker (arXiv 2503.18159) for L_ae and L_pc.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from diffusiontalker.diffusion import alpha_sigma, signal_to_noise
from diffusiontalker.losses.contrastive import pair_contrast
from diffusiontalker.losses.motion import masked_mean_square


def progressive_target(
    noisy: Float[Tensor, "batch frames channels"],
    landed: Float[Tensor, "batch frames channels"],
    time: Float[Tensor, " batch"],
    landing_time: Float[Tensor, " batch"],
) -> Float[Tensor, "batch frames channels"]:
    """The clean motion with which one DDIM step from `noisy` arrives exactly where the teacher arrived in two.

    x = (z_t'' - (sigma_t'' / sigma_t) z_t) / (alpha_t'' - (sigma_t'' / sigma_t) alpha_t).

    Args:
        noisy: z_t.
        landed: z_t'' after the teacher's two steps.
        time: t.
        landing_time: t'', below t.

    Source: arXiv 2202.00512, appendix G.
    """
    alpha, sigma = alpha_sigma(time)
    landing_alpha, landing_sigma = alpha_sigma(landing_time)
    ratio = landing_sigma / sigma
    return (landed - ratio * noisy) / (landing_alpha - ratio * alpha)


def truncated_snr_weight(time: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1"]:
    """max(SNR, 1): an error of the clean motion counts as one of the noise where little noise is left.

    Source: arXiv 2202.00512, section 4.
    """
    return signal_to_noise(time).clamp_min(1.0)


def distillation_loss(
    predicted: Float[Tensor, "batch frames channels"],
    target: Float[Tensor, "batch frames channels"],
    weight: Float[Tensor, "batch 1 1"],
    mask: Float[Tensor, "batch frames 1"],
    *,
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """L_dis: mean squared distance to the teacher's target, each example with its weight; `count` as for the motion."""
    return masked_mean_square(weight.sqrt() * (predicted - target), mask, count=count)


def feature_alignment_loss(
    features: Float[Tensor, "batch speech_frames features"],
    target: Float[Tensor, "batch speech_frames features"],
    mask: Float[Tensor, "batch speech_frames 1"],
    *,
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """L_ae: mean squared distance of speech features, both with mean 0 and variance 1 in every frame (2: unrelated)."""
    size = features.shape[-1:]
    return masked_mean_square(F.layer_norm(features, size) - F.layer_norm(target, size), mask, count=count)


def embedding_alignment_loss(
    embeddings: Float[Tensor, "batch embedding"], target: Float[Tensor, "batch embedding"]
) -> Float[Tensor, ""]:
    """Mean of 1 - cosine between unit-length embeddings of the same sound: a voice means the same to both networks."""
    return 1.0 - (embeddings * target).sum(dim=-1).mean()


def enhancer_loss(
    styles: Float[Tensor, "batch code"],
    student_motion: Float[Tensor, "batch code"],
    teacher_motion: Float[Tensor, "batch code"],
    labels: Int[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """L_pc, the personalizer enhancer: which upper-face motion belongs to which personalized embedding?

    Symmetric InfoNCE over the batch; the diagonal is right. The teacher's motions teach the encoders what a style looks
    like, the student's motions carry the gradient that makes the student show it.

    Args:
        styles: unit-length encodings of the student's personalized embeddings.
        student_motion: unit-length encodings of the student's upper-face motion.
        teacher_motion: the same of the teacher's.
        labels: examples of one label share their style and are no negatives of each other.
    """
    losses = [pair_contrast(styles, motion, labels) for motion in (student_motion, teacher_motion)]
    return 0.5 * torch.stack(losses).sum()
