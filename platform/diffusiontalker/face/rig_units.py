"""How large a rig's unit is: given, said by the file, or judged by the size of the part of the head that moves."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from diffusiontalker.face.rig import RigError
from diffusiontalker.face.rig_parts import RawRig

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres in each unit with a name."""

_LARGEST_NUMBER = 1e6
_SMALLEST_FACE_M, _LARGEST_FACE_M = 0.05, 0.5
_EYE_DISTANCE_M = 0.063
_EYES = ("eyeBlinkLeft", "eyeBlinkRight")
_USUAL_EYE_DISTANCES_M = (0.05, 0.08)


def metres_per_unit(units: str, *, place: object) -> float:
    """What `m`, `cm`, `mm`, or a number of metres such as `0.1` means.

    Raises:
        RigError: when it is none of these.
    """
    if units in METRES:
        return METRES[units]
    try:
        metres = float(units)
    except ValueError:
        metres = math.nan
    if not 0 < metres < math.inf:
        raise RigError(
            f"{place}: unknown units '{units}', expected auto, {', '.join(METRES)}, or metres per unit, such as 0.1"
        )
    return metres


def units_of(raw: RawRig, names: Mapping[str, str], path: Path) -> tuple[str, str]:
    """The unit of a file, and how it is known.

    Raises:
        RigError: when the file names an unknown unit, or none makes a face of it.
    """
    if raw.units is not None:
        if raw.units not in METRES:
            raise RigError(
                f"{path}: its units are '{raw.units}', expected {', '.join(METRES)}; give the right one (--units)"
            )
        return raw.units, "as the file says"
    return _guessed_units(raw, names, path), "by its size"


def eye_distance(neutral: np.ndarray, shapes: Mapping[str, np.ndarray]) -> float | None:
    """Between the middles of what the two blinks move, in the unit of the vertices; None where a blink is missing."""
    middles = []
    for name in _EYES:
        lengths = np.linalg.norm(shapes[name], axis=1) if name in shapes else np.zeros(1)
        if not lengths.any():
            return None
        middles.append(np.average(neutral, axis=0, weights=lengths))
    return float(np.linalg.norm(middles[0] - middles[1]))


def doubt_about_units(units: str, eyes_m: float) -> str | None:
    """What to say of a unit that puts the eyes closer together, or further apart, than people's; None when it fits.

    Args:
        units: what the numbers of the file were taken for.
        eyes_m: how far apart the eyes then are, in metres.
    """
    least, most = _USUAL_EYE_DISTANCES_M
    if least <= eyes_m <= most or not eyes_m:
        return None
    proposed = metres_per_unit(units, place="the rig") * _EYE_DISTANCE_M / eyes_m
    return (
        f"the eyes are {100 * eyes_m:.1f} cm apart, people's are {100 * least:g} to {100 * most:g} cm: is the unit "
        f"really {units}? --units {proposed:.3g} (metres per unit) puts them {100 * _EYE_DISTANCE_M:g} cm apart"
    )


def check_size(raw: RawRig, path: Path) -> None:
    """Refuses numbers that no head has in any unit, before arithmetic with them overflows.

    Raises:
        RigError: names the shape.
    """
    for name, array in {"the neutral": raw.neutral, **raw.shapes}.items():
        reach = float(np.abs(array).max(initial=0.0))
        if np.isfinite(reach) and reach > _LARGEST_NUMBER:
            raise RigError(
                f"{path}: {name} reaches {reach:.3g}, which no head does even in millimetres; the file is damaged, "
                "export it again"
            )


def _guessed_units(raw: RawRig, names: Mapping[str, str], path: Path) -> str:
    """The unit in which the moving part of the head is between 5 and 50 cm large."""
    deltas = np.stack(list(raw.shapes.values()))
    if not (np.isfinite(raw.neutral).all() and np.isfinite(deltas).all()):
        return "m"  # whatever: `Rig` says what is not finite
    lengths = np.linalg.norm(deltas, axis=2)
    moved = (lengths > 0.01 * lengths.max(initial=0.0)).any(axis=0)
    extent = float(np.ptp(raw.neutral[moved], axis=0).max()) if moved.any() else 0.0
    for name, metres in METRES.items():
        if _SMALLEST_FACE_M <= extent * metres < _LARGEST_FACE_M:
            return name
    apart = eye_distance(raw.neutral, {known: raw.shapes[name] for known, name in names.items()})
    advice = "give the unit (--units) if you know it, or scale the rig"
    if apart:
        advice = (
            f"give --units {_EYE_DISTANCE_M / apart:.3g}, in metres per unit, which puts the eyes as far apart as an "
            f"adult's, {1000 * _EYE_DISTANCE_M:.0f} mm"
        )
    raise RigError(
        f"{path}: the part of the head that shapes move is {extent:.4g} units large, which is a face in neither metres "
        f"(0.05 to 0.5), centimetres nor millimetres; {advice}"
    )
