"""What holds for the import of every format: recognition, names not positions, parts that can be taken apart."""

import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from others_recordings import (
    TRAIN_SUBJECT,
    Vocaset,
    noise,
    write_beat,
    write_etf,
    write_livelink,
    write_sound,
)

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data import (
    CORPUS_FORMATS,
    CheckedClip,
    ClipSource,
    Corpus,
    CorpusError,
    ImportConfig,
    RejectedClip,
    checked_clip,
    checked_or_rejected,
    import_corpus,
    list_clips,
    open_intake,
)
from diffusiontalker.data.importers.pairs import split_of_names
from diffusiontalker.face import CHANNELS
from diffusiontalker.face.arkit import mirrored_name


def write_folder(root):
    write_sound(root / "a.wav", noise(1.0, seed=0))
    rows = [f"{index / 25},{0.01 * index}" for index in range(25)]
    (root / "a.csv").write_text("\n".join(["time_s,jawOpen", *rows]) + "\n")
    (root / "manifest.csv").write_text(
        "clip_id,audio,motion,speaker,emotion,fps,split\na,a.wav,a.csv,ada,neutral,25,train\n"
    )


WRITERS = {
    "folder": write_folder,
    "beat": lambda root: write_beat(root / "1", "1_wayne_0_9_9"),
    "3d-etf": lambda root: write_etf(root / "hdtf", "RD_Radio11_000"),
    "vocaset": lambda root: Vocaset(root, [(TRAIN_SUBJECT, "sentence01")]).write(),
    "livelink": lambda root: write_livelink(root / "anna", "take"),
}


@pytest.mark.parametrize("corpus_format", WRITERS)
def test_a_format_is_recognized_by_what_lies_in_the_folder(corpus_format, tmp_path, caplog):
    (tmp_path / "it").mkdir()
    WRITERS[corpus_format](tmp_path / "it")
    with caplog.at_level("INFO"):
        listed = list_clips(tmp_path / "it")
    assert listed.format == corpus_format
    assert f"read as '{corpus_format}', because it has" in caplog.text
    report = import_corpus(tmp_path / "it", tmp_path / "corpus", config=ImportConfig(strict=True))
    assert report.info.source["importer"] == corpus_format
    assert len(report.accepted) == 1


@pytest.mark.parametrize("corpus_format", WRITERS)
def test_clips_of_every_format_are_checked_in_any_process(corpus_format, tmp_path):
    WRITERS[corpus_format](tmp_path)
    (clip,) = list_clips(tmp_path).clips
    config = ImportConfig()
    here = checked_clip(clip, config=config)
    there = pickle.loads(pickle.dumps(checked_or_rejected(pickle.loads(pickle.dumps(clip)), config=config)))
    np.testing.assert_array_equal(there.clip.motion.coefficients, here.clip.motion.coefficients)
    np.testing.assert_array_equal(there.clip.waveform, here.clip.waveform)
    assert (there.content, there.channel_names, there.warnings) == (here.content, here.channel_names, here.warnings)
    assert len(pickle.dumps(clip)) < 2000


def test_an_unrecognized_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CorpusError) as caught:
        list_clips(tmp_path)
    message = str(caught.value)
    assert "the format is not recognized, looked for folder: manifest.csv; " in message
    assert all(f"{name}: " in message for name in CORPUS_FORMATS if name != "auto")
    assert message.endswith("name it with --format")


def test_half_a_vocaset_is_told_what_it_lacks(tmp_path):
    WRITERS["vocaset"](tmp_path)
    (tmp_path / "templates.pkl").unlink()
    with pytest.raises(CorpusError, match=r"looks like vocaset, as it has data_verts\.npy.*, but lacks templates\.pkl"):
        list_clips(tmp_path)


def test_an_unknown_format_and_no_folder_are_errors(tmp_path):
    with pytest.raises(CorpusError, match=r"unknown format 'baet'; perhaps you meant 'beat' \(allowed: auto, folder"):
        list_clips(tmp_path, corpus_format="baet")
    with pytest.raises(CorpusError, match=r"nowhere: is no folder; give the folder that holds the recordings"):
        list_clips(tmp_path / "nowhere")


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(len(CHANNELS))), style=st.sampled_from(["{}", "{}_", "upper"]))
def test_columns_of_left_and_right_are_told_by_name_in_any_order(order, style, tmp_path_factory):
    root = tmp_path_factory.mktemp("columns")
    known = np.random.default_rng(0).random((25, len(CHANNELS)))
    header = [CHANNELS[index] for index in order]
    if style == "{}_":
        header = [name.replace("Left", "_L").replace("Right", "_R") for name in header]
    elif style == "upper":
        header = [name[0].upper() + name[1:] for name in header]
    rows = [",".join([repr(index / 25), *map(repr, row.tolist())]) for index, row in enumerate(known[:, order])]
    write_sound(root / "a.wav", noise(1.0, seed=0))
    (root / "a.csv").write_text("\n".join([",".join(["time_s", *header]), *rows]) + "\n")
    (root / "manifest.csv").write_text(
        "clip_id,audio,motion,speaker,emotion,fps,split\na,a.wav,a.csv,ada,neutral,25,train\n"
    )
    motion = checked_clip(list_clips(root).clips[0], config=ImportConfig()).clip.motion
    for index, name in enumerate(CHANNELS):
        np.testing.assert_allclose(motion.column(name), known[:, index], atol=1e-6)
        if mirrored_name(name) != name:
            assert not np.allclose(motion.column(mirrored_name(name)), known[:, index])


