"""The only list of ARKit channel names, their order, regions and mirror pairs.

The order is alphabetical (the one of 3D-ETF corpora), with `tongueOut` last. Files in the wild come in
other orders, so motion is always mapped by name, never by position.
"""

import re

CHANNELS: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
NUM_CHANNELS = len(CHANNELS)

CHANNEL_INDEX: dict[str, int] = {name: index for index, name in enumerate(CHANNELS)}

LIP_CHANNELS: tuple[int, ...] = tuple(range(22, 49))
"""Jaw and mouth channels: the lip set of the coefficient metrics."""

UPPER_FACE_CHANNELS: tuple[int, ...] = (*range(0, 5), *range(6, 22), 49, 50)
"""Brow, cheek squint, eye and nose channels: the upper set of the coefficient metrics."""

_SIDES = {"Left": "Right", "Right": "Left"}


def mirrored_name(name: str) -> str:
    """The channel that the left/right mirror image of `name` moves (itself when it has no side)."""
    return re.sub(r"(Left|Right)$", lambda match: _SIDES[match.group()], name)


MIRROR_PERMUTATION: tuple[int, ...] = tuple(CHANNEL_INDEX[mirrored_name(name)] for name in CHANNELS)
"""`motion[:, MIRROR_PERMUTATION]` is the motion of the face seen in a mirror."""

_CANONICAL = {name.lower(): name for name in CHANNELS}


def canonical_name(name: str) -> str | None:
    """The ARKit name behind `jawOpen`, `JawOpen`, `mouthSmile_L`, `eyeBlinkLeft ` ...; None if it is none of them."""
    plain = re.sub(r"[\s.]", "", name)
    plain = re.sub(r"_?L$", "Left", plain) if re.search(r"(_L|[a-z]L)$", plain) else plain
    plain = re.sub(r"_?R$", "Right", plain) if re.search(r"(_R|[a-z]R)$", plain) else plain
    return _CANONICAL.get(plain.replace("_", "").lower())
