import base64
import hashlib
import html
import re
from importlib import resources

import pytest

from diffusiontalker.evaluation import pages
from diffusiontalker.evaluation.plots import style
from diffusiontalker.studio import PageError

CONTENT = {
    "title": "A page", "headline": "", "checks": [], "groups": [], "personalizer": None,
    "rig": {"name": "r", "vertices": 1, "lip_vertices": 1, "upper_face_vertices": 1},
    "config": {"num_samples": 1}, "corpus": {
        "uri": "u", "digest": "0" * 64, "motion_fps": 25.0, "missing_channels": [], "source": {}
    },
    "config_digest": "", "provenance": {"diffusiontalker": "", "git_commit": "", "machine": "", "cpu_count": 1},
    "played": {"system": "teacher", "longest_s": 20.0, "clips": [
        {"clip_id": "</script><b>", "place": "only", "lip_error_mm": 1.0, "speaker": "s", "emotion": "e"}
    ]},
}  # fmt: skip
TRICKY = "const a = '</script>', b = '<!-- <script>';"


def page(*, script: str = "", played: dict | None = None, missing: str = "") -> str:
    return pages.render_page(
        "report.html", script=script, content=CONTENT, pictures=[], columns=[], tables=[], played=played,
        missing=missing,
    )  # fmt: skip


def policy(text: str) -> dict[str, str]:
    (content,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    parts = [part.strip().partition(" ") for part in html.unescape(content).split(";")]
    return {kind: sources for kind, _, sources in parts}


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_what_the_page_holds_and_nothing_else():
    text = page(script="run();", played={"head": "", "clips": []})
    (inline_style,) = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    (inline_script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert policy(text) == {
        "default-src": "'none'", "script-src": hash_of(inline_script), "style-src": hash_of(inline_style),
        "img-src": "data:", "media-src": "blob:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert inline_script == "run();"


def test_a_page_without_a_script_allows_none():
    assert policy(page(missing="it is not built; build it"))["script-src"] == "'none'"


@pytest.mark.parametrize("template", ["report.html", "comparison.html", "search.html", "played.html"])
def test_templates_hold_no_inline_style_which_the_policy_would_ignore(template: str):
    text = (resources.files("diffusiontalker.evaluation") / template).read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", text)


def test_nothing_in_script_or_data_ends_its_element():
    text = page(script=TRICKY, played={"head": "</script><script>alert(1)</script>", "clips": []})
    assert "const a = '<\\/script>', b = '<\\!-- <script>';</script>" in text
    assert '{"head": "\\u003c/script>\\u003cscript>alert(1)\\u003c/script>", "clips": []}</script>' in text
    assert "&lt;/script&gt;&lt;b&gt; (only, 1.00 mm)" in text


def test_a_page_whose_player_was_not_built_says_how_to_get_it():
    text = page(missing="it is not built; run make studio")
    assert "Not played here: it is not built; run make studio, and evaluate again." in text
    assert "played-clips" not in text


def test_a_player_that_was_not_built_is_told(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pages, "page_folder", lambda: tmp_path)
    with pytest.raises(PageError, match=r"player\.js is not there; run `make studio`"):
        pages.player_script()
    (tmp_path / "player.js").write_text("run();", encoding="utf-8")
    assert pages.player_script() == "run();"


def test_pages_and_pictures_wear_the_colours_of_the_studio():
    tokens = (resources.files("diffusiontalker.studio") / "src/look/tokens.css").read_text(encoding="utf-8")
    assert tokens in page()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", tokens)
    for theme, colors in (
        ("light", {name: light for name, light, _ in pairs}),
        ("dark", {name: dark for name, _, dark in pairs}),
    ):  # fmt: skip
        settings = style._settings(theme)
        drawn = settings["axes.prop_cycle"].by_key()["color"]
        assert drawn[:5] == [colors[f"curve-{number}"] for number in (2, 1, 3, 4, 5)]
        names = ("figure.facecolor", "text.color", "xtick.color", "grid.color")
        assert [settings[name] for name in names] == [colors[name] for name in ("surface", "ink", "ink-soft", "line")]
