"""The only list of ARKit channel names, their order, regions and mirror pairs.

The order is alphabetical (the one of 3D-ETF corpora), with `tongueOut` last. Files in the wild come in
other orders, so motion is always mapped by name, never by position.
"""

import re
from collections.abc import Iterable

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
_SEPARATORS = r"\s._:|/\-"
_NAMESPACE_END = re.compile(r"[.:|/]")
_SPELLABLE = re.compile(rf"[A-Za-z0-9{_SEPARATORS}]*")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SIDE_WORDS = {"l": "left", "left": "left", "r": "right", "right": "right"}
_PREFIX = re.compile(r"(?:(?:arkit|bs|blendshapes?|shapekeys?|shapes?|morphtargets?|morphs?|face|head)[0-9]*)+")
"""Words that exporters put before a shape's name, saying that it is one or of what."""


def canonical_name(name: str) -> str | None:
    """The ARKit name behind a name as other programs write it; None when it is none.

    Understood, in any capitalisation: `mouthSmileLeft`, `MouthSmileLeft`, `mouth_smile_left`, `mouth-smile-left`,
    `mouthSmile_L`, `mouthSmile.L`, `mouthSmileL`, `LeftMouthSmile`, `L_mouthSmile`, `mouth_L_smile`; before it anything
    that ends in `.`, `:`, `|` or `/` (`blendShape1.jawOpen`, `Rig:jawOpen`) and words such as `ARKit_`, `BS_`, `head_`.
    Nothing is guessed: every letter and digit beside these belongs to the name, `jawOpen2` is no ARKit name.
    """
    if not _SPELLABLE.fullmatch(name):
        return None
    parts = _NAMESPACE_END.split(name)
    spellings = (_plain(" ".join(parts[start:])) for start in range(len(parts)))
    return next((_CANONICAL[spelling] for spelling in spellings if spelling in _CANONICAL), None)


def _plain(name: str) -> str:
    """Lower case without separators and prefixes, and the side, if one is named, at the end."""
    words = [word.lower() for word in _WORD.findall(name)]
    sides = [_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS]
    if len(sides) > 1:
        return ""
    plain = "".join(word for word in words if word not in _SIDE_WORDS)
    if prefix := _PREFIX.match(plain):
        plain = plain[prefix.end() :]
    return plain + sides[0] if sides else re.sub(r"^(left|right)(.+)$", r"\2\1", plain)


def is_arkit(names: Iterable[str]) -> bool:
    """Whether all channels are weights of ARKit, in [0, 1], and not coordinates of vertices, say."""
    return all(name in CHANNEL_INDEX for name in names)
