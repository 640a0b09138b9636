"""Fixtures that every part of the suite may use."""

import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""


@pytest.fixture(scope="session")
def repository_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("DIFFUSIONTALKER_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "grid_faces" / "manifest.csv").is_file():
        pytest.skip(f"no real data in {folder}; set DIFFUSIONTALKER_REAL_DATA to the folder that holds grid_faces/")
    return folder


_TOGETHER = {
    "smoke_run": ("test_distill_job", "test_main_job", "test_readme", "test_search_job"),
    "cluster": ("test_driver_dies", "test_job_submit"),
    "ray_session": ("test_damage", "test_search", "test_storage_faults", "test_train"),
}
"""Files that share a fixture of the session that takes long: they stay in one process."""


_LONGEST_FIRST = (
    "ray_session", "smoke_run", "test_head_dies", "cluster", "test_lifecycle", "test_nodes_die", "test_import",
)  # fmt: skip
"""Files, and those that stay together, of a minute and more: begun last, one of them would keep one process busy while
the other has nothing left to do."""


def _scope(nodeid: str) -> str:
    """What runs in one process: a file, or the name of several."""
    file = nodeid.partition("::")[0]
    return next((name for name, files in _TOGETHER.items() if Path(file).stem in files), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first; the order is otherwise kept."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(Path(_scope(item.nodeid)).stem, len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With `--dist loadfile`, files that share a fixture are one."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    return Together(config, log) if config.getoption("dist") == "loadfile" else None
