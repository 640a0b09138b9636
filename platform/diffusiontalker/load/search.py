"""The largest load that still holds."""

from collections.abc import Awaitable, Callable

_RELATIVE_PRECISION = 20
"""A search is over when good and bad are one twentieth apart: repeated runs differ by more."""


async def find_largest(holds: Callable[[int], Awaitable[bool]], *, first: int, most: int) -> int:
    """Doubles from `first` until a level does not hold, then bisects.

    Args:
        holds: tries one level. Assumed to be true up to some level and false beyond.
        first: where to begin.
        most: the largest level to try.

    Returns:
        The largest level that held, exact below 20, else to 5 %; 0 when not even 1 does.
    """
    good, bad = 0, most + 1
    trial = min(first, most)
    while bad - good > max(1, good // _RELATIVE_PRECISION):
        if await holds(trial):
            good = trial
        else:
            bad = trial
        is_growing = bad > most and good > 0
        trial = min(2 * good, most) if is_growing else (good + bad) // 2
    return good
