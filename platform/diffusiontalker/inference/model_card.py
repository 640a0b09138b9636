"""The README of a bundle, written from its card: what it is, what was measured, what the data allows.

Keys of a card that this page shows: `name`, `description`, `intended_use`, `limits` (text), `measured` (numbers by
name, or a list of such rows), `data_licences` (rows: `name`, `licence`, `credit`), `training` (nested plain data).
Other keys stay in `card.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_INTENDED_USE = (
    "Turning recorded or live speech into facial animation for characters: games, film previews, avatars, research. "
    "Not for making a real person appear to say what that person did not say, nor for recognising who speaks."
)
_LIMITS = (
    "Speech unlike the training data (other languages, singing, strong noise, several voices at once) gives poorer lip "
    "sync. The face shows habits of the training speakers; nothing here understands what is said. Check the "
    "measured numbers against your own recordings before you rely on them."
)


def render_card(card: Mapping[str, Any], *, facts: Mapping[str, Any]) -> str:
    """The model card as Markdown.

    Args:
        card: see the module's text; missing keys are said to be missing, never invented.
        facts: what is known without the card: sizes, names, sampling.
    """
    name = str(card.get("name") or "talker")
    sections = [
        "---\nlibrary_name: diffusiontalker\ntags: [speech, facial-animation, arkit, diffusion]\n---",
        f"# {name}",
        str(card.get("description") or "Speech to 3D facial animation (ARKit coefficients)."),
        f"```\ndiffusiontalker animate speech.wav --bundle {name} --out speech.csv\n```",
        _table(("", ""), facts.items()),
        "## Intended use\n\n" + str(card.get("intended_use") or _INTENDED_USE),
        "## Limits\n\n" + str(card.get("limits") or _LIMITS),
        "## Measured\n\n" + _measured(card.get("measured")),
        "## Data and licences\n\n" + _licences(card.get("data_licences")),
        "## Training\n\n" + (_nested(card["training"]) if card.get("training") else "Not recorded."),
    ]
    return "\n\n".join(sections) + "\n"


def _measured(measured: Any) -> str:
    if not measured:
        return "Nothing was measured for this bundle yet; run `diffusiontalker evaluate`."
    if isinstance(measured, Mapping):
        return _table(("metric", "value"), [(key, _number(value)) for key, value in measured.items()])
    columns = list(dict.fromkeys(column for row in measured for column in row))
    return _table(columns, [[_number(row.get(column, "")) for column in columns] for row in measured])


def _licences(licences: Any) -> str:
    if not licences:
        return "Not recorded. Find out what the training data allows before you distribute this bundle."
    if isinstance(licences, str):
        return licences
    rows = [row if isinstance(row, Mapping) else {"name": row} for row in licences]
    columns = ("name", "licence", "credit")
    return _table(columns, [[row.get(column, "") for column in columns] for row in rows])


def _nested(plain: Any, *, depth: int = 0) -> str:
    if not isinstance(plain, Mapping):
        return str(plain)
    lines = []
    for key, value in plain.items():
        is_nested = isinstance(value, Mapping) and len(value) > 0
        lines.append("  " * depth + f"- {key}:" + ("" if is_nested else f" {_number(value)}"))
        if is_nested:
            lines.append(_nested(value, depth=depth + 1))
    return "\n".join(lines)


def _table(header: Sequence[str], rows: Any) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
