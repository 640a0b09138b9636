"""What `bench inference` measures, on tiny students: which rows there are and what they mean; no time is asserted."""

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch
from known_result import RATES
from tiny_student import tiny_bundle

from diffusiontalker.benchmarks import BenchmarkError, Group
from diffusiontalker.benchmarks.accuracy import accuracy_group
from diffusiontalker.benchmarks.animations import (
    Floors,
    batch_group,
    counts_group,
    length_groups,
    real_time_group,
    stages_group,
)
from diffusiontalker.benchmarks.fresh import animate_once, fresh_groups
from diffusiontalker.benchmarks.inference import InferenceConfig, measure_inference
from diffusiontalker.benchmarks.streams import age_group, streams_group
from diffusiontalker.benchmarks.students import Student, students_of, untrained, untrained_live
from diffusiontalker.evaluation import count_animation
from diffusiontalker.face import MOTION_FORMATS
from diffusiontalker.inference import StreamingTalker, save_bundle


@pytest.fixture(scope="module")
def students() -> list[Student]:
    return students_of({"small": tiny_bundle()}, steps=[2, 1], engines=["torch", "onnx"])


@pytest.fixture
def first(students: list[Student]) -> list[Student]:
    return students[:2]


@pytest.fixture(scope="module")
def floors(students: list[Student]) -> Floors:
    return Floors(students, RATES)


def names(group: Group) -> list[str]:
    return [row.name for row in group.rows]


def test_every_size_has_every_number_of_steps_on_every_engine(students: list[Student]) -> None:
    assert [one.name for one in students] == [
        "small, 2 steps, torch", "small, 2 steps, onnx", "small, 1 step, torch", "small, 1 step, onnx",
    ]  # fmt: skip
    assert [one.bundle.sampling.num_steps for one in students] == [2, 2, 1, 1]
    assert [one.bundle.engine for one in students] == ["torch", "onnx"] * 2


def test_untrained_students_have_the_published_size_and_live_ones_stream() -> None:
    assert untrained("small", motion_fps=30.0).file_bytes == pytest.approx(10.8e6, rel=0.02)
    live = untrained_live(motion_fps=25.0)
    assert StreamingTalker(live, max_streams=1).look_ahead_s(2) == pytest.approx(0.1925)


def test_floors_are_the_products_at_the_rate_of_the_engine(students: list[Student]) -> None:
    chosen = [*students, *(dataclasses.replace(students[0], engine=name) for name in ("torch-bfloat16", "onnx-int8"))]
    group = real_time_group(chosen, Floors(students, RATES), repeats=2)
    assert names(group) == [one.name for one in chosen]
    operations = count_animation(students[0].bundle, seconds=10.0).operations
    assert group.rows[0].floor == group.rows[1].floor == pytest.approx(operations / 10.0 / 60e9)
    assert group.rows[4].floor == pytest.approx(operations / 10.0 / 120e9)
    assert [row.wanted for row in group.rows] == [None, 0.006, None, 0.004, None, None]
    assert group.rows[5].floor is None
    assert all(len(row.values) == 2 for row in group.rows)


def test_stages_of_every_engine_and_every_format_that_is_installed(first: list[Student], floors: Floors) -> None:
    group = stages_group(first, floors, repeats=1)
    found = names(group)
    assert len(set(found)) == len(found)
    for engine in ("torch", "onnx"):
        assert f"whole, with a voice, {engine}" in found
        assert f"one step of the denoiser, {engine}" in found
    assert {"log-mel", "personalizer, from the sound", "personalizer, of a voice", "finishing"} < set(found)
    least = {row.name: row.floor for row in group.rows}
    assert least["whole, style from the sound, torch"] == pytest.approx(1e3 * floors.rtf(first[0]))
    assert least["encoder, log-mel included, onnx"] < least["whole, with a voice, onnx"]
    assert least["noise"] is None
    written = {name.removeprefix("as ") for name in found if name.startswith("as ")}
    assert set(MOTION_FORMATS) - {"usda", "usdc"} <= written <= set(MOTION_FORMATS)


def test_growth_is_that_of_each_round_and_wanted_for_a_minute_over_ten_seconds(
    first: list[Student], floors: Floors
) -> None:
    lengths, growth = length_groups(first, (0.5, 1.0), floors, repeats=2)
    assert [row.x for row in lengths.rows] == [0.5, 1.0] * 2
    for number, row in enumerate(growth.rows):
        short, long = lengths.rows[2 * number : 2 * number + 2]
        expected = tuple(1.0 * b / (0.5 * a) for a, b in zip(short.values, long.values, strict=True))
        assert row.values == pytest.approx(expected)
        assert row.wanted is None
    _, growth = length_groups(first[1:], (10.0, 60.0), floors, repeats=1)
    assert growth.title == "60 s over 10 s"
    assert [row.wanted for row in growth.rows] == [6.3]


