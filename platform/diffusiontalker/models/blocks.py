"""The residual convolution block that encoder and denoiser are made of, and its bounded receptive field."""

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """How far a stack of blocks sees, in frames of its own rate."""

    left: int
    """Past frames that an output depends on."""
    right: int
    """Future frames that an output depends on: its look-ahead."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BlockState:
    """What a block remembers of streams between their pieces; zeros at their beginning."""

    hidden: Tensor
    """(batch, left + right, width) what the convolution has seen last."""
    x: Tensor
    """(batch, right, width) input whose output is still to come."""
    mask: Tensor
    """(batch, right, 1) its mask."""


class ConvBlock(nn.Module):
    """`x + gate * Linear(GELU(Conv(mask * modulate(LayerNorm(x)))))`.

    The condition (a vector per clip) scales and shifts the normalized input and gates the branch (FiLM / adaLN). The
    convolution is one matrix product over its taps: channels stay last, and nothing is transposed.
    Source: Perez et al. 2018 (arXiv 1709.07871); Peebles & Xie 2023 (arXiv 2212.09748), section 3.2.
    """

    def __init__(
        self, width: int, *, kernel_size: int, dilation: int, is_causal: bool, condition_dim: int, dropout: float
    ) -> None:
        super().__init__()
        reach = (kernel_size - 1) * dilation
        self.context = Context(left=reach, right=0) if is_causal else Context(left=reach - reach // 2, right=reach // 2)
        self.offsets = tuple(range(0, reach + 1, dilation))
        self.norm = nn.LayerNorm(width, elementwise_affine=condition_dim == 0)
        self.conv = nn.Linear(kernel_size * width, width)
        self.out = nn.Linear(width, width)
        self.dropout = dropout
        self.modulation = nn.Linear(condition_dim, 3 * width) if condition_dim else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        x: Float[Tensor, "batch frames width"],
        mask: Float[Tensor, "batch frames 1"],
        condition: Float[Tensor, "batch condition"] | None = None,
    ) -> Float[Tensor, "batch frames width"]:
        """Frames outside the mask count as zeros, exactly as beyond the ends of a clip."""
        hidden, gate = self._modulated(x, mask, condition)
        return x + self._branch(F.pad(hidden, (0, 0, self.context.left, self.context.right)), gate)

    def advance(
        self,
        x: Float[Tensor, "batch frames width"],
        mask: Float[Tensor, "batch frames 1"],
        condition: Float[Tensor, "batch condition"] | None,
        past: BlockState,
    ) -> tuple[Float[Tensor, "batch frames width"], Float[Tensor, "batch frames 1"], BlockState]:
        """The next frames of streams: as many out as in, `context.right` frames later, with their mask.

        Over a whole stream it gives what `forward` gives, when `context.right` masked frames follow its end.
        """
        frames = x.shape[1]
        hidden, gate = self._modulated(x, mask, condition)
        hidden, x, mask = (
            torch.cat([before, now], dim=1) for before, now in ((past.hidden, hidden), (past.x, x), (past.mask, mask))
        )
        out = x[:, :frames] + self._branch(hidden, gate)
        return out, mask[:, :frames], BlockState(hidden=hidden[:, frames:], x=x[:, frames:], mask=mask[:, frames:])

    def _modulated(self, x: Tensor, mask: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the convolution sees, zero outside the mask; and the gate of the branch."""
        hidden, gate = self.norm(x), None
        if self.modulation is not None:
            assert condition is not None
            scale, shift, gate = self.modulation(condition)[:, None].chunk(3, dim=-1)
            hidden = torch.addcmul(shift, hidden, 1.0 + scale)
        if torch.is_autocast_enabled(x.device.type):
            hidden = hidden.to(torch.get_autocast_dtype(x.device.type))  # before it is copied once per tap
        return hidden * mask.to(hidden.dtype), gate

    def _branch(self, hidden: Tensor, gate: Tensor | None) -> Tensor:
        """Of frames with their context, the frames without it."""
        frames = hidden.shape[1] - self.offsets[-1]
        taps = torch.cat([hidden[:, offset : offset + frames] for offset in self.offsets], dim=-1)
        hidden = F.gelu(self.conv(taps))
        if self.training and self.dropout:
            # One mask for all frames of a clip: no random number per frame to draw.
            hidden = hidden * F.dropout(hidden.new_ones(hidden.shape[0], 1, hidden.shape[2]), self.dropout)
        hidden = self.out(hidden)
        return hidden if gate is None else hidden * (1.0 + gate)


def conv_blocks(
    width: int,
    *,
    dilations: Sequence[int],
    kernel_size: int,
    look_ahead: int | None,
    condition_dim: int = 0,
    dropout: float = 0.0,
) -> nn.ModuleList:
    """One block per dilation; a block whose look-ahead would exceed what is left of `look_ahead` is causal."""
    blocks = nn.ModuleList()
    left_over = look_ahead
    for dilation in dilations:
        right = (kernel_size - 1) * dilation // 2
        is_causal = left_over is not None and right > left_over
        if left_over is not None and not is_causal:
            left_over -= right
        blocks.append(
            ConvBlock(
                width,
                kernel_size=kernel_size,
                dilation=dilation,
                is_causal=is_causal,
                condition_dim=condition_dim,
                dropout=dropout,
            )
        )
    return blocks


def advance_blocks(
    blocks: nn.ModuleList, x: Tensor, mask: Tensor, condition: Tensor | None, past: Sequence[BlockState]
) -> tuple[Tensor, Tensor, list[BlockState]]:
    """The next frames of streams through a stack of blocks, later by the sum of their look-aheads."""
    states = []
    for block, state in zip(blocks, past, strict=True):
        assert isinstance(block, ConvBlock)
        x, mask, after = block.advance(x, mask, condition, state)
        states.append(after)
    return x, mask, states


def total_context(blocks: nn.ModuleList) -> Context:
    """The receptive field of a stack of blocks."""
    contexts = [block.context for block in blocks if isinstance(block, ConvBlock)]
    return Context(left=sum(one.left for one in contexts), right=sum(one.right for one in contexts))


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """(batch, frames) bool: True where a frame lies inside its clip."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]
