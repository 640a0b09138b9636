"""The batches of a training, in order; the next one is made in a thread of its own while a step computes.

Which windows a batch holds depends on its step alone, so nothing changes with who makes it, or when.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from diffusiontalker.data.collate import Batch, collate
from diffusiontalker.training.ranks import Ranks
from diffusiontalker.training.windows import Windows

if TYPE_CHECKING:
    from diffusiontalker.training.loop import TrainingConfig


def training_batch(source: Windows, config: "TrainingConfig", *, step: int, ranks: Ranks) -> Batch:
    """This rank's share of the batch of a step: position p of the endless stream of shuffled epochs."""
    share = config.batch_size // ranks.world_size
    first = step * config.batch_size + ranks.rank * share
    return collate([source.at(position, seed=config.seed) for position in range(first, first + share)])


@contextlib.contextmanager
def batches_ahead(
    source: Windows, config: "TrainingConfig", *, steps: range, ranks: Ranks
) -> Iterator[Iterator[Batch]]:
    """The batches of `steps`, each made while the one before it is used; one ahead, so that memory holds two.

    Asking for a batch raises what making it raised. No thread is left when the context ends, however it does.

    Args:
        source: windows; nobody else may ask it meanwhile.
        config: seed and batch size.
        steps: in order.
        ranks: whose share.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="next-batch") as maker:
        yield _one_ahead(maker, source, config, steps=steps, ranks=ranks)


def _one_ahead(
    maker: ThreadPoolExecutor, source: Windows, config: "TrainingConfig", *, steps: range, ranks: Ranks
) -> Iterator[Batch]:
    coming = None
    for step in steps:
        ready, coming = coming, maker.submit(training_batch, source, config, step=step, ranks=ranks)
        if ready is not None:
            yield ready.result()
    if coming is not None:
        yield coming.result()
