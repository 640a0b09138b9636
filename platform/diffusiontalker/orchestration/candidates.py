"""The students a search may try: a point of the space or a preset, its network, and what that costs.

Bytes and operations are counted, speed is measured, all before anything is trained: see `evaluation.cost`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from diffusiontalker.config import ConfigError
from diffusiontalker.evaluation import Cost, cost_of
from diffusiontalker.inference import Bundle
from diffusiontalker.models import STUDENT_SIZES, TalkerConfig
from diffusiontalker.orchestration.search_plan import BudgetConfig, SearchJobConfig
from diffusiontalker.orchestration.search_space import STEPS_KEY, Point, SearchSpace
from diffusiontalker.training import DistillationObjectiveConfig, TrainingConfig, student_of


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One student that can be trained."""

    name: str
    """For people: sizes and steps, or the preset's name."""
    point: Point
    """Values of the space's keys; empty for a preset."""
    training: TrainingConfig
    """How it is trained."""
    cost: Cost


class Candidates:
    """Turns points and presets into candidates, and remembers what each network costs.

    Args:
        config: the search.
        teacher: whose labels, statistics and prototypes students have.

    Raises:
        ConfigError: when the space is none, or nothing in it is within the budget.
    """

    def __init__(self, config: SearchJobConfig, teacher: Bundle) -> None:
        self.space = SearchSpace(config.space, config.training)
        self._config, self._teacher = config, teacher
        self._costs: dict[str, Cost] = {}
        smallest = self.at(self.space.smallest())
        reasons = beyond(config.budget, smallest.cost)
        if reasons:
            raise ConfigError(
                f"no student of this space is within the budget: the smallest ({smallest.name}) takes "
                f"{' and '.join(reasons)}; raise the budget to that, or add smaller choices to the space"
            )

    def at(self, point: Mapping[str, Any]) -> Candidate:
        """The candidate at a point of the space.

        Raises:
            ConfigError: when the values do not fit together, or to the teacher.
        """
        training = self.space.config_of(point)
        return self._candidate(_described(training, point), dict(point), training)

    def preset(self, size: str) -> Candidate:
        """A hand-made size."""
        objective = self._config.training.objective
        assert isinstance(objective, DistillationObjectiveConfig)
        steps = self._config.preset_steps
        training = dataclasses.replace(
            self._config.training,
            talker=STUDENT_SIZES[size],
            objective=dataclasses.replace(objective, student_steps=steps),
        )
        return self._candidate(f"{size} (preset), {_steps(steps)}", {}, training)

    def _candidate(self, name: str, point: Point, training: TrainingConfig) -> Candidate:
        objective = training.objective
        assert isinstance(objective, DistillationObjectiveConfig)
        key = f"{training.talker} {objective.student_steps}"
        if key not in self._costs:
            self._costs[key] = cost_of(self._untrained(training.talker, steps=objective.student_steps))
        return Candidate(name=name, point=point, training=training, cost=self._costs[key])

    def _untrained(self, talker: TalkerConfig, *, steps: int) -> Bundle:
        with torch.random.fork_rng(devices=[]):
            student = student_of(self._teacher.talker, talker).eval()
        sampling = dataclasses.replace(self._teacher.sampling, num_steps=steps)
        return Bundle(talker=student, sampling=sampling, precision=self._config.precision)


def beyond(budget: BudgetConfig, cost: Cost) -> list[str]:
    """What of a cost is beyond the budget, for people; empty: nothing."""
    megabytes, ms_per_s = cost.file_bytes / 1e6, cost.rtf * 1e3
    reasons = []
    if budget.max_megabytes and megabytes > budget.max_megabytes:
        reasons.append(f"{megabytes:.2f} MB (budget.max_megabytes is {budget.max_megabytes:g})")
    if budget.max_ms_per_s and ms_per_s > budget.max_ms_per_s:
        reasons.append(f"{ms_per_s:.2f} ms per second of audio (budget.max_ms_per_s is {budget.max_ms_per_s:g})")
    return reasons


def steps_of(training: TrainingConfig) -> int:
    """Diffusion steps of the student that is trained."""
    assert isinstance(training.objective, DistillationObjectiveConfig)
    return training.objective.student_steps


def _described(training: TrainingConfig, point: Mapping[str, Any]) -> str:
    """Width times blocks of both stacks, steps, and whatever else varies."""
    stacks = {"encoder": training.talker.encoder, "denoiser": training.talker.denoiser}
    parts = [f"{name} {stack.width}x{len(stack.dilations)}" for name, stack in stacks.items()]
    said = {f"talker.{name}.{field}" for name in stacks for field in ("width", "dilations")} | {STEPS_KEY}
    rest = [f"{key.rpartition('.')[2]} {value:.3g}" for key, value in point.items() if key not in said]
    return ", ".join([*parts, _steps(steps_of(training)), *rest])


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"
