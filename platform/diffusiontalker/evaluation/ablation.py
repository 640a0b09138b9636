"""What each part is worth: figures of every bundle as mean and spread over trainings, and verdicts against the student.

One rule decides all comparisons: a difference of means counts when it is more than twice its standard error over
trainings that differ in their seed alone. Where nothing was trained twice, sampling seeds stand in, which says less;
the report tells which.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

_NOTHING = "\N{EN DASH}"

STANDARD_ERRORS = 2.0
"""How many standard errors a difference must exceed to count."""

Verdict = Literal["better", "worse", "within the spread"]
Repeats = Literal["trainings", "sampling seeds"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A quantity that bundles are compared by."""

    field: str
    heading: str
    unit: str
    meaning: str
    form: str
    scale: float = 1.0
    better: Literal["low", "high", "one"] = "low"
    """`one`: as close to 1 as possible."""

    def text(self, value: float | None) -> str:
        """The number as people read it, without its unit."""
        return _NOTHING if value is None else format(value * self.scale, self.form)

    def amount(self, value: float) -> str:
        """The number with its unit."""
        return f"{self.text(value)}{'·' if self.unit.startswith('10') else ' '}{self.unit}"

    def distance(self, value: float) -> float:
        """What is to be small."""
        return {"low": value, "high": -value, "one": abs(value - 1.0)}[self.better]


FIGURES = (
    Figure(field="lve_m2", heading="LVE", unit="10⁻⁵ m²", form=".3f", scale=1e5, meaning="lip vertex error"),
    Figure(field="eve_m2", heading="EVE", unit="10⁻⁵ m²", form=".3f", scale=1e5,
           meaning="error of eyelid, brow and forehead vertices"),
    Figure(field="fdd_abs", heading="|FDD|", unit="10⁻⁷ m²", form=".2f", scale=1e7,
           meaning="deviation of the upper face's dynamics from the truth's"),
    Figure(field="jitter_ratio", heading="jitter", unit="x truth's", form=".2f", better="one",
           meaning="roughness over the recording's, 1 is equal"),
    Figure(field="style_voice", heading="voice retrieval", unit="% right", form=".1f", scale=100.0, better="high",
           meaning="how often the generated upper face is recognized as the voice it was asked for"),
    Figure(field="style_emotion", heading="emotion retrieval", unit="% right", form=".1f", scale=100.0, better="high",
           meaning="how often the generated upper face is recognized as the emotion it was asked for"),
    Figure(field="displacement_voice", heading="voice displacement", unit="coefficients", form=".4f", better="high",
           meaning="how far another voice moves the generated upper face, mean |difference| of coefficients"),
    Figure(field="displacement_emotion", heading="emotion displacement", unit="coefficients", form=".4f", better="high",
           meaning="how far another emotion moves the generated upper face, mean |difference| of coefficients"),
    Figure(field="identity", heading="identity retrieval", unit="% right", form=".1f", scale=100.0, better="high",
           meaning="how often the nearest enrolled voice of a held-out clip is its speaker's, shortest enrollment"),
)  # fmt: skip
"""Columns of the ablation table."""