def test_batches_count_the_sound_of_all(first: list[Student], floors: Floors) -> None:
    group = batch_group(first, (1, 3), floors, repeats=1)
    assert group.rows[0].floor == pytest.approx(1.0 / floors.rtf(first[0]))
    assert [(row.series, row.x, row.unit) for row in group.rows] == [
        (one.name, number, "audio s/s") for one in first for number in (1, 3)
    ]


def test_the_floor_of_streams_grows_with_their_number(first: list[Student], floors: Floors) -> None:
    group = streams_group(first[1:], (1, 4), floors, repeats=1)
    assert names(group)[:2] == ["small, 2 steps, onnx, 1 stream", "small, 2 steps, onnx, 4 streams"]
    floors = [row.floor for row in group.rows]
    assert floors[1] == pytest.approx(4 * floors[0])
    operations = count_animation(first[0].bundle, seconds=10.0).operations / 10.0
    assert floors[0] == pytest.approx(0.033 * operations / 60e9 * 1e3)


def test_late_pieces_of_a_stream_are_compared_with_early_ones(first: list[Student]) -> None:
    group = age_group(first[1], minutes=2, repeats=1)
    assert names(group) == ["minute 1", "minute 2", "minute 2 over minute 1"]
    early, late, ratio = (row.median for row in group.rows)
    assert ratio == pytest.approx(late / early)


def test_an_engine_that_is_equal_has_the_lip_error_of_the_reference(first: list[Student], tmp_path: Path) -> None:
    corpus = tiny.tiny_corpus(tmp_path / "corpus")
    group = accuracy_group(first, corpus)
    assert names(group) == [
        "small, 2 steps, torch: LVE (1e-5 m²)", "small, 2 steps, onnx: LVE (1e-5 m²)",
        "small, 2 steps, onnx: over torch",
    ]  # fmt: skip
    assert group.rows[2].median == pytest.approx(1.0, abs=1e-3)
    assert group.rows[2].holds


@pytest.mark.slow
def test_fresh_processes_say_what_they_took_themselves(first: list[Student]) -> None:
    start, memory = fresh_groups(first[:1], memory_s=(1.0, 120.0), repeats=1)
    stages = {row.name.partition(": ")[2]: row.median for row in start.rows}
    assert list(stages) == ["import", "load the bundle", "read and animate", "the whole process"]
    assert 0.0 < sum(list(stages.values())[:3]) < stages["the whole process"]
    short, long = memory.rows
    # A process that says the peak of the one that started it would say the same for both.
    assert 50.0 < short.median < long.median
    assert long.wanted == pytest.approx(1.2 * short.median + 120 * 25 * 52 * 4 / 1e6)


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"ended with code 1(.|\n)*nowhere: does not exist"):
        animate_once(tmp_path / "nowhere", tmp_path / "nothing.wav", engine="torch")


def test_the_whole_measures_the_parts_that_are_asked_for_on_one_thread(tmp_path: Path) -> None:
    save_bundle(tiny_bundle(), tmp_path / "bundle")
    heard: list[str] = []
    threads = torch.get_num_threads()
    config = InferenceConfig(bundle=str(tmp_path / "bundle"), steps=(1,), parts=("counters", "speed", "accuracy"))
    result = measure_inference(config, on_line=heard.append)
    assert torch.get_num_threads() == threads
    assert heard == ["the machine", "counters", "speed", "accuracy"]
    assert [group.title for group in result.groups] == ["Counted", "Real-time factor"]
    assert names(result.groups[1]) == ["student, 1 step, torch", "student, 1 step, onnx"]
    assert all(len(row.values) == 5 for row in result.groups[1].rows)
    assert result.config["networks"]["student"]["denoiser"]["width"] == 16
    assert result.config["engines"] == ["torch", "onnx"]
    assert result.rates is not None


def test_counters_are_told_per_size_and_number_of_steps(students: list[Student]) -> None:
    group = counts_group(students)
    assert len(group.rows) == 2 * 6
    assert names(group)[0] == "small, 2 steps: products"


def test_a_student_that_cannot_stream_has_no_streams(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_bundle(tiny_bundle(guidance=2.0), tmp_path / "bundle")
    config = InferenceConfig(bundle=str(tmp_path / "bundle"), steps=(1,), parts=("streams",))
    assert measure_inference(config).groups == ()
    assert "streams are not measured: this bundle samples with guidance" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeats": 4}, "repeats 4: expected at least 5"),
        ({"sizes": ()}, "sizes nothing: expected at least one"),
        ({"engines": ("torch", "torch")}, "engines torch torch: expected at least one, and each of them once"),
        ({"parts": ()}, "parts nothing"),
        ({"steps": (2, 0)}, "steps 0, fps 30.0"),
        ({"fps": 0.0}, "fps 0.0"),
        ({"corpus": "corpus"}, "corpus 'corpus': lip errors need a bundle"),
        ({"corpus": "corpus", "bundle": "b", "engines": ("onnx",)}, "and 'torch' among engines"),
    ],
)
def test_what_cannot_be_measured_is_told_at_once(changes: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        InferenceConfig(**changes)
