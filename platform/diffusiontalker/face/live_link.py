"""Live Link Face, Epic's app: the channels of its recordings and packets, its timecode and packets.

Source: header of the app's recordings; `EARFaceBlendShape` of Unreal Engine for packets. The two orders differ (jaw and
mouth, left and right), which is why recordings must be read by name.
"""

import bisect
import itertools
import struct
from collections.abc import Mapping
from fractions import Fraction

_SIDES = ("Left", "Right")
_EYE_PARTS = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_EYES = tuple(f"eye{part}{side}" for side in _SIDES for part in _EYE_PARTS)
_REST = (
    *(f"mouth{part}{side}" for part in ("Smile", "Frown", "Dimple", "Stretch") for side in _SIDES),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    *(f"mouth{part}{side}" for part in ("Press", "LowerDown", "UpperUp") for side in _SIDES),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip

PACKET_CHANNELS: tuple[str, ...] = (
    *_EYES, "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", *_REST,
)  # fmt: skip
"""ARKit names in the order of packets."""

CSV_CHANNELS: tuple[str, ...] = (
    *_EYES, "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft", *_REST,
)  # fmt: skip
"""ARKit names in the order of recordings."""

ROTATIONS: tuple[str, ...] = tuple(
    f"{part}{axis}" for part, axis in itertools.product(("Head", "LeftEye", "RightEye"), ("Yaw", "Pitch", "Roll"))
)
"""What follows the channels in both."""

_PACKET_VERSION = 6

NUM_VALUES = len(PACKET_CHANNELS) + len(ROTATIONS)
"""61: channels and rotations."""

TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 100, 120, 240)
"""Frames that a second of a timecode usually has."""
DEFAULT_TIMECODE_RATE = 60
"""The app's own."""


def timecode_rate(at_least: float) -> int:
    """The smallest usual number of frames a second that is not below `at_least`; beyond them, the next whole one."""
    place = bisect.bisect_left(TIMECODE_RATES, at_least)
    return TIMECODE_RATES[place] if place < len(TIMECODE_RATES) else -int(-at_least // 1)


def timecode(frame: int, *, fps: float) -> str:
    """When a frame is valid, as `HH:MM:SS:FF.sss`; the last number counts frames of `timecode_rate(fps)`.

    It is the true time also where the frame rate is no whole number, and starts again after a day.
    """
    rate = timecode_rate(fps)
    seconds, thousandths = divmod(round(frame * 1000 * rate / fps), 1000 * rate)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours % 24:02}:{minute:02}:{second:02}:{thousandths // 1000:02}.{thousandths % 1000:03}"


def packet(
    weights: Mapping[str, float], *, frame: int, fps: float, subject: str, device_id: str = "diffusiontalker"
) -> bytes:
    """One frame as the app sends it over UDP.

    Args:
        weights: by ARKit name; those that are missing, and the rotations, are 0.
        frame: number since midnight.
        fps: frames per second.
        subject: what Unreal Engine lists; ASCII.
        device_id: names the sender; ASCII. The app sends a UUID of 36 characters.
    """
    rate = Fraction(fps).limit_denominator(1001)
    values = [weights.get(name, 0.0) for name in PACKET_CHANNELS] + [0.0] * len(ROTATIONS)
    return (
        struct.pack("!B", _PACKET_VERSION)
        + _text(device_id)
        + _text(subject)
        + struct.pack("!ifii", frame, 0.0, rate.numerator, rate.denominator)
        + struct.pack(f"!B{NUM_VALUES}f", NUM_VALUES, *values)
    )


def _text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return struct.pack("!i", len(encoded)) + encoded
