"""What a distillation needs several times is made once: its teacher, and what both networks hear."""

import pytest
import tiny
import torch

from diffusiontalker.config import from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.inference import Bundle, SamplingConfig, save_bundle
from diffusiontalker.training import (
    DistillationObjective,
    Ranks,
    TrainingConfig,
    build,
    build_objective,
    build_talker,
    train,
    training_batch,
    window_source,
)
from diffusiontalker.training.objectives.conditioning import listen, with_mels


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return tiny.tiny_corpus(tmp_path_factory.mktemp("once") / "corpus")


@pytest.fixture(scope="module")
def teacher_path(corpus, tmp_path_factory):
    talker = build_talker(tiny.tiny_training(), corpus).eval()
    path = tmp_path_factory.mktemp("once") / "bundle"
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=4)), path)
    return path


def distilling(teacher_path, *, encoder, precompute):
    objective = {"kind": "distillation", "teacher": str(teacher_path), "student_steps": 2, "precompute": precompute}
    talker = tiny.TINY_TRAINING["talker"] | {"encoder": encoder}
    return from_plain(TrainingConfig, tiny.TINY_TRAINING | {"talker": talker, "objective": objective, "num_steps": 2})


SMALL = {"width": 8, "dilations": [1]}


@pytest.mark.parametrize("precompute", [True, False])
def test_log_mel_frames_for_both_networks_are_those_that_each_would_make(precompute, corpus, teacher_path):
    config = distilling(teacher_path, encoder=SMALL, precompute=precompute)
    talker = build_talker(config, corpus)
    objective = build_objective(talker, config, ranks=Ranks())
    assert isinstance(objective, DistillationObjective)
    source = window_source(config, corpus, talker, split="train")
    batch = training_batch(source, config, step=0, ranks=Ranks())
    mels = with_mels(batch, (talker, objective.teacher))
    assert mels.speech.ndim == mels.reference.ndim == 3
    for network in (talker.eval(), objective.teacher):
        for name, lengths in (("speech", "lengths"), ("reference", "reference_lengths")):
            fresh = network.encode(getattr(batch, name), getattr(batch, lengths))
            ready = listen(network, getattr(mels, name), getattr(mels, lengths))
            assert all(torch.equal(*pair) for pair in zip(fresh, ready, strict=True))
    assert with_mels(mels, (talker,)) is mels


def test_sound_stays_sound_where_a_pretrained_encoder_hears_it(corpus, teacher_path, tiny_hubert):
    encoder = {"family": "hugging_face", "checkpoint": str(tiny_hubert)}
    config = distilling(teacher_path, encoder=encoder, precompute=True)
    student, teacher = build_talker(config, corpus), build.load_teacher(config.objective).talker
    batch = training_batch(
        window_source(tiny.tiny_training(), corpus, teacher, split="train"), config, step=0, ranks=Ranks()
    )
    assert with_mels(batch, (student, teacher)) is batch


def test_a_distillation_loads_its_teacher_once(corpus, teacher_path, monkeypatch):
    loaded = []
    load = build.load_bundle

    def counted(path, **options):
        loaded.append(path)
        return load(path, **options)

    monkeypatch.setattr(build, "load_bundle", counted)
    train(distilling(teacher_path, encoder=SMALL, precompute=True), corpus)
    assert loaded == [str(teacher_path)]
