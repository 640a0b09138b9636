"""Which of two results is better, worked out by hand, and what makes a comparison doubtful."""

import dataclasses

import pytest
from known_result import RATES, make_result

from diffusiontalker.benchmarks import BenchmarkError, BenchmarkResult, Group, Row, comparison


def lines_of(text: str) -> dict[str, str]:
    """Name of a row -> what is said of it."""
    return {line[2:].split("  ")[0]: line for line in text.splitlines() if line.startswith("  ")}


def with_rows(*rows: Row) -> BenchmarkResult:
    return make_result(groups=(Group(title="speed", rows=rows),))


def test_a_result_is_the_same_as_itself(result: BenchmarkResult) -> None:
    found = lines_of(comparison(result, result))
    assert len(found) == 4
    assert all("= 1.000" in line and line.endswith("the same") for line in found.values())
    assert "beware" not in comparison(result, result)


def test_twice_the_time_is_worse_and_half_the_throughput_as_well(result: BenchmarkResult) -> None:
    found = lines_of(comparison(result, make_result(factor=2.0)))
    assert "0.0082 / 0.0041 RTF" in found["small"]
    assert "= 2.000 (1.905 to 2.100)" in found["small"]
    assert "= 0.500" in found["1 at once"]
    assert all(line.endswith("first is better") for line in found.values())
    back = lines_of(comparison(make_result(factor=2.0), result))
    assert all(line.endswith("second is better") for line in back.values())


def test_ranges_that_overlap_decide_nothing(result: BenchmarkResult) -> None:
    found = lines_of(comparison(result, make_result(factor=1.02)))
    assert all(line.endswith("within the spread") for line in found.values())


def test_only_rows_of_both_are_compared_and_the_others_named() -> None:
    both = Row(name="both", unit="s", values=(1.0,))
    first = with_rows(both, Row(name="old", unit="s", values=(1.0,)), Row(name="changed", unit="s", values=(1.0,)))
    second = with_rows(both, Row(name="new", unit="s", values=(1.0,)), Row(name="changed", unit="ms", values=(1.0,)))
    text = comparison(first, second)
    assert list(lines_of(text)) == ["both"]
    assert "not compared, as only one has them: 'speed: changed', 'speed: new', 'speed: old'" in text


def test_nothing_is_divided_by_zero() -> None:
    nothing, something = (with_rows(Row(name="lost", unit="%", values=(value,))) for value in (0.0, 1.0))
    assert lines_of(comparison(nothing, something))["lost"] == "  lost  1 / 0 %"
    assert "= 0.000 (0.000 to 0.000)  second is better" in lines_of(comparison(something, nothing))["lost"]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"machine": {"cpu": "another"}}, "beware: cpu differs (a processor and another)"),
        ({"machine": {"torch": "3"}}, "beware: torch differs (2 and 3)"),
        ({"machine": {"onnxruntime": "1"}}, "beware: onnxruntime differs (None and 1)"),
        ({"config": {"repeats": 9}}, "beware: repeats differs (3 and 9)"),
        ({"rates": {"float32_one_core": 50.0}}, "beware: the machine itself did 50 instead of 60 GFLOP/s on one core"),
    ],
)
def test_what_makes_a_comparison_doubtful_is_told(changes: dict, warning: str, result: BenchmarkResult) -> None:
    machine, config = result.machine | changes.get("machine", {}), result.config | changes.get("config", {})
    rates = dataclasses.replace(RATES, **changes.get("rates", {}))
    text = comparison(result, dataclasses.replace(result, machine=machine, config=config, rates=rates))
    assert text.splitlines()[-1] == warning


def test_another_commit_is_what_is_compared_and_no_doubt(result: BenchmarkResult) -> None:
    other = dataclasses.replace(result, machine=result.machine | {"git_commit": "fedcba9876543210"})
    text = comparison(result, other)
    assert "beware" not in text
    assert "commit fedcba987" in text.splitlines()[1]


def test_what_has_nothing_in_common_is_refused(result: BenchmarkResult) -> None:
    with pytest.raises(BenchmarkError, match="one is of benchmark 'inference', the other of 'serve'"):
        comparison(result, make_result(benchmark="serve"))
    with pytest.raises(BenchmarkError, match="no row in common; measure the same things"):
        comparison(result, with_rows(Row(name="else", unit="s", values=(1.0,))))
