"""`corpus track` refuses what cannot be used before any work; what it does is shown where the tracker's model is."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--split", "training"), ("flags: ", "unknown split 'training'; perhaps you meant 'train'")),
        (("--min-found", 2), ("min_found is 2, expected more than 0 and at most 1",)),
        (("--motion-fps", -1), ("motion_fps is -1, expected 1 to 240 Hz, or 0",)),
    ],
)
def test_flags_outside_what_is_allowed_are_named(tmp_path: Path, flags: tuple, parts: tuple, command: Callable) -> None:
    outcome = command("corpus", "track", tmp_path, "--model", "m.task", "--out", tmp_path / "out", *flags)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.err
    assert not (tmp_path / "out").exists()


def test_videos_and_trackers_that_are_not_there_are_named(tmp_path: Path, command: Callable) -> None:
    flags = ("--model", tmp_path / "m.task", "--out", tmp_path / "out")
    outcome = command("corpus", "track", tmp_path / "gone.mp4", *flags)
    assert (outcome.code, outcome.out) == (2, "")
    assert "gone.mp4: there is no such file; check the path" in outcome.err
    (tmp_path / "there.mp4").write_text("x")
    outcome = command("corpus", "track", tmp_path / "there.mp4", *flags)
    assert outcome.code == 2
    assert "pip install 'diffusiontalker[track]'" in outcome.err or "m.task: the model cannot be read" in outcome.err
    assert not (tmp_path / "out").exists()
