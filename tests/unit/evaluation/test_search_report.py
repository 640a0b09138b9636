import json

import pytest

from diffusiontalker.evaluation import search_table, write_search_report
from diffusiontalker.evaluation.search_report import _ticks


def trial(name: str, **more) -> dict:
    return {
        "name": name, "state": "done", "error": "", "is_preset": False, "is_on_front": False, "is_chosen": False,
        "point": {}, "num_steps": 2, "step": 100, "lve_m2": 2e-6, "eve_m2": 4e-6, "fdd_abs": 1e-7,
        "file_bytes": 2_000_000, "parameters": 1_000_000, "operations_per_s": 1e8, "rtf": 0.002,
    } | more  # fmt: skip


CONTENT = {
    "title": "Student-size search: test", "headline": "4 students tried.", "num_steps": 100, "group": "validation",
    "checks": [{"text": "It holds.", "holds": True}, {"text": "It fails.", "holds": False}],
    "budget": {"max_megabytes": 3.0, "max_ms_per_s": 0.0}, "precision": "float16",
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
    import numpy as np

    ticks = _ticks(np.asarray(values))
    assert ticks[0] <= min(values) <= max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 7
