"""From what Ray Tune leaves to the content of a report: rows, front, choice, checks."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray.exceptions
from ray.tune.experiment import Trial

from diffusiontalker.config import from_plain
from diffusiontalker.evaluation import look_ahead_s, one_core_speeds
from diffusiontalker.evaluation.pareto import domination_ranks, knee
from diffusiontalker.inference import Bundle, load_bundle
from diffusiontalker.orchestration.candidates import computation_of
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_space import LOOK_AHEAD_KEYS, SearchSpace
from diffusiontalker.orchestration.search_trial import BUNDLE, ERRORS
from diffusiontalker.orchestration.searching import LOOK_AHEAD, objectives_of
from diffusiontalker.training import TrainingConfig

Row = dict[str, Any]
_ROUNDS = 7
_SAME_SPEED = 1.05
"""Measured speeds that differ by less count as the same."""
_LEAST_FOR_IMPORTANCE = 10
"""Finished searched students below which nothing is said about what mattered."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a search."""

    content: dict[str, Any]
    """Title, headline, checks, trials (least error first), importances, objectives, budget."""
    bundle: Bundle | None
    """The chosen student; None when no trial finished."""
    training: TrainingConfig | None
    """How it was trained."""


def outcome_of(trials: Sequence[Trial], config: SearchJobConfig) -> Outcome:
    """Reads every trial, times the finished ones side by side, and chooses."""
    rows = [_row(trial, config) for trial in trials]
    bundles = {number: _bundle(trial) for number, trial in enumerate(trials) if rows[number]["state"] == "done"}
    trainings = {number: _training(trials[number]) for number in bundles}
    computations = {number: computation_of(training) for number, training in trainings.items()}
    speeds = _speeds({computations[number]: bundle for number, bundle in bundles.items()})
    for number, bundle in bundles.items():
        rows[number] |= {"rtf": speeds[computations[number]], LOOK_AHEAD: look_ahead_s(bundle)}
    done, objectives = [rows[number] for number in bundles], objectives_of(config)
    _mark_front(done, "is_on_front", objectives)
    _mark_front(done, "is_best_for_look_ahead", ("lve_m2", LOOK_AHEAD))
    chosen = _chosen(done, config)
    if chosen is not None:
        chosen["is_chosen"] = True
    picked = next((number for number in bundles if rows[number]["is_chosen"]), None)
    content = {
        "title": f"Student-size search: {config.name}",
        "headline": _headline(chosen, rows, config),
        "checks": _checks(rows, chosen, config),
        "num_steps": config.training.num_steps,
        "objectives": list(objectives),
        "budget": dataclasses.asdict(config.budget),
        "trials": sorted(rows, key=lambda row: (row["lve_m2"] is None, row["lve_m2"], row["name"])),
        "importances": _importances(rows, config),
    }
    if picked is None:
        return Outcome(content=content, bundle=None, training=None)
    return Outcome(content=content, bundle=bundles[picked], training=trainings[picked])


def _row(trial: Trial, config: SearchJobConfig) -> Row:
    parameters, metrics = trial.config, trial.last_result
    step = int(metrics.get("step", 0))
    state = "stopped"
    if trial.status == Trial.ERROR:
        state = "failed"
    elif step >= config.training.num_steps and trial.checkpoint is not None:
        state = "done"
    return (
        {
            "name": parameters["name"],
            "state": state,
            "error": _told_error(trial) if state == "failed" else "",
            "is_preset": not parameters["point"],
            "is_on_front": False,
            "is_best_for_look_ahead": False,
            "is_chosen": False,
            "point": parameters["point"],
            "num_steps": parameters["training"]["objective"]["student_steps"],
            "step": step,
            LOOK_AHEAD: None,  # of trials before this was counted
        }
        | parameters["cost"]
        | {name: metrics.get(name) for name in ERRORS}
    )


def _told_error(trial: Trial) -> str:
    """What went wrong in one line: the last one of a traceback, the first one of what Ray itself says."""
    error = trial.get_pickled_error() or trial.get_error()
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if isinstance(error, ray.exceptions.RayTaskError):
        return lines[-1]
    return f"{type(error).__name__}: {lines[0]}"


