import dataclasses
import json

import numpy as np
import pytest
import tiny
import torch

from diffusiontalker.audio import timebase
from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import WindowConfig, WindowSource
from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import Bundle, SamplingConfig, load_bundle, pseudo_label, save_bundle
from diffusiontalker.training import (
    DistillationObjectiveConfig,
    FileTelemetry,
    Ranks,
    TrainingConfig,
    build_objective,
    build_talker,
    train,
    training_batch,
    window_source,
)

SMALL = tiny.TINY_TRAINING["talker"] | {"encoder": {"width": 8, "dilations": [1]}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tiny.tiny_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="module")
def teacher_path(corpus, tmp_path_factory):
    talker = train(tiny.tiny_training(num_steps=40), corpus)
    path = tmp_path_factory.mktemp("teacher") / "bundle"
    save_bundle(Bundle(talker=talker, sampling=SamplingConfig(num_steps=4)), path)
    return path


def distilling(teacher_path, *, talker=SMALL, objective=(), **changes):
    plain = {"kind": "distillation", "teacher": str(teacher_path), "student_steps": 2} | dict(objective)
    return from_plain(TrainingConfig, tiny.TINY_TRAINING | {"talker": talker, "objective": plain} | changes)


def objective_and_batch(config, corpus):
    torch.manual_seed(0)
    talker = build_talker(config, corpus)
    objective = build_objective(talker, config, ranks=Ranks())
    source = window_source(config, corpus, talker, split="train")
    return objective, training_batch(source, config, step=0, ranks=Ranks())


def test_a_student_has_the_labels_statistics_and_prototypes_of_its_teacher(corpus, teacher_path):
    config = distilling(teacher_path)
    student = build_talker(config, corpus)
    teacher = build_objective(student, config, ranks=Ranks()).teacher
    assert (student.speakers, student.emotions) == (teacher.speakers, teacher.emotions)
    assert torch.equal(student.statistics.scale, teacher.statistics.scale)
    assert torch.equal(student.personalizer.identity_prototypes, teacher.personalizer.identity_prototypes)
    assert student.encoder.feature_dim == 8


def test_a_student_that_is_its_own_teacher_has_nothing_to_learn_from_features(corpus, teacher_path):
    config = distilling(
        teacher_path, talker=tiny.TINY_TRAINING["talker"], start_from=str(teacher_path), objective={"precompute": False}
    )
    objective, batch = objective_and_batch(config, corpus)
    losses = objective.eval()(batch)
    assert losses["loss_feature"].item() == pytest.approx(0.0, abs=1e-9)
    assert losses["loss_embedding"].item() == pytest.approx(0.0, abs=1e-6)
    other, _ = objective_and_batch(distilling(teacher_path), corpus)
    assert other.eval()(batch)["loss_feature"].item() > 0.5


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0])
def test_precomputed_teacher_features_are_on_the_clock_of_the_window_wherever_it_begins(fps, tmp_path):
    corpus = tiny.tiny_corpus(tmp_path / "corpus", fps=fps, motion_fps=fps, seconds=1.1)
    clips = corpus.load("train")
    # Features that say when they are: the instant of every 50 Hz frame.
    clock = {clip.clip_id: np.arange(60, dtype=np.float32)[:, None] / 50 for clip in clips}
    source = WindowSource(
        clips, speakers=["speaker0"], emotions=["neutral"], config=WindowConfig(seconds=0.7), augment=None, taught=clock
    )
    for seed in range(40):
        window = source.window(0, seed=seed)
        assert len(window.taught) == timebase.speech_frames(len(window.speech))
        at = np.flatnonzero((clips[0].motion.coefficients == window.motion[0]).all(axis=1))[0] / fps
        assert window.taught[:, 0] == pytest.approx(at + np.arange(len(window.taught)) / 50, abs=1e-4)


def test_precomputed_teacher_features_equal_those_computed_in_every_step(corpus, teacher_path):
    losses = []
    for precompute in (True, False):
        # The window is the whole clip, so both hear the same; validation windows are not augmented.
        windows = {"seconds": 0.8, "reference_seconds": 0.4}
        config = distilling(teacher_path, objective={"precompute": precompute}, windows=windows)
        torch.manual_seed(0)
        talker = build_talker(config, corpus)
        objective = build_objective(talker, config, ranks=Ranks()).eval()
        source = window_source(config, corpus, talker, split="validation")
        batch = training_batch(source, config, step=0, ranks=Ranks())
        assert (batch.taught is not None) == precompute
        losses.append({name: value.item() for name, value in objective(batch).items()})
    assert losses[0] == pytest.approx(losses[1], rel=2e-2, abs=1e-4)


