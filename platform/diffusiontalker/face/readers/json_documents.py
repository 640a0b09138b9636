"""JSON files: our own (and line by line), those of the BEAT corpus, and exports of NVIDIA Audio2Face.

All three are told apart by their keys.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffusiontalker.face.motion import MotionError
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import MotionTable, NoMotionError, checked_rate

_LARGEST_WHOLE = 2**53
"""Larger ones are no weights or seconds, and too large for floats in the end."""


def read_json(source: MotionSource) -> MotionTable:
    """A JSON file of any of the three kinds."""
    content = source.json()
    if isinstance(content, dict) and "weightMat" in content:
        return _audio2face(content, source)
    if not isinstance(content, dict) or not {"names", "frames"} <= content.keys():
        raise NoMotionError(
            f"{source.place}: expected an object with 'fps', 'names' and 'frames' (a list of weights per frame), "
            "or one of BEAT or Audio2Face"
        )
    frames = content["frames"]
    if isinstance(frames, list) and frames and isinstance(frames[0], dict):
        return _beat(content, source)
    return _own(content, source)


def read_beat(source: MotionSource) -> MotionTable:
    """A file of the BEAT corpus: `names`, and `frames` that hold `weights` and `time`."""
    content = source.json()
    if not isinstance(content, dict) or not {"names", "frames"} <= content.keys():
        raise MotionError(f"{source.place}: expected an object with 'names' and 'frames', as in the BEAT corpus")
    return _beat(content, source)


def read_audio2face(source: MotionSource) -> MotionTable:
    """An export of Audio2Face: `exportFps`, `facsNames`, and `weightMat`, one list of weights per frame."""
    content = source.json()
    if not isinstance(content, dict):
        raise MotionError(f"{source.place}: expected an object with 'exportFps', 'facsNames' and 'weightMat'")
    return _audio2face(content, source)


def read_ndjson(source: MotionSource) -> MotionTable:
    """A first line with `fps` and `names`, then one line per frame with `weights`."""
    numbered = [
        (number, line) for number, line in enumerate(source.text("NDJSON").split("\n"), start=1) if line.strip()
    ]
    documents = []
    for number, line in numbered:
        try:
            documents.append(source.json(line))
        except MotionError as error:
            raise MotionError(f"{error} (this is line {number} of the file)") from None
    head, lines = documents[0] if documents else None, [number for number, _ in numbered[1:]]
    if not isinstance(head, dict) or "names" not in head:
        raise MotionError(f"{source.place}: line 1 must be an object with 'fps' and 'names'")
    names = _names(head["names"], "names", source.place)
    rows = []
    for number, document in zip(lines, documents[1:], strict=True):
        if not isinstance(document, dict) or "weights" not in document:
            raise MotionError(f"{source.place}: line {number} must be an object with 'weights'")
        rows.append(document["weights"])
    if head.get("num_frames", len(rows)) != len(rows):
        raise MotionError(
            f"{source.place}: line 1 promises {head['num_frames']} frames, but {len(rows)} follow; it is cut off, "
            "write it again"
        )
    values = _weights(rows, names, source.place, rows=lines, word="line")
    fps = checked_rate(head.get("fps"), source.place)
    return MotionTable(names=names, values=values, fps=fps, rows=lines, row_word="line")


def _own(content: dict[str, Any], source: MotionSource) -> MotionTable:
    names = _names(content["names"], "names", source.place)
    values = _weights(content["frames"], names, source.place)
    return MotionTable(names=names, values=values, fps=checked_rate(content.get("fps"), source.place))


def _beat(content: dict[str, Any], source: MotionSource) -> MotionTable:
    place, frames = source.place, content["frames"]
    names = _names(content["names"], "names", place)
    if not isinstance(frames, list):
        raise MotionError(f"{place}: 'frames' must be a list with at least one frame")
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or not {"weights", "time"} <= frame.keys():
            raise MotionError(f"{place}: frame {number} (counted from 0) must be an object with 'weights' and 'time'")
        if not _is_number(frame["time"]):
            raise MotionError(
                f"{place}: 'time' is {frame['time']!r} in frame {number} (counted from 0), expected seconds"
            )
    return MotionTable(
        names=names,
        values=_weights([frame["weights"] for frame in frames], names, place),
        times_s=np.array([frame["time"] for frame in frames], dtype=np.float64),
        time_name="'time'",
        may_drop_frames=True,
    )


def _audio2face(content: dict[str, Any], source: MotionSource) -> MotionTable:
    place = source.place
    missing = [key for key in ("facsNames", "weightMat") if key not in content]
    if missing:
        raise MotionError(f"{place}: lacks {', '.join(missing)}, which exports of Audio2Face have")
    names = _names(content["facsNames"], "facsNames", place)
    values = _weights(content["weightMat"], names, place)
    for key, found in (("numPoses", len(names)), ("numFrames", len(values))):
        if content.get(key, found) != found:
            raise MotionError(f"{place}: '{key}' is {content[key]!r}, but there are {found}; export it again")
    return MotionTable(names=names, values=values, fps=checked_rate(content.get("exportFps"), place))


def _is_number(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_WHOLE
    return is_whole or isinstance(value, float)


def _names(names: Any, key: str, place: str) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MotionError(f"{place}: '{key}' must be a list of channel names")
    return names


def _weights(
    frames: Any, names: Sequence[str], place: str, *, rows: Sequence[int] | None = None, word: str = "frame"
) -> np.ndarray:
    """(frames, names), of numbers only."""
    if not isinstance(frames, list) or not frames:
        raise MotionError(f"{place}: 'frames' must be a list with at least one frame")
    for number, weights in enumerate(frames):
        row = f"{word} {number if rows is None else rows[number]}"
        if not isinstance(weights, list) or len(weights) != len(names):
            count = len(weights) if isinstance(weights, list) else f"a {type(weights).__name__}"
            raise MotionError(
                f"{place}: {row} holds {count}, expected {len(names)} weights, one for each name of the file"
            )
        for name, weight in zip(names, weights, strict=True):
            if not _is_number(weight):
                raise MotionError(f"{place}: {row}, column '{name}' is {weight!r}, expected a number")
    return np.array(frames, dtype=np.float64).reshape(len(frames), len(names))
