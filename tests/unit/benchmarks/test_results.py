"""Rows worked out by hand; results come back from their files as they were; damage is told."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.benchmarks import BenchmarkError, BenchmarkResult, Group, Row, new_result, read_result
from diffusiontalker.benchmarks.results import UNITS, is_more_better, result_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def row(**changes) -> Row:
    return Row(**({"name": "small", "unit": "RTF", "values": (0.004, 0.006, 0.005)} | changes))


def test_a_row_has_its_median_and_its_range() -> None:
    found = row()
    assert (found.lowest, found.median, found.highest) == (0.004, 0.005, 0.006)


def test_the_distance_to_the_floor_is_above_one_on_either_side() -> None:
    assert row(floor=0.002).times_floor == pytest.approx(2.5)
    assert row(unit="samples/s", values=(40.0,), floor=100.0).times_floor == pytest.approx(2.5)
    assert row().times_floor is None
    assert row(values=(0.0,), floor=1.0).times_floor is None


def test_what_is_wanted_is_a_most_or_a_least() -> None:
    assert row(wanted=0.005).holds is True
    assert row(wanted=0.0049).holds is False
    assert row(unit="samples/s", values=(40.0,), wanted=41.0).holds is False
    assert row(unit="samples/s", values=(40.0,), wanted=40.0).holds is True
    assert row().holds is None


@pytest.mark.parametrize("unit", [*UNITS, "samples/s", "GFLOP/s", "audio s/s"])
def test_every_unit_says_which_side_is_better(unit: str) -> None:
    assert is_more_better(unit) == (unit.endswith("/s") or unit in ("% of peak", "times as fast", "recordings"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "furlongs"}, "unit 'furlongs' is not known; use one of s, ms"),
        ({"values": ()}, "row 'small' has no values"),
        ({"values": (1.0, math.nan)}, "row 'small': value nan, expected a finite number"),
        ({"floor": math.inf}, "row 'small': floor inf"),
        ({"wanted": -math.inf}, "row 'small': wanted -inf"),
        ({"x": math.nan}, "row 'small': x nan"),
    ],
)
def test_rows_that_mean_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        row(**changes)


def test_names_stand_once(result: BenchmarkResult) -> None:
    with pytest.raises(BenchmarkError, match="group 'speed': rows called 'small' stand there more than once"):
        Group(title="speed", rows=(row(), row()))
    with pytest.raises(BenchmarkError, match="groups called 'speed' stand there more than once"):
        new_result("inference", config={}, groups=[Group(title="speed", rows=(row(),))] * 2)


def test_a_new_result_names_machine_commit_and_command() -> None:
    found = new_result("training", config={"steps": 2}, groups=[Group(title="speed", rows=(row(),))])
    assert {"cpu", "cpu_count", "memory_gb", "git_commit", "torch", "python"} <= found.machine.keys()
    assert found.command
    assert found.date.endswith("+00:00")


def test_a_result_comes_back_from_its_file_as_it_was(result: BenchmarkResult, tmp_path: Path) -> None:
    path = tmp_path / "inference.json"
    path.write_text(result_json(result), encoding="utf-8")
    assert read_result(path) == result


@given(values=st.lists(FINITE, min_size=1), floor=st.none() | FINITE, wanted=st.none() | FINITE, x=st.none() | FINITE)
def test_numbers_come_back_exactly(
    values: list[float], floor: float | None, wanted: float | None, x: float | None, tmp_path_factory
) -> None:
    one = row(values=tuple(values), floor=floor, wanted=wanted, x=x)
    path = tmp_path_factory.mktemp("result") / "serve.json"
    result = BenchmarkResult(
        benchmark="serve", date="", command="", machine={}, config={}, groups=(Group(title="speed", rows=(one,)),)
    )
    path.write_text(result_json(result), encoding="utf-8")
    assert read_result(path).groups[0].rows[0] == one


def without(*keys: str | int) -> Callable[[dict], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def with_value(value: object, *keys: str | int) -> Callable[[dict], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


FIRST = ("groups", 0, "rows", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("benchmark"), "'benchmark'"),
        (with_value("flying", "benchmark"), "'benchmark'"),
        (without("date"), "'date'"),
        (with_value(3, "date"), "'date'"),
        (without("command"), "'command'"),
        (without("machine"), "'machine'"),
        (with_value([], "machine"), "'machine'"),
        (without("config"), "'config'"),
        (with_value("fast", "rates"), "'rates'"),
        (without("rates", "copy_one_core"), "'rates.copy_one_core'"),
        (with_value("fast", "rates", "float32_one_core"), "'rates.float32_one_core'"),
        (without("groups"), "'groups'"),
        (with_value({}, "groups"), "'groups'"),
        (without("groups", 0, "title"), "'groups.0.title'"),
        (without("groups", 0, "rows"), "'groups.0.rows'"),
        (without(*FIRST, "name"), "'groups.0.rows.0.name'"),
        (with_value("furlongs", *FIRST, "unit"), "unit 'furlongs' is not known"),
        (with_value([], *FIRST, "values"), "row 'small' has no values"),
        (with_value(["slow"], *FIRST, "values"), "'groups.0.rows.0.values.0'"),
        (with_value(math.nan, *FIRST, "values", 0), "value nan"),
        (with_value("low", *FIRST, "floor"), "'groups.0.rows.0.floor'"),
        (with_value("all", *FIRST, "wanted"), "'groups.0.rows.0.wanted'"),
        (with_value("far", *FIRST, "x"), "'groups.0.rows.0.x'"),
        (with_value(0, *FIRST, "medain"), "'groups.0.rows.0.medain' is not a known key"),
        (with_value("Batches", "groups", 0, "title"), "groups called 'Batches' stand there more than once"),
    ],
)
def test_damage_is_told_with_file_and_place(
    change: Callable[[dict], None], message: str, result: BenchmarkResult, tmp_path: Path
) -> None:
    content = copy.deepcopy(json.loads(result_json(result)))
    change(content)
    path = tmp_path / "inference.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BenchmarkError) as told:
        read_result(path)
    assert message in str(told.value)
    assert str(told.value).startswith(str(path))
    assert str(told.value).endswith("; measure again")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as JSON"),
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"{", "cannot be read as JSON"),
        (b"[]", "is of kind 'None', expected 'diffusiontalker benchmark'"),
        (b'{"kind": "diffusiontalker load"}', "is of kind 'diffusiontalker load'"),
    ],
)
def test_other_files_are_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "inference.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=message) as told:
        read_result(path)
    assert str(told.value).startswith(str(path))
    assert str(told.value).endswith("give the JSON file of a benchmark")