def test_a_corpus_of_another_rate_or_other_channels_is_refused(corpus, teacher_path, tmp_path):
    other = tiny.tiny_corpus(tmp_path / "fast", fps=50.0, motion_fps=50.0)
    with pytest.raises(ConfigError, match="motion at 50 fps, the talker moves at 25"):
        build_talker(distilling(teacher_path), other)
    turned = tiny.tiny_corpus(tmp_path / "turned", channel_names=CHANNELS[::-1])
    with pytest.raises(ConfigError, match="channels that are not, in this order, the talker's"):
        build_talker(distilling(teacher_path), turned)


def test_clips_of_another_corpus_with_the_same_names_stay_apart(corpus, teacher_path, tmp_path):
    again = tiny.tiny_corpus(tmp_path / "again", seconds=1.0)
    config = distilling(
        teacher_path, extra_corpora=[str(again.uri)], windows={"seconds": 1.0, "reference_seconds": 0.4}
    )
    source = window_source(config, corpus, build_talker(config, corpus), split="train")
    lengths = [len(source.window(index, seed=0).taught) for index in range(len(source))]
    assert lengths == [40] * 8 + [50] * 8


def test_a_batch_without_any_label_gives_every_parameter_a_gradient(corpus, teacher_path):
    objective, batch = objective_and_batch(distilling(teacher_path), corpus)
    unknown = torch.full_like(batch.speaker, -1)
    objective(dataclasses.replace(batch, speaker=unknown, emotion=unknown))["loss"].backward()
    left_out = {name for name, parameter in objective.named_parameters() if parameter.grad is None}
    assert left_out == {f"talker.personalizer.{kind}_prototypes" for kind in ("identity", "emotion")}


def test_both_networks_hear_the_reference_in_a_changed_voice(corpus, teacher_path):
    config = distilling(
        teacher_path, talker=tiny.TINY_TRAINING["talker"], start_from=str(teacher_path), objective={"precompute": False}
    )
    objective, batch = objective_and_batch(config, corpus)
    assert objective.eval()(batch)["loss_embedding"].item() == pytest.approx(0.0, abs=1e-6)


def pitches(source):
    """The different pitches, in tens of Hz, of references that are tones."""
    references = [source.window(index, seed=seed).reference for index in range(len(source)) for seed in range(4)]
    return {round(np.count_nonzero(np.diff(np.signbit(tone))) * 800 / len(tone)) for tone in references}


def test_voices_change_in_training_alone(corpus, teacher_path):
    changing, plain = distilling(teacher_path), distilling(teacher_path, objective={"voice_range": 1.0})
    talker = build_talker(changing, corpus)
    assert pitches(window_source(plain, corpus, talker, split="train")) == {12, 21}
    assert len(pitches(window_source(changing, corpus, talker, split="train"))) > 6
    assert pitches(window_source(changing, corpus, talker, split="validation")) == {12, 21}


@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_with_a_pretrained_encoder_voices_stay_as_recorded(whose, corpus, teacher_path, tiny_hubert, tmp_path):
    pretrained = json.loads(json.dumps(tiny.TINY_TRAINING["talker"]))
    pretrained["encoder"] = {"family": "hugging_face", "checkpoint": str(tiny_hubert)}
    if whose == "teacher":
        teacher_path, talker = tmp_path / "teacher", SMALL
        taught = train(tiny.tiny_training(num_steps=2, talker=pretrained), corpus)
        save_bundle(Bundle(talker=taught, sampling=SamplingConfig(num_steps=4)), teacher_path)
    else:
        talker = pretrained
    config = distilling(teacher_path, talker=talker)
    objective, batch = objective_and_batch(config, corpus)
    losses = objective.eval()(batch)
    assert torch.isfinite(losses["loss"])
    silent = dataclasses.replace(batch, reference=torch.zeros_like(batch.reference))
    torch.testing.assert_close(objective(silent)["loss_embedding"], losses["loss_embedding"])
    assert {*batch.reference_lengths.tolist()} == {6_400 if whose == "teacher" else 20}


