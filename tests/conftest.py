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
