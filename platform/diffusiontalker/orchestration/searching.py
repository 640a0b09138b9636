"""How Ray Tune is steered: where to look next, which trials to stop early, and what a person sees of it."""

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from diffusiontalker.config import ConfigError
from diffusiontalker.evaluation.pareto import domination_ranks
from diffusiontalker.orchestration.candidates import Candidate, Candidates, beyond
from diffusiontalker.orchestration.progress import clock
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_trial import parameters_of

logger = logging.getLogger(__name__)

OBJECTIVES = ("lve_m2", "file_bytes", "rtf")
"""What a search makes small."""
_DRAWS = 50
"""Draws of the sampler in search of one student that is within the budget and new."""
_BLIND_DRAWS = 500
"""Further draws at random: a sampler that has made up its mind repeats itself."""


class StudentSearch(OptunaSearch):
    """Multi-objective Optuna search that suggests presets first, and only what is within the budget and new."""

    def __init__(self, config: SearchJobConfig, candidates: Candidates) -> None:
        samplers = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=config.seed, n_startup_trials=5),
            "random": lambda: optuna.samplers.RandomSampler(seed=config.seed),
            "grid": lambda: optuna.samplers.RandomSampler(seed=config.seed),
        }
        grid = None
        if config.sampler == "grid":
            grid = [candidates.space.labels_of(point) for point in candidates.space.grid()]
        super().__init__(
            space=dict(candidates.space.distributions()),
            metric=list(OBJECTIVES),
            mode=["min"] * len(OBJECTIVES),
            sampler=samplers[config.sampler](),
            points_to_evaluate=grid,
        )
        self._budget, self._candidates = config.budget, candidates
        self._presets = deque(config.presets)
        self._tried: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next student as Tune hands it to its trial; `FINISHED` when nothing new is left."""
        if self._presets:
            return parameters_of(self._candidates.preset(self._presets.popleft()))
        study = self._ot_study
        assert study is not None
        own, blind = study.sampler, optuna.samplers.RandomSampler(seed=len(study.trials))
        try:
            for draw in range(_DRAWS + _BLIND_DRAWS):
                study.sampler = own if draw < _DRAWS else blind
                candidate = self._candidate(super().suggest(trial_id) or {})
                if candidate is not None:
                    return parameters_of(candidate)
                study.tell(self._ot_trials.pop(trial_id), state=optuna.trial.TrialState.FAIL)
        finally:
            study.sampler = own
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study, which knows nothing of presets."""
        if trial_id in self._ot_trials:
            has_figures = bool(result) and all(result.get(name) is not None for name in OBJECTIVES)
            super().on_trial_complete(trial_id, result if has_figures else None, error=error or not has_figures)

    def _candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        """None for what does not fit together, is beyond the budget, or was tried."""
        try:
            candidate = self._candidates.at(self._candidates.space.point_of(parameters))
        except ConfigError:
            return None
        key = str(sorted(parameters.items()))
        if key in self._tried or beyond(self._budget, candidate.cost):
            return None
        self._tried.add(key)
        return candidate


class ParetoHalving(FIFOScheduler):
    """Successive halving for several objectives: stops what others dominate after as many training steps.

    A trial that nothing dominates always goes on, however large its error: it may be the best of its size.
    Source: asynchronous successive halving (Li et al. 2018, arXiv 1810.05934) with trials ranked by non-dominated
    sorting (Schmucker et al. 2021, arXiv 2106.12639).
    """

    def __init__(self, *, halving_factor: int) -> None:
        super().__init__()
        self._factor = halving_factor
        self._measured: dict[int, dict[str, tuple[float, ...]]] = {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP when the trial is dominated and not among the first 1 / factor of those measured at this step."""
        peers = self._measured.setdefault(result["step"], {})
        peers[trial.trial_id] = tuple(result[name] for name in OBJECTIVES)
        ranks = dict(zip(peers, domination_ranks(np.asarray(list(peers.values()))), strict=True))
        rank = ranks[trial.trial_id]
        better = sum(other < rank for other in ranks.values())
        if rank and better * self._factor >= len(peers) >= self._factor:
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE


class SearchProgress(Callback):
    """One line per measurement: which trial, how far, what came out, and how long the rest may take."""

    def __init__(self, *, num_trials: int, num_steps: int) -> None:
        self._num_trials, self._num_steps = num_trials, num_steps
        self._ended_now, self._begin_s = 0, 0.0

    def setup(self, *args: Any, **info: Any) -> None:
        """Starts the clock, anew in every start of the search."""
        self._ended_now, self._begin_s = 0, time.monotonic()

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """Says what is tried."""
        cost = trial.config["cost"]
        logger.info(
            "%s: %s; %.2f MB, %.2f ms per second of audio",
            self._title(trial, trials), trial.config["name"], cost["file_bytes"] / 1e6, cost["rtf"] * 1e3,
        )  # fmt: skip

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Says what was measured."""
        logger.info(
            "%s: step %d of %d, LVE %.3f, EVE %.3f (10⁻⁵ m²), |FDD| %.2f (10⁻⁷ m²)",
            self._title(trial, trials), result["step"], self._num_steps,
            result["lve_m2"] * 1e5, result["eve_m2"] * 1e5, result["fdd_abs"] * 1e7,
        )  # fmt: skip

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """Says what is left."""
        stopped = trial.last_result.get("step", 0) < self._num_steps
        logger.info(
            "%s: %s; %s", self._title(trial, trials), "stopped early" if stopped else "done", self._rest(trials)
        )

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """Says what failed; the search goes on."""
        logger.warning("%s: failed, the search goes on; %s", self._title(trial, trials), self._rest(trials))

    def _title(self, trial: Trial, trials: Sequence[Trial]) -> str:
        return f"trial {trials.index(trial) + 1} of {self._num_trials}"

    def _rest(self, trials: Sequence[Trial]) -> str:
        """From the mean time of the trials that this start of the search has ended."""
        self._ended_now += 1
        left = self._num_trials - sum(trial.is_finished() for trial in trials)
        seconds = (time.monotonic() - self._begin_s) / self._ended_now * left
        return f"about {clock(seconds)} remaining" if left > 0 else "that was the last"
