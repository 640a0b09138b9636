"""Encodings of a motion and of a personalized embedding into one space, for the personalizer enhancer.

They judge the student while it is distilled and are no part of a talker.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CODE_DIM = 64


class MotionEncoder(nn.Module):
    """Mean and deviation over time of every upper-face channel -> unit-length code, by one linear map.

    On purpose no more: a judge that reads the curves themselves tells styles apart by traces no viewer sees, is right
    about every example at once, and has nothing left to teach.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * num_channels, CODE_DIM)

    def forward(
        self, mean: Float[Tensor, "batch channels"], deviation: Float[Tensor, "batch channels"]
    ) -> Float[Tensor, "batch code"]:
        """Codes of normalized motions."""
        return F.normalize(self.project(torch.cat([mean, deviation], dim=-1)).float(), dim=-1)


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
