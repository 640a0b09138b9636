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
from diffusiontalker.orchestration.bulk_progress import clock
from diffusiontalker.orchestration.candidates import Candidate, Candidates
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_space import LOOK_AHEAD_KEYS
from diffusiontalker.orchestration.search_trial import parameters_of

logger = logging.getLogger(__name__)

OBJECTIVES = ("lve_m2", "file_bytes", "rtf")
"""What every search makes small."""
LOOK_AHEAD = "look_ahead_s"
"""What a search also makes small when its space or its budget is about it."""
_DRAWS = 50
"""Draws of the sampler in search of one student that is within the budget and new."""
_BLIND_DRAWS = 500
"""Further draws at random: a sampler that has made up its mind repeats itself."""


def objectives_of(config: SearchJobConfig) -> tuple[str, ...]:
    """What this search makes small: names of figures that trials report."""
    is_about_streams = config.budget.max_look_ahead_ms > 0 or not config.space.keys().isdisjoint(LOOK_AHEAD_KEYS)
    return (*OBJECTIVES, LOOK_AHEAD) if is_about_streams else OBJECTIVES


class StudentSearch(OptunaSearch):
    """Multi-objective Optuna search that suggests presets first, and then only what is within the budget and new.

    A trial that was stopped early is told with what it had reached: it was dominated, so looking elsewhere is right.
    """

    def __init__(self, config: SearchJobConfig, candidates: Candidates) -> None:
        grid = list(candidates.space.grid()) if config.sampler == "grid" else []
        sampler = (
            optuna.samplers.TPESampler(seed=config.seed, n_startup_trials=5)
            if config.sampler == "tpe"
            else optuna.samplers.RandomSampler(seed=config.seed)
        )
        super().__init__(
            space=dict(candidates.space.distributions()),
            metric=list(objectives_of(config)),
            mode=["min"] * len(objectives_of(config)),
            sampler=sampler,
            points_to_evaluate=[candidates.space.labels_of(point) for point in grid] or None,
        )
        self._candidates = candidates
        self._presets = deque(config.presets)
        self._tried: set[str] = set()
        self._most_draws = max(_DRAWS + _BLIND_DRAWS, len(grid))
        self._most_s = 60.0 * config.max_minutes
        self._used_s, self._begin_s = 0.0, time.monotonic()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next student as Tune hands it to its trial; `FINISHED` when time is up or nothing new is left."""
        if self._most_s and time.monotonic() - self._begin_s > self._most_s:
            logger.info("max_minutes are over, no new trial begins")
            return Searcher.FINISHED
        if self._presets:
            return parameters_of(self._candidates.preset(self._presets.popleft()))
        study = self._ot_study
        assert study is not None
        own, blind = study.sampler, optuna.samplers.RandomSampler(seed=len(study.trials))
        try:
            for draw in range(self._most_draws):
                study.sampler = own if draw < _DRAWS else blind
                candidate = self._candidate(super().suggest(trial_id) or {})
                if candidate is not None:
                    return parameters_of(candidate)
                study.tell(self._ot_trials.pop(trial_id), state=optuna.trial.TrialState.FAIL)
        finally:
            study.sampler = own
        logger.info("no further student within the budget in %d draws, no new trial begins", self._most_draws)
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the study, which knows nothing of presets."""
        if trial_id in self._ot_trials:
            has_figures = bool(result) and all(result.get(name) is not None for name in self._metric)
            super().on_trial_complete(trial_id, result if has_figures else None, error=error or not has_figures)

    def save(self, checkpoint_path: str) -> None:
        """Stores what was tried, not the teacher: this happens every second."""
        self._used_s = time.monotonic() - self._begin_s
        candidates = self.__dict__.pop("_candidates")
        try:
            super().save(checkpoint_path)
        finally:
            self._candidates = candidates

    def restore(self, checkpoint_path: str) -> None:
        """Goes on from what was stored, with the candidates that are there."""
        super().restore(checkpoint_path)
        self._begin_s = time.monotonic() - self._used_s

    def _candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        """None for what does not fit together, is beyond the budget, or was tried."""
        key = str(sorted(parameters.items()))
        if key in self._tried:
            return None
        self._tried.add(key)
        try:
            return self._candidates.at(self._candidates.space.point_of(parameters))
        except ConfigError:
            return None


class ParetoHalving(FIFOScheduler):
    """Successive halving for several objectives: stops what others dominate after as many training steps.

    A trial that nothing dominates always goes on, however large its error: it may be the best of its size.
    Source: asynchronous successive halving (Li et al. 2018, arXiv 1810.05934) with trials ranked by non-dominated
    sorting (Schmucker et al. 2021, arXiv 2106.12639).
    """

    _objectives: tuple[str, ...] = OBJECTIVES  # of searches that go on and have not stored it

    def __init__(self, *, halving_factor: int, memory: "HalvingMemory", objectives: Sequence[str] = OBJECTIVES) -> None:
        super().__init__()
        self._factor, self._memory, self._objectives = halving_factor, memory, tuple(objectives)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP when the trial is dominated and not among the first 1 / factor of those measured at this step."""
        peers = self._memory.measured.setdefault(result["step"], {})
        peers[trial.trial_id] = tuple(result[name] for name in self._objectives)
        ranks = dict(zip(peers, domination_ranks(np.asarray(list(peers.values()))), strict=True))
        rank = ranks[trial.trial_id]
        better = sum(other < rank for other in ranks.values())
        if rank and better * self._factor >= len(peers) >= self._factor:
            return TrialScheduler.STOP
        return TrialScheduler.CONTINUE


class HalvingMemory(Callback):
    """What `ParetoHalving` has measured: Tune restores the state of callbacks, not that of schedulers."""

    def __init__(self) -> None:
        self.measured: dict[int, dict[str, tuple[float, ...]]] = {}
        """Training steps -> trial -> objectives."""

    def get_state(self) -> dict[str, Any]:
        """What a later start of the search needs."""
        return {"measured": self.measured}

    def set_state(self, state: dict[str, Any]) -> None:
        """In place: the scheduler holds the same object."""
        self.measured.clear()
        self.measured.update(state["measured"])


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
            self._title(trial), trial.config["name"], cost["file_bytes"] / 1e6, cost["rtf"] * 1e3,
        )  # fmt: skip

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Says what was measured."""
        logger.info(
            "%s: step %d of %d, LVE %.3f, EVE %.3f (10⁻⁵ m²), |FDD| %.2f (10⁻⁷ m²)",
            self._title(trial), result["step"], self._num_steps,
            result["lve_m2"] * 1e5, result["eve_m2"] * 1e5, result["fdd_abs"] * 1e7,
        )  # fmt: skip

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """Says what is left."""
        how = "done" if trial.last_result.get("step", 0) >= self._num_steps else "stopped early"
        logger.info("%s: %s; %s", self._title(trial), how, self._rest(trials, trial))

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """Says what failed; the search goes on."""
        logger.warning("%s: failed, the search goes on; %s", self._title(trial), self._rest(trials, trial))

    def _title(self, trial: Trial) -> str:
        """Numbered as they were suggested, which Tune keeps in the tag through every restart."""
        return f"trial {(trial.experiment_tag or '').partition('_')[0]} of {self._num_trials}"

    def _rest(self, trials: Sequence[Trial], ended: Trial) -> str:
        """From the mean time of the trials that this start of the search has ended."""
        self._ended_now += 1
        left = self._num_trials - sum(trial.is_finished() or trial is ended for trial in trials)
        seconds = (time.monotonic() - self._begin_s) / self._ended_now * left
        return f"about {clock(seconds)} remaining" if left > 0 else "that was the last"
