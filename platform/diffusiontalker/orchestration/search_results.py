"""From what Ray Tune leaves to the content of a report: rows, front, choice, checks."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray.tune
import torch

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.config import from_plain
from diffusiontalker.evaluation import measure_side_by_side
from diffusiontalker.evaluation.pareto import domination_ranks, knee
from diffusiontalker.inference import Bundle, animate, load_bundle
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_space import SearchSpace
from diffusiontalker.orchestration.search_trial import BUNDLE, ERRORS
from diffusiontalker.orchestration.searching import OBJECTIVES
from diffusiontalker.training import TrainingConfig

logger = logging.getLogger(__name__)

Row = dict[str, Any]
_AUDIO_S = 5.0
_ROUNDS = 7
_SAME_SPEED = 1.05
"""Measured speeds that differ by less count as the same."""
_LEAST_FOR_IMPORTANCE = 5
"""Finished trials below which nothing is said about what mattered."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a search."""

    content: dict[str, Any]
    """Title, headline, checks, trials (least error first), importances, budget."""
    bundle: Bundle | None
    """The chosen student; None when no trial finished."""
    training: TrainingConfig | None
    """How it was trained."""


def outcome_of(results: ray.tune.ResultGrid, config: SearchJobConfig) -> Outcome:
    """Reads every trial, times the finished ones side by side, and chooses."""
    rows, bundles = [], dict[int, Bundle]()
    for number in range(len(results)):
        result = results[number]
        row = _row(result, config)
        if row["state"] == "done":
            bundles[number] = _bundle(result)
        rows.append(row)
    for number, rtf in _speeds(bundles).items():
        rows[number]["rtf"] = rtf
    done = [rows[number] for number in bundles]
    for row, rank in zip(done, domination_ranks(_figures(done)) if done else [], strict=True):
        row["is_on_front"] = rank == 0
    chosen = _chosen(done, config)
    if chosen is not None:
        chosen["is_chosen"] = True
    picked = next((number for number in bundles if rows[number]["is_chosen"]), None)
    content = {
        "title": f"Student-size search: {config.name}",
        "headline": _headline(chosen, rows, config),
        "checks": _checks(rows, chosen, config),
        "num_steps": config.training.num_steps,
        "budget": dataclasses.asdict(config.budget),
        "trials": sorted(rows, key=lambda row: (row["lve_m2"] is None, row["lve_m2"], row["name"])),
        "importances": _importances(done, config),
    }
    training = None
    if picked is not None:
        training = from_plain(TrainingConfig, (results[picked].config or {})["training"], source="a finished trial")
    return Outcome(content=content, bundle=None if picked is None else bundles[picked], training=training)


def _row(result: ray.tune.Result, config: SearchJobConfig) -> Row:
    parameters, metrics = result.config or {}, result.metrics or {}
    step = int(metrics.get("step", 0))
    state = "failed" if result.error else "done" if step >= config.training.num_steps else "stopped"
    objective = parameters["training"]["objective"]
    return (
        {
            "name": parameters["name"],
            "state": state,
            "error": str(result.error).strip().splitlines()[-1] if result.error else "",
            "is_preset": not parameters["point"],
            "is_on_front": False,
            "is_chosen": False,
            "point": parameters["point"],
            "num_steps": objective["student_steps"],
            "step": step,
        }
        | parameters["cost"]
        | {name: metrics.get(name) for name in ERRORS}
    )


def _bundle(result: ray.tune.Result) -> Bundle:
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        return load_bundle(Path(folder) / BUNDLE)


