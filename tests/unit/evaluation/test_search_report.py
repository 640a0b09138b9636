import itertools
import json
import re

import numpy as np
import pytest

from diffusiontalker.evaluation import plots, search_table, write_search_report
from diffusiontalker.evaluation.search_report import _log_ticks, _ticks


def trial(name: str, **more) -> dict:
    return {
        "name": name, "state": "done", "error": "", "is_preset": False, "is_on_front": False, "is_chosen": False,
        "is_best_for_look_ahead": False, "look_ahead_s": 0.3125,
        "point": {}, "num_steps": 2, "step": 100, "lve_m2": 2e-6, "eve_m2": 4e-6, "fdd_abs": 1e-7,
        "file_bytes": 2_000_000, "parameters": 1_000_000, "operations_per_s": 1e8, "rtf": 0.002,
    } | more  # fmt: skip


CONTENT = {
    "title": "Student-size search: test", "headline": "4 students tried.", "num_steps": 100, "group": "validation",
    "checks": [{"text": "It holds.", "holds": True}, {"text": "It fails.", "holds": False}],
    "objectives": ["lve_m2", "file_bytes", "rtf"], "precision": "float16",
    "budget": {"max_megabytes": 3.0, "max_ms_per_s": 0.0, "max_look_ahead_ms": 0.0},
    "trials": [
        trial("best", is_on_front=True, is_chosen=True),
        trial("nano (preset), 2 steps", is_preset=True, file_bytes=3_300_000, lve_m2=3e-6),
        trial("a <b> & c", state="stopped", step=50, num_steps=4, lve_m2=5e-6, rtf=0.004),
        trial("broken", state="failed", error="it <broke>", lve_m2=None, eve_m2=None, fdd_abs=None, step=0),
    ],
    "importances": {"talker.encoder.width": 0.75}, "teacher_digest": "0" * 64,
    "corpus": {"uri": "corpora/x", "digest": "1" * 64}, "config": {"name": "test"},
    "provenance": {"diffusiontalker": "0", "git_commit": "unknown", "machine": "m", "cpu_count": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    write_search_report(CONTENT, folder)
    return folder


def test_what_programs_read_is_what_was_given(folder):
    assert json.loads((folder / "search.json").read_text(encoding="utf-8")) == CONTENT


def test_the_page_names_every_student_and_shows_those_measured_twice(folder):
    page = (folder / "search.html").read_text(encoding="utf-8")
    assert page.count("<title>best: LVE 0.200") == 2
    assert "broken: LVE" not in page
    assert "broken" in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "<b>" not in page
    assert 'title="it &lt;broke&gt;"' in page
    assert page.count('class="budget"') == 1


def test_a_later_report_takes_the_place_of_an_earlier_one(folder, tmp_path):
    write_search_report(CONTENT, tmp_path)
    write_search_report(CONTENT | {"headline": "5 students tried."}, tmp_path)
    assert "5 students tried." in (tmp_path / "search.html").read_text(encoding="utf-8")


def test_the_table_marks_the_front_and_the_choice():
    lines = search_table(CONTENT["trials"]).splitlines()
    assert lines[1].startswith("*> best")
    assert lines[2].startswith("   nano")
    assert lines[4].split()[-1] == "failed"


@pytest.mark.parametrize("values", [(0.2, 0.6), (3.0, 3.0), (1e-4, 2.5e-4), (95.0, 1030.0)])
def test_ticks_are_few_and_enclose_the_values(values):
    ticks = _ticks(np.asarray(values))
    assert ticks[0] <= min(values) <= max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 7


def ahead(encoder: int | None, denoiser: int | None, *, lve: float, ms: float, **more) -> dict:
    point = {"talker.encoder.look_ahead_frames": encoder, "talker.denoiser.look_ahead_frames": denoiser}
    name = f"encoder {encoder}, denoiser {denoiser}"
    return trial(name, point=point, lve_m2=lve, look_ahead_s=ms / 1e3, is_on_front=True) | more


STREAMS = CONTENT | {
    "objectives": ["lve_m2", "file_bytes", "rtf", "look_ahead_s"],
    "budget": {"max_megabytes": 0.0, "max_ms_per_s": 0.0, "max_look_ahead_ms": 200.0},
    "trials": [
        ahead(None, 4, lve=2.0e-6, ms=632.5, is_best_for_look_ahead=True),
        ahead(4, 1, lve=2.2e-6, ms=192.5, is_best_for_look_ahead=True, is_chosen=True),
        ahead(4, 0, lve=2.5e-6, ms=112.5, is_best_for_look_ahead=True, file_bytes=2_000_003),
        ahead(0, 1, lve=2.6e-6, ms=112.5),
        trial("broken", state="failed", lve_m2=None, eve_m2=None, fdd_abs=None, step=0),
    ],
}


def charts(content: dict, folder) -> list[str]:
    write_search_report(content, folder)
    return re.findall(r'aria-label="LVE against ([^"]*)"', (folder / "search.html").read_text(encoding="utf-8"))


def test_look_aheads_are_drawn_when_the_search_was_about_them(folder, tmp_path):
    size, speed, ahead_ms = "size of the files", "compute on one core", "look-ahead of a live stream"
    assert [one.partition(" (")[0] for one in charts(CONTENT, tmp_path)] == [size, speed]
    mixed = STREAMS | {"trials": [*STREAMS["trials"], ahead(0, 0, lve=3e-6, ms=32.5, file_bytes=9_000_000, rtf=0.001)]}
    assert [one.partition(" (")[0] for one in charts(mixed, tmp_path)] == [size, speed, ahead_ms]


def test_costs_that_hardly_differ_are_not_drawn_beside_look_aheads_unless_there_is_a_budget(tmp_path):
    assert charts(STREAMS, tmp_path) == ["look-ahead of a live stream (ms)"]
    limited = STREAMS | {"budget": STREAMS["budget"] | {"max_megabytes": 3.0}}
    assert len(charts(limited, tmp_path)) == 2


def test_a_line_joins_the_least_error_for_each_look_ahead(tmp_path):
    write_search_report(STREAMS, tmp_path)
    page = (tmp_path / "search.html").read_text(encoding="utf-8")
    (line,) = re.findall(r'<polyline class="best" points="([^"]*)"', page)
    corners = [tuple(map(float, corner.split(","))) for corner in line.split()]
    assert len(corners) == 5
    for (x, y), (next_x, next_y) in itertools.pairwise(corners):
        assert (next_x > x and next_y == y) or (next_x == x and next_y > y), "errors are drawn upwards"
    assert "192.5 ms look-ahead (done)</title>" in page
    assert "budget 200" in page
    assert "size, speed and look-ahead at once" in page


def test_a_trial_whose_look_ahead_is_not_known_is_told_and_not_drawn_among_them(tmp_path):
    old = trial("an old one", state="stopped", look_ahead_s=None)
    write_search_report(STREAMS | {"trials": [*STREAMS["trials"], old]}, tmp_path)
    page = (tmp_path / "search.html").read_text(encoding="utf-8")
    assert "<title>an old one" not in page
    assert re.search("an old one</td>.*?<td>\N{EN DASH}</td>", page, flags=re.DOTALL)
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_tells_look_aheads_and_reads_files_from_before_they_were_counted():
    head, first, *_ = search_table(STREAMS["trials"]).splitlines()
    assert head.split()[1:5] == ["MB", "ms/s", "ahead", "ms"]
    assert first.split()[first.split().index("2.00") + 2] == "632.5"
    old = [{key: value for key, value in row.items() if "look_ahead" not in key} for row in CONTENT["trials"]]
    head, first, *_ = search_table(old).splitlines()
    assert head.split()[1:4] == ["MB", "ms/s", "LVE"]
    assert len(head.split()) == len(first.split()) - 1


@pytest.mark.parametrize("values", [(32.5, 2712.5), (192.5, 192.5), (100.0, 250.0), (0.5, 0.9)])
def test_ticks_of_ratios_are_ones_twos_and_fives_around_the_values(values):
    ticks = _log_ticks(np.asarray(values))
    assert ticks[0] <= min(values) <= max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 9
    assert {f"{tick:e}"[0] for tick in ticks} <= {"1", "2", "5"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_picture_has_a_panel_for_each_cost(count):
    points = [
        plots.ParetoPoint(label="a", lip_error=0.3, num_steps=2, is_on_front=True, is_preset=True, is_chosen=True)
    ]
    panels = [
        plots.ParetoPanel(
            label=f"cost {number}", costs=[1.0], budget=2.0, is_log=number == 2, best=["4 + 1"], best_label="best"
        )
        for number in range(count)
    ]
    figure = plots.draw_pareto(points, panels)
    assert [axis.get_xlabel() for axis in figure.axes] == [f"cost {number}: left is better" for number in range(count)]
    assert all("4 + 1" in [text.get_text() for text in axis.texts] for axis in figure.axes)
