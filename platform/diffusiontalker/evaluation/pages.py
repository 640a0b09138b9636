"""How reports become pages: one set of templates, self-contained, escaped."""

import base64
import json

import jinja2


def page_environment() -> jinja2.Environment:
    """The templates of this room, with the filters `base64` (of bytes) and `pretty` (JSON of plain data)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("diffusiontalker.evaluation", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["pretty"] = lambda plain: json.dumps(plain, indent=2, ensure_ascii=False)
    return environment
