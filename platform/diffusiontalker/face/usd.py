"""OpenUSD, which only those need who read or write it: the optional extra `usd`."""

import importlib
from typing import Any

from diffusiontalker.face.motion import MotionError


def usd_module(name: str) -> Any:
    """The module `pxr.<name>` of usd-core, imported when it is needed.

    Raises:
        MotionError: when usd-core is not installed.
    """
    try:
        return importlib.import_module(f"pxr.{name}")
    except ImportError:
        raise MotionError("USD files need OpenUSD; install it with: pip install 'diffusiontalker[usd]'") from None
