"""What a rig can do and what looks wrong with it, in numbers: for people who bring one. Plain data and text."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from diffusiontalker.face.arkit import NUM_CHANNELS, mirrored_name
from diffusiontalker.face.rig import Rig
from diffusiontalker.face.rig_directions import OURS
from diffusiontalker.face.rig_files import RigReading
from diffusiontalker.face.rig_names import suggestion
from diffusiontalker.face.rig_units import doubt_about_units, eye_distance

STILL_MM = 0.05
"""A shape whose largest offset is below this moves nothing that could be seen."""

_MOVED_MM = 0.1
_LARGEST_MM = 120.0
_SAME_SHARE = 1e-3
_OPEN_GAP_MM = 1.0
_MIDDLE_SHARE = 0.25
_X, _Y, _Z = range(3)
_EXPECTED_WAYS = {
    "jawOpen": (_Y, -1), "jawForward": (_Z, +1), "jawLeft": (_X, +1), "jawRight": (_X, -1),
    "mouthLeft": (_X, +1), "mouthRight": (_X, -1), "mouthPucker": (_Z, +1), "mouthFunnel": (_Z, +1),
    "mouthSmileLeft": (_Y, +1), "mouthSmileRight": (_Y, +1), "mouthFrownLeft": (_Y, -1), "mouthFrownRight": (_Y, -1),
    "mouthUpperUpLeft": (_Y, +1), "mouthUpperUpRight": (_Y, +1),
    "mouthLowerDownLeft": (_Y, -1), "mouthLowerDownRight": (_Y, -1),
    "browInnerUp": (_Y, +1), "browOuterUpLeft": (_Y, +1), "browOuterUpRight": (_Y, +1),
    "browDownLeft": (_Y, -1), "browDownRight": (_Y, -1), "eyeBlinkLeft": (_Y, -1), "eyeBlinkRight": (_Y, -1),
    "noseSneerLeft": (_Y, +1), "noseSneerRight": (_Y, +1), "tongueOut": (_Z, +1),
}  # fmt: skip
"""The axis and the sign in which a shape moves the skin on the whole, where ARKit leaves no doubt."""
_AXIS_WORDS = {(_X, 1): "to the character's left", (_X, -1): "to the character's right", (_Y, 1): "up",
               (_Y, -1): "down", (_Z, 1): "forward", (_Z, -1): "back"}  # fmt: skip
_WHOLE_FACE_PAIRS = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShapeMotion:
    """What one shape does at coefficient 1."""

    name: str
    """ARKit name."""
    source_name: str
    """Name in the file."""
    largest_mm: float
    """Largest offset of a vertex."""
    num_moved: int
    """Vertices that move by more than 0.1 mm."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RigSummary:
    """Everything `inspect_rig` finds."""

    reading: RigReading
    """The rig and how its file was understood."""
    shapes: tuple[ShapeMotion, ...]
    """In the order of the file."""
    eye_distance_mm: float | None
    """Between the eyes; 54 to 74 in adults; None when a blink is missing."""
    lip_gap_mm: float | None
    """Between the lips at rest, in the middle of the mouth; below 0 where they overlap; None when unknown."""
    jaw_gap_mm: float | None
    """The same with jawOpen at 1."""
    warnings: tuple[str, ...]
    """What deserves a look."""

    def text(self) -> str:
        """The summary for people."""
        reading, rig = self.reading, self.reading.rig
        lines = [
            f"{reading.source}: {rig.num_vertices} vertices, {len(rig.triangles)} triangles",
            f"  units        {reading.units} ({reading.units_from})",
            f"  head         {_size_cm(rig.neutral)} cm (width x height x depth){self._eyes()}",
            f"  lips         {_region(rig, rig.lip_vertices)}{self._mouth()}",
            f"  upper face   {_region(rig, rig.upper_face_vertices)}",
            f"  direction    {self._direction()}",
            f"  ARKit shapes {len(rig.shape_names)} of {NUM_CHANNELS}; "
            f"missing: {', '.join(rig.missing_shapes) or 'none'}",
            "",
            *self._shape_table(),
        ]
        if reading.foreign:
            lines += ["", f"  {len(reading.foreign)} shapes of the file are none of ARKit's and are left out:"]
            lines += [f"    {name}{suggestion(name)}" for name in reading.foreign]
        lines += ["", *(f"  warning: {warning}" for warning in self.warnings)] if self.warnings else []
        return "\n".join(lines)

    def _eyes(self) -> str:
        return "" if self.eye_distance_mm is None else f"; eyes {self.eye_distance_mm / 10:.1f} cm apart"

    def _mouth(self) -> str:
        if self.lip_gap_mm is None:
            return ""
        state = "closed" if self.lip_gap_mm <= _OPEN_GAP_MM else f"open by {self.lip_gap_mm:.1f} mm"
        jaw = "" if self.jaw_gap_mm is None else f", {max(0.0, self.jaw_gap_mm):.0f} mm open with jawOpen"
        return f"; mouth {state} at rest{jaw}"

    def _direction(self) -> str:
        found, turned = self.reading.found, self.reading.turned_from
        if turned is not None:
            return f"{turned.text()} in the file; turned to {OURS.text()}"
        return f"{OURS.text()}, taken for granted: the shapes do not tell" if found is None else found.text()

    def _shape_table(self) -> Iterator[str]:
        widths = [
            max(map(len, column))
            for column in zip(
                *((shape.name, shape.source_name) for shape in self.shapes), ("ARKit", "in the file"), strict=True
            )
        ]
        yield f"  {'ARKit':{widths[0]}}  {'in the file':{widths[1]}}  {'moves':>9}  {'vertices':>8}"
        for shape in self.shapes:
            yield (
                f"  {shape.name:{widths[0]}}  {shape.source_name:{widths[1]}}  {shape.largest_mm:>6.2f} mm  "
                f"{shape.num_moved:>8}"
            )


