"""Ray Train's record of checkpoints, when it does not fit what lies in the storage."""

import json
import logging
import re

import pytest
import ray

from diffusiontalker.orchestration.checkpoints import newest_whole_checkpoint, set_unusable_record_aside
from diffusiontalker.training import CheckpointError, Ranks, TrainingState, save_state

RECORD = "checkpoint_manager_snapshot.json"


def record(*names: str, version: str = ray.__version__) -> str:
    return json.dumps({"ray_version": version, "checkpoint_results": [{"checkpoint_dir_name": name} for name in names]})


def checkpoint(run, name: str, *, step: int):
    folder = run / name
    folder.mkdir(parents=True)
    save_state(TrainingState(step=step, run_digest="digest", model={}, ema={}, optimizer={}), folder)
    return folder


def chosen(run, said: list[str] | None = None) -> str | None:
    with newest_whole_checkpoint(str(run), Ranks(), say=(said if said is not None else []).append) as folder:
        return folder and folder.name


def test_a_record_that_fits_is_left_alone(tmp_path):
    checkpoint(tmp_path, "checkpoint_a", step=1)
    (tmp_path / RECORD).write_text(record("checkpoint_a"), encoding="utf-8")
    set_unusable_record_aside(str(tmp_path))
    assert (tmp_path / RECORD).exists()


def test_a_run_without_a_record_is_new(tmp_path):
    set_unusable_record_aside(str(tmp_path / "nowhere"))
    assert chosen(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is damaged"),
        (record("checkpoint_a")[:30], "it is damaged"),
        ("[]", "it is damaged"),
        (record("checkpoint_a", "checkpoint_b"), "it names checkpoint_b, which is gone"),
        (record("checkpoint_a", version="1.0"), r"it was written by Ray 1\.0"),
    ],
)
def test_a_record_that_ray_could_not_start_with_is_set_aside_and_said(tmp_path, caplog, content, reason):
    checkpoint(tmp_path, "checkpoint_a", step=1)
    (tmp_path / RECORD).write_text(content, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        set_unusable_record_aside(str(tmp_path))
    assert not (tmp_path / RECORD).exists()
    assert (tmp_path / f"{RECORD}.unusable").read_text(encoding="utf-8") == content
    assert re.search(reason, caplog.text)
    assert chosen(tmp_path) == "checkpoint_a"


def test_most_steps_count_not_the_latest_name(tmp_path):
    checkpoint(tmp_path, "checkpoint_z", step=1)
    checkpoint(tmp_path, "checkpoint_a", step=2)
    assert chosen(tmp_path) == "checkpoint_a"


def flip(folder) -> None:
    state = folder / "training_state.pt"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)


def test_a_training_killed_in_its_first_checkpoint_begins_anew(tmp_path):
    for name in "abcd":
        checkpoint(tmp_path, f"checkpoint_{name}", step=1)
    (tmp_path / "checkpoint_a" / "training_state.pt").write_bytes(b"")
    (tmp_path / "checkpoint_b" / "training_state.pt").unlink()
    (tmp_path / "checkpoint_c" / "training_state.json").unlink()
    (tmp_path / "checkpoint_d" / "training_state.json").write_bytes(b"{")
    (tmp_path / "checkpoint_e").mkdir()
    said = []
    assert chosen(tmp_path, said) is None
    assert len([line for line in said if "was not finished" in line]) == 5


def test_damaged_ones_are_passed_over_and_said(tmp_path):
    checkpoint(tmp_path, "checkpoint_a", step=1)
    flip(checkpoint(tmp_path, "checkpoint_b", step=2))
    said = []
    assert chosen(tmp_path, said) == "checkpoint_a"
    assert [line.split()[0] for line in said] == ["checkpoint_b"]
    flip(tmp_path / "checkpoint_a")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole, 2 are damaged; start again"):
        chosen(tmp_path)