def test_training_leaves_the_prototypes_of_the_teacher_as_they_are(corpus, teacher_path):
    teacher = load_bundle(teacher_path).talker.personalizer
    student = train(distilling(teacher_path, num_steps=3), corpus).personalizer
    assert torch.equal(student.identity_prototypes, teacher.identity_prototypes)
    assert torch.equal(student.emotion_prototypes, teacher.emotion_prototypes)


def test_noise_levels_lie_on_the_grid_of_the_student_and_swapped_examples_start_from_pure_noise(corpus, teacher_path):
    config = distilling(teacher_path, objective={"student_steps": 4, "swap_probability": 0.5, "noise_levels": 3})
    objective, batch = objective_and_batch(config, corpus)
    batch = dataclasses.replace(
        batch, seeds=torch.arange(64), speaker=torch.zeros(64).long(), emotion=torch.ones(64).long()
    )
    draws, (speaker, emotion) = objective.draw(batch)
    assert {*(4 * draws.time).flatten().tolist()} == {1.0, 2.0, 3.0, 4.0}
    swapped = draws.swap[:, 0] < 0.5
    assert 20 < swapped.sum() < 44
    assert (draws.time[swapped] == 1).all()
    assert not (draws.time[~swapped] == 1).all()
    assert (speaker[~swapped] == 0).all()
    assert {*speaker[swapped].tolist()} == {0, 1}
    assert (emotion[~swapped] == 1).all()


def test_warm_up_moves_encoder_and_personalizer_but_not_the_denoiser(corpus, teacher_path):
    objective, batch = objective_and_batch(distilling(teacher_path, objective={"student_steps": 0}), corpus)
    losses = objective(batch)
    assert "loss_distillation" not in losses
    losses["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.talker.denoiser.parameters())
    assert objective.talker.encoder.fold.weight.grad.abs().sum() > 0


def test_teacher_is_neither_trained_nor_checkpointed(corpus, teacher_path):
    objective, batch = objective_and_batch(distilling(teacher_path), corpus)
    before = {name: tensor.clone() for name, tensor in objective.teacher.state_dict().items()}
    objective(batch)["loss"].backward()
    teachers = {id(parameter) for parameter in objective.teacher.parameters()}
    assert not teachers & {id(parameter) for parameter in objective.parameters()}
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in objective.teacher.state_dict().items())


def test_enhancer_gradient_reaches_the_student_only_with_its_weight(corpus, teacher_path):
    with_it, batch = objective_and_batch(distilling(teacher_path), corpus)
    assert with_it(batch)["loss_enhancer"].item() > 0
    with_it(batch)["loss_enhancer"].backward()
    assert with_it.talker.denoiser.motion_out.weight.grad.abs().sum() > 0
    without, _ = objective_and_batch(distilling(teacher_path, objective={"enhancer_weight": 0.0}), corpus)
    assert "loss_enhancer" not in without(batch)
    assert not any("style_encoder" in name for name in without.state_dict())


def test_the_dynamics_loss_counts_with_its_weight_and_moves_the_upper_face_alone(corpus, teacher_path):
    losses = []
    for weight in (0.0, 2.0):
        objective, batch = objective_and_batch(distilling(teacher_path, objective={"dynamics_weight": weight}), corpus)
        losses.append(objective.eval()(batch))
    assert losses[1]["loss_dynamics"].item() > 0
    torch.testing.assert_close(losses[1]["loss"] - losses[0]["loss"], 2.0 * losses[1]["loss_dynamics"])
    losses[1]["loss_dynamics"].backward()
    moved = objective.talker.denoiser.motion_out.weight.grad.abs().flatten(1).sum(dim=1)
    names = [name for name, gradient in zip(objective.talker.channel_names, moved, strict=True) if gradient > 0]
    assert "eyeBlinkLeft" in names
    assert not {"jawOpen", "mouthFunnel"} & {*names}


def test_truth_counts_only_where_motion_was_recorded_and_the_style_is_the_clips_own(corpus, teacher_path):
    config = distilling(teacher_path, objective={"truth_weight": 1.0, "swap_probability": 0.0})
    objective, batch = objective_and_batch(config, corpus)
    objective.eval()
    recorded = objective(batch)["loss_truth"].item()
    assert recorded > 0
    pseudo = dataclasses.replace(batch, is_recorded=torch.zeros_like(batch.is_recorded))
    assert objective(pseudo)["loss_truth"].item() == 0.0
    swapping = distilling(teacher_path, objective={"truth_weight": 1.0, "swap_probability": 1.0})
    assert objective_and_batch(swapping, corpus)[0].eval()(batch)["loss_truth"].item() == 0.0


