"""What the network remembers of streams, for all of them in one tensor; and its shape."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from diffusiontalker.models import BlockState, ConvBlock, EncoderState, LogMelEncoder


class StreamMemory:
    """The states of all streams in one tensor: a group's are taken out, and put back, in one go."""

    def __init__(self, slots: int, shapes: Sequence[tuple[int, int]], *, device: torch.device) -> None:
        self._shapes = list(shapes)
        self._sizes = [math.prod(shape) for shape in shapes]
        self._rows = torch.zeros(slots, sum(self._sizes), device=device)

    def clear(self, slot: int) -> None:
        """For a new stream."""
        self._rows[slot] = 0.0

    def of(self, slots: Sequence[int]) -> list[Tensor]:
        """(streams, *shape) for every shape."""
        rows = self._rows[torch.tensor(slots, device=self._rows.device)]
        parts = rows.split(self._sizes, dim=1)
        return [part.view(len(slots), *shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def keep(self, slots: Sequence[int], tensors: Sequence[Tensor]) -> None:
        """What `of` gives next time."""
        rows = torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
        self._rows[torch.tensor(slots, device=self._rows.device)] = rows


def encoder_shapes(encoder: LogMelEncoder) -> list[tuple[int, int]]:
    """Of what an encoder remembers of one stream."""
    return [(2, encoder.fold.in_features // 4), (1, 1), *block_shapes(encoder.blocks)]


def block_shapes(blocks: torch.nn.ModuleList) -> Iterator[tuple[int, int]]:
    """Of hidden, x and mask of every block's state."""
    for block in blocks:
        assert isinstance(block, ConvBlock)
        width, right = block.out.out_features, block.context.right
        yield from ((block.context.left + right, width), (right, width), (right, 1))


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
