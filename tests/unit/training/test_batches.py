"""Batches are made ahead of their steps: the same ones, in order, and nothing is left running."""

import threading

import pytest
import tiny
import torch

from diffusiontalker.data import Corpus, WindowSource
from diffusiontalker.training import Ranks, batches_ahead, build_talker, train, training_batch, window_source


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return tiny.tiny_corpus(tmp_path_factory.mktemp("batches") / "corpus")


@pytest.fixture
def source(corpus):
    config = tiny.tiny_training()
    return window_source(config, corpus, build_talker(config, corpus), split="train")


def makers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("next-batch")]


@pytest.mark.parametrize("ranks", [Ranks(), Ranks(rank=1, world_size=2)])
def test_batches_ahead_are_those_of_their_steps_in_order(source, ranks):
    config = tiny.tiny_training()
    with batches_ahead(source, config, steps=range(3, 7), ranks=ranks) as batches:
        found = list(batches)
    assert len(found) == 4
    for step, batch in zip(range(3, 7), found, strict=True):
        expected = training_batch(source, config, step=step, ranks=ranks)
        for name in ("seeds", "speech", "motion", "reference"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))


def test_the_next_batch_is_made_while_one_is_used(source, monkeypatch):
    made = threading.Semaphore(0)
    at = WindowSource.at

    def counted(self, position, *, seed):
        made.release()
        return at(self, position, seed=seed)

    monkeypatch.setattr(WindowSource, "at", counted)
    config = tiny.tiny_training()
    with batches_ahead(source, config, steps=range(3), ranks=Ranks()) as batches:
        next(batches)
        for _ in range(2 * config.batch_size):
            assert made.acquire(timeout=30)
        assert not made.acquire(blocking=False)  # two are there, the third is nobody's turn yet
    assert not makers()


def test_no_steps_are_no_batches(source):
    with batches_ahead(source, tiny.tiny_training(), steps=range(5, 5), ranks=Ranks()) as batches:
        assert list(batches) == []


def test_what_goes_wrong_in_the_thread_ends_the_training_with_its_message(corpus, monkeypatch):
    def broken(self, position, *, seed):
        if position >= 9:
            raise OSError(f"block of position {position} cannot be read; look at the disk")
        return at(self, position, seed=seed)

    at = WindowSource.at
    monkeypatch.setattr(WindowSource, "at", broken)
    with pytest.raises(OSError, match="block of position 9 cannot be read; look at the disk"):
        train(tiny.tiny_training(), corpus)
    assert not makers()


def test_an_error_of_the_loop_leaves_no_thread(source):
    steps = range(100)
    with (
        pytest.raises(ValueError, match="not finite"),
        batches_ahead(source, tiny.tiny_training(), steps=steps, ranks=Ranks()) as batches,
    ):
        next(batches)
        raise ValueError("not finite")
    assert not makers()
