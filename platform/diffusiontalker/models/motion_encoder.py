"""Encodings of a motion and of a personalized embedding into one space, for the personalizer enhancer.

They judge the student while it is distilled and are no part of a talker.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from diffusiontalker.face.arkit import CHANNELS, UPPER_FACE_CHANNELS

CODE_DIM = 64


class MotionEncoder(nn.Module):
    """Upper-face motion -> unit-length code: two convolutions, then mean and deviation over time.

    Args:
        channel_names: of the motion; where none is an ARKit upper-face channel (vertices, say), all of them are seen.
    """

    KERNEL = 5

    def __init__(self, channel_names: tuple[str, ...], *, width: int = 64) -> None:
        super().__init__()
        upper = {CHANNELS[index] for index in UPPER_FACE_CHANNELS}
        columns = [column for column, name in enumerate(channel_names) if name in upper]
        self.columns = columns or list(range(len(channel_names)))
        self.first = nn.Conv1d(len(self.columns), width, self.KERNEL, padding=self.KERNEL // 2)
        self.second = nn.Conv1d(width, width, self.KERNEL, padding=self.KERNEL // 2)
        self.project = nn.Linear(2 * width, CODE_DIM)

    def forward(
        self, motion: Float[Tensor, "batch frames channels"], mask: Float[Tensor, "batch frames 1"]
    ) -> Float[Tensor, "batch code"]:
        """Codes of normalized motions; frames outside the mask count for nothing."""
        inside = mask.transpose(1, 2)  # (batch, 1, frames)
        hidden = F.gelu(self.first(motion[..., self.columns].transpose(1, 2) * inside)) * inside
        hidden = F.gelu(self.second(hidden))
        count = inside.sum(dim=2).clamp_min(1.0)
        mean = (hidden * inside).sum(dim=2) / count
        variance = ((hidden - mean[..., None]).square() * inside).sum(dim=2) / count
        return F.normalize(self.project(torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)).float(), dim=-1)


class StyleEncoder(nn.Module):
    """Personalized embedding -> unit-length code in the space of `MotionEncoder`."""

    def __init__(self, personalized_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(personalized_dim, 2 * CODE_DIM), nn.GELU(), nn.Linear(2 * CODE_DIM, CODE_DIM)
        )

    def forward(self, personalized: Float[Tensor, "batch personalized"]) -> Float[Tensor, "batch code"]:
        """Codes of personalized embeddings."""
        return F.normalize(self.layers(personalized).float(), dim=-1)
