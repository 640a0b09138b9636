"""What this process has used of the CPU, by purpose, and how old it is; from /proc, so of Linux alone.

A plain server tells it with its metrics. Knows threads by their names, and those of networks by having none.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARTS = {"batch": "batches", "streams": "streams"}
"""Beginning of a thread's name -> what its time is used for."""
_NETWORKS = "batches"
"""Threads that are not Python's are those of the networks."""


def cpu_seconds(children: tuple[int, ...] = ()) -> Mapping[str, float]:
    """CPU seconds so far: `event_loop` (of the thread that calls this), `batches`, `streams`, `decoders`, `rest`.

    Empty where there is no /proc. Threads that have ended computed parts of a batch: no others are short-lived here.

    Args:
        children: process ids of the decoders that run.
    """
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    seconds: defaultdict[str, float] = defaultdict(float)
    living = dict(_threads())
    for thread_id, used_s in living.items():
        if thread_id == threading.get_native_id():
            seconds["event_loop"] += used_s
        elif thread_id not in names:
            seconds[_NETWORKS] += used_s
        else:
            parts = [part for begin, part in _PARTS.items() if names[thread_id].startswith(begin)]
            seconds[parts[0] if parts else "rest"] += used_s
    if seconds:
        seconds[_NETWORKS] += max(0.0, time.process_time() - sum(living.values()))
        ended = os.times()
        seconds["decoders"] = ended.children_user + ended.children_system + sum(map(_process_s, children))
    return seconds


def age_s() -> float | None:
    """Seconds since this process was started, to a hundredth; None where there is no /proc."""
    fields = _fields(Path("/proc/self/stat"))
    return None if fields is None else time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / _TICKS_PER_S


def _threads() -> Iterator[tuple[int, float]]:
    """Id and CPU seconds of the threads of this process."""
    for path in Path("/proc/self/task").glob("*/schedstat"):
        try:
            yield int(path.parent.name), int(path.read_text(encoding="ascii").split()[0]) / 1e9
        except OSError:  # it has ended
            continue


def _process_s(pid: int) -> float:
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _fields(path: Path) -> list[str] | None:
    """Of a line of the system's process table, from the third on; None when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
