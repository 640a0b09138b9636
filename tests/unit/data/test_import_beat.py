"""BEAT: labels and splits from names, the halves, and what damaged recordings are told."""

import json

import numpy as np
import pytest
from others_recordings import BEAT_CHANNELS, motion, noise, write_beat, write_beat_json, write_sound

from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus, list_clips
from diffusiontalker.data.importers import beat

RANGES = {
    "neutral": (1, 64), "happiness": (65, 72), "anger": (73, 80), "sadness": (81, 86), "contempt": (87, 94),
    "surprise": (95, 102), "fear": (103, 110), "disgust": (111, 118),
}  # fmt: skip
LONG_TEST = {*range(1, 9), 65, 73, 81, 87, 95, 103, 111}
LONG_VALIDATION = {*range(57, 65), 72, 80, 86, 94, 102, 110, 118}
SHORT_TRAIN = {*range(9, 17), 66, 74, 82, 88, 96, 104, 112, 118}
HALVED = {65, 73, 81, 87, 95, 103, 111}


@pytest.fixture
def touch(tmp_path):
    """Makes empty pairs of the given names; listing reads nothing."""

    def make(*stems):
        for stem in stems:
            for suffix in ("wav", "json"):
                path = tmp_path / "beat" / stem.partition("_")[0] / f"{stem}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return tmp_path / "beat"

    return make


def strict(**settings):
    return ImportConfig(**{"motion_fps": 60.0, "strict": True} | settings)


def test_weights_arrive_under_their_names_whatever_their_order(tmp_path):
    known = {f"2_scott_0_{number}_{number}": write_beat(tmp_path / "2", f"2_scott_0_{number}_{number}", seed=number)
             for number in (1, 9, 65)}  # fmt: skip
    report = import_corpus(tmp_path, tmp_path / "corpus", corpus_format="beat", config=strict())
    clips = {clip.clip_id: clip for clip in Corpus.open(tmp_path / "corpus").clips()}
    assert clips.keys() == known.keys()
    for clip_id, weights in known.items():
        for column, name in enumerate(BEAT_CHANNELS):
            np.testing.assert_array_equal(clips[clip_id].motion.column(name), weights[:, column])
        assert not clips[clip_id].motion.column("tongueOut").any()
        np.testing.assert_array_equal(clips[clip_id].waveform, noise(1.0, seed=int(clip_id.split("_")[3])))
    assert report.info.missing_channels == ("tongueOut",)
    assert {clip.speaker for clip in clips.values()} == {"2_scott"}
    assert report.info.source["importer"] == "beat"


def test_every_number_of_speech_has_its_emotion_ends_of_ranges_included(touch):
    clips = list_clips(touch(*(f"1_wayne_0_{number}_{number}" for number in range(1, 119)))).clips
    for clip in clips:
        number = int(clip.clip_id.split("_")[3])
        ((expected, _),) = [(name, span) for name, span in RANGES.items() if span[0] <= number <= span[1]]
        assert clip.emotion == expected
    assert len(clips) == 118


def test_four_hour_speakers_have_the_official_split(touch):
    folder = touch(
        *(f"21_ayana_0_{number}_{number}" for number in range(1, 119)),
        *(f"21_ayana_1_{number}_{number}" for number in range(1, 13)),
    )
    splits = {clip.clip_id.removeprefix("21_ayana_"): clip.split for clip in list_clips(folder).clips}
    for number in range(1, 119):
        expected = "test" if number in LONG_TEST else "validation" if number in LONG_VALIDATION else "train"
        assert splits[f"0_{number}_{number}"] == expected
    conversation = {number: splits[f"1_{number}_{number}"] for number in range(1, 13)}
    assert conversation == {1: "test", 12: "validation"} | dict.fromkeys(range(2, 12), "train")


