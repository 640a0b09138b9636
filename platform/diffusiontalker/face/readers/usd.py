"""USD files: the blend shape weights of their one `SkelAnimation`. Needs the optional extra `usd`.

OpenUSD trusts binary files: a `.usdc` with damage in the middle may end the process, so read only those of people you
trust. Text files and cut-off ones are safe.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.face.motion import MotionError
from diffusiontalker.face.readers.source import MotionSource
from diffusiontalker.face.readers.table import MotionTable
from diffusiontalker.face.usd import usd_module


def read_usd(source: MotionSource) -> MotionTable:
    """The weights by the names of the animation's blend shapes; time codes become seconds.

    Raises:
        MotionError: when usd-core is not installed, the file is broken, or holds no or several such animations.
    """
    tf = usd_module("Tf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"motion{source.suffix}"
        path.write_bytes(source.content)
        try:
            return _read(path, source.place)
        except (tf.ErrorException, UnicodeDecodeError) as error:
            raise MotionError(f"{source.place}: cannot be read as USD: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The last line of what OpenUSD says, which may quote the damage itself."""
    try:
        return str(error).strip().splitlines()[-1].strip()
    except UnicodeDecodeError:
        return "it is damaged"


def _read(path: Path, place: str) -> MotionTable:
    usd, skel = usd_module("Usd"), usd_module("UsdSkel")
    stage = usd.Stage.Open(str(path), usd.Stage.LoadNone)
    animations = [
        skel.Animation(prim)
        for prim in stage.Traverse()
        if prim.IsA(skel.Animation) and skel.Animation(prim).GetBlendShapesAttr().Get()
    ]
    if len(animations) != 1:
        found = ", ".join(str(animation.GetPath()) for animation in animations) or "none"
        raise MotionError(
            f"{place}: expected one SkelAnimation with blend shapes, found {found}; export the head with its blend "
            "shape animation, one clip per file"
        )
    return _table(stage, animations[0], place)


def _table(stage: Any, animation: Any, place: str) -> MotionTable:
    usd = usd_module("Usd")
    names, weights = list(animation.GetBlendShapesAttr().Get()), animation.GetBlendShapeWeightsAttr()
    codes = weights.GetTimeSamples() or [usd.TimeCode.Default()]
    frames = []
    for code in codes:
        frame = weights.Get(code)
        count = 0 if frame is None else len(frame)
        if count != len(names):
            raise MotionError(
                f"{place}: time code {code} of {animation.GetPath()} holds {count} weights, "
                f"expected {len(names)}, one per blend shape"
            )
        frames.append(np.asarray(frame, dtype=np.float64))
    rate = float(stage.GetTimeCodesPerSecond())
    is_by_frame = len(codes) == 1 or bool(np.all(np.diff(codes) == 1.0))
    return MotionTable(
        names=names,
        values=np.stack(frames),
        fps=rate if is_by_frame else None,
        times_s=None if is_by_frame else np.asarray(codes) / rate,
        time_name="time code",
    )
