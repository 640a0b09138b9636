"""InfoNCE losses of the personalizer: audio embeddings against prototypes, and two crops of one speaker.

Source: van den Oord et al. 2018 (arXiv 1807.03748); NT-Xent: Chen et al. 2020 (arXiv 2002.05709); several positives per
anchor: Khosla et al. 2020 (arXiv 2004.11362), L_out.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 0.1


def prototype_contrast(
    embeddings: Float[Tensor, "batch embedding"],
    prototypes: Float[Tensor, "classes embedding"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE between unit-length embeddings and the prototype of their label.

    One direction picks the prototype for an embedding, the other the embeddings for every prototype in the batch.
    """
    logits = embeddings @ prototypes.T / temperature  # (batch, classes)
    to_prototype = F.cross_entropy(logits, labels)
    positive = F.one_hot(labels, len(prototypes)).to(logits.dtype)
    log_share = torch.log_softmax(logits, dim=0) * positive
    count = positive.sum(dim=0)
    to_embeddings = -(log_share.sum(dim=0) / count.clamp_min(1.0)).sum() / (count > 0).sum()
    return 0.5 * (to_prototype + to_embeddings)


def pair_contrast(
    first: Float[Tensor, "batch embedding"],
    second: Float[Tensor, "batch embedding"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """NT-Xent between two unit-length views of each clip; other clips of the same label are no negatives."""
    logits = first @ second.T / temperature
    same = labels[:, None] == labels[None, :]
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, float("-inf"))
    target = torch.arange(len(first), device=first.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