def test_other_speakers_have_the_official_split_with_halves(touch):
    folder = touch(
        *(f"5_stewart_0_{number}_{number}" for number in range(1, 119)),
        *(f"5_stewart_1_{number}_{number}" for number in range(1, 5)),
    )
    listed = list_clips(folder)
    splits = {clip.clip_id.removeprefix("5_stewart_0_"): clip.split for clip in listed.clips}
    for number in range(1, 119):
        name = f"{number}_{number}"
        if number in HALVED:
            assert (splits[f"{name}_a"], splits[f"{name}_b"]) == ("test", "validation")
        elif number in SHORT_TRAIN:
            assert splits[name] == "train"
        elif number < 9:
            assert splits[name] == ("test" if number < 5 else "validation")
        else:
            assert name not in splits
    talks = {clip.clip_id: clip for clip in listed.clips if "_1_" in clip.clip_id[:12]}
    assert {name: clip.split for name, clip in talks.items()} == {
        "5_stewart_1_1_1_a": "test", "5_stewart_1_1_1_b": "validation", "5_stewart_1_2_2": "train",
        "5_stewart_1_3_3": "train",
    }  # fmt: skip
    assert {clip.emotion for clip in talks.values()} == {"neutral"}
    (note,) = listed.notes
    assert f"{118 - 8 - len(SHORT_TRAIN) - len(HALVED) + 1} recordings left out, in no official split" in note


@pytest.mark.parametrize("kind", range(8))
def test_even_types_are_speech_and_odd_ones_conversation(kind, touch):
    (clip,) = list_clips(touch(f"2_scott_{kind}_66_66")).clips
    assert clip.emotion == ("neutral" if kind % 2 else "happiness")


def test_the_halves_meet_where_the_split_says(tmp_path, monkeypatch):
    monkeypatch.setattr(beat, "_HALF_SPEECH_S", 1.0)
    weights = write_beat(tmp_path / "5", "5_stewart_0_65_65", seconds=2.5, seed=3)
    import_corpus(tmp_path, tmp_path / "corpus", config=strict())
    first, second = (Corpus.open(tmp_path / "corpus").load(split)[0] for split in ("test", "validation"))
    column = BEAT_CHANNELS.index("jawOpen")
    np.testing.assert_array_equal(first.motion.column("jawOpen"), weights[:60, column])
    np.testing.assert_array_equal(second.motion.column("jawOpen"), weights[60:, column])
    np.testing.assert_array_equal(np.concatenate([first.waveform, second.waveform]), noise(2.5, seed=3))
    assert (first.emotion, first.seconds, second.seconds) == ("happiness", 1.0, 1.5)


def test_official_halves_are_half_a_minute_and_five_minutes(touch):
    cuts = {clip.clip_id: (clip.begin_s, clip.end_s) for clip in list_clips(touch("5_s_0_65_65", "5_s_1_1_1")).clips}
    assert cuts == {
        "5_s_0_65_65_a": (0.0, 30.0), "5_s_0_65_65_b": (30.0, None),
        "5_s_1_1_1_a": (0.0, 300.0), "5_s_1_1_1_b": (300.0, None),
    }  # fmt: skip


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