def test_a_clip_that_cannot_be_read_is_a_value_that_the_intake_counts(tmp_path):
    for number in (9, 10, 11):
        write_beat(tmp_path / "it", f"1_wayne_0_{number}_{number}", seed=number)
    (tmp_path / "it" / "1_wayne_0_10_10.json").write_text("{}")
    listed, config = list_clips(tmp_path / "it"), ImportConfig(max_rejected_fraction=0.5)
    outcomes = [checked_or_rejected(clip, config=config) for clip in listed.clips]
    assert [type(outcome) for outcome in outcomes].count(CheckedClip) == 2
    assert [type(outcome) for outcome in outcomes].count(RejectedClip) == 1
    with open_intake(listed, tmp_path / "corpus", folder=tmp_path / "it", config=config) as intake:
        for clip, outcome in zip(listed.clips, outcomes, strict=True):
            intake.take(clip, outcome)
    ((clip_id, reason),) = intake.report().rejected
    assert clip_id == "1_wayne_0_10_10"
    assert "1_wayne_0_10_10.json: expected an object with 'names' and 'frames'" in reason
    assert Corpus.open(tmp_path / "corpus").info.num_clips == 2


def test_nothing_stays_when_the_block_of_an_intake_fails(tmp_path):
    write_beat(tmp_path / "it", "1_wayne_0_9_9")
    with (
        pytest.raises(RuntimeError, match="stopped"),
        open_intake(list_clips(tmp_path / "it"), tmp_path / "corpus", folder=tmp_path, config=ImportConfig()),
    ):
        raise RuntimeError("stopped")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("rate", [24, 29.97, 30, 50, 60, 120])
def test_a_rate_that_would_fit_is_named(rate, tmp_path):
    seconds = 10.0
    write_sound(tmp_path / "a.wav", noise(seconds, seed=0))
    (tmp_path / "a.csv").write_text("jawOpen\n" + "0.5\n" * round(seconds * rate))
    (tmp_path / "manifest.csv").write_text(
        "clip_id,audio,motion,speaker,emotion,fps,split\na,a.wav,a.csv,ada,neutral,25,train\n"
    )
    outcome = checked_or_rejected(list_clips(tmp_path).clips[0], config=ImportConfig())
    assert isinstance(outcome, RejectedClip)
    rates = outcome.reason.partition(" fps); at ")[2].partition(" fps it would fit")[0].split(" or ")
    assert f"{rate:g}" in rates


@given(names=st.sets(st.text(min_size=1), max_size=200))
def test_splits_of_names_are_a_tenth_each_and_repeatable(names):
    splits = split_of_names(names)
    assert splits == split_of_names(sorted(names, reverse=True))
    assert splits.keys() == names
    counts = {split: list(splits.values()).count(split) for split in ("train", "validation", "test")}
    assert abs(counts["test"] - 0.1 * len(names)) <= 1
    assert counts["validation"] == (counts["test"] if len(names) > 2 else 0)
    assert counts["train"] >= (1 if names else 0)


def test_hidden_files_are_no_recordings(tmp_path):
    write_etf(tmp_path, "RD_Radio11_000")
    (tmp_path / "._RD_Radio11_000.npy").touch()
    (clip,) = list_clips(tmp_path).clips
    assert isinstance(clip, ClipSource)
    assert checked_clip(clip, config=ImportConfig()).clip.seconds == 1.0
    assert len(checked_clip(clip, config=ImportConfig()).clip.waveform) == SAMPLE_RATE_HZ


def damaged(content: bytes, *, draw: random.Random) -> bytes:
    """A few bytes changed, cut off, taken out or put in."""
    place, count = draw.randrange(min(len(content), draw.choice((150, len(content))))), draw.randrange(1, 9)
    changed = draw.choice((draw.randbytes(count), b"", draw.randbytes(2 * count)))
    return content[:place] if draw.random() < 0.2 else content[:place] + changed + content[place + count :]


@pytest.mark.parametrize("corpus_format", WRITERS)
def test_no_damage_makes_an_import_fail_in_another_way_than_by_its_own_errors(corpus_format, tmp_path):
    WRITERS[corpus_format](tmp_path)
    draw = random.Random(0)
    whole = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    num_found = 0
    for _ in range(60):
        path = draw.choice(list(whole))
        path.write_bytes(damaged(whole[path], draw=draw))
        try:
            clips = list_clips(tmp_path, corpus_format=corpus_format).clips
            outcomes = [checked_or_rejected(clip, config=ImportConfig()) for clip in clips]
            num_found += any(isinstance(outcome, RejectedClip) for outcome in outcomes)
        except CorpusError:
            num_found += 1
        path.write_bytes(whole[path])
    assert num_found > 20
