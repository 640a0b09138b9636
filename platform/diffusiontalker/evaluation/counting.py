"""What a computation asks of the machine, counted exactly: unlike time, the same in every run.

Counts what goes through torch; what an engine computes outside it is not seen, so animations are counted in PyTorch.
"""

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.inference import Bundle, animate
from diffusiontalker.inference.engines.talker_graphs import denoiser_graph, encoder_graph, modulation_graph
from diffusiontalker.models import LogMelEncoder


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """One run of a computation."""

    operations: int
    """Multiplications and additions of matrix products and convolutions."""
    calls: int
    """Operators that torch ran, views included: what overhead is paid for."""
    allocations: int
    """Tensors whose memory these operators made; views and what is changed in place make none."""
    made_bytes: int
    """Bytes of all of them."""
    peak_bytes: int
    """Most of these bytes that lived at once."""


def count(work: Callable[[], object]) -> Counts:
    """Runs `work` twice and counts in the second run, when what is computed once is there."""
    work()
    counter = FlopCounterMode(display=False)
    with counter, _Tensors() as tensors:
        work()
    return Counts(
        operations=counter.get_total_flops(),
        calls=tensors.calls,
        allocations=tensors.allocations,
        made_bytes=tensors.made_bytes,
        peak_bytes=tensors.peak_bytes,
    )


def count_animation(bundle: Bundle, *, seconds: float) -> Counts:
    """An animation of so many seconds of sound in PyTorch, in the style of the sound itself."""
    reference, waveform = dataclasses.replace(bundle, engine="torch"), noise(seconds)
    return count(lambda: animate(reference, waveform))


def count_nodes(bundle: Bundle) -> int | None:
    """Nodes that ONNX Runtime is given to run for one window of an animation; None for a pretrained speech encoder.

    Before its own optimizations, which differ from version to version.
    """
    talker = bundle.talker
    if not isinstance(talker.encoder, LogMelEncoder):
        return None
    once, every_step = (
        [encoder_graph(talker.encoder)],
        [modulation_graph(talker.denoiser), denoiser_graph(talker.denoiser)],
    )
    return _nodes(once) + bundle.sampling.num_steps * _nodes(every_step)


def _nodes(models: Iterable[bytes]) -> int:
    import onnx

    return sum(len(onnx.load_from_string(model).graph.node) for model in models)


def noise(seconds: float) -> np.ndarray:
    """(samples,) float32 at 16 kHz; what is said does not matter to what it costs."""
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


class _Tensors(TorchDispatchMode):
    """Counts operators, and bytes of the storages that they make for as long as these live."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.allocations = self.made_bytes = self.peak_bytes = self._live_bytes = 0
        self._alive: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {storage._cdata for storage in _storages((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        self.calls += 1
        for storage in _storages(made):
            if storage._cdata not in given and storage._cdata not in self._alive:
                self._born(storage)
        return made

    def _born(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self.allocations += 1
        self.made_bytes += size
        self._live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)

        def died(_: object) -> None:
            self._live_bytes -= size
            del self._alive[key]

        self._alive[key] = weakref.ref(storage, died)


def _storages(values: object) -> Iterator[torch.UntypedStorage]:
    return (leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