def _speeds(bundles: dict[int, Bundle]) -> dict[int, float]:
    """Real-time factors on one core, measured in turns."""
    if not bundles:
        return {}
    waveform = 0.1 * np.random.default_rng(0).standard_normal(round(_AUDIO_S * SAMPLE_RATE_HZ)).astype(np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measured = measure_side_by_side(
            {str(number): lambda bundle=bundle: animate(bundle, waveform) for number, bundle in bundles.items()},
            audio_seconds=_AUDIO_S,
            repeats=_ROUNDS,
        )
    finally:
        torch.set_num_threads(threads)
    return {int(name): latency.rtf for name, latency in measured.items()}


def _figures(rows: list[Row]) -> np.ndarray:
    return np.asarray([[row[name] for name in OBJECTIVES] for row in rows], dtype=np.float64)


def _chosen(done: list[Row], config: SearchJobConfig) -> Row | None:
    """Least error within the budget; without a budget the knee of the front."""
    budget = config.budget
    if not budget.max_megabytes and not budget.max_ms_per_s:
        front = [row for row in done if row["is_on_front"]]
        return front[knee(_figures(front))] if front else None
    fitting = [row for row in done if _fits(row, config)]
    return min(fitting, key=lambda row: row["lve_m2"], default=None)


def _fits(row: Row, config: SearchJobConfig) -> bool:
    most_bytes, most_rtf = config.budget.max_megabytes * 1e6, config.budget.max_ms_per_s / 1e3
    return (not most_bytes or row["file_bytes"] <= most_bytes) and (not most_rtf or row["rtf"] <= most_rtf)


def _headline(chosen: Row | None, rows: list[Row], config: SearchJobConfig) -> str:
    count = f"{len(rows)} students tried"
    if chosen is None:
        return f"{count}; none that finished is within the budget."
    why = "best within the budget" if any(dataclasses.astuple(config.budget)) else "knee of the front"
    return f"{count}. Chosen ({why}): {_told(chosen)}."


def _told(row: Row) -> str:
    return (
        f"{row['name']}: {row['file_bytes'] / 1e6:.2f} MB, {row['rtf'] * 1e3:.2f} ms per second of audio, "
        f"LVE {row['lve_m2'] * 1e5:.3f}·10⁻⁵ m²"
    )


def _checks(rows: list[Row], chosen: Row | None, config: SearchJobConfig) -> list[dict[str, Any]]:
    counts = {state: sum(row["state"] == state for row in rows) for state in ("done", "stopped", "failed")}
    text = f"{counts['done']} trials finished, {counts['stopped']} were stopped early, {counts['failed']} failed."
    checks = [{"text": text, "holds": counts["done"] > 0 and not counts["failed"]}]
    done = [row for row in rows if row["state"] == "done"]
    checks += [_beats_preset(row, done) for row in done if row["is_preset"]]
    presets = [row for row in done if row["is_preset"]]
    if chosen is not None and presets and not chosen["is_preset"]:
        least = min(presets, key=lambda row: row["fdd_abs"])
        checks.append({
            "text": f"The chosen student is no less lively than the presets: |FDD| {chosen['fdd_abs'] * 1e7:.2f} "
            f"against {least['fdd_abs'] * 1e7:.2f}·10⁻⁷ m² of {least['name']}. A still face has a smaller LVE.",
            "holds": chosen["fdd_abs"] <= least["fdd_abs"],
        })  # fmt: skip
    return checks


def _beats_preset(preset: Row, done: list[Row]) -> dict[str, Any]:
    """Is there a searched student that is nowhere worse than a hand-made one?"""
    within = [
        row
        for row in done
        if not row["is_preset"]
        and row["file_bytes"] <= preset["file_bytes"]
        and row["rtf"] <= _SAME_SPEED * preset["rtf"]
    ]
    best = min(within, key=lambda row: row["lve_m2"], default=None)
    if best is None:
        return {"text": f"No searched student is as small and as fast as {_told(preset)}.", "holds": False}
    return {
        "text": f"At the size and speed of {_told(preset)}, the best searched student is {_told(best)} "
        f"({best['lve_m2'] / preset['lve_m2']:.2f} times its LVE; expected: at most 1; one training each, speeds "
        f"within {100 * (_SAME_SPEED - 1):.0f} % count as equal).",
        "holds": best["lve_m2"] <= preset["lve_m2"],
    }


def _importances(done: list[Row], config: SearchJobConfig) -> dict[str, float]:
    """How much of the differences in error each key explains; empty when too few trials finished."""
    searched = [row for row in done if not row["is_preset"]]
    if len(searched) < _LEAST_FOR_IMPORTANCE:
        return {}
    space = SearchSpace(config.space, config.training)
    distributions = space.distributions()
    study = optuna.create_study(direction="minimize")
    for row in searched:
        study.add_trial(
            optuna.trial.create_trial(
                params=space.labels_of(row["point"]), distributions=distributions, value=row["lve_m2"]
            )
        )
    return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
