from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoint import Endpoint
from tiny_student import tiny_bundle

from diffusiontalker.inference import save_bundle


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "first"
    save_bundle(tiny_bundle(), path)
    return path


@pytest.fixture(scope="session")
def teacher_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "teacher" / "bundle"
    save_bundle(tiny_bundle(seed=7, steps=3), path)
    return path


@pytest.fixture(scope="module")
def endpoint(bundle_path: Path, teacher_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Of two students; shared by the tests that leave it as it is, and by the last, which ends it."""
    started = Endpoint(bundle_path, tmp_path_factory.mktemp("endpoint"), "--bundle", str(teacher_path))
    try:
        started.wait()
        yield started
    finally:
        started.end()
