from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoint import Endpoint, make_bundle


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "first")


@pytest.fixture(scope="session")
def endpoint(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Shared by the tests that leave it as it is."""
    started = Endpoint(bundle_path, tmp_path_factory.mktemp("endpoint"))
    try:
        started.wait()
        yield started
    finally:
        started.end()