def _bundle(trial: Trial) -> Bundle:
    assert trial.checkpoint is not None
    with trial.checkpoint.as_directory() as folder:
        return load_bundle(Path(folder) / BUNDLE)


def _training(trial: Trial) -> TrainingConfig:
    return from_plain(TrainingConfig, trial.config["training"], source="a finished trial")


def _speeds(bundles: dict[str, Bundle]) -> dict[str, float]:
    """Real-time factors side by side."""
    return one_core_speeds(bundles, repeats=_ROUNDS) if bundles else {}


def _figures(rows: list[Row], objectives: Sequence[str]) -> np.ndarray:
    return np.asarray([[row[name] for name in objectives] for row in rows], dtype=np.float64)


def _mark_front(rows: list[Row], mark: str, objectives: Sequence[str]) -> None:
    """Sets a mark of every row to whether nothing dominates it."""
    ranks = domination_ranks(_figures(rows, objectives)) if rows else []
    for row, rank in zip(rows, ranks, strict=True):
        row[mark] = rank == 0


def _chosen(done: list[Row], config: SearchJobConfig) -> Row | None:
    """Least error within the budget; without a budget the knee of the front."""
    if not _has_budget(config):
        front = [row for row in done if row["is_on_front"]]
        return front[knee(_figures(front, objectives_of(config)))] if front else None
    fitting = [row for row in done if _fits(row, config)]
    return min(fitting, key=lambda row: row["lve_m2"], default=None)


def _has_budget(config: SearchJobConfig) -> bool:
    return any(dataclasses.astuple(config.budget))


def _fits(row: Row, config: SearchJobConfig) -> bool:
    budget = config.budget
    limits = {"file_bytes": budget.max_megabytes * 1e6, "rtf": budget.max_ms_per_s / 1e3}
    limits[LOOK_AHEAD] = budget.max_look_ahead_ms / 1e3
    return all(row[name] is not None and row[name] <= most for name, most in limits.items() if most)


def _headline(chosen: Row | None, rows: list[Row], config: SearchJobConfig) -> str:
    count = f"{len(rows)} students tried"
    if chosen is None:
        return f"{count}; none that finished is within the budget."
    why = "best within the budget" if _has_budget(config) else "knee of the front"
    ahead = f", look-ahead {chosen[LOOK_AHEAD] * 1e3:.1f} ms" if LOOK_AHEAD in objectives_of(config) else ""
    return f"{count}. Chosen ({why}): {_told(chosen)}{ahead}."


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
    presets = [row for row in done if row["is_preset"]]
    if not config.space.keys() <= set(LOOK_AHEAD_KEYS):  # who hears less is not expected to do better
        checks += [_beats_preset(row, done) for row in presets]
    if chosen is not None and presets and not chosen["is_preset"]:
        least = min(presets, key=lambda row: row["fdd_abs"])
        checks.append({
            "text": f"The chosen student's liveliness is as near to the truth's as the presets': |FDD| "
            f"{chosen['fdd_abs'] * 1e7:.2f} against {least['fdd_abs'] * 1e7:.2f}·10⁻⁷ m² of {least['name']}. A still "
            "face has a smaller LVE.",
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


def _importances(rows: list[Row], config: SearchJobConfig) -> dict[str, float]:
    """How much the better half of the students differs from all in each key; empty when too few were measured.

    Those stopped early count as worse than those that finished: others beat them after as many steps.
    """
    searched = [row for row in rows if not row["is_preset"] and row["state"] in ("done", "stopped")]
    if len(searched) < _LEAST_FOR_IMPORTANCE:
        return {}
    searched = sorted(searched, key=lambda row: (row["state"] == "stopped", row["lve_m2"]))
    space = SearchSpace(config.space, config.training)
    distributions = space.distributions()
    study = optuna.create_study(direction="minimize")
    for place, row in enumerate(searched):
        study.add_trial(
            optuna.trial.create_trial(
                params=space.labels_of(row["point"]), distributions=distributions, value=float(place)
            )
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