BY_FIELD = {figure.field: figure for figure in FIGURES}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """One quantity of one bundle name."""

    trainings: tuple[float, ...]
    """One per replicate."""
    seeds: tuple[float, ...] = ()
    """One per sampling seed of the first replicate."""

    @property
    def mean(self) -> float:
        """Over trainings."""
        return statistics.fmean(self.trainings)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over trainings; None for one training."""
        return statistics.stdev(self.trainings) if len(self.trainings) > 1 else None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Margin:
    """How much two means may differ by chance."""

    value: float
    """`STANDARD_ERRORS` times the standard error of the difference."""
    over: Repeats | Literal["nothing"]
    """What was repeated; `nothing`: every difference counts."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One quantity of two bundles, and whether the first is better."""

    figure: Figure
    mine: float
    other: float
    margin: Margin

    @property
    def difference_text(self) -> str:
        """First minus second, with the margin where there is one."""
        difference = format((self.mine - self.other) * self.figure.scale, f"+{self.figure.form}")
        return difference if self.margin.over == "nothing" else f"{difference} ± {self.figure.text(self.margin.value)}"

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better or worse by more than the margin."""
        gain = self.figure.distance(self.other) - self.figure.distance(self.mine)
        if abs(gain) <= self.margin.value:
            return "within the spread"
        return "better" if gain > 0 else "worse"

    @property
    def text(self) -> str:
        """Both numbers, their difference and the verdict."""
        numbers = f"{self.figure.heading} {self.figure.text(self.mine)} against {self.figure.amount(self.other)}"
        return f"{numbers} ({self.difference_text}, {self.verdict})"


Results = Mapping[str, Mapping[str, Values]]
"""Bundle name -> field -> values; fields that could not be measured are absent."""


def pooled_spread(samples: Sequence[Sequence[float]]) -> float | None:
    """Square root of the mean variance within `samples`, weighted by degrees of freedom; None when there are none.

    s^2 = sum_i (n_i - 1) s_i^2 / sum_i (n_i - 1).
    """
    repeated = [sample for sample in samples if len(sample) > 1]
    if not repeated:
        return None
    freedom = sum(len(sample) - 1 for sample in repeated)
    return math.sqrt(sum((len(sample) - 1) * statistics.variance(sample) for sample in repeated) / freedom)


def margin_of(field: str, results: Results, *, sides: tuple[str, str], pool: Sequence[str]) -> Margin:
    """How much the means of two bundles may differ by chance: m = 2 sqrt(s^2 / n_1 + s^2 / n_2).

    s is pooled over the trainings of the two when both were repeated, else over those of all names in `pool`; where
    no training was repeated, the same over sampling seeds. n counts the repetitions of a side, at least 1.

    Args:
        field: the quantity, which both sides must have.
        results: figures of every bundle.
        sides: names of the two.
        pool: names whose repetitions stand in.
    """
    overs: tuple[Repeats, ...] = ("trainings", "sampling seeds")
    for over in overs:
        samples = [_repeated(results[name][field], over) for name in sides]
        everyone = [_repeated(results[name][field], over) for name in pool if field in results[name]]
        spread = pooled_spread(samples if all(len(sample) > 1 for sample in samples) else everyone)
        if spread is not None:
            error = spread * math.sqrt(sum(1 / max(len(sample), 1) for sample in samples))
            return Margin(value=STANDARD_ERRORS * error, over=over)
    return Margin(value=0.0, over="nothing")


def contrast(field: str, results: Results, *, mine: str, other: str, pool: Sequence[str]) -> Contrast:
    """Holds the bundle `mine` against `other` in one quantity; see `margin_of`."""
    return Contrast(
        figure=BY_FIELD[field],
        mine=results[mine][field].mean,
        other=results[other][field].mean,
        margin=margin_of(field, results, sides=(mine, other), pool=pool),
    )


def ablation_table(results: Results, *, student: str, names: Sequence[str], pool: Sequence[str]) -> dict[str, Any]:
    """The table as plain data: the student first, then each of `names` with its difference to the student.

    Args:
        results: figures of every bundle.
        student: what the others are compared with.
        names: rows below the student.
        pool: names whose repetitions stand in where two compared ones were not both repeated.
    """
    shown = [figure for figure in FIGURES if any(figure.field in results[name] for name in (student, *names))]
    return {
        "student": student,
        "figures": [dataclasses.asdict(figure) for figure in shown],
        "rows": [
            {
                "name": name,
                "trainings": max(len(values.trainings) for values in results[name].values()),
                "cells": [_cell(figure, results, name, student=student, pool=pool) for figure in shown],
            }
            for name in dict.fromkeys((student, *names))
        ],
    }


def ablation_text(table: Mapping[str, Any]) -> str:
    """The ablation table as aligned text: mean ± spread, and `+` better, `-` worse, `=` within the spread."""
    marks = {"better": "+", "worse": "-", "within the spread": "=", None: " "}
    heads = ["bundle", "n", *(f"{figure['heading']} [{figure['unit']}]" for figure in table["figures"])]
    lines = [heads]
    for row in table["rows"]:
        cells = [f"{cell['text']} {marks[cell['verdict']]}" for cell in row["cells"]]
        lines.append([row["name"], str(row["trainings"]), *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    aligned = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join(aligned)


def _cell(figure: Figure, results: Results, name: str, *, student: str, pool: Sequence[str]) -> dict[str, Any]:
    values = results[name].get(figure.field)
    cell: dict[str, Any] = {
        "field": figure.field, "text": _NOTHING, "mean": None, "spread": None, "trainings": [], "seeds": [],
        "difference": None, "margin": None, "margin_over": None, "difference_text": "", "verdict": None,
    }  # fmt: skip
    if values is None:
        return cell
    spread = "" if values.spread is None else f" ± {figure.text(values.spread)}"
    cell |= {
        "text": figure.text(values.mean) + spread, "mean": values.mean, "spread": values.spread,
        "trainings": list(values.trainings), "seeds": list(values.seeds),
    }  # fmt: skip
    if name == student or figure.field not in results[student]:
        return cell
    held = contrast(figure.field, results, mine=name, other=student, pool=pool)
    return cell | {
        "difference": held.mine - held.other, "margin": held.margin.value, "margin_over": held.margin.over,
        "difference_text": held.difference_text, "verdict": held.verdict,
    }  # fmt: skip


def _repeated(values: Values, over: Repeats) -> tuple[float, ...]:
    return values.trainings if over == "trainings" else values.seeds
