"""The students a search may try: a point of the space or a preset, its network, and what that costs.

Bytes, operations and look-ahead are counted, speed is measured, all before anything is trained: see `evaluation.cost`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch

from diffusiontalker.config import ConfigError
from diffusiontalker.evaluation import Cost, look_ahead_s, one_core_speeds, operations_per_s
from diffusiontalker.inference import Bundle
from diffusiontalker.models import STUDENT_SIZES, TalkerConfig
from diffusiontalker.orchestration.search_plan import SearchJobConfig
from diffusiontalker.orchestration.search_space import LOOK_AHEAD_KEYS, STEPS_KEY, Point, SearchSpace
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
    """Turns points and presets into candidates, and remembers how fast each network is.

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
        except BeyondLookAheadError:
            self._require_some_look_ahead()
        except BeyondBudgetError as error:
            raise ConfigError(
                f"no student of this space is within the budget: {error}, and nothing in the space is smaller; raise "
                "the budget to that, or add smaller choices to the space"
            ) from None

    def _require_some_look_ahead(self) -> None:
        """Least of all is not what the smallest student needs: a long stack of short reach may need less."""
        trainings = [self.space.config_of(point) for point in self.space.reaches()]
        bundles = (self._untrained(training.talker, steps=steps_of(training)) for training in trainings)
        least_s = min((needed for bundle in bundles if (needed := look_ahead_s(bundle)) is not None), default=math.inf)
        limit = self._config.budget.max_look_ahead_ms
        if least_s > limit / 1e3:
            raise ConfigError(
                f"no student of this space is within the budget: streams of each wait for {1e3 * least_s:.1f} ms of "
                f"sound or more (budget.max_look_ahead_ms is {limit:g}); raise the budget to that, or let the space "
                f"choose {' and '.join(LOOK_AHEAD_KEYS)} from values such as [0, 1, 2, 4]"
            )

    def _candidate(self, name: str, point: Point, training: TrainingConfig) -> Candidate:
        bundle = self._untrained(training.talker, steps=steps_of(training))
        file_bytes, ahead_s, computation = bundle.file_bytes, look_ahead_s(bundle), computation_of(training)
        if point:
            self._require_within(name, file_bytes=file_bytes, ahead_s=ahead_s)
        if computation not in self._costs:
            self._costs[computation] = Cost(
                parameters=bundle.parameters,
                file_bytes=file_bytes,
                operations_per_s=operations_per_s(bundle),
                rtf=self._rtf(bundle),
                look_ahead_s=ahead_s,
            )
        cost = dataclasses.replace(self._costs[computation], file_bytes=file_bytes, look_ahead_s=ahead_s)
        if point:
            self._require_within(name, file_bytes=file_bytes, ahead_s=ahead_s, rtf=cost.rtf)
        return Candidate(name=name, point=point, training=training, cost=cost)

    def _require_within(self, name: str, *, file_bytes: int, ahead_s: float | None, rtf: float = 0.0) -> None:
        """Without a speed before it is measured, which takes longest."""
        budget = self._config.budget
        max_look_ahead_ms = getattr(budget, "max_look_ahead_ms", 0.0)  # searches that go on may not have stored it
        if budget.max_megabytes and file_bytes > budget.max_megabytes * 1e6:
            raise BeyondBudgetError(
                f"{name} takes {file_bytes / 1e6:.2f} MB (budget.max_megabytes is {budget.max_megabytes:g})"
            )
        if max_look_ahead_ms and (ahead_s is None or ahead_s > max_look_ahead_ms / 1e3):
            told = "cannot stream" if ahead_s is None else f"looks {1e3 * ahead_s:.1f} ms ahead"
            raise BeyondLookAheadError(f"{name} {told} (budget.max_look_ahead_ms is {max_look_ahead_ms:g})")
        if budget.max_ms_per_s and rtf > budget.max_ms_per_s / 1e3:
            raise BeyondBudgetError(
                f"{name} takes {1e3 * rtf:.2f} ms per second of audio (budget.max_ms_per_s is {budget.max_ms_per_s:g})"
            )

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


class BeyondLookAheadError(BeyondBudgetError):
    """A network that looks further ahead than the budget allows."""


def steps_of(training: TrainingConfig) -> int:
    """Diffusion steps of the student that is trained."""
    assert isinstance(training.objective, DistillationObjectiveConfig)
    return training.objective.student_steps


def computation_of(training: TrainingConfig) -> str:
    """What decides a student's operations and speed: its network but for how far that looks ahead, and its steps."""
    talker = training.talker
    anywhere = dataclasses.replace(
        talker,
        encoder=dataclasses.replace(talker.encoder, look_ahead_frames=None),
        denoiser=dataclasses.replace(talker.denoiser, look_ahead_frames=None),
    )
    return f"{anywhere} {steps_of(training)}"


def _described(training: TrainingConfig, point: Mapping[str, Any]) -> str:
    """Width times blocks of both stacks unless only their look-aheads vary, these, steps, and whatever else varies."""
    stacks = {"encoder": training.talker.encoder, "denoiser": training.talker.denoiser}
    parts = []
    for name, stack in stacks.items():
        size = [] if set(point) <= set(LOOK_AHEAD_KEYS) else [f"{stack.width}x{len(stack.dilations)}"]
        frames = stack.look_ahead_frames
        ahead = ["symmetric" if frames is None else f"{frames} ahead"] if set(point) & set(LOOK_AHEAD_KEYS) else []
        parts.append(" ".join([name, *size, *ahead]))
    said = {f"talker.{name}.{field}" for name in stacks for field in ("width", "dilations")}
    said |= {*LOOK_AHEAD_KEYS, STEPS_KEY}
    rest = [f"{key.rpartition('.')[2]} {value:.3g}" for key, value in point.items() if key not in said]
    return ", ".join([*parts, _steps(steps_of(training)), *rest])


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"
