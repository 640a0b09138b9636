"""The jobs' scripts run in this process: for input that is refused before any work."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_here(script: str, *arguments: object) -> int:
    """Exit code of a script of `jobs/`, run in the checkout as `python script arguments` would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(script, run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code
