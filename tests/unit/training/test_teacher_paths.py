import dataclasses

import numpy as np
import pytest
import tiny
import torch

from diffusiontalker.audio.log_mel import NUM_MELS
from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import WindowStore, mixed
from diffusiontalker.data.collate import collate
from diffusiontalker.diffusion import ddim_step, sample_ddim
from diffusiontalker.inference import Bundle, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.training import (
    Ranks,
    TrainingConfig,
    build_objective,
    build_talker,
    record_teacher_paths,
    train,
    training_batch,
    window_source,
)
from diffusiontalker.training.objectives.conditioning import listen, personalize

STATES = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tiny.tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")


@pytest.fixture(scope="module")
def teacher(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "bundle"
    talker = build_talker(tiny.tiny_training(), corpus).eval()
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=8)), path)
    return path


def distillation(teacher, **objective) -> TrainingConfig:
    objective = {"kind": "distillation", "teacher": str(teacher), "condition_dropout": 0.0} | objective
    return from_plain(TrainingConfig, tiny.TINY_TRAINING | {"objective": objective})


@pytest.fixture(scope="module")
def folder(corpus, teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    record_teacher_paths(distillation(teacher), corpus, folder, states=STATES, per_clip=3)
    return folder


def objective_of(config, corpus):
    return build_objective(build_talker(config, corpus), config, ranks=Ranks()).eval()


def test_every_training_clip_gives_its_windows_and_every_validation_clip_one(folder, corpus):
    assert len(WindowStore(folder / "train")) == 3 * corpus.info.splits["train"]
    assert len(WindowStore(folder / "validation")) == corpus.info.splits["validation"]


def test_a_path_leads_from_noise_to_what_the_teacher_samples(folder, corpus, teacher):
    config = distillation(teacher, student_steps=STATES)
    objective = objective_of(config, corpus)
    store = WindowStore(folder / "train")
    batch = collate([store.window(index) for index in range(4)])
    talker = load_bundle(teacher).talker
    heard = objective.hear_as_teacher(batch)
    draws, (speaker, emotion) = objective.draw(batch)
    style = personalize(talker, heard, speaker=speaker, emotion=emotion, draws=draws)
    features = talker.to_motion_rate(heard.features, frames=batch.motion.shape[1])
    mask = torch.ones_like(batch.motion[..., :1])
    with torch.no_grad():
        sampled = sample_ddim(
            lambda noisy, time: talker.predict_clean(noisy, time, features, style, mask),
            draws.noise[:, -1], num_steps=8,
        )  # fmt: skip
    assert batch.path is not None
    torch.testing.assert_close(batch.path[:, :, STATES], draws.noise[:, -1], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(batch.path[:, :, 0], sampled, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_one_step_with_the_target_lands_on_the_path(folder, corpus, teacher, steps):
    objective = objective_of(distillation(teacher, student_steps=steps), corpus)
    store = WindowStore(folder / "train")
    path = collate([store.window(index) for index in range(4)]).path
    time = torch.tensor([1.0, 1.0 / steps, 1.0, 1.0 / steps])
    noisy, target = objective._on_path(path, time)
    landed = ddim_step(noisy, target, time, (time - 1.0 / steps).clamp_min(0.0))
    expected = torch.stack([
        path[row, :, round(float(when) * STATES) - STATES // steps] for row, when in enumerate(time)
    ])  # fmt: skip
    torch.testing.assert_close(landed, expected, atol=1e-4, rtol=1e-4)


def test_ready_made_embeddings_are_what_the_teacher_hears(folder, corpus, teacher):
    objective = objective_of(distillation(teacher), corpus)
    store = WindowStore(folder / "train")
    batch = collate([store.window(index) for index in range(4)])
    ready = objective.hear_as_teacher(batch)
    asked = objective.hear_as_teacher(dataclasses.replace(batch, taught_embeddings=None))
    for mine, its in zip((*ready.own, *ready.reference), (*asked.own, *asked.reference), strict=True):
        torch.testing.assert_close(mine, its, atol=5e-3, rtol=0.0)


def test_a_student_learns_from_paths_without_asking_its_teacher(folder, corpus, teacher, monkeypatch):
    config = distillation(teacher, student_steps=2, paths=str(folder))
    config = dataclasses.replace(config, num_steps=40, checkpoint_every=20, batch_size=8)
    losses = []
    with monkeypatch.context() as patch:
        from diffusiontalker.training.objectives.distillation import DistillationObjective

        patch.setattr(DistillationObjective, "_two_teacher_steps", lambda *_: pytest.fail("the teacher was asked"))
        train(config, corpus, on_checkpoint=lambda _, metrics: losses.append(metrics["validation/loss_distillation"]))
    assert losses[1] < losses[0]


def test_ready_made_log_mel_frames_are_heard_as_the_waveform_is(folder, corpus, teacher):
    config = distillation(teacher)
    talker = build_talker(config, corpus).eval()
    source = window_source(config, corpus, talker, split="validation")
    windows = [source.window(index, seed=mixed(config.seed, 0, index, 4)) for index in range(len(source))]
    stored = WindowStore(folder / "validation")
    sounds, ready = collate(windows), collate([stored.window(index) for index in range(len(stored))])
    for heard, mels in (
        (listen(talker, sounds.speech, sounds.lengths), listen(talker, ready.speech, ready.lengths)),
        (
            listen(talker, sounds.reference, sounds.reference_lengths),
            listen(talker, ready.reference, ready.reference_lengths),
        ),
    ):
        assert torch.equal(heard[1], mels[1])
        torch.testing.assert_close(mels[0], heard[0], atol=2e-2, rtol=0.0)


def test_what_is_there_is_left_as_it_is(folder, corpus, teacher):
    before = (folder / "train" / "path.f16").stat().st_mtime_ns
    record_teacher_paths(distillation(teacher), corpus, folder, states=STATES, per_clip=3)
    assert (folder / "train" / "path.f16").stat().st_mtime_ns == before


def test_windows_read_back_are_those_written(folder, corpus, teacher):
    store = WindowStore(folder / "train")
    config = distillation(teacher, paths=str(folder))
    batch = training_batch(store, config, step=0, ranks=Ranks())
    assert batch.speech.shape[0] == config.batch_size
    assert set(batch.speaker.tolist()) <= {0, 1}
    assert np.isfinite(batch.motion.numpy()).all()


def test_paths_of_another_teacher_are_not_mixed_in(folder, corpus, teacher, tmp_path):
    other = load_bundle(teacher)
    save_bundle(
        dataclasses.replace(other, sampling=SamplingConfig(num_steps=4), digest="", file_bytes=0), tmp_path / "t"
    )
    with pytest.raises(ConfigError, match="was made with another teacher"):
        record_teacher_paths(distillation(tmp_path / "t"), corpus, folder, states=STATES, per_clip=3)


def test_students_of_a_pretrained_teacher_hear_sound(corpus, tmp_path, tiny_hubert):
    encoder = {"family": "hugging_face", "checkpoint": str(tiny_hubert)}
    config = from_plain(
        TrainingConfig, tiny.TINY_TRAINING | {"talker": tiny.TINY_TRAINING["talker"] | {"encoder": encoder}}
    )
    bundle = Bundle(talker=build_talker(config, corpus).eval(), sampling=SamplingConfig(num_steps=2))
    save_bundle(bundle, tmp_path / "teacher")
    record_teacher_paths(distillation(tmp_path / "teacher"), corpus, tmp_path / "paths", states=2, per_clip=1)
    window = WindowStore(tmp_path / "paths" / "train").window(0)
    assert window.taught is not None
    assert window.speech.shape == (2 * len(window.taught), NUM_MELS)
    assert window.taught.shape[1] == bundle.talker.encoder.feature_dim
    student = distillation(tmp_path / "teacher", student_steps=2, paths=str(tmp_path / "paths"))
    train(dataclasses.replace(student, num_steps=2, checkpoint_every=2), corpus)


def test_steps_that_do_not_divide_the_teachers_are_refused(corpus, teacher, tmp_path):
    with pytest.raises(ConfigError, match="takes 8 diffusion steps, which a student of 3 steps cannot follow"):
        record_teacher_paths(distillation(teacher), corpus, tmp_path, states=3, per_clip=1)


def test_paths_and_dropped_conditions_exclude_each_other(teacher):
    with pytest.raises(ConfigError, match=r"condition_dropout is 0\.1"):
        distillation(teacher, paths="somewhere", condition_dropout=0.1)