def inspect_rig(reading: RigReading) -> RigSummary:
    """Measures a rig and looks for what usually goes wrong on export."""
    rig = reading.rig
    lengths = np.linalg.norm(rig.shape_deltas, axis=2) * 1000
    shapes = tuple(
        ShapeMotion(
            name=name,
            source_name=reading.names[name],
            largest_mm=float(moved.max()),
            num_moved=int((moved > _MOVED_MM).sum()),
        )
        for name, moved in zip(rig.shape_names, lengths, strict=True)
    )
    closed = _lip_gap_mm(rig, rig.neutral)
    opened = None
    if closed is not None and "jawOpen" in rig.shape_names:
        opened = _lip_gap_mm(rig, rig.neutral + rig.shape_deltas[rig.shape_names.index("jawOpen")])
    apart = eye_distance(rig.neutral, dict(zip(rig.shape_names, rig.shape_deltas, strict=True)))
    return RigSummary(
        reading=reading,
        shapes=shapes,
        eye_distance_mm=None if apart is None else 1000 * apart,
        lip_gap_mm=closed,
        jaw_gap_mm=opened,
        warnings=tuple(_warnings(reading, shapes, eyes_m=apart, closed=closed, opened=opened)),
    )


def _warnings(
    reading: RigReading,
    shapes: tuple[ShapeMotion, ...],
    *,
    eyes_m: float | None,
    closed: float | None,
    opened: float | None,
) -> Iterator[str]:
    rig, found = reading.rig, reading.found
    if eyes_m is not None and (doubt := doubt_about_units(reading.units, eyes_m)):
        yield doubt
    if reading.turned_from is None and found is not None and not found.is_ours:
        yield f"the head lies {found.text()}, expected {OURS.text()}; import it with --up auto, or z"
    still = [shape.name for shape in shapes if shape.largest_mm < STILL_MM]
    if still:
        yield f"{', '.join(still)}: moves nothing (less than {STILL_MM:g} mm); the shape was exported empty"
    huge = [f"{shape.name} ({shape.largest_mm:.0f} mm)" for shape in shapes if shape.largest_mm > _LARGEST_MM]
    if huge:
        yield f"{', '.join(huge)}: moves further than a face can; check the unit, or whether offsets were exported"
    moving = {
        name: offsets for name, offsets in zip(rig.shape_names, rig.shape_deltas, strict=True) if name not in still
    }
    yield from _same(moving)
    yield from _swapped(rig, moving)
    for name, (axis, sign) in _EXPECTED_WAYS.items():
        if name in moving and sign * moving[name][:, axis].sum() < 0:
            yield (
                f"{name}: moves {_AXIS_WORDS[axis, -sign]} on the whole, expected {_AXIS_WORDS[axis, sign]}; "
                "is it another shape, or negative?"
            )
    if closed is not None and closed > _OPEN_GAP_MM:
        yield f"the mouth is open by {closed:.1f} mm at rest; ARKit's neutral face has it closed"
    if opened is not None and closed is not None and opened - closed < _OPEN_GAP_MM:
        yield "jawOpen does not part the lips"
    for region, needed in (("lip_vertices", "mouthRollLower, mouthFunnel"), ("upper_face_vertices", "browInnerUp")):
        if not len(getattr(rig, region)):
            yield f"no {region.replace('_', ' ')} were found, so metrics of that region cannot be; add {needed}"


