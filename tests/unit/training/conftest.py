"""Fixtures of the training tests."""

from pathlib import Path

import pytest
import tiny


@pytest.fixture(scope="session")
def tiny_hubert(tmp_path_factory) -> Path:
    """Checkpoint of a pretrained speech encoder, as small as one can be."""
    return tiny.tiny_hubert(tmp_path_factory.mktemp("hubert"))
