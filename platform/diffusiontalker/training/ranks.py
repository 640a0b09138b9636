"""The process group as the loop sees it: who am I, gather across ranks, sums over ranks.

Works in a single process without a process group; every function must be called on every rank.
"""

import dataclasses

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """Position in the process group."""

    rank: int = 0
    """This process."""
    world_size: int = 1
    """Number of processes."""

    @property
    def is_main(self) -> bool:
        """True on the rank that writes files and logs."""
        return self.rank == 0

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all ranks, concatenated in rank order; gradients flow back to the rank a row came from."""
        return rows if self.world_size == 1 else torch.cat(all_gather(rows.contiguous()))

    def total(self, value: Tensor) -> Tensor:
        """Sum of a tensor over the ranks, without gradient."""
        if self.world_size == 1:
            return value
        value = value.detach().clone()
        dist.all_reduce(value)
        return value

    def barrier(self) -> None:
        """Waits for every rank."""
        if self.world_size > 1:
            dist.barrier()
