"""The model's coefficients as the weights that an Audio2Face-3D client asked for: its names, its order, its scaling.

`weight = coefficient * multiplier + offset`, clamped to [0, 1] on request only, as Audio2Face-3D does. Clients map by
the names of the stream's header; the order here is Apple's, from `EyeBlinkLeft` to `TongueOut`, for those that do not.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from diffusiontalker.face.arkit import CHANNEL_INDEX, canonical_name
from diffusiontalker.serving.a2f.generated.a2f_pb2 import BlendShapeParameters
from diffusiontalker.serving.errors import ServingError

A2F_ORDER: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft",
    "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The channels of `face.arkit` in the order in which Apple documents them and Audio2Face-3D lists them."""


def pascal_name(name: str) -> str:
    """`JawOpen` for `jawOpen`."""
    return name[:1].upper() + name[1:]


class BlendShapes:
    """How the frames of one stream become the weights its client gets.

    The names are the 52 of ARKit, whatever the model predicts: those it does not are 0 before multiplier and offset,
    and what it predicts beyond them follows.

    Args:
        channel_names: what the model's coefficients are called.
        parameters: what the client asked for.

    Raises:
        ServingError: `invalid_parameter` for a multiplier or an offset that is NaN or infinite.
    """

    def __init__(self, channel_names: Sequence[str], parameters: BlendShapeParameters) -> None:
        extra = [name for name in channel_names if name not in CHANNEL_INDEX]
        channels = (*A2F_ORDER, *extra)
        index = {name: position for position, name in enumerate(channel_names)}
        self.names: tuple[str, ...] = tuple(pascal_name(name) for name in channels)
        """What the weights are called, in their order."""
        self._targets = np.array([position for position, name in enumerate(channels) if name in index], np.int64)
        self._sources = np.array([index[name] for name in channels if name in index], np.int64)
        self._is_clamped = parameters.enable_clamping_bs_weight
        positions = {name: position for position, name in enumerate(self.names)}
        self._multipliers, unknown_multipliers = _by_position(
            parameters.bs_weight_multipliers, positions, neutral=1.0, what="bs_weight_multipliers"
        )
        self._offsets, unknown_offsets = _by_position(
            parameters.bs_weight_offsets, positions, neutral=0.0, what="bs_weight_offsets"
        )
        self.unknown_names: tuple[str, ...] = tuple(sorted(unknown_multipliers | unknown_offsets))
        """Blend shapes that the client wanted changed and that do not exist here."""

    def weights(self, coefficients: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, "frames weights"]:
        """The weights to send, in the order of `names`."""
        weights = np.zeros((len(coefficients), len(self.names)), np.float32)
        weights[:, self._targets] = coefficients[:, self._sources]
        weights = weights * self._multipliers + self._offsets
        return np.clip(weights, 0.0, 1.0) if self._is_clamped else weights


def _by_position(
    wanted: Mapping[str, float], positions: Mapping[str, int], *, neutral: float, what: str
) -> tuple[np.ndarray, set[str]]:
    """(weights,) values and the names nobody knows; a neutral value for one of those asks for nothing and is fine.

    Audio2Face-3D's sample configurations list 16 blend shapes of the tongue that way.
    """
    values, unknown = np.full(len(positions), neutral, np.float32), set()
    for name, value in wanted.items():
        if not math.isfinite(value):
            raise ServingError("invalid_parameter", f"{what}[{name!r}] is {value}, expected a finite number")
        position = positions.get(name, positions.get(pascal_name(canonical_name(name) or "")))
        if position is not None:
            values[position] = value
        elif value != neutral:
            unknown.add(name)
    return values, unknown
