"""One benchmark's result: rows of repeated measurements beside the best that the machine allows; JSON and back.

Knows no particular benchmark, no torch and no pictures. A benchmark measures, then writes:

    rates = measure_rates()
    row = Row(name="small, 2 steps", unit="RTF", values=(0.0041, 0.0042, 0.0040, 0.0043, 0.0041), wanted=0.006,
              floor=0.0021, floor_from="0.13 GFLOP a second of sound at 62 GFLOP/s of one core")
    group = Group(title="Real-time factor", about="10 s of sound, one core.", rows=(row,))
    result = new_result("inference", config={"steps": [2, 1]}, groups=[group], rates=rates)
    say(result_text(result))
    write_result(result, folder)          # inference.json, page.md and pictures, in a new folder
"""

import dataclasses
import datetime
import json
import math
import os
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from diffusiontalker.config import ConfigError, from_plain, to_plain
from diffusiontalker.load.results import machine_facts

KIND = "diffusiontalker benchmark"

Benchmark = Literal["inference", "training", "serve"]

UNITS: Mapping[str, bool] = {
    **dict.fromkeys(
        ("s", "ms", "RTF", "MB", "operations", "calls", "allocations", "nodes", "times", "%", "error"), False
    ),
    **dict.fromkeys(("% of peak", "times as fast", "recordings"), True),
}
"""Unit -> whether more of it is better. Everything per second (`samples/s`, `audio s/s`, `GFLOP/s`) is better when it
is more, too. `%` is for shares of time that are lost, `times` for costs over costs, `recordings` for those of a
batch."""


class BenchmarkError(ValueError):
    """A result that cannot be read, made or compared; the message says where, what was found and what is allowed."""


def is_more_better(unit: str) -> bool:
    """Whether a larger value of that unit is the better one.

    Raises:
        BenchmarkError: for a unit that is not known.
    """
    if unit.endswith("/s"):
        return True
    if unit not in UNITS:
        raise BenchmarkError(f"unit '{unit}' is not known; use one of {', '.join(UNITS)}, or something that ends in /s")
    return UNITS[unit]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One quantity, measured several times.

    Raises:
        BenchmarkError: for a unit that is not known, no values, or one that is not finite.
    """

    name: str
    """Unique within its group."""
    unit: str
    """One of `UNITS`, or something per second."""
    values: tuple[float, ...]
    """Of every repeat, in order; one for what is counted exactly."""
    floor: float | None = None
    """The best value that the machine allows: the least, or the most where more is better. Same unit."""
    floor_from: str = ""
    """What the floor is derived from, in words and numbers."""
    wanted: float | None = None
    """What it must keep: at most this, or at least where more is better. Same unit."""
    series: str = ""
    """Rows of one line in a picture; the name when empty."""
    x: float | None = None
    """Where it stands on the line; what that is says the group's `x_label`."""

    def __post_init__(self) -> None:
        """Checks numbers and unit."""
        is_more_better(self.unit)
        if not self.values:
            raise BenchmarkError(f"row '{self.name}' has no values, expected at least one")
        numbers = {"value": self.values, "floor": [self.floor], "wanted": [self.wanted], "x": [self.x]}
        for what, given in numbers.items():
            for number in given:
                if number is not None and not math.isfinite(number):
                    raise BenchmarkError(f"row '{self.name}': {what} {number}, expected a finite number")

    @property
    def median(self) -> float:
        """In the middle of the repeats."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The least of the repeats."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The most of the repeats."""
        return max(self.values)

    @property
    def times_floor(self) -> float | None:
        """How far the median is from the floor, 1 when it is reached; None where there is no floor."""
        if not self.floor or not self.median:
            return None
        return self.floor / self.median if is_more_better(self.unit) else self.median / self.floor

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps what is wanted; None where nothing is."""
        if self.wanted is None:
            return None
        return self.median >= self.wanted if is_more_better(self.unit) else self.median <= self.wanted


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rows of one table and of one picture.

    Raises:
        BenchmarkError: when two rows have one name.
    """

    title: str
    """Unique within a result."""
    rows: tuple[Row, ...]
    about: str = ""
    """What was measured and how, in a sentence or two."""
    x_label: str = ""
    """What the rows' `x` are; empty where they have none."""

    def __post_init__(self) -> None:
        """Checks names."""
        _require_unique([row.name for row in self.rows], where=f"group '{self.title}'", what="rows")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MachineRates:
    """What the machine was measured to do, at its best."""

    float32_one_core: float
    """GFLOP/s of matrix products on one core, likewise the following."""
    float32_all_cores: float
    bfloat16_one_core: float
    bfloat16_all_cores: float
    copy_one_core: float
    """GB/s that a copy reads and writes, together."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkResult:
    """Everything about one run of a benchmark; made by `new_result`.

    Raises:
        BenchmarkError: when two groups have one title.
    """

    kind: Literal["diffusiontalker benchmark"] = KIND
    benchmark: Benchmark
    date: str
    """UTC, ISO 8601."""
    command: str
    """What was typed."""
    machine: dict[str, Any]
    """Processor, cores, memory, commit and versions."""
    config: dict[str, Any]
    """What was measured, resolved."""
    rates: MachineRates | None = None
    """None where no floor was derived from them."""
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        """Checks titles."""
        _require_unique([group.title for group in self.groups], where="result", what="groups")

    def rows(self) -> dict[tuple[str, str], Row]:
        """(title of the group, name) -> row."""
        return {(group.title, row.name): row for group in self.groups for row in group.rows}


def new_result(
    benchmark: Benchmark, *, config: Mapping[str, Any], groups: Sequence[Group], rates: MachineRates | None = None
) -> BenchmarkResult:
    """A result of now, of this machine and of the command line that runs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return BenchmarkResult(
        benchmark=benchmark,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        machine={**machine_facts(), "memory_gb": round(memory / 2**30, 1)},
        config=dict(config),
        rates=rates,
        groups=tuple(groups),
    )


def result_json(result: BenchmarkResult) -> str:
    """For a file."""
    return json.dumps(to_plain(result), indent=2, ensure_ascii=False) + "\n"


def read_result(path: Path) -> BenchmarkResult:
    """A `inference.json`, `training.json` or `serve.json`.

    Raises:
        BenchmarkError: when it is none, or is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: cannot be read as JSON ({error}); give the JSON file of a benchmark") from None
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind != KIND:
        raise BenchmarkError(f"{path}: is of kind '{kind}', expected '{KIND}'; give the JSON file of a benchmark")
    try:
        return from_plain(BenchmarkResult, content, source=str(path))
    except ConfigError as error:
        raise BenchmarkError(f"{error}; measure again") from None


def _require_unique(names: Sequence[str], *, where: str, what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BenchmarkError(
            f"{where}: {what} called '{twice[0]}' stand there more than once, expected every name once"
        )
