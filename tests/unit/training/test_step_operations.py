"""What a training step may cost, counted: regressions show without a clock."""

import dataclasses

import pytest
import tiny

from diffusiontalker.data import Corpus
from diffusiontalker.models import STUDENT_SIZES
from diffusiontalker.training import TrainingConfig, step_flops


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tiny.tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny", motion_fps=30.0, fps=30.0, seconds=4.0)


def operations_per_window(config: TrainingConfig, corpus: Corpus) -> float:
    return step_flops(dataclasses.replace(config, batch_size=2), corpus) / 2


def test_a_window_of_the_default_teacher_costs_no_more_than_it_did(corpus: Corpus) -> None:
    assert operations_per_window(TrainingConfig(), corpus) <= 3.905e9


def test_a_window_of_the_small_student_costs_no_more_than_it_did(corpus: Corpus) -> None:
    assert operations_per_window(TrainingConfig(talker=STUDENT_SIZES["small"]), corpus) <= 2.981e9


def test_a_window_costs_the_same_in_every_batch(corpus: Corpus) -> None:
    config = tiny.tiny_training()
    two, four = (step_flops(dataclasses.replace(config, batch_size=size), corpus) / size for size in (2, 4))
    assert two == pytest.approx(four, rel=0.05)
