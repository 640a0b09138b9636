"""What a search may vary: dotted keys of a training's configuration, each with its choices or its range.

    talker.encoder.width: [64, 96, 128, 144]
    objective.student_steps: [1, 2, 4]
    optimizer.learning_rate: {low: 0.001, high: 0.004, log: true}

Everything is validated before the first trial: every value is put into the configuration it is meant for.
"""

import copy
import dataclasses
import difflib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from diffusiontalker.config import ConfigError, from_plain, to_plain
from diffusiontalker.training import TrainingConfig

STEPS_KEY = "objective.student_steps"
LOOK_AHEAD_KEYS = ("talker.encoder.look_ahead_frames", "talker.denoiser.look_ahead_frames")
_STACKS = ("talker.encoder.", "talker.denoiser.")
_REACH = (".look_ahead_frames", ".dilations", ".kernel_size")
_MAY_VARY = (*_STACKS, "talker.personalizer.", "optimizer.")
_WEIGHTS = tuple(f"objective.{name}_weight" for name in ("feature", "embedding", "enhancer", "dynamics", "truth"))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Every number between two."""

    low: float
    """Least value."""
    high: float
    """Greatest value."""
    log: bool = False
    """Whether equal ratios are equally likely, not equal differences."""

    def __post_init__(self) -> None:
        """Checks the order."""
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low is {self.low:g}, high is {self.high:g}, expected low < high, both positive with log: true"
            )


Value = int | float | tuple[int, ...] | None
Choices = tuple[Value, ...]
Space = dict[str, Choices | Range]
"""Dotted key -> values to choose from (lists for `dilations`, null for a look-ahead without limit), or a range."""

Point = dict[str, Any]
"""Dotted key -> value."""


class SearchSpace:
    """A validated space over a base configuration.

    Args:
        space: what varies.
        base: the configuration that points are put into.

    Raises:
        ConfigError: for an empty space, a key that does not exist or may not vary, or a value that its field refuses.
    """

    def __init__(self, space: Mapping[str, Choices | Range], base: TrainingConfig) -> None:
        if not space:
            raise ConfigError("space is empty; name at least one key, such as talker.encoder.width: [64, 96, 128]")
        self.space, self._base = dict(space), to_plain(base)
        for key, values in self.space.items():
            self._require_variable(key)
            if not _values(values):
                raise ConfigError(f"space.{key} is empty, expected at least one value")
            for value in _values(values):
                self.config_of({key: value})

    def config_of(self, point: Mapping[str, Any]) -> TrainingConfig:
        """The configuration of a point.

        Raises:
            ConfigError: when a value is refused.
        """
        plain = copy.deepcopy(self._base)
        for key, value in point.items():
            *path, last = key.split(".")
            owner = plain
            for part in path:
                owner = owner[part]
            owner[last] = value
        return from_plain(TrainingConfig, plain, source=f"space ({_text(point)})")

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's view. Lists travel as JSON text, see `point_of`."""
        return {
            key: FloatDistribution(values.low, values.high, log=values.log)
            if isinstance(values, Range)
            else CategoricalDistribution([_label(value) for value in values])
            for key, values in self.space.items()
        }

    def point_of(self, parameters: Mapping[str, Any]) -> Point:
        """The point that values drawn from `distributions` stand for."""
        return {key: json.loads(value) if isinstance(value, str) else value for key, value in parameters.items()}

    def labels_of(self, point: Mapping[str, Any]) -> Point:
        """The reverse of `point_of`."""
        return {key: value if isinstance(self.space[key], Range) else _label(value) for key, value in point.items()}

    def grid(self) -> Iterator[Point]:
        """Every combination of choices.

        Raises:
            ConfigError: when a key has a range.
        """
        for key, values in self.space.items():
            if isinstance(values, Range):
                raise ConfigError(
                    f"space.{key} is a range, a grid needs a list of values; list some, or set sampler tpe"
                )
        return (dict(zip(self.space, combination, strict=True)) for combination in itertools.product(*self._choices()))

    def smallest(self) -> Point:
        """The least value of every key: nothing in the space is smaller or faster."""
        return {key: min(_values(values), key=_size) for key, values in self.space.items()}

    def reaches(self) -> Iterator[Point]:
        """The smallest point with every combination of what decides how far a student looks ahead."""
        smallest = self.smallest()
        keys = [key for key in self.space if key == STEPS_KEY or (key.startswith(_STACKS) and key.endswith(_REACH))]
        for combination in itertools.product(*(_values(self.space[key]) for key in keys)):
            yield smallest | dict(zip(keys, combination, strict=True))

    @property
    def most_steps(self) -> int:
        """Most diffusion steps that a student of the space takes."""
        values = self.space.get(STEPS_KEY, (self._base["objective"]["student_steps"],))
        return max(value for value in _values(values) if isinstance(value, int))

    def _choices(self) -> Iterator[Choices]:
        return (values for values in self.space.values() if not isinstance(values, Range))

    def _require_variable(self, key: str) -> None:
        allowed = [name for name in _leaves(self._base) if name.startswith(_MAY_VARY) or name in (STEPS_KEY, *_WEIGHTS)]
        if key in allowed:
            return
        close = difflib.get_close_matches(key, allowed, n=1)
        hint = f"; perhaps you meant '{close[0]}'" if close else ""
        raise ConfigError(
            f"space names '{key}', which a search cannot vary{hint} (allowed: {', '.join(allowed)}; the rest is "
            "shared by all trials, as the teacher's paths are)"
        )


def _values(values: Choices | Range) -> Choices:
    """The choices, or a range's ends and something between them."""
    if isinstance(values, Range):
        return (values.low, values.high, values.low + 0.37 * (values.high - values.low))
    return values


def _size(value: Value) -> tuple[int, float]:
    """Orders numbers by themselves, lists by their length first, and no limit last."""
    if value is None:
        return 0, math.inf
    return (len(value), sum(value)) if isinstance(value, tuple) else (0, value)


def _label(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else value


def _text(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_label(value)}" for key, value in point.items())


def _leaves(plain: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