def _same(moving: dict[str, np.ndarray]) -> Iterator[str]:
    sums = {name: np.abs(offsets).sum() for name, offsets in moving.items()}
    for first, second in itertools.combinations(moving, 2):
        if abs(sums[first] - sums[second]) <= _SAME_SHARE * sums[first]:  # cheap test first
            difference = np.abs(moving[first] - moving[second]).sum()
            if difference <= _SAME_SHARE * sums[first]:
                yield f"{first} and {second} are the same shape; one of them was exported under the wrong name"


def _swapped(rig: Rig, moving: dict[str, np.ndarray]) -> Iterator[str]:
    """Pairs whose left shape moves what is further right than its right shape moves: the character's left is +X."""
    pairs = [
        (name, mirrored_name(name))
        for name in moving
        if name.endswith("Left") and mirrored_name(name) in moving and name not in _WHOLE_FACE_PAIRS
    ]
    wrong = [pair for pair in pairs if _middle_x(rig, moving[pair[0]]) < _middle_x(rig, moving[pair[1]])]
    if wrong and len(wrong) == len(pairs):
        yield (
            "left and right are swapped in every pair of shapes; the character's left must be +X: "
            "rename the shapes, or mirror the mesh"
        )
        return
    for left, right in wrong:
        yield f"{left} and {right} look swapped: the left one moves the character's right side (-X)"


def _middle_x(rig: Rig, offsets: np.ndarray) -> float:
    return float(np.average(rig.neutral[:, _X], weights=np.linalg.norm(offsets, axis=1)))


def _lip_gap_mm(rig: Rig, vertices: np.ndarray) -> float | None:
    """Lowest point of the upper lip minus highest of the lower one, in the middle quarter of the mouth's width.

    The upper lip is what mouthRollUpper moves more than mouthRollLower does, of the rig's lip vertices.
    """
    if not {"mouthRollUpper", "mouthRollLower"} <= set(rig.shape_names) or not len(rig.lip_vertices):
        return None
    upper, lower = (
        np.linalg.norm(rig.shape_deltas[rig.shape_names.index(name), rig.lip_vertices], axis=1)
        for name in ("mouthRollUpper", "mouthRollLower")
    )
    x = rig.neutral[rig.lip_vertices, _X]
    is_middle = np.abs(x - (x.min() + x.max()) / 2) < 0.5 * _MIDDLE_SHARE * np.ptp(x)
    y = vertices[rig.lip_vertices, _Y]
    above, below = y[is_middle & (upper > lower)], y[is_middle & (lower > upper)]
    return float(above.min() - below.max()) * 1000 if len(above) and len(below) else None


def _size_cm(vertices: np.ndarray) -> str:
    return " x ".join(f"{100 * extent:.1f}" for extent in np.ptp(vertices, axis=0))


def _region(rig: Rig, indices: np.ndarray) -> str:
    return f"{len(indices)} vertices, {_size_cm(rig.neutral[indices])} cm" if len(indices) else "not found"
