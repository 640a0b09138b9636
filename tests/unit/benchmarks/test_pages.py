"""Pages and folders of a result."""

from pathlib import Path

import pytest

from diffusiontalker.benchmarks import (
    BenchmarkResult,
    Group,
    Row,
    read_result,
    result_page,
    result_text,
    write_page,
    write_result,
)
from diffusiontalker.benchmarks.pages import result_pictures
from diffusiontalker.config import ArtefactError

PNG = b"\x89PNG"


def test_a_page_has_machine_versions_command_tables_floors_and_what_is_wanted(result: BenchmarkResult) -> None:
    lines = result_page(result).splitlines()
    assert lines[0] == "# Inference: from a waveform to coefficients"
    assert "| command | `diffusiontalker bench inference` |" in lines
    assert "| date, commit | 2026-11-26T20:00:00+00:00, 012345678 |" in lines
    assert "| machine | a processor, 2 cores, 23.5 GiB |" in lines
    assert "| versions | torch 2 |" in lines
    assert "| settings | engines torch, repeats 3 |" in lines
    assert "|  | unit | median | spread | floor | times floor | wanted |" in lines
    assert "| small | RTF | 0.00410 | (0.00400 to 0.00420) | 0.00200 | 2.05 | 0.00600: holds |" in lines
    assert "| nano | RTF | 0.00205 | (0.00200 to 0.00210) |  |  | 0.00100: missed |" in lines
    assert "Floors: products." in lines
    assert "| 8 at once | audio s/s | 800 | (760 to 816) |" in lines
    assert any(line.startswith("| machine's rates | products 60 GFLOP/s in float32 and 120") for line in lines)


def test_the_text_for_the_terminal_says_the_same(result: BenchmarkResult) -> None:
    lines = [line.split() for line in result_text(result).splitlines()]
    assert ["small", "RTF", "0.00410", "(0.00400", "to", "0.00420)", "0.00200", "2.05", "0.00600:", "holds"] in lines
    assert ["8", "at", "once", "audio", "s/s", "800", "(760", "to", "816)"] in lines


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0"), (3.0, "3"), (1234567.8, "1,234,568"), (0.000059048, "0.0000590"), (134.9, "135"), (-0.5, "-0.500")],
)
def test_numbers_have_three_figures_and_no_powers_of_ten(value: float, told: str) -> None:
    result = BenchmarkResult(
        benchmark="serve", date="", command="", machine={}, config={},
        groups=(Group(title="speed", rows=(Row(name="it", unit="s", values=(value,)),)),),
    )  # fmt: skip
    assert f"| it | s | {told} |" in result_page(result)


def test_the_folder_holds_the_result_the_page_and_its_pictures(result: BenchmarkResult, tmp_path: Path) -> None:
    folder = tmp_path / "bench" / "inference"
    write_result(result, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "batches.png", "inference.json", "page.md", "real-time-factor.png",
    ]  # fmt: skip
    assert read_result(folder / "inference.json") == result
    assert "![Batches](batches.png)" in (folder / "page.md").read_text(encoding="utf-8")
    assert (folder / "batches.png").read_bytes().startswith(PNG)


def test_what_is_there_is_not_overwritten(result: BenchmarkResult, tmp_path: Path) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "mine").touch()
    with pytest.raises(ArtefactError, match="already exists"):
        write_result(result, tmp_path / "inference")
    page = tmp_path / "page.md"
    write_page(result, page)
    with pytest.raises(ArtefactError, match="already exists"):
        write_page(result, page)
    assert page.read_text(encoding="utf-8") == result_page(result)


def test_rows_of_several_units_or_a_single_one_are_not_drawn(result: BenchmarkResult) -> None:
    one = Row(name="one", unit="s", values=(1.0,))
    groups = (
        Group(title="mixed", rows=(one, Row(name="other", unit="ms", values=(1.0,)))),
        Group(title="single", rows=(one,)),
        Group(title="nowhere", rows=(one, Row(name="two", unit="s", values=(2.0,))), x_label="seconds"),
    )
    found = BenchmarkResult(benchmark="serve", date="", command="", machine={}, config={}, groups=groups)
    assert result_pictures(found) == {}
    assert list(result_pictures(result)) == ["Real-time factor", "Batches"]
