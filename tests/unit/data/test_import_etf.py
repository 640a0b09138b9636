"""3D-ETF: the labels of both of its parts, a split by speaker, and what damaged recordings are told."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from others_recordings import motion, noise, write_etf, write_sound

from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus, list_clips
from diffusiontalker.face import CHANNELS

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@pytest.fixture
def touch(tmp_path):
    """Makes empty pairs of the given names; listing reads nothing."""

    def make(*stems):
        (tmp_path / "etf").mkdir(exist_ok=True)
        for stem in stems:
            for suffix in ("wav", "npy"):
                (tmp_path / "etf" / f"{stem}.{suffix}").touch()
        return tmp_path / "etf"

    return make


def test_weights_arrive_under_their_names(tmp_path):
    stems = ("Actor_12/03-01-05-01-02-01-12", "hdtf/RD_Radio11_000")
    known = {}
    for seed, stem in enumerate(stems):
        known[stem.rpartition("/")[2]] = write_etf(tmp_path, stem, seed=seed)
    report = import_corpus(tmp_path, tmp_path / "corpus", config=ImportConfig(motion_fps=30.0, strict=True))
    clips = {clip.clip_id: clip for clip in Corpus.open(tmp_path / "corpus").clips()}
    for seed, (clip_id, weights) in enumerate(known.items()):
        np.testing.assert_array_equal(clips[clip_id].motion.coefficients, weights)
        np.testing.assert_array_equal(clips[clip_id].waveform, noise(1.0, seed=seed))
    labels = {clip_id: (clip.speaker, clip.emotion) for clip_id, clip in clips.items()}
    assert labels == {"03-01-05-01-02-01-12": ("actor_12", "angry"), "RD_Radio11_000": ("RD_Radio11", "neutral")}
    assert report.info.channel_names == CHANNELS
    assert not report.info.missing_channels


def test_every_emotion_of_ravdess_has_its_name(touch):
    clips = list_clips(touch(*(f"03-01-{number:02d}-01-01-01-01" for number in range(1, 9)))).clips
    assert tuple(clip.emotion for clip in clips) == EMOTIONS
    assert {clip.speaker for clip in clips} == {"actor_01"}


@pytest.mark.parametrize(
    ("stem", "speaker"),
    [("RD_Radio11_000", "RD_Radio11"), ("WDA_BarackObama_000_12", "WDA_BarackObama_000"), ("WRA_X_Y0_3", "WRA_X_Y0")],
)
def test_the_speaker_of_hdtf_is_all_before_the_last_number(stem, speaker, touch):
    assert list_clips(touch(stem)).clips[0].speaker == speaker


def test_speakers_are_split_a_tenth_each_for_validation_and_test_in_both_parts(touch):
    actors = [f"03-01-0{emotion}-01-01-01-{actor:02d}" for actor in range(1, 25) for emotion in (1, 3)]
    radio = [f"RD_Radio{number}_{piece:03d}" for number in range(30) for piece in range(2)]
    clips = list_clips(touch(*actors, *radio)).clips
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.speaker].add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    for prefix, num_held_out in (("actor", 2), ("RD", 3)):
        counts = Counter(min(found) for speaker, found in splits.items() if speaker.startswith(prefix))
        assert (counts["validation"], counts["test"]) == (num_held_out, num_held_out)


def test_the_split_depends_on_the_names_alone(touch, tmp_path):
    stems = [f"03-01-01-01-01-01-{actor:02d}" for actor in range(1, 11)]
    folder = touch(*stems)
    before = {clip.clip_id: clip.split for clip in list_clips(folder).clips}
    for stem in stems[:5]:
        (folder / "elsewhere").mkdir(exist_ok=True)
        for suffix in ("wav", "npy"):
            (folder / f"{stem}.{suffix}").rename(folder / "elsewhere" / f"{stem}.{suffix}")
    assert {clip.clip_id: clip.split for clip in list_clips(folder).clips} == before


STEM = "03-01-01-01-01-01-02"
SPOILERS = {
    "no npy": (lambda path: path.unlink(), f"{STEM}.wav: has no motion file of this name beside it"),
    "no wav": (lambda path: path.with_suffix(".wav").unlink(), f"{STEM}.npy: has no audio file of this name"),
    "51 columns": (lambda path: np.save(path, motion(30, 51, seed=1)), f"{STEM}.npy: holds an array (30, 51)"),
    "no columns": (lambda path: np.save(path, np.zeros(30)), f"{STEM}.npy: holds an array (30,)"),
    "text": (lambda path: np.save(path, np.full((30, 52), "x")), f"{STEM}.npy: "),
    "objects": (lambda path: np.save(path, np.full((30, 52), {}), allow_pickle=True), "without pickle"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-9]), f"{STEM}.npy: cannot be read as NPY"),
    "NaN": (
        lambda path: np.save(path, np.where(np.arange(52) == 24, np.nan, motion(30, 52, seed=1))),
        "frame 0 (counted from 0), column 'jawOpen'",
    ),
    "60 fps": (
        lambda path: np.save(path, motion(60, 52, seed=1)),
        "motion lasts 2.00 s but audio 1.00 s (limit 0.067 s: 0.05 s and half a frame at 30 fps); at 60 fps it",
    ),
    "half the rate": (
        lambda path: np.save(path, motion(15, 52, seed=1)),
        "it has 15 frames per second of the sound; correct its rate",
    ),
    "no such emotion": (
        lambda path: [path.with_suffix(end).rename(path.parent / f"03-01-09-01-01-01-02{end}") for end in
                      (".wav", ".npy")],
        "its third number is none of 01, 02",
    ),
    "corrupt wav": (lambda path: path.with_suffix(".wav").write_bytes(b"RIFFxxxx"), f"{STEM}.wav: unknown format"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILERS)
def test_a_damaged_recording_is_left_out_with_its_file_and_place(name, tmp_path):
    spoil, reason = SPOILERS[name]
    for actor in (1, 2, 3):
        write_etf(tmp_path / "etf", f"03-01-01-01-01-01-{actor:02d}", seed=actor)
    spoil(tmp_path / "etf" / f"{STEM}.npy")
    config = ImportConfig(motion_fps=30.0, max_rejected_fraction=0.5)
    report = import_corpus(tmp_path / "etf", tmp_path / "corpus", corpus_format="3d-etf", config=config)
    ((_, got),) = report.rejected
    assert reason in got


def test_foreign_names_are_noted_and_a_folder_without_recordings_is_an_error(tmp_path, touch):
    write_sound(tmp_path / "etf" / "jingle.wav", noise(1.0, seed=0))
    (note,) = list_clips(touch(STEM)).notes
    assert note == "1 recording left out, not named as in RAVDESS or HDTF: jingle"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"holds no recording of 3D-ETF, such as 03-01-05-01-02-01-12 or RD_Radio11"):
        list_clips(tmp_path / "empty", corpus_format="3d-etf")
