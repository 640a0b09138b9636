"""The main job on a corpus of vertices: it trains and says hello, and tells that it cannot measure."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from others_recordings import TEST_SUBJECT, TRAIN_SUBJECT, VALIDATION_SUBJECT, Vocaset

from diffusiontalker.inference import load_bundle

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]

SENTENCES = [(TRAIN_SUBJECT, f"sentence{number:02d}") for number in range(1, 5)]
SENTENCES += [(VALIDATION_SUBJECT, "sentence21"), (TEST_SUBJECT, "sentence21"), (TEST_SUBJECT, "sentence22")]


def test_vertices_are_imported_trained_on_and_animated_but_not_measured(tmp_path: Path, job: Callable) -> None:
    source = Vocaset(tmp_path / "vocaset", SENTENCES, seconds=1.5).write()
    folder = tmp_path / "run"
    flags = ("--corpus.source", "folder", "--corpus.folder", source, "--corpus.importing.motion-fps", "30")
    arguments = ("--config", "jobs/configs/smoke.yaml", *flags, "--out", folder)
    process = job(*arguments)
    assert process.code == 0, process.log
    assert "not measured: its faces are vertices" in process.output
    assert "report" not in process.output
    assert f"{folder / 'hello.npz'}" in process.output
    names = load_bundle(folder / "bundle").talker.channel_names
    with np.load(folder / "hello.npz") as hello, np.load(folder / "corpus" / "templates.npz") as heads:
        assert tuple(hello["names"]) == names
        vertices = heads[TEST_SUBJECT] + hello["coefficients"].reshape(-1, *heads[TEST_SUBJECT].shape)
    assert np.isfinite(vertices).all()
    again = job(*arguments, "--resume")
    assert again.code == 0, again.log
    assert "not measured" in again.output
