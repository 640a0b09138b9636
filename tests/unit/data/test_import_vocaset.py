"""VOCASET: displacements from the subject's head, the official split, plain pickles only, and damaged files."""

import os
import pickle
import subprocess

import numpy as np
import pytest
from others_recordings import TEST_SUBJECT, TRAIN_SUBJECT, VALIDATION_SUBJECT, Vocaset

from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus, list_clips
from diffusiontalker.data.importers.pickles import read_pickle

SENTENCES = [(TRAIN_SUBJECT, "sentence01"), (TRAIN_SUBJECT, "sentence40"), (VALIDATION_SUBJECT, "sentence21"),
             (TEST_SUBJECT, "sentence40")]  # fmt: skip
TRAIN_SUBJECTS = {"170728_03272", "170904_00128", "170725_00137", "170915_00223", "170811_03274", "170913_03279",
                  "170904_03276", "170912_03278"}  # fmt: skip


@pytest.fixture
def small(tmp_path):
    return Vocaset(tmp_path / "vocaset", SENTENCES)


def strict(**settings):
    return ImportConfig(**{"motion_fps": 30.0, "strict": True} | settings)


def test_motion_is_every_second_frame_as_displacement_in_metres(small, tmp_path):
    report = import_corpus(small.write(), tmp_path / "corpus", config=strict())
    clips = {clip.clip_id: clip for clip in Corpus.open(tmp_path / "corpus").clips()}
    assert len(clips) == len(SENTENCES)
    for (subject, sequence), displacements in small.displacements.items():
        clip = clips[f"{subject}_{sequence}"]
        got = clip.motion.coefficients.reshape(-1, 7, 3)
        np.testing.assert_allclose(got, displacements[::2], atol=1e-7)
        np.testing.assert_array_equal(clip.motion.column("v0003_y"), clip.motion.coefficients[:, 10])
        assert (clip.speaker, clip.emotion, clip.motion.fps) == (subject, "neutral", 30.0)
        assert clip.seconds == 0.5
    assert report.info.channel_names[:4] == ("v0000_x", "v0000_y", "v0000_z", "v0001_x")
    assert not report.info.missing_channels
    assert report.info.splits == {"train": 2, "validation": 1, "test": 1}


def test_at_60_fps_no_frame_is_lost(small, tmp_path):
    import_corpus(small.write(), tmp_path / "corpus", config=strict(motion_fps=60.0))
    clip = Corpus.open(tmp_path / "corpus").load("test")[0]
    displacements = small.displacements[TEST_SUBJECT, "sentence40"]
    np.testing.assert_allclose(clip.motion.coefficients.reshape(30, 7, 3), displacements, atol=1e-7)


def test_heads_at_rest_lie_beside_the_shards_and_give_the_vertices_back(small, tmp_path):
    import_corpus(small.write(), tmp_path / "corpus", config=strict(motion_fps=60.0))
    with np.load(tmp_path / "corpus" / "templates.npz", allow_pickle=False) as heads:
        assert set(heads.files) == {TRAIN_SUBJECT, VALIDATION_SUBJECT, TEST_SUBJECT}
        clip = Corpus.open(tmp_path / "corpus").load("train")[0]
        vertices = heads[clip.speaker] + clip.motion.coefficients.reshape(30, 7, 3)
    np.testing.assert_allclose(vertices, small.vertices[:30], atol=1e-6)
    Corpus.open(tmp_path / "corpus").verify()


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_sound_of_any_type_is_resampled_from_its_own_rate(dtype, tmp_path):
    small = Vocaset(tmp_path / "vocaset", SENTENCES[:1], rate_hz=16_000)
    entry = small.sounds[TRAIN_SUBJECT]["sentence01"]
    expected = entry["audio"] / np.float32(32768)
    entry["audio"] = entry["audio"] if dtype == np.int16 else (entry["audio"] / 32768).astype(dtype)
    import_corpus(small.write(), tmp_path / "corpus", config=strict())
    np.testing.assert_allclose(Corpus.open(tmp_path / "corpus").load()[0].waveform, expected, atol=1e-6)


def test_the_split_is_the_official_one_by_subject_and_sentence(tmp_path):
    subjects = {f"FaceTalk_{name}_TA": "train" for name in TRAIN_SUBJECTS}
    subjects |= {f"FaceTalk_{name}_TA": "validation" for name in ("170811_03275", "170908_03277")}
    subjects |= {f"FaceTalk_{name}_TA": "test" for name in ("170809_00138", "170731_00024")}
    everything = [(subject, f"sentence{number:02d}") for subject in subjects for number in range(1, 41)]
    listed = list_clips(Vocaset(tmp_path, everything, num_vertices=1, seconds=0.1).write())
    sentences = {subject: [] for subject in subjects}
    for clip in listed.clips:
        assert clip.split == subjects[clip.speaker]
        sentences[clip.speaker].append(int(clip.sequence.removeprefix("sentence")))
    for subject, numbers in sentences.items():
        assert numbers == list(range(1 if subjects[subject] == "train" else 21, 41))
    (note,) = listed.notes
    assert note.startswith("80 sentences left out, not in the official split: ")