STEM = "2_scott_0_2_2"
SPOILERS = {
    "no json": (lambda path: path.unlink(), "2_scott_0_2_2.wav: has no motion file of this name beside it"),
    "no wav": (lambda path: path.with_suffix(".wav").unlink(), "2_scott_0_2_2.json: has no audio file of this name"),
    "wav cut off": (
        lambda path: path.with_suffix(".wav").write_bytes(path.with_suffix(".wav").read_bytes()[:-100]),
        "2_scott_0_2_2.wav: the header declares",
    ),
    "json cut off": (lambda path: path.write_text(path.read_text()[:-9]), "2_scott_0_2_2.json: cannot be read as JSON"),
    "names is text": (lambda path: change_json(path, lambda c: c.update(names="jawOpen")), "'names' must be a list"),
    "unknown names": (
        lambda path: change_json(path, lambda c: c.update(names=[f"shape{i}" for i in range(51)])),
        "no column is named after an ARKit channel",
    ),
    "a name twice": (
        lambda path: change_json(path, lambda c: c["names"].__setitem__(0, c["names"][1])),
        "all mean noseSneerLeft; keep one",
    ),
    "a weight missing": (
        lambda path: change_json(path, lambda c: c["frames"][7]["weights"].pop()),
        "holds 50, expected 51 weights",
    ),
    "a weight is text": (
        lambda path: change_json(path, lambda c: c["frames"][7]["weights"].__setitem__(0, "x")),
        "column 'noseSneerRight' is 'x', expected a number",
    ),
    "percent": (
        lambda path: change_json(path, lambda c: c["frames"][7]["weights"].__setitem__(0, 40)),
        "divide percentages by 100",
    ),
    "a channel missing": (
        lambda path: change_json(path, lambda c: c["names"].__setitem__(BEAT_CHANNELS.index("jawOpen"), "jaw?")),
        "2_scott_0_2_2.json: lacks jawOpen, which every recording of this format has",
    ),
    "no time": (lambda path: change_json(path, lambda c: c["frames"][7].pop("time")), "frame 7"),
    "time is text": (lambda path: change_json(path, lambda c: c["frames"][7].update(time="soon")), "'time' is 'soon'"),
    "no frames": (lambda path: change_json(path, lambda c: c.update(frames=[])), "'frames' must be a list"),
    "another rate": (lambda path: write_beat_json(path, motion(60, 51, seed=1), fps=30), "30 fps"),
    "shorter than its sound": (
        lambda path: write_beat_json(path, motion(50, 51, seed=1)),
        "motion lasts 0.83 s but audio 1.00 s (limit 0.058 s: 0.05 s and half a frame at 60 fps); at 50 fps it",
    ),
    "silent": (
        lambda path: write_sound(path.with_suffix(".wav"), np.zeros(16_000, np.float32)),
        "audio is silent",
    ),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_a_damaged_recording_is_left_out_with_its_file_and_place(name, tmp_path):
    spoil, reason = SPOILERS[name]
    for number in (1, 2, 3):
        write_beat(tmp_path / "beat" / "2", f"2_scott_0_{number}_{number}", seed=number)
    spoil(tmp_path / "beat" / "2" / f"{STEM}.json")
    config = strict(strict=False, max_rejected_fraction=0.5)
    report = import_corpus(tmp_path / "beat", tmp_path / "corpus", corpus_format="beat", config=config)
    ((clip_id, got),) = report.rejected
    assert clip_id == STEM
    assert got.count(f"2/{STEM}") <= 1
    assert reason in got


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("2_scott_0_119_119", "its numbers 119 to 119 are none of BEAT, speech has 1 to 118"),
        ("2_scott_0_1_999999999999", "are none of BEAT"),
        ("2_scott_0_64_65", "belong to happiness (test) and neutral (validation); cut the recording"),
        ("2_scott_0_9_8", "its numbers go from 9 to 8"),
    ],
)
def test_a_name_without_one_meaning_is_rejected_not_guessed(stem, reason, touch):
    (clip,) = list_clips(touch(stem)).clips
    with pytest.raises(CorpusError) as caught:
        clip.read()
    assert reason in str(caught.value)


def test_times_of_another_rate_are_followed_with_a_warning(tmp_path):
    write_beat(tmp_path / "beat", STEM, fps=50.0)
    report = import_corpus(tmp_path / "beat", tmp_path / "corpus", config=strict())
    (warning,) = report.warnings
    assert f"{STEM}.json: its times say 50 fps, the format has 60; the times were followed" in warning


def test_a_range_of_one_meaning_is_a_clip(touch):
    (clip,) = list_clips(touch("1_wayne_0_1_8")).clips
    assert (clip.emotion, clip.split) == ("neutral", "test")


@pytest.mark.parametrize("part", ["sound", "motion"])
def test_a_recording_too_short_to_halve_says_so(part, tmp_path):
    write_beat(tmp_path, "5_stewart_0_65_65", seconds=40.0 if part == "motion" else 1.0)
    if part == "motion":
        write_beat_json(tmp_path / "5_stewart_0_65_65.json", motion(60, 51, seed=1))
    with pytest.raises(CorpusError, match=r"5_stewart_0_65_65.*lasts 1\.00 s, but the format cuts it at 30 s"):
        list_clips(tmp_path).clips[0].read()


def test_foreign_names_are_noted_and_a_folder_without_recordings_is_an_error(touch, tmp_path):
    folder = touch("1_wayne_0_1_1", "readme", "1_wayne_9_1_1")
    (note,) = list_clips(folder, corpus_format="beat").notes
    assert note.startswith("2 recordings left out, not named speaker_name_type_start_end: ")
    with pytest.raises(CorpusError, match=r"2 recordings would be left out: 1/1_wayne_9_1_1, .*--strict allows none"):
        import_corpus(folder, tmp_path / "corpus", config=strict())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="holds no recording of an official split of BEAT"):
        list_clips(tmp_path / "empty", corpus_format="beat")
