"""`corpus import`: other people's recordings from the command line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from others_recordings import TEST_SUBJECT, TRAIN_SUBJECT, Vocaset, write_beat, write_livelink

from diffusiontalker.data import Corpus


def test_a_folder_of_beat_is_recognized_imported_and_reported(tmp_path: Path, command: Callable) -> None:
    for number in (1, 9, 57):
        write_beat(tmp_path / "beat" / "2", f"2_scott_0_{number}_{number}", seconds=2.5, seed=number)
    (tmp_path / "beat" / "2" / "2_scott_0_9_9.wav").unlink()
    outcome = command(
        "corpus", "import", tmp_path / "beat", "--out", tmp_path / "corpus", "--motion-fps", "60",
        "--max-rejected-fraction", "0.5", "--correct-sync", "offset",
    )  # fmt: skip
    assert outcome.code == 0
    assert "accepted 2 clips" in outcome.out
    assert "sound and face: " in outcome.out
    assert f"rejected 2_scott_0_9_9: {tmp_path / 'beat/2/2_scott_0_9_9.json'}: has no audio file" in outcome.out
    assert "no clip is in train: training needs" in outcome.out
    info = Corpus.open(tmp_path / "corpus").info
    assert (info.splits, info.source["importer"]) == ({"validation": 1, "test": 1}, "beat")
    assert info.source["config"]["correct_sync"] == "offset"


def test_vertices_are_imported_and_inspected(tmp_path: Path, command: Callable) -> None:
    source = Vocaset(tmp_path / "vocaset", [(TRAIN_SUBJECT, "sentence01"), (TEST_SUBJECT, "sentence21")], seconds=1.0)
    outcome = command("corpus", "import", source.write(), "--out", tmp_path / "corpus", "--format", "vocaset")
    assert outcome.code == 0
    assert "sound and face" not in outcome.out
    outcome = command("corpus", "inspect", tmp_path / "corpus")
    assert outcome.code == 0
    assert "21 channels" in outcome.out
    assert re.search(r"moves most \(std\): v\d{4}_[xyz] \d(\.\d)? mm, ", outcome.out)
    assert re.search(r"hardly moves: \d+ of 21 channels", outcome.out)
    assert "jawOpen" not in outcome.out
    outcome = command("corpus", "inspect", tmp_path / "corpus", "--plots", tmp_path / "plots")
    assert outcome.code == 2
    assert "21 channels of vertices" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--format", "baet"), "baet"),
        (("--correct-sync", "yes"), "yes"),
        (("--format", "beat"), "holds no recording of an official split of BEAT"),
        (("--face-lag-s", "99"), "--face-lag-s is 99.0, expected -10 to 10 seconds"),
    ],
)
def test_what_cannot_be_done_is_refused(
    flags: tuple[str, ...], message: str, tmp_path: Path, command: Callable
) -> None:
    write_livelink(tmp_path / "takes", "take", seconds=0.5)
    outcome = command("corpus", "import", tmp_path / "takes", "--out", tmp_path / "corpus", *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "corpus").exists()
