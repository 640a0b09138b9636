import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
import tiny
import torch
import torch.multiprocessing

from diffusiontalker.config import from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.models import ChannelStatistics
from diffusiontalker.training import (
    CheckpointError,
    FileTelemetry,
    OptimizerConfig,
    Ranks,
    TeacherObjective,
    TeacherObjectiveConfig,
    TrainingConfig,
    build_talker,
    learning_rate,
    load_state,
    loop,
    train,
    training_batch,
    update_ema,
    window_source,
)
from diffusiontalker.training.loop import validate
from diffusiontalker.training.objectives import draw


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return tiny.tiny_corpus(tmp_path_factory.mktemp("training") / "corpus")


def keeper(folder):
    """An on_checkpoint that keeps every checkpoint in a folder of its own."""

    def keep(checkpoint, metrics):
        if checkpoint is not None:
            shutil.copytree(checkpoint, folder / f"{int(metrics['step'])}")

    return keep


def assert_same_weights(first, second, **tolerance):
    tolerance = tolerance or {"atol": 0, "rtol": 0}
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def test_resumed_training_equals_uninterrupted_training_bit_for_bit(corpus, tmp_path):
    config = tiny.tiny_training()
    whole = train(config, corpus, on_checkpoint=keeper(tmp_path))
    resumed = train(config, corpus, resume_from=tmp_path / "4")
    assert_same_weights(whole.state_dict(), resumed.state_dict())


@pytest.mark.distributed
def test_two_ranks_equal_one_rank(corpus, tmp_path):
    changes = json.loads(json.dumps(tiny.TINY_TRAINING))
    changes["talker"]["encoder"]["dropout"] = changes["talker"]["denoiser"]["dropout"] = 0.0
    logged = []
    alone = train(from_plain(TrainingConfig, changes), corpus, on_checkpoint=lambda _, metrics: logged.append(metrics))
    tiny.train_on_two_ranks(changes, corpus.uri, tmp_path)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert_same_weights(first, second)
    assert_same_weights(alone.state_dict(), first, atol=2e-4, rtol=2e-3)
    for rank in (0, 1):
        metrics = json.loads((tmp_path / f"rank{rank}.json").read_text())
        validation = {name: value for name, value in logged[-1].items() if name.startswith("validation/")}
        assert validation == pytest.approx({name: metrics[name] for name in validation}, rel=2e-3)


class Alone(Ranks):
    """A rank whose totals stay its own."""

    def total(self, value):
        return value


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_validation_is_shared_out_over_the_ranks(corpus, monkeypatch, world_size):
    config = tiny.tiny_training()
    talker = build_talker(config, corpus).eval()
    source = window_source(config, corpus, talker, split="train")
    monkeypatch.setattr(loop, "_VALIDATION_BATCH", 3)  # eight windows: 3, 3 and 2
    objective, device = TeacherObjective(talker, TeacherObjectiveConfig()).validating(talker), torch.device("cpu")
    whole = validate(objective, source, ranks=Ranks(), device=device)
    shares = [
        validate(objective, source, ranks=Alone(rank=rank, world_size=world_size), device=device)
        for rank in range(world_size)
    ]
    assert whole == pytest.approx({name: sum(share[name] for share in shares) for name in whole})
    assert [any(share.values()) for share in shares] == [rank < 3 for rank in range(world_size)]


def test_training_learns_the_jaw_from_the_sound(corpus, tmp_path):
    train(tiny.tiny_training(num_steps=60, log_every=10), corpus, telemetry=FileTelemetry(tmp_path))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train/loss_motion"] for line in lines]
    assert np.mean(losses[-2:]) < 0.6 * losses[0]


def test_regression_sees_no_noise_and_drops_nothing(corpus):
    seeds = torch.arange(8)
    sizes = {"frames": 5, "channels": 3, "device": torch.device("cpu")}
    talker = build_talker(tiny.tiny_training(), corpus)
    objective = TeacherObjective(talker, TeacherObjectiveConfig(kind="regression", noise_levels=1))
    source = window_source(tiny.tiny_training(), corpus, talker, split="train")
    draws = objective.draw(training_batch(source, tiny.tiny_training(), step=0, ranks=Ranks()))
    assert (draws.time == 1).all()
    assert not draws.noise.any()
    assert not draws.is_dropped.any()
    assert draw(seeds, config=TeacherObjectiveConfig(), **sizes).noise.std().item() == pytest.approx(1.0, abs=0.1)


def test_random_choices_of_an_example_do_not_depend_on_its_batch():
    config, device = TeacherObjectiveConfig(), torch.device("cpu")
    whole = draw(torch.tensor([3, 4]), config=config, frames=9, channels=3, device=device)
    alone = draw(torch.tensor([4]), config=config, frames=5, channels=3, device=device)
    assert torch.equal(whole.time[1], alone.time[0])
    assert torch.equal(whole.noise[1, :, :5], alone.noise[0])


def test_ready_made_features_are_held_beyond_their_end_like_fresh_ones(corpus):
    talker = build_talker(tiny.tiny_training(), corpus)
    features = torch.arange(1.0, 7.0).reshape(2, 3, 1)
    held, mask = talker.hold_last(features, torch.tensor([3, 2]))
    assert held[1, :, 0].tolist() == [4.0, 5.0, 5.0]
    assert mask.tolist() == [[True, True, True], [True, True, False]]


