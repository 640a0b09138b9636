"""Two results of one benchmark side by side: ratios, which side is better, and what to beware of."""

import itertools
from collections.abc import Mapping
from typing import Any

from diffusiontalker.benchmarks.results import BenchmarkError, BenchmarkResult, Row, is_more_better

_FREE = ("git_commit", "diffusiontalker")
"""What two results may differ in without a warning: it is what one compares."""
_RATE_TOLERANCE = 0.1


def comparison(first: BenchmarkResult, second: BenchmarkResult) -> str:
    """A line per row that both have: ratio of the medians, second over first, the widest range that repeats allow.

    Which side is better is said only where the ranges of the repeats do not overlap.

    Raises:
        BenchmarkError: when they are of different benchmarks or have no row in common.
    """
    if first.benchmark != second.benchmark:
        raise BenchmarkError(
            f"one is of benchmark '{first.benchmark}', the other of '{second.benchmark}'; compare results of one"
        )
    mine, theirs = first.rows(), second.rows()
    common = [key for key in mine if key in theirs and mine[key].unit == theirs[key].unit]
    if not common:
        raise BenchmarkError("the two have no row in common; measure the same things")
    width = max(len(name) for _, name in common)
    lines = [f"first:  {_told(first)}", f"second: {_told(second)}"]
    for title, keys in itertools.groupby(common, key=lambda key: key[0]):
        lines += ["", title]
        lines += [_line(mine[key], theirs[key], width=width) for key in keys]
    alone = [f"'{title}: {name}'" for title, name in (mine.keys() ^ theirs.keys()) | (mine.keys() - set(common))]
    if alone:
        lines += ["", f"not compared, as only one has them: {', '.join(sorted(alone))}"]
    warnings = _warnings(first, second)
    return "\n".join([*lines, *([""] if warnings else []), *warnings])


def _line(one: Row, other: Row, *, width: int) -> str:
    numbers = f"{other.median:.4g} / {one.median:.4g} {one.unit}"
    if not one.lowest or not one.median:
        return f"  {one.name:{width}}  {numbers}"
    ratio, low, high = other.median / one.median, other.lowest / one.highest, other.highest / one.lowest
    return f"  {one.name:{width}}  {numbers:28} = {ratio:.3f} ({low:.3f} to {high:.3f})  {_verdict(one, other)}"


def _verdict(one: Row, other: Row) -> str:
    if one.values == other.values:
        return "the same"
    if other.lowest <= one.highest and one.lowest <= other.highest:
        return "within the spread"
    is_second_better = (other.median > one.median) == is_more_better(one.unit)
    return "second is better" if is_second_better else "first is better"


def _warnings(first: BenchmarkResult, second: BenchmarkResult) -> list[str]:
    lines = _differences(first.machine, second.machine, free=_FREE)
    lines += _differences(first.config, second.config)
    if first.rates and second.rates:
        one, other = first.rates.float32_one_core, second.rates.float32_one_core
        if abs(other / one - 1.0) > _RATE_TOLERANCE:
            lines.append(f"beware: the machine itself did {other:.0f} instead of {one:.0f} GFLOP/s on one core")
    return lines


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], *, free: tuple[str, ...] = ()) -> list[str]:
    names = [name for name in {**one, **other} if name not in free]
    return [
        f"beware: {name} differs ({one.get(name)} and {other.get(name)})"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _told(result: BenchmarkResult) -> str:
    return f"{result.date}, commit {str(result.machine.get('git_commit', 'unknown'))[:9]}: {result.command}"
