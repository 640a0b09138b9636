"""`bench inference` on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from known_result import make_result
from tiny_student import tiny_bundle

from diffusiontalker.benchmarks import read_result
from diffusiontalker.benchmarks.results import result_json
from diffusiontalker.cli.bench_inference import BenchInference
from diffusiontalker.inference import save_bundle


def test_it_measures_prints_tables_and_writes_folder_and_page(tmp_path: Path, command: Callable) -> None:
    save_bundle(tiny_bundle(), tmp_path / "bundle")
    outcome = command(
        *("bench", "inference", "--bundle", tmp_path / "bundle", "--parts", "counters", "speed", "--steps", "2"),
        *("--out", tmp_path / "result", "--page", tmp_path / "page.md"),
    )
    assert outcome.code == 0
    assert outcome.err.splitlines() == ["the machine", "counters", "speed"]
    assert "student, 2 steps, onnx" in outcome.out
    assert f"wrote {tmp_path / 'result'}" in outcome.out
    result = read_result(tmp_path / "result" / "inference.json")
    assert [group.title for group in result.groups] == ["Counted", "Real-time factor"]
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# Inference")


def test_two_results_are_compared_without_measuring(tmp_path: Path, command: Callable) -> None:
    for name, factor in (("before", 1.0), ("after", 0.5)):
        (tmp_path / f"{name}.json").write_text(result_json(make_result(factor=factor)), encoding="utf-8")
    outcome = command("bench", "inference", "--compare", tmp_path / "before.json", tmp_path / "after.json")
    assert outcome.code == 0
    assert outcome.out.count("second is better") == 4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--repeats", "3"], "repeats 3: expected at least 5"),
        (["--corpus", "corpus"], "corpus 'corpus': lip errors need a bundle"),
        (["--out", "{here}"], "already exists and nothing is overwritten; choose another --out"),
        (["--page", "{here}/mine"], "already exists and nothing is overwritten; choose another --page"),
        (["--bundle", "{here}/nowhere"], "nowhere: does not exist"),
        (["--compare", "{here}/mine", "{here}/mine"], "cannot be read as JSON"),
        (["--engines", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_done_is_bad_usage(flags: list[str], message: str, tmp_path: Path, command: Callable) -> None:
    (tmp_path / "mine").touch()
    outcome = command("bench", "inference", *(flag.format(here=tmp_path) for flag in flags))
    assert outcome.code == 2
    assert message in outcome.err


def test_defaults_are_those_of_the_benchmark() -> None:
    from diffusiontalker.benchmarks.inference import InferenceConfig
    from diffusiontalker.cli.verb import flags

    assert InferenceConfig(**flags(BenchInference(), InferenceConfig)) == InferenceConfig()
