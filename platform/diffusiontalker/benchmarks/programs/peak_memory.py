"""What the programs of this folder say of their memory."""

import re
from pathlib import Path


def peak_mb() -> float:
    """Of this process alone; what getrusage says begins with the peak of the process that started it."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), flags=re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6