def test_numbers_of_numpy_are_numbers(small, tmp_path):
    for found in small.index.values():
        for sequence, rows in found.items():
            found[sequence] = {np.int32(frame): np.int64(row) for frame, row in rows.items()}
    for found in small.sounds.values():
        for entry in found.values():
            entry["sample_rate"] = np.int64(entry["sample_rate"])
    assert len(import_corpus(small.write(), tmp_path / "corpus", config=strict()).accepted) == len(SENTENCES)


def test_clips_can_be_read_in_another_process(small):
    clip = list_clips(small.write()).clips[0]
    copy = pickle.loads(pickle.dumps(clip))
    assert copy == clip
    np.testing.assert_array_equal(copy.read().motion.coefficients, clip.read().motion.coefficients)


ENTRY = (VALIDATION_SUBJECT, "sentence21")


def change_sound(small, **changes):
    small.sounds[ENTRY[0]][ENTRY[1]].update(changes)


CLIP_SPOILERS = {
    "no sound": (
        lambda small: small.sounds[ENTRY[0]].clear(),
        f"raw_audio_fixed.pkl: subject '{ENTRY[0]}', sequence 'sentence21': has no audio and sample_rate",
    ),
    "no rate": (lambda small: small.sounds[ENTRY[0]][ENTRY[1]].pop("sample_rate"), "KeyError: 'sample_rate'"),
    "rate is text": (lambda small: change_sound(small, sample_rate="fast"), "invalid literal"),
    "rate of 0": (lambda small: change_sound(small, sample_rate=0), "sample_rate is 0"),
    "rate of 5 Hz": (lambda small: change_sound(small, sample_rate=5), "sentence21': sample rate 5 Hz"),
    "stereo": (
        lambda small: change_sound(small, audio=np.ones((9, 2), np.int16)),
        "audio is int16 (9, 2), expected int16 or float (samples,)",
    ),
    "sound is text": (lambda small: change_sound(small, audio="a"), "audio is <U1"),
    "NaN": (lambda small: change_sound(small, audio=np.full(11_000, np.nan)), "samples are NaN"),
    "silence": (lambda small: change_sound(small, audio=np.zeros(11_000, np.int16)), "audio is silent"),
    "unscaled": (lambda small: change_sound(small, audio=np.full(11_000, 3e4)), "divide by full scale"),
    "longer": (lambda small: change_sound(small, sample_rate=11_000), "motion lasts 0.50 s but audio 1.00 s"),
    "no head": (lambda small: small.templates.pop(ENTRY[0]), f"templates.pkl has no subject '{ENTRY[0]}'"),
    "another head": (
        lambda small: small.templates.update({ENTRY[0]: np.zeros((6, 3))}),
        f"templates.pkl, subject '{ENTRY[0]}': holds (6, 3), expected finite (7, 3)",
    ),
    "NaN in a head": (lambda small: small.templates[ENTRY[0]].fill(np.nan), "expected finite (7, 3)"),
    "millimetres": (
        lambda small: small.vertices.__imul__(
            np.where(np.arange(len(small.vertices)) // 30 == 2, 1000, 1)[:, None, None]
        ),
        "convert both to metres",
    ),
    "a lost vertex": (
        lambda small: small.vertices.__setitem__((62, 4, 1), np.nan),
        "data_verts.npy: row 62 (counted from 0; frame 2 of the clip), vertex 4, axis y lies nan m from the head",
    ),
    "a frame is missing": (lambda small: small.index[ENTRY[0]][ENTRY[1]].pop(5), "frame 6 does not follow the one"),
    "no frames": (lambda small: small.index[ENTRY[0]][ENTRY[1]].clear(), "without frames"),
    "frames are a list": (lambda small: small.index[ENTRY[0]].update({ENTRY[1]: [1, 2]}), "holds a list without"),
    "row beyond the end": (
        lambda small: small.index[ENTRY[0]][ENTRY[1]].update({3: 120}),
        "frame 3 is row 120 of data_verts.npy, which has 120",
    ),
    "frame is text": (
        lambda small: small.index[ENTRY[0]][ENTRY[1]].update({"x": 3}),
        "has a frame whose number is no whole number",
    ),
    "row is text": (lambda small: small.index[ENTRY[0]][ENTRY[1]].update({3: "x"}), "frame 3 is row x"),
}


@pytest.mark.parametrize("name", CLIP_SPOILERS)
def test_a_damaged_sentence_is_left_out_with_its_file_and_field(name, small, tmp_path):
    spoil, reason = CLIP_SPOILERS[name]
    spoil(small)
    config = strict(strict=False, max_rejected_fraction=0.5)
    report = import_corpus(small.write(), tmp_path / "corpus", corpus_format="vocaset", config=config)
    ((clip_id, got),) = report.rejected
    assert clip_id == "_".join(ENTRY)
    assert got.startswith(f"subj_seq_to_idx.pkl, subject '{ENTRY[0]}', sequence 'sentence21': ")
    assert reason in got


FILES = ("data_verts.npy", "subj_seq_to_idx.pkl", "raw_audio_fixed.pkl", "templates.pkl")
FILE_SPOILERS = {
    **{f"no {name}": (lambda folder, name=name: (folder / name).unlink(), f"{name}: there is no such file")
       for name in FILES},
    "index is a list": (
        lambda folder: (folder / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps([1])),
        "subj_seq_to_idx.pkl: holds a list, expected a dictionary by subject",
    ),
    "subject is a list": (
        lambda folder: (folder / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps({TRAIN_SUBJECT: [1]})),
        f"subj_seq_to_idx.pkl: subject '{TRAIN_SUBJECT}' holds a list",
    ),
    "sequence is a number": (
        lambda folder: (folder / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps({TRAIN_SUBJECT: {1: {0: 0}}})),
        f"subj_seq_to_idx.pkl: subject '{TRAIN_SUBJECT}' holds names that are no text",
    ),
    "templates are an array": (
        lambda folder: (folder / "templates.pkl").write_bytes(pickle.dumps(np.zeros(3))),
        "templates.pkl: holds a ndarray, expected a dictionary by subject",
    ),
    "cut-off index": (
        lambda folder: (folder / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps({"a": 1})[:-3]),
        "subj_seq_to_idx.pkl: cannot be read as a pickle",
    ),
    "vertices of two axes": (
        lambda folder: np.save(folder / "data_verts.npy", np.zeros((9, 7, 2), np.float32)),
        "data_verts.npy: holds float32 (9, 7, 2), expected floats (frames, vertices, 3)",
    ),
    "vertices are whole numbers": (
        lambda folder: np.save(folder / "data_verts.npy", np.zeros((9, 7, 3), np.int32)), "data_verts.npy: holds int32"
    ),
    "vertices cut off": (
        lambda folder: (folder / "data_verts.npy").write_bytes((folder / "data_verts.npy").read_bytes()[:-8]),
        "data_verts.npy: cannot be read as NPY without pickle (it is cut off)",
    ),
    "no official subject": (
        lambda folder: (folder / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps({"ada": {"sentence01": {0: 0}}})),
        "none of its subjects ada is in the official split",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILE_SPOILERS)
def test_a_damaged_file_ends_the_import_and_is_named(name, small, tmp_path):
    spoil, reason = FILE_SPOILERS[name]
    spoil(small.write())
    with pytest.raises(CorpusError) as caught:
        import_corpus(small.folder, tmp_path / "corpus", corpus_format="vocaset")
    assert reason in str(caught.value)
    assert not (tmp_path / "corpus").exists()


class Runs:
    """A pickle of it calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, getattr, __import__, subprocess.call, np.load, os.remove, open],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(function, protocol, tmp_path):
    victim = tmp_path / "victim"
    victim.touch()
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"a": [Runs(function, str(victim))]}, protocol=protocol))
    with pytest.raises(CorpusError, match=r"bad\.pkl: names \S+, expected nothing but containers") as caught:
        read_pickle(tmp_path / "bad.pkl")
    assert "may run programs" in str(caught.value)
    assert victim.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_and_arrays_are_read_from_every_protocol(protocol, tmp_path):
    content = {"a": [1, 2.5, None, True, ("x", b"\xff"), {3}], "b": np.arange(6, dtype=np.int16).reshape(2, 3)}
    content["c"] = {"d": np.float64(1.5), "e": np.array([], dtype=np.float32)}
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    got = read_pickle(tmp_path / "good.pkl")
    assert got["a"] == content["a"]
    np.testing.assert_array_equal(got["b"], content["b"])
    assert got["c"]["d"] == 1.5
    assert got["c"]["e"].dtype == np.float32


def test_text_and_arrays_of_python_2_are_read(tmp_path):
    python_2 = (
        b"(dp0\nS'a\\xe9'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\n"
        b"tp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'i2'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\n"
        b"I0\ntp14\nbI00\nS'\\x01\\x00\\xff\\xff'\np15\ntp16\nbs."
    )
    (tmp_path / "old.pkl").write_bytes(python_2)
    ((name, array),) = read_pickle(tmp_path / "old.pkl").items()
    assert name == "aé"
    np.testing.assert_array_equal(array, [1, -1])
