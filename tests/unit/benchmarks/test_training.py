"""What `bench training` measures, on tiny trainings: which rows there are and what they mean; no time is asserted."""

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch
from known_result import RATES

from diffusiontalker.benchmarks import BenchmarkError, Group, Row
from diffusiontalker.benchmarks.memory import memory_group, peak_mb
from diffusiontalker.benchmarks.steps import Learner, checkpoint_group, operations_group, prepared, speed_groups
from diffusiontalker.benchmarks.training import TrainingBenchmarkConfig, measure_training, workers_groups
from diffusiontalker.cli import main
from diffusiontalker.data import Corpus
from diffusiontalker.orchestration.scaling import BARE, Throughput
from diffusiontalker.training import step_flops


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tiny.tiny_corpus(tmp_path_factory.mktemp("training") / "corpus")


@pytest.fixture(scope="module")
def learner(corpus: Corpus) -> Learner:
    return prepared("teacher", tiny.tiny_training(), corpus)


def values(group: Group) -> dict[str, tuple[float, ...]]:
    return {row.name: row.values for row in group.rows}


def only(group: Group) -> Row:
    (row,) = group.rows
    return row


def test_operations_are_those_of_a_step_by_sample(learner: Learner, corpus: Corpus) -> None:
    row = only(operations_group([learner]))
    assert row.values == (step_flops(learner.config, corpus) / learner.config.batch_size,)


def test_speed_stands_beside_what_the_products_allow_and_efficiency_is_their_ratio(learner: Learner) -> None:
    speed, efficiency, waiting = map(only, speed_groups([learner], RATES, repeats=2, steps=2))
    assert speed.floor == pytest.approx(60e9 * learner.config.batch_size / learner.flops)  # float32
    assert len(speed.values) == 2
    assert speed.times_floor == pytest.approx(100.0 / efficiency.median)
    assert all(0.0 <= share < 100.0 for share in waiting.values)
    assert waiting.wanted == 3.0


def test_the_rate_is_that_of_the_arithmetic(learner: Learner) -> None:
    half = dataclasses.replace(learner, config=dataclasses.replace(learner.config, precision="bfloat16"))
    full, narrow = (only(speed_groups([one], RATES, repeats=1, steps=1)[0]).floor for one in (learner, half))
    assert full is not None
    assert narrow == pytest.approx(2.0 * full)


def test_a_checkpoint_is_a_state_and_a_validation(learner: Learner, corpus: Corpus) -> None:
    group = checkpoint_group([learner], corpus, repeats=2)
    assert [name.partition(" of ")[0] for name in values(group)] == ["teacher: state", "teacher: validation"]
    assert all(len(row.values) == 2 and row.lowest > 0.0 for row in group.rows)


def test_memory_of_a_sample_is_the_slope_between_two_batches(corpus: Corpus) -> None:
    found = values(memory_group({"teacher": tiny.tiny_training(batch_size=4)}, corpus.uri))
    assert list(found) == ["teacher: batch 2", "teacher: batch 4", "teacher: a sample"]
    (small,), (large,), (sample,) = found.values()
    assert sample == pytest.approx((large - small) / 2)
    assert small > 50.0


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"(?s)ended with code 1.*nothing"):
        peak_mb(tiny.tiny_training(), str(tmp_path / "nothing"), batch_size=2)


def test_workers_that_share_a_batch_scale_strongly_and_those_with_one_each_weakly() -> None:
    found = [
        Throughput(workers=BARE, batch_size=8, samples_per_s=(10.0, 11.0, 12.0)),
        Throughput(workers=1, batch_size=8, samples_per_s=(10.0, 10.0, 10.0)),
        Throughput(workers=2, batch_size=8, samples_per_s=(15.0, 16.0, 17.0)),
        Throughput(workers=2, batch_size=16, samples_per_s=(18.0, 19.0, 20.0)),
    ]
    speeds, gains = workers_groups(found)
    assert list(values(speeds)) == ["bare loop", "Ray, 1 worker", "Ray, 2 workers", "Ray, 2 workers, batch 16"]
    assert values(gains) == {"2 workers, strong": (1.5, 1.6, 1.7), "2 workers, weak": (1.8, 1.9, 2.0)}
    assert [row.floor for row in gains.rows] == [2, 2]
    (alone,) = workers_groups(found[:2])
    assert alone.title == "Workers"


def test_a_whole_measurement_gives_threads_back(corpus: Corpus) -> None:
    threads = torch.get_num_threads()
    config = TrainingBenchmarkConfig(
        corpus=corpus.uri, students=("nano",), batch_size=2, repeats=1, steps_a_turn=1, parts=("steps", "checkpoints")
    )
    told: list[str] = []
    result = measure_training(config, on_line=told.append)
    assert [group.title for group in result.groups] == [
        "Counted", "Speed", "Efficiency", "Waiting for data", "Checkpoint",
    ]  # fmt: skip
    assert list(values(result.groups[1])) == ["teacher", "student nano"]
    assert result.config["networks"].keys() == {"teacher", "student nano"}
    assert told == ["the machine", "preparing", "steps", "checkpoints"]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size 1: expected at least 2"),
        ({"steps": 9}, "steps 9: expected at least 10"),
        ({"repeats": 0}, "repeats 0: expected at least 1"),
        ({"trainings": 0}, "trainings 0: expected at least 1"),
        ({"steps_a_turn": 0}, "steps_a_turn 0: expected at least 1"),
        ({"workers": (0,)}, "workers 0: expected numbers that divide"),
        ({"workers": (3,)}, "workers 3: expected numbers that divide the batch of 64"),
        ({"workers": (2, 2)}, "workers 2 2: expected each of them once"),
        ({"parts": ("steps", "steps")}, "parts steps steps: expected each of them once"),
        ({"students": ("huge",)}, "students huge: expected some of base, small, nano"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        TrainingBenchmarkConfig(corpus="corpus", **changes)  # pyright: ignore[reportArgumentType]


def test_the_verb_needs_a_corpus_and_compares_without_one(capsys, tmp_path: Path) -> None:
    assert main(["bench", "training"]) != 0
    assert "--corpus is missing" in capsys.readouterr().err
    assert main(["bench", "training", "--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) != 0
    assert "a.json: cannot be read as JSON" in capsys.readouterr().err
