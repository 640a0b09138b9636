"""A face of vertices goes the whole way: VOCASET files, corpus, training, bundle, animation, distillation."""

import numpy as np
import pytest
import soundfile
import tiny
from others_recordings import TEST_SUBJECT, TRAIN_SUBJECT, VALIDATION_SUBJECT, Vocaset

from diffusiontalker.cli import main
from diffusiontalker.config import from_plain
from diffusiontalker.data import Corpus, ImportConfig, import_corpus
from diffusiontalker.inference import Bundle, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.training import TrainingConfig, train

SENTENCES = [(TRAIN_SUBJECT, "sentence01"), (TRAIN_SUBJECT, "sentence02"), (VALIDATION_SUBJECT, "sentence21"),
             (TEST_SUBJECT, "sentence21")]  # fmt: skip
MOVING = 2
"""The vertex whose height follows the loudness."""


def speaking(vocaset):
    """Puts tones into the sounds, and their loudness into one vertex: 1 cm down where it is loudest."""
    for number, ((subject, sequence), moved) in enumerate(vocaset.displacements.items()):
        entry = vocaset.sounds[subject][sequence]
        time_s = np.arange(len(entry["audio"])) / entry["sample_rate"]
        loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time_s + number)
        entry["audio"] = (9000 * loudness * np.sin(2 * np.pi * 200 * time_s)).astype(np.int16)
        frames_s = np.arange(len(moved)) / 60
        rows = list(vocaset.index[subject][sequence].values())
        vocaset.vertices[rows, MOVING, 1] -= 0.005 + 0.005 * np.sin(2 * np.pi * 3 * frames_s + number)
    return vocaset


def imported(folder, **size):
    source = speaking(Vocaset(folder / "vocaset", SENTENCES, **size)).write()
    import_corpus(source, folder / "corpus", config=ImportConfig(motion_fps=30.0, strict=True))
    return Corpus.open(folder / "corpus")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A corpus of heads of 7 vertices and the bundle of a talker that has learnt it."""
    folder = tmp_path_factory.mktemp("small")
    corpus = imported(folder, seconds=2.0)
    fast = tiny.TINY_TRAINING["optimizer"] | {"learning_rate": 1e-2}
    talker = train(tiny.tiny_training(num_steps=150, checkpoint_every=150, optimizer=fast), corpus)
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=4)), folder / "bundle")
    return corpus, folder / "bundle"


def animated(clip, bundle, out, *flags):
    sound = out.with_suffix(".in.wav")
    soundfile.write(sound, clip.waveform, 16_000)
    assert main(["animate", str(sound), "--bundle", str(bundle), "--out", str(out), *flags]) == 0
    with np.load(out) as archive:
        return archive["coefficients"], list(archive["names"]), float(archive["fps"])


def test_a_head_of_5023_vertices_is_imported_trained_on_and_animated(tmp_path, capsys):
    corpus = imported(tmp_path, num_vertices=5023, seconds=1.0)
    talker = train(tiny.tiny_training(num_steps=2, checkpoint_every=2, batch_size=2), corpus)
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=1)), tmp_path / "bundle")
    displacements, names, fps = animated(corpus.load("test")[0], tmp_path / "bundle", tmp_path / "out.npz")
    assert displacements.shape == (30, 3 * 5023)
    assert names[:4] == ["v0000_x", "v0000_y", "v0000_z", "v0001_x"]
    assert fps == 30.0
    assert np.abs(displacements).max() < 0.1
    assert "15069 channels" in capsys.readouterr().out


def test_displacements_are_learnt_from_sound_in_metres_and_not_clamped_to_weights(small, tmp_path):
    corpus, bundle = small
    (clip,) = corpus.load("test")
    displacements, names, _ = animated(clip, bundle, tmp_path / "out.npz")
    height = names.index(f"v{MOVING:04d}_y")
    truth = clip.motion.coefficients[:, height]
    assert displacements[:, height].min() < -0.006
    assert np.corrcoef(displacements[:, height], truth)[0, 1] > 0.3


def test_a_bundle_of_vertices_is_the_talker_that_was_trained(small):
    corpus, path = small
    bundle = load_bundle(path)
    assert bundle.talker.channel_names == corpus.info.channel_names
    scale = bundle.talker.statistics.scale
    assert scale.min() >= np.float32(1e-4)
    assert scale[3 * MOVING + 1] > 0.003


def test_another_rate_can_be_asked_for(small, tmp_path):
    corpus, bundle = small
    (clip,) = corpus.load("test")
    displacements, _, fps = animated(clip, bundle, tmp_path / "out.npz", "--fps", "60")
    assert (len(displacements), fps) == (120, 60.0)


def test_a_format_of_weights_refuses_vertices(small, tmp_path, capsys):
    corpus, bundle = small
    sound = tmp_path / "in.wav"
    soundfile.write(sound, corpus.load("test")[0].waveform, 16_000)
    assert main(["animate", str(sound), "--bundle", str(bundle), "--out", str(tmp_path / "out.glb")]) != 0
    assert "but none of v0000_x to v0006_z; write them as npz" in capsys.readouterr().err
    assert not (tmp_path / "out.glb").exists()


def test_a_student_is_distilled_from_a_teacher_of_vertices(small):
    corpus, path = small
    objective = {"kind": "distillation", "teacher": str(path), "student_steps": 2, "enhancer_weight": 0.1}
    plain = tiny.TINY_TRAINING | {"objective": objective, "num_steps": 2, "checkpoint_every": 2}
    metrics = {}
    student = train(from_plain(TrainingConfig, plain), corpus, on_checkpoint=lambda _, found: metrics.update(found))
    assert student.channel_names == corpus.info.channel_names
    for name in ("loss_distillation", "loss_dynamics", "loss_enhancer"):
        assert np.isfinite(metrics[f"train/{name}"])
