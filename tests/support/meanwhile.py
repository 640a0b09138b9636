"""Something that happens beside a test as soon as something else has happened."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def meanwhile(act: Callable[[], object], *, when: Callable[[], bool]) -> Iterator[None]:
    """Acts once, in a thread, when the condition first holds; never after the block."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            if when():
                act()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
