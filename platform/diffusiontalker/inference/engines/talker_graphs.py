"""The networks of a talker as ONNX graphs: what `models` computes, once more, for ONNX Runtime.

Whole recordings and streams have graphs of their own. Those of streams take what is remembered of every stream in one
row, laid out by `stream_memory`, and give the next row out. `tests/unit/inference/test_engines.py` holds the graphs to
the networks they are written from.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from diffusiontalker.audio.log_mel import NUM_MELS
from diffusiontalker.diffusion import DiffusionConfig, ddim_step, time_grid, to_clean
from diffusiontalker.inference.engines.graph import Arithmetic, Graph
from diffusiontalker.inference.stream_memory import encoder_shapes, step_shapes
from diffusiontalker.models import ConvBlock, Denoiser, LogMelEncoder, Talker

_MODULATION = 3
"""Vectors that modulate a block: scale, shift and gate."""


def encoder_graph(encoder: LogMelEncoder, *, arithmetic: Arithmetic = "float32") -> bytes:
    """Mels (batch, 2 * frames, 80), mask (batch, frames, 1) -> features (batch, frames, width): `of_mels`."""
    graph = Graph("encoder", arithmetic=arithmetic)
    mels = graph.input("mels", "batch", "mels", NUM_MELS)
    mask = graph.input("mask", "batch", "frames", 1)
    # Two mel frames for each speech frame side by side: the mask of the frame is that of both.
    pairs = graph.op("Mul", graph.reshape(mels, 0, -1, 2 * NUM_MELS), mask)
    padded = graph.op("Pad", graph.reshape(pairs, 0, -1, NUM_MELS), graph.constant([0, 1, 0, 0, 1, 0]))
    x = _fold(graph, encoder, padded)
    for block in _conv_blocks(encoder.blocks):
        x = _block(graph, block, x, mask)
    features = graph.op("Mul", graph.norm(x, encoder.norm), mask)
    graph.output("features", features, "batch", "frames", encoder.feature_dim)
    return graph.serialized()


def modulation_graph(denoiser: Denoiser) -> bytes:
    """Time (batch,), personalized (batch, size) -> modulation (batch, all): what of the denoiser no frame changes."""
    graph = Graph("modulation")
    time = graph.input("time", "batch")
    personalized = graph.input("personalized", "batch", denoiser.personalized_in.in_features)
    angle = graph.op("Mul", graph.reshape(time, -1, 1), graph.constant(denoiser.frequencies()))
    embedding = graph.concat(graph.op("Sin", angle), graph.op("Cos", angle), axis=1)
    first, second = (layer for layer in denoiser.time_mlp if isinstance(layer, nn.Linear))
    of_time = graph.linear(_silu(graph, graph.linear(embedding, first)), second)
    condition = _silu(graph, graph.op("Add", of_time, graph.linear(personalized, denoiser.style_mlp)))
    parts = [graph.linear(personalized, denoiser.personalized_in)]
    for block in _conv_blocks(denoiser.blocks):
        assert block.modulation is not None
        width = block.out.out_features
        # A layer normalization is scaled and a branch gated by one more than what was learnt.
        one_more = torch.cat([torch.ones(width), torch.zeros(width), torch.ones(width)])
        parts.append(graph.op("Add", graph.linear(condition, block.modulation), graph.constant(one_more)))
    graph.output("modulation", graph.concat(*parts, axis=1), "batch", modulation_size(denoiser))
    return graph.serialized()


def modulation_size(denoiser: Denoiser) -> int:
    """Numbers of the modulation of one step."""
    width = denoiser.personalized_in.out_features
    return width * (1 + _MODULATION * len(denoiser.blocks))


def denoiser_graph(denoiser: Denoiser, *, arithmetic: Arithmetic = "float32") -> bytes:
    """Noisy (batch, frames, channels), features, mask (batch, frames, 1), modulation -> output like noisy."""
    graph = Graph("denoiser", arithmetic=arithmetic)
    channels = denoiser.motion_in.in_features
    noisy = graph.input("noisy", "batch", "frames", channels)
    features = graph.input("features", "batch", "frames", denoiser.feature_dim)
    mask = graph.input("mask", "batch", "frames", 1)
    modulation = graph.input("modulation", "batch", modulation_size(denoiser))
    start, vectors = _vectors(graph, denoiser, modulation)
    x = _first(graph, denoiser, noisy, features, start)
    for block, three in zip(_conv_blocks(denoiser.blocks), vectors, strict=True):
        x = _block(graph, block, x, mask, three)
    output = graph.linear(graph.norm(x, denoiser.norm), denoiser.motion_out, is_exact=True)
    graph.output("output", output, "batch", "frames", channels)
    return graph.serialized()


def hearing_graph(encoder: LogMelEncoder) -> bytes:
    """mels, mask, rows -> features, the next rows: `LogMelEncoder.advance`."""
    graph = Graph("hearing")
    shapes = encoder_shapes(encoder)
    mels = graph.input("mels", "batch", "mels", NUM_MELS)
    mask = graph.input("mask", "batch", "frames", 1)
    rows = graph.input("rows", "batch", _size(shapes))
    old_mels, old_mask, *old = _unpacked(graph, rows, shapes)
    masks = graph.concat(old_mask, mask, axis=1)
    both = graph.concat(graph.cut(masks, 0, -1, axis=1), mask, axis=2)
    masked = graph.op("Mul", mels, graph.reshape(both, 0, -1, 1))
    all_mels = graph.concat(old_mels, masked, axis=1)
    x, late = _fold(graph, encoder, all_mels), graph.cut(masks, 0, -1, axis=1)
    x, late, new = _advanced(graph, encoder.blocks, x, late, iter(old))
    graph.output("features", graph.op("Mul", graph.norm(x, encoder.norm), late), "batch", "frames", encoder.feature_dim)
    kept = [graph.cut(all_mels, -2, None, axis=1), graph.cut(masks, -1, None, axis=1), *new]
    graph.output("next_rows", _packed(graph, kept), "batch", _size(shapes))
    return graph.serialized()


def moving_graph(talker: Talker, *, num_steps: int) -> bytes:
    """noisy, features, mask, modulations of all steps, rows -> motion (normalized), the next rows.

    All DDIM steps one behind the other, each as late as the denoiser looks ahead.
    """
    denoiser = talker.denoiser
    graph = Graph("moving")
    shapes = step_shapes(talker) * num_steps
    channels, right = denoiser.motion_in.in_features, denoiser.context.right
    noisy = graph.input("noisy", "batch", "frames", channels)
    features = graph.input("features", "batch", "frames", denoiser.feature_dim)
    mask = graph.input("mask", "batch", "frames", 1)
    size = modulation_size(denoiser)
    modulations = graph.split(graph.input("modulation", "batch", num_steps * size), [size] * num_steps, axis=1)
    rows = graph.input("rows", "batch", _size(shapes))
    old = iter(_unpacked(graph, rows, shapes))
    kept: list[str] = []
    for (now, then), modulation in zip(itertools.pairwise(time_grid(num_steps)), modulations, strict=True):
        old_noisy, old_features = next(old), next(old)
        start, vectors = _vectors(graph, denoiser, modulation)
        x = _first(graph, denoiser, noisy, features, start)
        x, mask, new = _advanced(graph, denoiser.blocks, x, mask, old, vectors)
        output = graph.linear(graph.norm(x, denoiser.norm), denoiser.motion_out)
        (noisy, kept_noisy), (features, kept_features) = (
            _late(graph, *pair, by=right) for pair in ((old_noisy, noisy), (old_features, features))
        )
        kept += [kept_noisy, kept_features, *new]
        noisy = _ddim_step(graph, noisy, output, now, then, config=talker.config.diffusion)
    graph.output("motion", noisy, "batch", "frames", channels)
    graph.output("next_rows", _packed(graph, kept) if _size(shapes) else rows, "batch", _size(shapes))
    return graph.serialized()


def _conv_blocks(blocks: nn.ModuleList) -> list[ConvBlock]:
    return [block for block in blocks if isinstance(block, ConvBlock)]


def _silu(graph: Graph, x: str) -> str:
    return graph.op("Mul", x, graph.op("Sigmoid", x))


def _fold(graph: Graph, encoder: LogMelEncoder, mels: str) -> str:
    """(batch, 2 * frames + 2, 80) -> (batch, frames, width): four mel frames around every speech frame."""
    pairs = [graph.reshape(graph.cut(mels, *ends, axis=1), 0, -1, 2 * NUM_MELS) for ends in ((0, -2), (2, None))]
    # The layer has its inputs by mel band, the four frames of each together.
    order = torch.arange(4 * NUM_MELS).view(NUM_MELS, 4).t().flatten()
    return graph.linear(graph.concat(*pairs, axis=2), encoder.fold, order=order)


def _vectors(graph: Graph, denoiser: Denoiser, modulation: str) -> tuple[str, list[list[str]]]:
    """What is added at the start, and for every block its scale, shift and gate; (batch, 1, width) each."""
    count = 1 + _MODULATION * len(denoiser.blocks)
    width = denoiser.personalized_in.out_features
    start, *rest = graph.split(graph.op("Unsqueeze", modulation, graph.constant([1])), [width] * count, axis=2)
    return start, [rest[first : first + _MODULATION] for first in range(0, len(rest), _MODULATION)]


def _first(graph: Graph, denoiser: Denoiser, noisy: str, features: str, start: str) -> str:
    """What the first block sees."""
    x = graph.op("Add", graph.linear(features, denoiser.speech_in), start)
    return graph.op("Add", graph.linear(noisy, denoiser.motion_in, is_exact=True), x)


def _block(graph: Graph, block: ConvBlock, x: str, mask: str, vectors: Sequence[str] = ()) -> str:
    """`ConvBlock.forward`."""
    left, right = block.context.left, block.context.right
    hidden = graph.op("Pad", _modulated(graph, block, x, mask, vectors), graph.constant([0, left, 0, 0, right, 0]))
    return graph.op("Add", x, _branch(graph, block, hidden, vectors))


def _modulated(graph: Graph, block: ConvBlock, x: str, mask: str, vectors: Sequence[str]) -> str:
    """What the convolution sees."""
    hidden = graph.norm(x, block.norm)
    if vectors:
        hidden = graph.op("Add", graph.op("Mul", hidden, vectors[0]), vectors[1])
    return graph.op("Mul", hidden, mask)


def _branch(graph: Graph, block: ConvBlock, hidden: str, vectors: Sequence[str]) -> str:
    """Of frames with their context, the frames without it."""
    reach = block.offsets[-1]
    taps = [graph.cut(hidden, offset, offset - reach or None, axis=1) for offset in block.offsets]
    hidden = graph.op("Gelu", graph.linear(graph.concat(*taps, axis=2), block.conv))
    hidden = graph.linear(hidden, block.out)
    return graph.op("Mul", hidden, vectors[2]) if vectors else hidden


def _advanced(
    graph: Graph, blocks: nn.ModuleList, x: str, mask: str, past: Iterator[str], vectors: Sequence[Sequence[str]] = ()
) -> tuple[str, str, list[str]]:
    """`advance_blocks`: the next frames, their mask, and what the blocks remember."""
    new: list[str] = []
    for number, block in enumerate(_conv_blocks(blocks)):
        three = vectors[number] if vectors else ()
        old_hidden, old_x, old_mask = next(past), next(past), next(past)
        hidden = _modulated(graph, block, x, mask, three)
        reach, right = block.offsets[-1], block.context.right
        hidden, kept_hidden = _behind(graph, old_hidden, hidden, keep=reach)
        (x, kept_x), (mask, kept_mask) = (_late(graph, *pair, by=right) for pair in ((old_x, x), (old_mask, mask)))
        x = graph.op("Add", x, _branch(graph, block, hidden, three))
        new += [kept_hidden, kept_x, kept_mask]
    return x, mask, new


def _behind(graph: Graph, old: str, new: str, *, keep: int) -> tuple[str, str]:
    """Old frames and new ones behind them; and the last `keep` of both, which are the old ones of the next pass."""
    if not keep:
        return new, _NOTHING
    both = graph.concat(old, new, axis=1)
    return both, graph.cut(both, -keep, None, axis=1)


def _late(graph: Graph, old: str, new: str, *, by: int) -> tuple[str, str]:
    """As many frames as are new, `by` frames late; and those still to come."""
    both, kept = _behind(graph, old, new, keep=by)
    return (graph.cut(both, 0, -by, axis=1) if by else both), kept


_NOTHING = ""
"""Stands for a tensor without numbers, of which no graph needs to know."""


def _size(shapes: Sequence[tuple[int, int]]) -> int:
    return sum(map(math.prod, shapes))


def _unpacked(graph: Graph, rows: str, shapes: Sequence[tuple[int, int]]) -> list[str]:
    """(batch, *shape) for every shape, `_NOTHING` for those that hold nothing."""
    sizes = [size for shape in shapes if (size := math.prod(shape))]
    parts = iter(graph.split(rows, sizes, axis=1) if sizes else [])
    return [graph.reshape(next(parts), 0, *shape) if math.prod(shape) else _NOTHING for shape in shapes]


def _packed(graph: Graph, tensors: Sequence[str]) -> str:
    """The way back."""
    return graph.concat(*(graph.reshape(tensor, 0, -1) for tensor in tensors if tensor != _NOTHING), axis=1)


def _ddim_step(graph: Graph, noisy: str, output: str, now: float, then: float, *, config: DiffusionConfig) -> str:
    """`to_clean` and `ddim_step`: both are linear in the noisy motion and the network's output."""
    unit_noisy, unit_output = torch.eye(2)[:, :, None, None]
    time, next_time = (torch.full((2,), value) for value in (now, then))
    clean = to_clean(unit_output, unit_noisy, time, prediction=config.prediction)
    of_noisy, of_output = ddim_step(unit_noisy, clean, time, next_time).flatten().tolist()
    parts = [graph.op("Mul", x, graph.constant(factor)) for x, factor in ((noisy, of_noisy), (output, of_output))]
    return graph.op("Add", *parts)
