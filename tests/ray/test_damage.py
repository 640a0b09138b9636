"""A training whose storage fails it: damaged checkpoints, a full disk."""

import dataclasses
import logging
from pathlib import Path

import pytest
from full_disk import small_disk
from meanwhile import meanwhile
from trainings import LONG, QUICK, TINY, checkpoints, differences, rows, trained_here

from diffusiontalker.orchestration import TrainingError, train_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]

ONCE = dataclasses.replace(QUICK, max_failures=0)
STATE = "training_state.pt"


def cut(checkpoint: Path) -> None:
    """As an upload that was interrupted leaves it."""
    state = checkpoint / STATE
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])


def flip(checkpoint: Path) -> None:
    """One bit, somewhere in the weights: torch alone would not notice."""
    content = bytearray((checkpoint / STATE).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / STATE).write_bytes(content)


def test_damaged_checkpoints_are_passed_over_and_said_and_the_result_is_the_same(tiny_corpus, tmp_path, caplog):
    where = {"run_name": "damaged", "storage_uri": tmp_path, "telemetry_folder": tmp_path, "orchestration": ONCE}
    expected = train_on_ray(TINY, tiny_corpus, **where)
    before = len(rows(tmp_path))
    *_, newest = checkpoints(tmp_path / "damaged")
    flip(newest)
    with caplog.at_level(logging.WARNING):
        again = train_on_ray(TINY, tiny_corpus, **where)
    assert differences(again, expected) == []
    assert [row["step"] for row in rows(tmp_path)[before:]] == [10, 12], "it went on from step 8, the one before"
    assert f"{newest.name} is passed over" in caplog.text
    assert "is damaged" in caplog.text

    for checkpoint in checkpoints(tmp_path / "damaged"):
        flip(checkpoint) if checkpoint != newest else cut(checkpoint)
    with pytest.raises(TrainingError, match=r"no checkpoint in .* is whole, 1 are damaged.*start again under another"):
        train_on_ray(TINY, tiny_corpus, **where)


def test_a_full_disk_ends_the_training_clearly_and_it_goes_on_when_there_is_space(tiny_corpus, tmp_path):
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        where = {"run_name": "full", "storage_uri": disk.folder, "telemetry_folder": tmp_path, "orchestration": ONCE}
        has_checkpoint = lambda: any((one / STATE).exists() for one in checkpoints(disk.folder / "full"))  # noqa: E731
        with (
            meanwhile(disk.fill, when=has_checkpoint),
            pytest.raises(TrainingError, match=r"full: .*No space left on device.*mend this and resume"),
        ):
            train_on_ray(LONG, tiny_corpus, **where)
        reached = rows(tmp_path)[-1]["step"]
        assert reached < LONG.num_steps
        disk.free()
        talker = train_on_ray(LONG, tiny_corpus, **where)
    assert rows(tmp_path)[-1]["step"] == LONG.num_steps
    assert differences(talker, trained_here(LONG, tiny_corpus)) == []
