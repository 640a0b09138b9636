"""Which of several things are best when there is more than one way to be good; everything is to be small."""

import numpy as np
from jaxtyping import Float


def domination_ranks(values: Float[np.ndarray, "items objectives"]) -> list[int]:
    """0 for what nothing dominates (the Pareto front), 1 for what only those dominate, and so on.

    Source: non-dominated sorting, Deb et al. 2002 (NSGA-II), section III.A.
    """
    ranks, rank = np.full(len(values), -1), 0
    while (ranks < 0).any():
        left = np.flatnonzero(ranks < 0)
        front = [item for item in left if not any(dominates(values[other], values[item]) for other in left)]
        ranks[front] = rank
        rank += 1
    return ranks.tolist()


def dominates(first: Float[np.ndarray, "objectives"], second: Float[np.ndarray, "objectives"]) -> bool:
    """Whether the first is nowhere worse and somewhere better."""
    return bool((first <= second).all() and (first < second).any())


def knee(values: Float[np.ndarray, "items objectives"]) -> int:
    """Index of the item nearest to the best of everything, each objective scaled from its least 0 to its greatest 1.

    Raises:
        ValueError: when there are no items.
    """
    if not len(values):
        raise ValueError("knee: got no items, expected at least one")
    spread = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return int(np.linalg.norm(scaled, axis=1).argmin())
