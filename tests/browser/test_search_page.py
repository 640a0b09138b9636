"""The page of a student-size search, opened from the file system."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from diffusiontalker.evaluation import write_search_report

TRIALS = (("wide", 2e-6, 3_000_000), ("narrow", 4e-6, 900_000), ("broken", None, 12_000_000))
CONTENT = {
    "title": "Student-size search", "headline": "3 students tried.", "num_steps": 100, "group": "validation",
    "checks": [], "objectives": ["lve_m2", "file_bytes", "rtf"], "precision": "float16",
    "budget": {"max_megabytes": 0.0, "max_ms_per_s": 0.0, "max_look_ahead_ms": 0.0},
    "trials": [
        {
            "name": name, "state": "done" if error else "failed", "error": "", "is_preset": False, "is_on_front": False,
            "is_best_for_look_ahead": False, "look_ahead_s": 0.3125, "is_chosen": False, "point": {}, "num_steps": 2,
            "step": 100, "lve_m2": error, "eve_m2": error, "fdd_abs": error, "file_bytes": size,
            "parameters": 1_000_000, "operations_per_s": 1e8, "rtf": 0.002,
        }
        for name, error, size in TRIALS
    ],
    "importances": {}, "teacher_digest": "0" * 64, "corpus": {"uri": "corpora/x", "digest": "1" * 64}, "config": {},
    "provenance": {"diffusiontalker": "0", "git_commit": "unknown", "machine": "m", "cpu_count": 2},
}  # fmt: skip


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    write_search_report(CONTENT, tmp_path)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "search.html").as_uri())
    yield page
    assert complaints == []
    page.close()


def names(page: Page) -> list[str]:
    return page.locator("table.sortable tbody td:first-child").all_inner_texts()


@pytest.mark.parametrize(
    ("column", "rising", "falling"),
    [
        ("size", ["narrow", "wide", "broken"], ["broken", "wide", "narrow"]),
        ("LVE", ["wide", "narrow", "broken"], ["narrow", "wide", "broken"]),
        ("student", ["broken", "narrow", "wide"], ["wide", "narrow", "broken"]),
        ("state", ["wide", "narrow", "broken"], ["broken", "wide", "narrow"]),
    ],
)
def test_a_press_on_a_head_sorts_by_its_column(page: Page, column: str, rising: list[str], falling: list[str]):
    given = ["wide", "narrow", "broken"]
    assert names(page) == given
    button = page.locator("table.sortable th button").filter(has_text=column).first
    for expected in (rising, falling, given):
        button.click()
        assert names(page) == expected
