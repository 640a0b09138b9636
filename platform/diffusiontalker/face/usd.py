"""OpenUSD, which only those need who read or write it: the optional extra `usd`."""

import importlib
import importlib.util
from typing import Any

from diffusiontalker.face.motion import MotionError

_INSTALL = "USD files need OpenUSD; install it with: pip install 'diffusiontalker[usd]'"


def require_usd() -> None:
    """Says early that usd-core is missing, without importing it.

    Raises:
        MotionError: when it is not installed.
    """
    if importlib.util.find_spec("pxr") is None:
        raise MotionError(_INSTALL)


def usd_module(name: str) -> Any:
    """The module `pxr.<name>` of usd-core, imported when it is needed.

    Raises:
        MotionError: when usd-core is not installed.
    """
    try:
        return importlib.import_module(f"pxr.{name}")
    except ImportError:
        raise MotionError(_INSTALL) from None
