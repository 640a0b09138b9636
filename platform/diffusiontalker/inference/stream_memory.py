"""What the network remembers of streams, for all of them in one tensor; and its shape."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diffusiontalker.models import BlockState, ConvBlock, EncoderState, LogMelEncoder, Talker


class StreamMemory:
    """The states of all streams in one tensor, a row each: a group's are taken out, and put back, in one go."""

    def __init__(self, slots: int, shapes: Sequence[tuple[int, int]], *, device: torch.device) -> None:
        self._rows = torch.zeros(slots, sum(map(math.prod, shapes)), device=device)

    def clear(self, slot: int) -> None:
        """For a new stream."""
        self._rows[slot] = 0.0

    def of(self, slots: Sequence[int]) -> Tensor:
        """(streams, all) what is remembered of some."""
        return self._rows[torch.tensor(slots, device=self._rows.device)]

    def keep(self, slots: Sequence[int], rows: Tensor) -> None:
        """What `of` gives next time."""
        self._rows[torch.tensor(slots, device=self._rows.device)] = rows


def unpacked(rows: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """(streams, *shape) for every shape."""
    parts = rows.split([math.prod(shape) for shape in shapes], dim=1)
    return [part.view(len(rows), *shape) for part, shape in zip(parts, shapes, strict=True)]


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """The way back."""
    return torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)


def encoder_shapes(encoder: LogMelEncoder) -> list[tuple[int, int]]:
    """Of what an encoder remembers of one stream."""
    return [(2, encoder.fold.in_features // 4), (1, 1), *block_shapes(encoder.blocks)]


def block_shapes(blocks: torch.nn.ModuleList) -> Iterator[tuple[int, int]]:
    """Of hidden, x and mask of every block's state."""
    for block in blocks:
        assert isinstance(block, ConvBlock)
        width, right = block.out.out_features, block.context.right
        yield from ((block.context.left + right, width), (right, width), (right, 1))


def step_shapes(talker: Talker) -> list[tuple[int, int]]:
    """Of what a talker remembers of one stream in one diffusion step: motion and features on hold, the blocks."""
    right = talker.denoiser.context.right
    on_hold = [(right, len(talker.channel_names)), (right, talker.encoder.feature_dim)]
    return [*on_hold, *block_shapes(talker.denoiser.blocks)]


def encoder_state(tensors: Sequence[Tensor]) -> EncoderState:
    """Of tensors of `encoder_shapes`."""
    mels, mask, *blocks = tensors
    return EncoderState(mels=mels, mask=mask, blocks=block_states(iter(blocks), len(blocks) // 3))


def block_states(tensors: Iterator[Tensor], count: int) -> list[BlockState]:
    """Of tensors of `block_shapes`."""
    return [BlockState(hidden=next(tensors), x=next(tensors), mask=next(tensors)) for _ in range(count)]


def tensors_of(states: Sequence[BlockState]) -> list[Tensor]:
    """The way back."""
    return [tensor for state in states for tensor in (state.hidden, state.x, state.mask)]
