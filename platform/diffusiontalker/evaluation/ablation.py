"""What each part is worth: figures of every bundle as mean and spread over trainings, and verdicts against the student.

A difference is held against the spread: the pooled standard deviation over trainings that differ in their seed alone.
Where nothing was trained twice, the spread over sampling seeds stands in, which says less; the report tells which.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

_NOTHING = "\N{EN DASH}"

Verdict = Literal["better", "worse", "within the spread"]


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
class Spread:
    """How much a quantity varies by chance."""

    value: float
    over: Literal["trainings", "sampling seeds", "nothing"]
    """`nothing`: neither was repeated, so every difference counts."""


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


def spread_of(field: str, results: Results, *, names: Sequence[str]) -> Spread:
    """The spread of a quantity over the bundles `names`: over trainings where any was repeated, else over seeds."""
    values = [results[name][field] for name in names if field in results[name]]
    over_trainings = pooled_spread([value.trainings for value in values])
    if over_trainings is not None:
        return Spread(value=over_trainings, over="trainings")
    over_seeds = pooled_spread([value.seeds for value in values])
    if over_seeds is not None:
        return Spread(value=over_seeds, over="sampling seeds")
    return Spread(value=0.0, over="nothing")


def verdict(figure: Figure, mine: float, other: float, *, spread: float) -> Verdict:
    """Whether `mine` is better than `other` by more than the spread."""
    gain = figure.distance(other) - figure.distance(mine)
    if abs(gain) <= spread:
        return "within the spread"
    return "better" if gain > 0 else "worse"


def ablation_table(results: Results, *, student: str, names: Sequence[str], pool: Sequence[str]) -> dict[str, Any]:
    """The table as plain data: the student first, then each of `names` with its difference to the student.

    Args:
        results: figures of every bundle.
        student: what the others are compared with.
        names: rows below the student.
        pool: names whose repetitions give the spread.
    """
    shown = [figure for figure in FIGURES if any(figure.field in results[name] for name in (student, *names))]
    spreads = {figure.field: spread_of(figure.field, results, names=pool) for figure in shown}
    return {
        "student": student,
        "figures": [dataclasses.asdict(figure) for figure in shown],
        "spreads": {
            field: dataclasses.asdict(spread) | {"text": BY_FIELD[field].text(spread.value)}
            for field, spread in spreads.items()
        },
        "rows": [
            {
                "name": name,
                "trainings": max(len(values.trainings) for values in results[name].values()),
                "cells": [
                    _cell(figure, results[name], results[student], spreads[figure.field], is_student=name == student)
                    for figure in shown
                ],
            }
            for name in dict.fromkeys((student, *names))
        ],
    }


def ablation_text(table: Mapping[str, Any]) -> str:
    """The ablation table as aligned text: mean (spread, n), and `+` better, `-` worse, `=` within the spread."""
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


def _cell(
    figure: Figure, own: Mapping[str, Values], student: Mapping[str, Values], spread: Spread, *, is_student: bool
) -> dict[str, Any]:
    values, reference = own.get(figure.field), student.get(figure.field)
    if values is None:
        return {"field": figure.field, "mean": None, "spread": None, "trainings": [], "seeds": [], "difference": None,
                "difference_text": "", "verdict": None, "text": _NOTHING}  # fmt: skip
    text = figure.text(values.mean)
    if values.spread is not None:
        text += f" ± {figure.text(values.spread)}"
    difference = values.mean - reference.mean if reference is not None and not is_student else None
    return {
        "field": figure.field,
        "mean": values.mean,
        "spread": values.spread,
        "trainings": list(values.trainings),
        "seeds": list(values.seeds),
        "difference": difference,
        "difference_text": "" if difference is None else format(difference * figure.scale, f"+{figure.form}"),
        "verdict": None
        if difference is None
        else verdict(figure, values.mean, values.mean - difference, spread=spread.value),
        "text": text,
    }
