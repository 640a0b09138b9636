"""The motion denoiser: noisy motion, speech features and the personalized embedding in, network output out.

Convolutions only, so its receptive field is bounded: cost is linear in length and a window with enough context gives
exactly the frames that the whole clip gives.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diffusiontalker.models.blocks import BlockState, Context, advance_blocks, conv_blocks, total_context


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DenoiserConfig:
    """Size and context of the denoiser."""

    width: int = 192
    """Channels of every block."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """One residual block per entry, in motion frames."""
    kernel_size: int = 3
    """Taps of each block's convolution."""
    look_ahead_frames: int | None = None
    """Most future motion frames the blocks may use; None: symmetric."""
    dropout: float = 0.1
    """Dropout inside the blocks."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.width < 8 or self.kernel_size < 1 or not self.dilations:
            raise ValueError(
                f"width {self.width}, kernel_size {self.kernel_size}, dilations {self.dilations}: too small"
            )


class Denoiser(nn.Module):
    """concat[noisy motion | speech | personalized embedding] -> blocks modulated by time and personalization."""

    TIME_DIM = 64

    def __init__(self, config: DenoiserConfig, *, channels: int, feature_dim: int, personalized_dim: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.motion_in = nn.Linear(channels, config.width)
        self.speech_in = nn.Linear(feature_dim, config.width)
        self.personalized_in = nn.Linear(personalized_dim, config.width)
        self.time_mlp = nn.Sequential(
            nn.Linear(self.TIME_DIM, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        self.style_mlp = nn.Linear(personalized_dim, config.width)
        self.null_features = nn.Parameter(torch.zeros(feature_dim))
        self.null_personalized = nn.Parameter(torch.zeros(personalized_dim))
        self.blocks = conv_blocks(
            config.width,
            dilations=config.dilations,
            kernel_size=config.kernel_size,
            look_ahead=config.look_ahead_frames,
            condition_dim=config.width,
            dropout=config.dropout,
        )
        self.norm = nn.LayerNorm(config.width)
        self.motion_out = nn.Linear(config.width, channels)
        self.context: Context = total_context(self.blocks)

    def forward(
        self,
        noisy: Float[Tensor, "batch frames channels"],
        time: Float[Tensor, " batch"],
        features: Float[Tensor, "batch frames features"],
        personalized: Float[Tensor, "batch personalized"],
        mask: Float[Tensor, "batch frames 1"],
    ) -> Float[Tensor, "batch frames channels"]:
        """Network output (what it means is the prediction type's business); zero-length context outside the mask."""
        x, condition = self._begin(noisy, time, features, personalized)
        for block in self.blocks:
            x = block(x, mask, condition)
        return self.motion_out(self.norm(x))

    def advance(
        self,
        noisy: Float[Tensor, "batch frames channels"],
        time: Float[Tensor, " batch"],
        features: Float[Tensor, "batch frames features"],
        personalized: Float[Tensor, "batch personalized"],
        mask: Float[Tensor, "batch frames 1"],
        past: Sequence[BlockState],
    ) -> tuple[Float[Tensor, "batch frames channels"], Float[Tensor, "batch frames 1"], list[BlockState]]:
        """The next frames of streams, `context.right` frames later than they came in; and their mask."""
        x, condition = self._begin(noisy, time, features, personalized)
        x, mask, states = advance_blocks(self.blocks, x, mask, condition, past)
        return self.motion_out(self.norm(x)), mask, states

    def _begin(self, noisy: Tensor, time: Tensor, features: Tensor, personalized: Tensor) -> tuple[Tensor, Tensor]:
        """What the first block sees, and what conditions all of them."""
        angle = time[:, None] * self.frequencies(device=time.device)
        embedding = torch.cat([angle.sin(), angle.cos()], dim=-1)
        condition = nn.functional.silu(self.time_mlp(embedding) + self.style_mlp(personalized))
        x = self.motion_in(noisy) + self.speech_in(features) + self.personalized_in(personalized)[:, None]
        return x, condition

    @classmethod
    def frequencies(cls, *, device: torch.device | None = None) -> Float[Tensor, " half"]:
        """Of the sines and cosines that stand for a time in [0, 1]: periods from 2 down to about 1 / 50."""
        return torch.exp(torch.linspace(0.0, math.log(100.0), cls.TIME_DIM // 2, device=device)) * math.pi

    def drop_condition(
        self, features: Tensor, personalized: Tensor, dropped: Tensor
    ) -> tuple[Float[Tensor, "batch frames features"], Float[Tensor, "batch personalized"]]:
        """Replaces speech features and personalized embedding by learnt nulls where `dropped` (batch,) is True."""
        return (
            torch.where(dropped[:, None, None], self.null_features, features),
            torch.where(dropped[:, None], self.null_personalized, personalized),
        )
