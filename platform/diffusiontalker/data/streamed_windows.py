"""Windows of a corpus that is too large for memory: read block by block, in an order that seeds and counters decide.

A batch has lanes. Every epoch deals the shuffled blocks out to the lanes, and a lane goes through its blocks one after
the other, through the clips of each in shuffled order. So whoever computes a share of the batch reads the blocks of its
own lanes and no others, any position is found without reading what lies before it, and memory holds two blocks a lane.
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.order import mixed, window_seed
from diffusiontalker.data.windows import Window, WindowSource


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReadingConfig:
    """How a corpus is held while it is learnt from."""

    memory_hours: float = 4.0
    """A split of up to so many hours of speech is read once and held in memory (0.3 GB an hour, in every worker); a
    larger one is streamed, at most two blocks of 64 clips a lane in memory. 0: always streamed."""
    num_lanes: int = 8
    """Parts of a batch with blocks of their own, when streaming. A multiple of the number of workers; the batch size is
    a multiple of it."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if self.memory_hours < 0 or self.num_lanes < 1:
            raise ValueError(
                f"memory_hours {self.memory_hours:g}, num_lanes {self.num_lanes}: expected 0 or more hours, at least 1 "
                "lane"
            )


class _Slot(NamedTuple):
    """A block's turn in a lane."""

    epoch: int
    place: int


class _Epoch:
    """How one epoch deals blocks out to lanes."""

    def __init__(self, sizes: Sequence[int], *, num_lanes: int, seed: int, epoch: int) -> None:
        shuffled = np.random.default_rng(mixed(seed, epoch, 1)).permutation(len(sizes))
        self.lanes = [shuffled[lane::num_lanes] for lane in range(num_lanes)]
        self._ends = [np.cumsum(np.asarray(sizes)[blocks]) for blocks in self.lanes]
        self.length = int(min(ends[-1] for ends in self._ends))
        """Clips of every lane; what a lane has more is left out, another part of the corpus in every epoch."""

    def find(self, lane: int, number: int) -> tuple[int, int]:
        """(place among the lane's blocks, row in it) of a lane's clip."""
        place = int(np.searchsorted(self._ends[lane], number, side="right"))
        return place, number - (int(self._ends[lane][place - 1]) if place else 0)

    def is_used(self, lane: int, place: int) -> bool:
        """Whether a lane gets as far as to its block at `place`."""
        return place < len(self.lanes[lane]) and (place == 0 or int(self._ends[lane][place - 1]) < self.length)


class StreamedWindows:
    """Windows out of blocks of clips; takes the place of a `WindowSource`.

    Other crops of the same speaker come from the same block.

    Args:
        sizes: clips of each block.
        load: reads a block, given its number; called in a thread of its own too.
        batch_size: windows of a batch, over all ranks.
        num_lanes: divides `batch_size`; at most the number of blocks.

    Raises:
        CorpusError: when there are fewer blocks than lanes.
    """

    def __init__(
        self, sizes: Sequence[int], *, load: Callable[[int], WindowSource], batch_size: int, num_lanes: int
    ) -> None:
        if len(sizes) < num_lanes:
            raise CorpusError(
                f"the training clips make {len(sizes)} blocks, which cannot be dealt out to {num_lanes} lanes; lower "
                "reading.num_lanes, or raise reading.memory_hours to hold them in memory"
            )
        self._sizes, self._load, self._num_lanes = list(sizes), load, num_lanes
        self._batch_size, self._share = batch_size, batch_size // num_lanes
        self._ends = np.cumsum(self._sizes)
        self._epochs: dict[int, _Epoch] = {}
        self._starts = [0]
        self._ready: dict[int, tuple[_Slot, WindowSource]] = {}
        self._coming: dict[int, tuple[_Slot, Future[WindowSource]]] = {}
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="read-block")

    def __len__(self) -> int:
        """Number of clips."""
        return int(self._ends[-1])

    def at(self, position: int, *, seed: int) -> Window:
        """The window at a position of the endless row of shuffled epochs."""
        step, place = divmod(position, self._batch_size)
        lane, inner = divmod(place, self._share)
        number = step * self._share + inner
        epoch = self._epoch_of(number, seed=seed)
        slot_place, row = self._epochs[epoch].find(lane, number - self._starts[epoch])
        source = self._block(lane, _Slot(epoch, slot_place), seed=seed)
        block = int(self._epochs[epoch].lanes[lane][slot_place])
        rows = np.random.default_rng(mixed(seed, epoch, block, 5)).permutation(self._sizes[block])
        return source.window(int(rows[row]), seed=window_seed(position, seed=seed))

    def window(self, index: int, *, seed: int) -> Window:
        """The window of clip `index` in the order of the corpus; meant to be asked one after the other."""
        block = int(np.searchsorted(self._ends, index, side="right"))
        slot, source = self._ready.get(-1, (None, None))
        if slot != (key := _Slot(-1, block)) or source is None:
            source = self._load(block)
            self._ready[-1] = (key, source)
        return source.window(index - (int(self._ends[block - 1]) if block else 0), seed=seed)

    def _epoch_of(self, number: int, *, seed: int) -> int:
        """The epoch in which a lane comes to its clip `number`; those before are forgotten."""
        while number >= self._starts[-1]:
            epoch = len(self._starts) - 1
            self._epochs[epoch] = self._new_epoch(epoch, seed=seed)
            self._starts.append(self._starts[-1] + self._epochs[epoch].length)
            self._epochs.pop(epoch - 2, None)
        epoch = int(np.searchsorted(self._starts, number, side="right")) - 1
        if epoch not in self._epochs:
            self._epochs[epoch] = self._new_epoch(epoch, seed=seed)
        return epoch

    def _new_epoch(self, epoch: int, *, seed: int) -> _Epoch:
        return _Epoch(self._sizes, num_lanes=self._num_lanes, seed=seed, epoch=epoch)

    def _block(self, lane: int, slot: _Slot, *, seed: int) -> WindowSource:
        ready_slot, source = self._ready.get(lane, (None, None))
        if source is not None and ready_slot == slot:
            return source
        coming_slot, coming = self._coming.pop(lane, (None, None))
        block = int(self._epochs[slot.epoch].lanes[lane][slot.place])
        self._ready.pop(lane, None)
        source = coming.result() if coming is not None and coming_slot == slot else self._load(block)
        self._ready[lane] = (slot, source)
        self._read_ahead(lane, slot, seed=seed)
        return source

    def _read_ahead(self, lane: int, slot: _Slot, *, seed: int) -> None:
        """Begins to read what the lane comes to after `slot`."""
        following = _Slot(slot.epoch, slot.place + 1)
        if not self._epochs[slot.epoch].is_used(lane, following.place):
            following = _Slot(slot.epoch + 1, 0)
            self._epoch_of(self._starts[slot.epoch + 1], seed=seed)
        block = int(self._epochs[following.epoch].lanes[lane][following.place])
        self._coming[lane] = (following, self._readers.submit(self._load, block))
