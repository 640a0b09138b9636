"""Windows of a corpus that is too large for memory: read block by block, in an order that seeds and counters decide.

A batch has lanes. Every epoch deals the shuffled blocks out to the lanes, and a lane goes through its blocks one after
the other, through the clips of each in shuffled order, and then through those that the next epoch gives it. So whoever
computes a share of the batch reads the blocks of its own lanes and no others, any position is found without reading
what lies before it, and memory holds two blocks a lane.
"""

import dataclasses
import functools
import weakref
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

    memory_gb: float = 1.5
    """A split that takes up to so many gigabytes, decoded, is read once and held in the memory of every worker; 1.5 GB
    are 5 hours of speech with ARKit channels. A larger one is streamed, at most two blocks of up to 64 clips a lane in
    memory. 0: always streamed."""
    num_lanes: int = 8
    """Parts of a batch with blocks of their own, when streaming. A multiple of the number of workers; the batch size is
    a multiple of it."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if self.memory_gb < 0 or self.num_lanes < 1:
            raise ValueError(
                f"memory_gb {self.memory_gb:g}, num_lanes {self.num_lanes}: expected 0 or more, and at least 1 lane"
            )


class _Turn(NamedTuple):
    """A block's turn in a lane."""

    epoch: int
    place: int
    """Among the blocks that the epoch gives the lane."""


class _Lane:
    """The endless row of blocks of one lane."""

    def __init__(self, sizes: Sequence[int], *, lane: int, num_lanes: int, seed: int) -> None:
        self._sizes, self._lane, self._num_lanes, self._seed = np.asarray(sizes), lane, num_lanes, seed
        self._starts = [0]
        """Clips of the lane before each epoch that it has come to."""

    def find(self, number: int) -> tuple[_Turn, int]:
        """The block of the lane's clip `number`, and the row in it."""
        while number >= self._starts[-1]:
            blocks = self._dealt(len(self._starts) - 1)
            self._starts.append(self._starts[-1] + int(self._sizes[blocks].sum()))
        epoch = int(np.searchsorted(self._starts, number, side="right")) - 1
        blocks, inside = self._dealt(epoch), number - self._starts[epoch]
        ends = np.cumsum(self._sizes[blocks])
        place = int(np.searchsorted(ends, inside, side="right"))
        row = inside - int(ends[place - 1]) if place else inside
        size = self._sizes[blocks[place]]
        shuffled = np.random.default_rng(mixed(self._seed, epoch, int(blocks[place]), 5)).permutation(size)
        return _Turn(epoch, place), int(shuffled[row])

    def block(self, turn: _Turn) -> int:
        """Number of the block that has this turn."""
        return int(self._dealt(turn.epoch)[turn.place])

    def after(self, turn: _Turn) -> _Turn:
        """The next turn."""
        is_last = turn.place + 1 == len(self._dealt(turn.epoch))
        return _Turn(turn.epoch + 1, 0) if is_last else _Turn(turn.epoch, turn.place + 1)

    def _dealt(self, epoch: int) -> np.ndarray:
        """Blocks that an epoch gives the lane; where there are lanes with one more, others have it in the next."""
        return _shuffled(len(self._sizes), self._seed, epoch)[(self._lane + epoch) % self._num_lanes :: self._num_lanes]


@functools.lru_cache(maxsize=8)
def _shuffled(num_blocks: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng(mixed(seed, epoch, 1)).permutation(num_blocks)


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
                "reading.num_lanes, or raise reading.memory_gb to hold them in memory"
            )
        self._sizes, self._load, self._num_lanes = list(sizes), load, num_lanes
        self._batch_size, self._share = batch_size, batch_size // num_lanes
        self._ends = np.cumsum(self._sizes)
        self._lanes: dict[tuple[int, int], _Lane] = {}
        self._ready: dict[int, tuple[_Turn, WindowSource]] = {}
        self._coming: dict[int, tuple[_Turn, Future[WindowSource]]] = {}
        self._held: tuple[int, WindowSource] | None = None
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="read-block")
        # What is still to be read when nobody wants windows any more is not read.
        weakref.finalize(self, self._readers.shutdown, wait=False, cancel_futures=True)

    def __len__(self) -> int:
        """Number of clips."""
        return int(self._ends[-1])

    def at(self, position: int, *, seed: int) -> Window:
        """The window at a position of the endless row of batches; the same seed in all calls."""
        step, place = divmod(position, self._batch_size)
        lane, inner = divmod(place, self._share)
        turn, row = self._lane(lane, seed).find(step * self._share + inner)
        return self._block(lane, turn, seed=seed).window(row, seed=window_seed(position, seed=seed))

    def window(self, index: int, *, seed: int) -> Window:
        """The window of clip `index` in the order of the corpus; meant to be asked one after the other."""
        block = int(np.searchsorted(self._ends, index, side="right"))
        if self._held is None or self._held[0] != block:
            self._held = None
            self._held = (block, self._load(block))
        return self._held[1].window(index - (int(self._ends[block - 1]) if block else 0), seed=seed)

    def _lane(self, lane: int, seed: int) -> _Lane:
        if (lane, seed) not in self._lanes:
            self._lanes[lane, seed] = _Lane(self._sizes, lane=lane, num_lanes=self._num_lanes, seed=seed)
        return self._lanes[lane, seed]

    def _block(self, lane: int, turn: _Turn, *, seed: int) -> WindowSource:
        """The block that has its turn; begins to read the one after it."""
        if lane in self._ready and self._ready[lane][0] == turn:
            return self._ready[lane][1]
        self._ready.pop(lane, None)
        row = self._lane(lane, seed)
        coming_turn, coming = self._coming.pop(lane, (None, None))
        source = coming.result() if coming is not None and coming_turn == turn else self._load(row.block(turn))
        self._ready[lane] = (turn, source)
        following = row.after(turn)
        self._coming[lane] = (following, self._readers.submit(self._load, row.block(following)))
        return source
