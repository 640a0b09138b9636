"""The report: `report.json` for programs, one self-contained `report.html` for people, and its pictures as PNG."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.config import publish_directory
from diffusiontalker.evaluation.pages import player_script, render_page
from diffusiontalker.evaluation.pictures import Picture
from diffusiontalker.evaluation.played_clips import Playing
from diffusiontalker.face import builtin_rig
from diffusiontalker.face.writers import head_glb_bytes
from diffusiontalker.studio import PageError

logger = logging.getLogger(__name__)

FORMAT = "diffusiontalker-report"
VERSION = 1

_NOTHING = "\N{EN DASH}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Report:
    """A finished evaluation."""

    directory: Path
    """Folder with `report.json`, `report.html` and `plots/`."""
    content: dict[str, Any]
    """What `report.json` holds."""

    def row(self, name: str, *, group: str | None = None) -> dict[str, Any]:
        """The row called `name` in a group (the headline group when None).

        Raises:
            KeyError: when there is no such row.
        """
        rows = {row["name"]: row for row in self.rows(group)}
        return rows[name]

    def rows(self, group: str | None = None) -> list[dict[str, Any]]:
        """All rows of a group (of the headline group when None).

        Raises:
            KeyError: when there is no such group.
        """
        by_name = {entry["name"]: entry["systems"] for entry in self.content["groups"]}
        return by_name[group or self.content["headline_group"]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the results table."""

    field: str
    heading: str
    unit: str
    meaning: str
    form: str
    better: str = ""
    """`low`, `high`, `truth` (close to the truth's) or nothing."""
    scale: float = 1.0


COLUMNS = (
    Column(field="mae", heading="MAE", unit="coefficient", form=".4f", better="low",
           meaning="mean |prediction - truth| over all frames and channels"),
    Column(field="jaw_open_r", heading="jawOpen r", unit="pooled", form=".3f", better="high",
           meaning="correlation over all frames of all clips as one sequence"),
    Column(field="jaw_open_r_clip", heading="jawOpen r", unit="per clip", form=".3f", better="high",
           meaning="mean over clips of the correlation within the clip"),
    Column(field="mouth_funnel_r", heading="funnel r", unit="pooled", form=".3f", better="high",
           meaning="correlation over all frames of all clips as one sequence"),
    Column(field="lve_mm", heading="LVE", unit="mm", form=".2f", better="low",
           meaning="root of the mean over frames of the largest squared distance among lip vertices"),
    Column(field="lve_m2", heading="LVE", unit="10⁻⁵ m²", form=".3f", better="low", scale=1e5,
           meaning="mean over frames of the largest squared distance among lip vertices"),
    Column(field="eve_m2", heading="EVE", unit="10⁻⁵ m²", form=".3f", better="low", scale=1e5,
           meaning="the same among eyelid, brow and forehead vertices"),
    Column(field="fdd", heading="FDD", unit="10⁻⁷ m²", form="+.2f", better="truth", scale=1e7,
           meaning="upper-face dynamics of the truth minus the prediction's: positive means too still"),
    Column(field="fdd_abs", heading="|FDD|", unit="10⁻⁷ m²", form=".2f", better="low", scale=1e7,
           meaning="the same without its sign: how far the upper face's liveliness is from the truth's"),
    Column(field="jitter", heading="jitter", unit="1/s³", form=".0f", better="truth",
           meaning="mean |third difference| x fps³: roughness, to be as the truth's"),
    Column(field="silence_closure", heading="silence", unit="lips closed", form=".0%", better="",
           meaning="share of silent frames in which jawOpen - mouthClose is at most 0.05"),
    Column(field="diversity_upper", heading="diversity", unit="upper face", form=".4f",
           meaning="standard deviation over seeds, upper-face channels"),
    Column(field="diversity_lips", heading="diversity", unit="lips", form=".4f",
           meaning="standard deviation over seeds, lip and jaw channels"),
    Column(field="training_steps", heading="trained", unit="steps", form="d", meaning="training steps"),
    Column(field="num_steps", heading="steps", unit="", form="d", meaning="diffusion steps"),
    Column(field="parameters", heading="parameters", unit="10⁶", form=".2f", scale=1e-6,
           meaning="all parameters needed to predict"),
    Column(field="precision", heading="weights", unit="as stored", form="s", meaning="number format of the weights"),
    Column(field="file_bytes", heading="size", unit="MB", form=".2f", scale=1e-6, meaning="files needed to predict"),
    Column(field="frames_per_s", heading="speed", unit="frames/s", form=",.0f",
           meaning="frames of motion per second of compute, one stream"),
    Column(field="rtf", heading="RTF", unit="s per s", form=".3f",
           meaning="real-time factor for one stream, below 1 is faster than real time; a mean of n costs n samples"),
)  # fmt: skip


