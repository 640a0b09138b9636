"""How reports become pages: one set of templates in the Studio's look, self-contained, escaped.

A page carries its style and its script, and its policy allows these alone: nothing is loaded from anywhere.
"""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from diffusiontalker.studio import PageError, page_folder


def render_page(template: str, *, script: str = "", **content: Any) -> str:
    """A page.

    Args:
        template: file of this room; it includes `page_head.html`.
        script: classic JavaScript that the template puts where it says `{{ script }}`.
        content: what the template shows; it must hold `content.title`.
    """
    script, style = _unbreakable(script), _style()
    sources = {
        "default-src": "'none'",
        "script-src": _only(script) if script else "'none'",
        "style-src": _only(style),
        "img-src": "data:",
        "media-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    policy = "; ".join(f"{kind} {source}" for kind, source in sources.items())
    return _environment().get_template(template).render(
        policy=policy, style=Markup(style), script=Markup(script), **content
    )  # fmt: skip


def player_script() -> str:
    """The player of motions, as classic JavaScript.

    Raises:
        PageError: when it has not been built.
    """
    path = page_folder() / "player.js"
    if not path.is_file():
        raise PageError(f"the player of reports is not built, {path} is not there; run `make studio` (needs Node)")
    return path.read_text(encoding="utf-8")


def sorting_script() -> str:
    """What lets tables of class `sortable` be sorted, as classic JavaScript."""
    return (resources.files("diffusiontalker.evaluation") / "sortable.js").read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    """With the filters `base64` (of bytes), `pretty` (JSON of plain data) and `data` (JSON inside a script element)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("diffusiontalker.evaluation", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["pretty"] = lambda plain: json.dumps(plain, indent=2, ensure_ascii=False)
    environment.filters["data"] = lambda plain: Markup(
        json.dumps(plain, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    )
    return environment


def _style() -> str:
    """The Studio's colours, type and space, and what pages make of them."""
    tokens = resources.files("diffusiontalker.studio") / "src" / "look" / "tokens.css"
    own = resources.files("diffusiontalker.evaluation") / "page.css"
    return tokens.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")


def _unbreakable(script: str) -> str:
    """The same program without the letters that would end its element early."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _only(inline: str) -> str:
    digest = hashlib.sha256(inline.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
