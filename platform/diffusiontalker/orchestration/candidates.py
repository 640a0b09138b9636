"""The students a search may try: a point of the space or a preset, its network, and what that costs.

Bytes and operations are counted, speed is measured, all before anything is trained: see `evaluation.cost`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from diffusiontalker.config import ConfigError
from diffusiontalker.evaluation import Cost, one_core_speeds, operations_per_s
from diffusiontalker.inference import Bundle
from diffusiontalker.models import STUDENT_SIZES, TalkerConfig
from diffusiontalker.orchestration.search_plan import SearchJobConfig
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

    Speeds are measured beside one network that was measured at the start, before any trial ran, and are given as they
    would have been then: trials that run at the same time slow down both alike.

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
        self._yardstick = self._untrained(STUDENT_SIZES["nano"] if config.presets else config.training.talker, steps=1)
        self._yardstick_rtf = one_core_speeds({"yardstick": self._yardstick}, repeats=9)["yardstick"]
        self._require_something()

    def at(self, point: Mapping[str, Any]) -> Candidate:
        """The candidate at a point of the space.

        Raises:
            ConfigError: when the values do not fit together or to the teacher, or the network is beyond the budget.
        """
        training = self.space.config_of(point)
        return self._candidate(_described(training, point), dict(point), training)

    def preset(self, size: str) -> Candidate:
        """A hand-made size, whatever the budget: searched students are compared with it."""
        objective = self._config.training.objective
        assert isinstance(objective, DistillationObjectiveConfig)
        steps = self._config.preset_steps
        training = dataclasses.replace(
            self._config.training,
            talker=STUDENT_SIZES[size],
            objective=dataclasses.replace(objective, student_steps=steps),
        )
        return self._candidate(f"{size} (preset), {_steps(steps)}", {}, training)

    def _require_something(self) -> None:
        point = self.space.smallest()
        try:
            self.space.config_of(point)
        except ConfigError:  # the least values do not fit together; which ones do will be seen
            return
        try:
            self.at(point)
        except BeyondBudgetError as error:
            raise ConfigError(
                f"no student of this space is within the budget: {error}, and nothing in the space is smaller; raise "
                "the budget to that, or add smaller choices to the space"
            ) from None

    def _candidate(self, name: str, point: Point, training: TrainingConfig) -> Candidate:
        steps = steps_of(training)
        key = f"{training.talker} {steps}"
        if key not in self._costs:
            bundle = self._untrained(training.talker, steps=steps)
            if point:
                self._require_within_size(name, bundle)
            self._costs[key] = Cost(
                parameters=bundle.parameters,
                file_bytes=bundle.file_bytes,
                operations_per_s=operations_per_s(bundle),
                rtf=self._rtf(bundle),
            )
        candidate = Candidate(name=name, point=point, training=training, cost=self._costs[key])
        ms_per_s, limit = 1e3 * candidate.cost.rtf, self._config.budget.max_ms_per_s
        if point and limit and ms_per_s > limit:
            raise BeyondBudgetError(
                f"{name} takes {ms_per_s:.2f} ms per second of audio (budget.max_ms_per_s is {limit:g})"
            )
        return candidate

    def _require_within_size(self, name: str, bundle: Bundle) -> None:
        megabytes, limit = bundle.file_bytes / 1e6, self._config.budget.max_megabytes
        if limit and megabytes > limit:
            raise BeyondBudgetError(f"{name} takes {megabytes:.2f} MB (budget.max_megabytes is {limit:g})")

    def _rtf(self, bundle: Bundle) -> float:
        speeds = one_core_speeds({"student": bundle, "yardstick": self._yardstick})
        return self._yardstick_rtf * speeds["student"] / speeds["yardstick"]

    def _untrained(self, talker: TalkerConfig, *, steps: int) -> Bundle:
        with torch.random.fork_rng(devices=[]):
            student = student_of(self._teacher.talker, talker).eval()
        sampling = dataclasses.replace(self._teacher.sampling, num_steps=steps)
        return Bundle(talker=student, sampling=sampling, precision=self._config.precision)


class BeyondBudgetError(ConfigError):
    """A network that costs more than the budget allows."""


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
