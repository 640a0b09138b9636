"""Ends a program when the one that started it is gone, however that ended."""

import os
import signal
import sys
import threading
from typing import Any


def end_with_parent() -> None:
    """From now on SIGTERM ends this process in an orderly way, and so does the end of standard input."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, name="parent", daemon=True).start()


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(*_: Any) -> None:
    raise SystemExit(0)
