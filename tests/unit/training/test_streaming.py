"""A corpus that is streamed is learnt from as one in memory is: resumable, in any number of workers."""

import json
import shutil

import numpy as np
import pytest
import tiny
import torch

from diffusiontalker.config import ConfigError, from_plain
from diffusiontalker.data import Corpus, StreamedWindows, WindowSource
from diffusiontalker.training import Ranks, TrainingConfig, build_talker, train, training_batch, window_source

STREAMED = {"reading": {"memory_gb": 0.0, "num_lanes": 2}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Five blocks of training clips, the last of them short."""
    return tiny.tiny_corpus(tmp_path_factory.mktemp("streaming") / "corpus", clips_each=135, seconds=0.3)


def source_of(config: TrainingConfig, corpus: Corpus, *, split: str = "train") -> StreamedWindows:
    source = window_source(config, corpus, build_talker(config, corpus), split=split)
    assert isinstance(source, StreamedWindows)
    return source


def test_a_small_corpus_is_held_in_memory(corpus):
    config = tiny.tiny_training()
    assert isinstance(window_source(config, corpus, build_talker(config, corpus), split="train"), WindowSource)


def test_training_that_is_resumed_within_an_epoch_equals_uninterrupted_training(corpus, tmp_path):
    config = tiny.tiny_training(**STREAMED)

    def keep(checkpoint, metrics):
        if checkpoint is not None:
            shutil.copytree(checkpoint, tmp_path / f"{int(metrics['step'])}")

    whole = train(config, corpus, on_checkpoint=keep)
    tiny.assert_same_weights(whole, train(config, corpus, resume_from=tmp_path / "4"))


def test_ranks_share_the_batch_that_one_would_see(corpus):
    config = tiny.tiny_training(**STREAMED)
    whole = training_batch(source_of(config, corpus), config, step=60, ranks=Ranks())
    ranks = [Ranks(rank=rank, world_size=2) for rank in (0, 1)]
    halves = [training_batch(source_of(config, corpus), config, step=60, ranks=rank) for rank in ranks]
    for name in ("seeds", "motion", "speech", "reference"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(half, name) for half in halves]))


def test_validation_sees_the_clips_that_it_sees_in_memory(corpus):
    streamed = source_of(tiny.tiny_training(**STREAMED), corpus, split="validation")
    held = window_source(tiny.tiny_training(), corpus, build_talker(tiny.tiny_training(), corpus), split="validation")
    assert len(streamed) == len(held)
    for index in range(len(held)):
        np.testing.assert_array_equal(streamed.window(index, seed=3).motion, held.window(index, seed=3).motion)


def test_pretrained_features_are_kept_block_by_block_and_change_nothing(corpus, tiny_hubert, tmp_path):
    raw = json.loads(json.dumps(tiny.TINY_TRAINING)) | STREAMED | {"num_steps": 3}
    raw["talker"]["encoder"] = {"family": "hugging_face", "checkpoint": str(tiny_hubert)}
    fresh = train(from_plain(TrainingConfig, raw), corpus)
    cached = from_plain(TrainingConfig, raw | {"feature_cache": str(tmp_path)})
    first = train(cached, corpus)
    kept = sorted(tmp_path.glob("*/train-*.safetensors"))
    assert kept
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # as after a full disk
    before = kept[-1].stat().st_mtime_ns
    second = train(cached, corpus)
    assert kept[-1].stat().st_mtime_ns == before
    assert len(kept[0].read_bytes()) > 100
    tiny.assert_same_weights(fresh, first)
    tiny.assert_same_weights(fresh, second)


@pytest.mark.parametrize(
    ("changes", "world_size", "message"),
    [
        ({"batch_size": 5}, 1, r"num_lanes is 2, batch_size 5"),
        ({"batch_size": 6}, 3, r"num_lanes is 2, the number of workers 3"),
    ],
)
def test_lanes_must_divide_batch_and_workers(corpus, changes, world_size, message):
    config = tiny.tiny_training(**STREAMED, **changes)
    talker = build_talker(config, corpus)
    with pytest.raises(ConfigError, match=message):
        window_source(config, corpus, talker, split="train", ranks=Ranks(rank=0, world_size=world_size))
