"""Fixtures that every part of the suite may use."""

import os
from pathlib import Path

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


_SHARED = ("smoke_run", "ray_session", "cluster")
"""Fixtures that take long: in one process, of those that share the tests, everything that needs one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says to `--dist loadgroup` what belongs together: tests of one of these fixtures, else of one file."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        group = next((name for name in _SHARED if name in fixtures), item.path.stem)
        item.add_marker(pytest.mark.xdist_group(group))