def test_distillation_lowers_its_loss_and_a_resumed_one_equals_an_uninterrupted_one(corpus, teacher_path, tmp_path):
    config = distilling(teacher_path, num_steps=40, checkpoint_every=20, log_every=5)
    saved = []

    def keep(folder, metrics):
        target = tmp_path / f"step{len(saved)}"
        folder.rename(target)
        folder.mkdir()
        saved.append(target)

    whole = train(config, corpus, on_checkpoint=keep, telemetry=FileTelemetry(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss_distillation"] for line in lines]
    assert losses[-1] < 0.7 * losses[0]
    resumed = train(config, corpus, resume_from=saved[0])
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.distributed
def test_two_ranks_distil_like_one(corpus, teacher_path, tmp_path):
    plain = json.loads(json.dumps(tiny.TINY_TRAINING))
    plain["talker"]["encoder"]["dropout"] = plain["talker"]["denoiser"]["dropout"] = 0.0
    for steps in (0, 2):
        plain["objective"] = {"kind": "distillation", "teacher": str(teacher_path), "student_steps": steps}
        folder = tmp_path / str(steps)
        folder.mkdir()
        alone = train(from_plain(TrainingConfig, plain), corpus)
        tiny.train_on_two_ranks(plain, corpus.uri, folder)
        first = torch.load(folder / "rank0.pt", weights_only=True)
        for name, tensor in alone.state_dict().items():
            if not name.endswith("attention.2.bias"):  # softmax does not see it: AdamW walks along its rounding errors
                torch.testing.assert_close(tensor, first[name], atol=2e-4, rtol=2e-3, msg=name)


def test_unlabelled_speech_trains_beside_the_corpus(corpus, teacher_path, tmp_path):
    from diffusiontalker.audio.waveform import write_wav
    from diffusiontalker.data import SpeechFolder

    speech = tmp_path / "speech"
    speech.mkdir()
    for number, clip in enumerate(corpus.load("test")):
        write_wav(clip.waveform, speech / f"{number}.wav")
    pseudo_label(load_bundle(teacher_path), SpeechFolder(path=speech, min_seconds=0.3), tmp_path / "labelled")
    config = distilling(teacher_path, extra_corpora=[str(tmp_path / "labelled")])
    source = window_source(config, corpus, build_talker(config, corpus), split="train")
    windows = [source.window(index, seed=0) for index in range(len(source))]
    assert [window.is_recorded for window in windows] == [True] * 8 + [False] * 2
    assert windows[-1].speaker == -1
    assert torch.isfinite(train(config, corpus).statistics.scale).all()


def test_a_student_must_share_the_size_of_embeddings(corpus, teacher_path):
    talker = json.loads(json.dumps(SMALL))
    talker["personalizer"]["embedding_dim"] = 16
    with pytest.raises(ConfigError, match="embedding_dim is 16, the teacher's is 8"):
        build_talker(distilling(teacher_path, talker=talker), corpus)


def test_a_replaced_teacher_and_a_start_of_another_size_are_refused(corpus, teacher_path):
    config = distilling(teacher_path, objective={"teacher_digest": "0" * 64})
    with pytest.raises(ConfigError, match="was replaced since this run began"):
        build_talker(config, corpus)
    with pytest.raises(ConfigError, match="its network is another one"):
        build_talker(distilling(teacher_path, start_from=str(teacher_path)), corpus)
    with pytest.raises(ConfigError, match="needs the folder of the teacher's bundle"):
        build_talker(distilling(""), corpus)


def test_config_refuses_what_is_out_of_range():
    with pytest.raises(ValueError, match="enhancer_weight is -1"):
        DistillationObjectiveConfig(enhancer_weight=-1.0)
    with pytest.raises(ValueError, match="student_steps is -1"):
        DistillationObjectiveConfig(student_steps=-1)
    with pytest.raises(ValueError, match=r"voice_range is 3\.0, expected 1"):
        DistillationObjectiveConfig(voice_range=3.0)
