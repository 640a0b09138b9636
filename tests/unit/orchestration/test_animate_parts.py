"""Parts of the bulk animation that need no Ray: configuration, plan, groups, progress."""

import json
import logging

import numpy as np
import pytest
from tiny import tiny_corpus, tiny_training

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.config import ConfigError
from diffusiontalker.data import CorpusError
from diffusiontalker.inference import AnimationError, Bundle, VoiceError, VoiceStore, enroll, save_bundle
from diffusiontalker.orchestration.animate_job import summary
from diffusiontalker.orchestration.animate_plan import AnimateJobConfig, BulkConfig, make_plan
from diffusiontalker.orchestration.bulk_progress import BulkProgress
from diffusiontalker.training import train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bundle, an enrolled voice, and two recordings."""
    root = tmp_path_factory.mktemp("bulk")
    bundle = Bundle(talker=train(tiny_training(num_steps=1), tiny_corpus(root / "corpus")).eval())
    save_bundle(bundle, root / "bundle")
    noise = 0.1 * np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    VoiceStore(root / "voices").save(enroll(bundle, [noise], name="Anna"))
    for name in ("a.wav", "x/b.wav"):
        (root / "speech" / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(noise, root / "speech" / name)
    return root


def config(place, **changes) -> AnimateJobConfig:
    plain = {"recordings": str(place / "speech"), "bundle": str(place / "bundle"), "voices": str(place / "voices")}
    return AnimateJobConfig(**plain | changes)


def takes(place, text):
    (place / "speech/takes.csv").write_text(text, encoding="utf-8")
    return config(place, recordings=str(place / "speech/takes.csv"), voice="speaker0", emotion="neutral", seed=5)


def test_what_a_list_says_wins_over_what_is_said_for_all(place):
    plan = make_plan(takes(place, "audio,voice,emotion,seed\na.wav,anna,happy,0\nx/b.wav,,,\n"))
    rows = plan.table(list(plan.recordings)).to_pylist()
    assert [(row["output"], row["voice"], row["emotion"], row["seed"]) for row in rows] == [
        ("a.csv", "anna", "happy", 0),
        ("x/b.csv", "speaker0", "neutral", 5),
    ]
    assert plan.made_with["voices"] == {"anna": VoiceStore(place / "voices").ids()[0], "speaker0": "speaker0"}


def test_formats_whose_names_end_in_two_parts_keep_both(place):
    plan = make_plan(config(place, motion_format="livelink"))
    assert set(plan.recordings) == {"a.livelink.csv", "x/b.livelink.csv"}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("audio,voice\na.wav,\nx/b.wav,Berta\n", VoiceError, r"takes.csv, row 3, column voice: .*no voice 'Berta'"),
        ("audio,emotion\na.wav,hapy\n", AnimationError, r"row 2, column emotion: unknown emotion 'hapy'; perhaps you"),
        ("audio\na.wav\na.flac\n", CorpusError, r"'a.wav' and 'a.flac' would become a.csv"),
    ],
)
def test_a_wrong_wish_is_found_before_anything_is_computed(text, error, message, place):
    with pytest.raises(error, match=message):
        make_plan(takes(place, text))


def test_a_wrong_wish_for_all_is_not_blamed_on_a_row(place):
    with pytest.raises(AnimationError, match=r"^emotion: unknown emotion 'joy'"):
        make_plan(config(place, emotion="joy"))
    with pytest.raises(AnimationError, match=r"^emotion: emotion_intensity is 3"):
        make_plan(config(place, emotion="happy", emotion_intensity=3.0))


def test_what_is_missing_is_named(place):
    with pytest.raises(ConfigError, match="recordings is empty"):
        make_plan(AnimateJobConfig(bundle="x"))
    with pytest.raises(ConfigError, match="bundle is empty"):
        make_plan(config(place, bundle=""))
    with pytest.raises(ConfigError, match="NOWHERE is not set"):
        make_plan(config(place, recordings="${NOWHERE}/speech"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", "a/b"), ("motion_format", "fbx"), ("fps", 0.5), ("num_steps", 0), ("temperature", -1.0), ("seed", -1)],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is '?{value}"):
        AnimateJobConfig(**{name: value})


def test_batches_of_no_frames_are_refused():
    with pytest.raises(ValueError, match="batch_frames is 0"):
        BulkConfig(batch_frames=0)


def test_progress_is_logged_and_failures_are_listed(tmp_path, caplog):
    failures = tmp_path / "failed.jsonl"
    failures.write_text("old\n", encoding="utf-8")
    with (
        caplog.at_level(logging.INFO),
        BulkProgress("recordings", num_pending=3, weight=5000, failures_path=failures) as progress,
    ):
        assert not failures.exists()
        progress.done(seconds=2.0, weight=1000)
        progress.failed("1.wav", reason="1.wav: is cut off", weight=3000)
        progress.done(seconds=3.0, weight=1000)
    assert json.loads(failures.read_text()) == {"file": "1.wav", "reason": "1.wav: is cut off"}
    assert "3 of 3 recordings (100 %)" in caplog.text
    assert "done, 1 failed" in caplog.text
    figures = summary(progress, num_recordings=5, num_before=2, about={"actors": 1})
    assert (figures["recordings"], figures["finished"], figures["failed"], figures["actors"]) == (5, 4, 1, 1)
    now = figures["this_start"]
    assert (now["animated"], now["audio_s"]) == (2, 5.0)
    assert now["x_real_time"] == pytest.approx(5.0 / 2 * now["files_per_s"], rel=0.1)


def test_remaining_time_goes_by_size(tmp_path, caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    failures = tmp_path / "failed.jsonl"
    with (
        caplog.at_level(logging.INFO),
        BulkProgress("recordings", num_pending=3, weight=1000, failures_path=failures) as progress,
    ):
        for _ in range(2):
            now[0] += 10.0
            progress.done(seconds=1.0, weight=100)
    assert "remaining time not known yet" in caplog.messages[0]
    assert "1:20 remaining" in caplog.messages[1], "10 s for 100 bytes, 800 are left"