def test_precomputed_features_equal_features_on_the_fly(corpus, tiny_hubert, tmp_path):
    raw = json.loads(json.dumps(tiny.TINY_TRAINING)) | {"num_steps": 3}
    raw["talker"]["encoder"] = {"family": "hugging_face", "checkpoint": str(tiny_hubert)}
    fresh = train(from_plain(TrainingConfig, raw), corpus)
    cached = raw | {"feature_cache": str(tmp_path / "cache")}
    first = train(from_plain(TrainingConfig, cached), corpus)
    second = train(from_plain(TrainingConfig, cached), corpus)
    kept = list((tmp_path / "cache").glob("*/*.safetensors"))
    assert sorted(path.name for path in kept) == ["train-00000-0000.safetensors", "validation-00000-0000.safetensors"]
    assert_same_weights(fresh.state_dict(), first.state_dict())
    assert_same_weights(fresh.state_dict(), second.state_dict())


def test_a_rank_gets_its_slice_of_the_same_batch(corpus):
    config = tiny.tiny_training()
    talker = build_talker(config, corpus)
    source = window_source(config, corpus, talker, split="train")
    whole = training_batch(source, config, step=5, ranks=Ranks())
    halves = [training_batch(source, config, step=5, ranks=Ranks(rank=rank, world_size=2)) for rank in (0, 1)]
    assert torch.equal(whole.seeds, torch.cat([half.seeds for half in halves]))
    assert torch.equal(whole.speaker, torch.cat([half.speaker for half in halves]))


def test_every_clip_is_seen_once_in_an_epoch(corpus):
    config = tiny.tiny_training(batch_size=8)
    source = window_source(config, corpus, build_talker(config, corpus), split="train")
    first = training_batch(source, config, step=0, ranks=Ranks())
    assert len(source) == 8
    assert sorted(first.speaker.tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_motion_loss_gives_the_personalizer_heads_no_gradient(corpus):
    """Embeddings are shaped by contrast alone: no side channel for what is said."""
    config = tiny.tiny_training(objective={"prototype_weight": 0.0, "pair_weight": 0.0})
    talker = build_talker(config, corpus)
    source = window_source(config, corpus, talker, split="train")
    TeacherObjective(talker, config.objective)(training_batch(source, config, step=0, ranks=Ranks()))["loss"].backward()
    assert not any(parameter.grad.any() for parameter in talker.personalizer.identity_head.parameters())
    assert any(parameter.grad.any() for parameter in talker.personalizer.mlp.parameters())
    assert any(parameter.grad.any() for parameter in talker.encoder.parameters())


def test_two_crops_of_one_clip_teach_the_personalizer_also_where_nobody_is_known(corpus):
    config = tiny.tiny_training()
    talker = build_talker(config, corpus)
    batch = training_batch(window_source(config, corpus, talker, split="train"), config, step=0, ranks=Ranks())
    unknown = torch.full_like(batch.speaker, -1)
    losses = TeacherObjective(talker, config.objective)(dataclasses.replace(batch, speaker=unknown, emotion=unknown))
    assert losses["loss_prototype"].item() == 0.0
    assert losses["loss_pair"].item() > 0
    losses["loss_pair"].backward()
    assert sum(parameter.grad.abs().sum() for parameter in talker.encoder.parameters()) > 0


def test_labels_and_statistics_come_from_the_training_split(corpus):
    talker = build_talker(tiny.tiny_training(), corpus)
    assert talker.speakers == ("speaker0", "speaker1")
    assert talker.emotions == ("neutral", "happy")
    jaw = np.concatenate([clip.motion.column("jawOpen") for clip in corpus.clips("train")])
    assert talker.statistics.mean[tiny.JAW].item() == pytest.approx(float(jaw.mean()), rel=1e-5)
    assert talker.statistics.scale[tiny.JAW].item() == pytest.approx(float(jaw.std()), rel=1e-4)


def test_statistics_round_trip():
    statistics = ChannelStatistics(3)
    statistics.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    statistics.scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
    motion = torch.randn(4, 3)
    torch.testing.assert_close(statistics.denormalize(statistics.normalize(motion)), motion)


def test_learning_rate_warms_up_and_decays():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10, final_fraction=0.1)
    rates = [learning_rate(step, num_steps=100, config=config) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[55] == pytest.approx(0.55, abs=0.01)
    assert all(after <= before for before, after in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_ema_of_constant_weights_is_exact_and_early_steps_forget_faster():
    average, current = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    before = average.weight.clone()
    update_ema(average, current, step=0, decay=0.9)
    torch.testing.assert_close(average.weight, 0.1 * before + 0.9 * current.weight)


def test_a_damaged_missing_or_foreign_checkpoint_is_refused(corpus, tmp_path):
    config = tiny.tiny_training(num_steps=2, checkpoint_every=2)
    train(config, corpus, on_checkpoint=keeper(tmp_path))
    with pytest.raises(CheckpointError, match="belongs to run"):
        load_state(tmp_path / "2", run_digest="other")
    with pytest.raises(CheckpointError, match="holds no training_state"):
        load_state(tmp_path, run_digest="other")
    file = tmp_path / "2" / "training_state.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1  # torch would not notice
    for damaged in (content, content[:1000], b""):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_state(tmp_path / "2", run_digest="other")
    (tmp_path / "2" / "training_state.json").unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(tmp_path / "2", run_digest="other")


def test_a_batch_that_does_not_divide_is_refused(corpus):
    with pytest.raises(ValueError, match="does not divide by 3 workers"):
        train(tiny.tiny_training(), corpus, ranks=Ranks(rank=0, world_size=3))


def test_telemetry_writes_lines_and_tensorboard(tmp_path):
    telemetry = FileTelemetry(tmp_path)
    telemetry.log(3, {"train/loss": 0.5})
    telemetry.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 3
    assert json.loads(line)["train/loss"] == 0.5
    assert list((tmp_path / "tensorboard").iterdir())