COMPARISON_FIELDS = (
    "num_steps", "precision", "parameters", "file_bytes", "frames_per_s", "lve_m2", "eve_m2", "fdd_abs", "fdd",
    "jitter", "mae", "jaw_open_r", "silence_closure", "diversity_upper",
)  # fmt: skip
"""Columns of a comparison, costs first; `precision`, `frames_per_s` and `fdd_abs` appear nowhere else."""

TEXT_COLUMNS = {
    "num_steps": "d", "mae": ".4f", "jaw_open_r": ".3f", "lve_mm": ".2f", "fdd_abs": ".1e", "rtf": ".3f"
}  # fmt: skip
"""Report field -> format of the text table."""


def results_table(rows: Sequence[Mapping[str, Any]], *, columns: Mapping[str, str] = TEXT_COLUMNS) -> str:
    """A few figures of every system, as aligned text.

    Args:
        rows: as in a report.
        columns: report field -> format of its figures.
    """
    width = max(len(row["name"]) for row in rows)
    lines = [" ".join([f"{'system':{width}}", *(f"{column:>10}" for column in columns)])]
    for row in rows:
        cells = ["-" if row.get(column) is None else f"{row[column]:{form}}" for column, form in columns.items()]
        lines.append(" ".join([f"{row['name']:{width}}", *(f"{cell:>10}" for cell in cells)]))
    return "\n".join(lines)


def write_report(report: Report, pictures: Sequence[Picture], *, playing: Playing | None = None) -> Report:
    """Writes the folder in one step: it is there whole or not at all.

    Args:
        report: what is written.
        pictures: shown on the page, and laid beside it.
        playing: clips that the page plays; None leaves them out.

    Raises:
        ArtefactError: when the folder exists or cannot be written.
    """
    with publish_directory(report.directory) as folder:
        plots = folder / "plots"
        plots.mkdir()
        for picture in pictures:
            (plots / f"{picture.key}.png").write_bytes(picture.png["light"])
        text = json.dumps(report.content, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        (folder / "report.html").write_text(render_html(report, pictures, playing=playing), encoding="utf-8")
    return report


def render_html(report: Report, pictures: Sequence[Picture], *, playing: Playing | None = None) -> str:
    """The page, with every picture and clip inside it."""
    columns = _columns(report.content)
    tables = [_table(group, columns) for group in report.content["groups"]]
    script, missing, played = "", "", None
    if playing is not None:
        try:
            script = player_script()
            played = playing.encoded(head=head_glb_bytes(builtin_rig()))
        except PageError as error:
            missing = str(error)
            logger.warning("%s: clips cannot be played: %s", report.directory / "report.html", error)
    return render_page(
        "report.html", script=script, content=report.content, pictures=pictures, columns=columns, tables=tables,
        played=played, missing=missing,
    )  # fmt: skip


def _columns(content: Mapping[str, Any]) -> list[Column]:
    by_field = {column.field: column for column in COLUMNS}
    if "comparison" in content:
        return [by_field[field] for field in COMPARISON_FIELDS]
    return [column for column in COLUMNS if column.field not in ("precision", "frames_per_s", "fdd_abs")]


def _table(group: dict[str, Any], all_columns: Sequence[Column]) -> dict[str, Any]:
    """Columns that hold something, and rows of formatted cells with the best ones marked."""
    rows = group["systems"]
    columns = [column for column in all_columns if any(_cell(column, row) != _NOTHING for row in rows)]
    best = {column.field: _best(column, rows) if column.better else set() for column in columns}
    cells = {
        row["name"]: [{"text": _cell(column, row), "best": row["name"] in best[column.field]} for column in columns]
        for row in rows
    }
    described = [{"name": row["name"], "kind": row["kind"], "cells": cells[row["name"]]} for row in rows]
    return {"columns": columns, "rows": described}


def _cell(column: Column, row: dict[str, Any]) -> str:
    value = row[column.field]
    has_meaning = row["kind"] != "truth" or column.field in ("jitter", "silence_closure")
    if value is None or not has_meaning:
        return _NOTHING
    return format(value if column.form in ("d", "s") else value * column.scale, column.form)


def _best(column: Column, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Names of the rows whose printed number is the best one; several in a tie."""
    compared = [row for row in rows if row["kind"] in ("talker", "control") and row[column.field] is not None]
    if len(compared) < 2:
        return set()
    distance = {row["name"]: _distance(column, row) for row in compared}
    winner = min(compared, key=lambda row: distance[row["name"]])
    return {row["name"] for row in compared if _cell(column, row) == _cell(column, winner)}


def _distance(column: Column, row: dict[str, Any]) -> float:
    """What is to be small."""
    value = row[column.field]
    if column.better == "high":
        return -value
    if column.better == "truth":
        return abs(value - row.get(f"{column.field}_truth", 0.0))
    return value
