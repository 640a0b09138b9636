"""How much memory work takes: the peak of this process, and of it with all that it started."""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_EVERY_S = 0.25


@dataclasses.dataclass(kw_only=True, slots=True)
class PeakMemory:
    """Megabytes, of which what processes share counts once; all 0 where there is no /proc."""

    own_mb: float = 0.0
    """Of this process."""
    all_mb: float = 0.0
    """Of this process and its descendants, Ray's among them."""


@contextlib.contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Watches memory for the length of the block, four times a second."""
    peak, ended = PeakMemory(), threading.Event()

    def watch() -> None:
        is_last = False
        while not is_last:
            is_last = ended.wait(_EVERY_S)
            used = {pid: _used_mb(pid) for pid in _tree(os.getpid())}
            peak.own_mb = max(peak.own_mb, used.get(os.getpid(), 0.0))
            peak.all_mb = max(peak.all_mb, sum(used.values()))

    watcher = threading.Thread(target=watch, name="peak-memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def _tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _used_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
