"""One look for every picture, in a light and a dark version, without pyplot and its global state."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

THEMES = ("light", "dark")

_SERIES = {
    "light": ("#2563eb", "#d97706", "#0f766e", "#9333ea", "#dc2626", "#0891b2", "#65a30d", "#db2777"),
    "dark": ("#60a5fa", "#fbbf24", "#2dd4bf", "#c084fc", "#f87171", "#22d3ee", "#a3e635", "#f472b6"),
}
_INK = {"light": "#111827", "dark": "#f3f4f6"}
_MUTED = {"light": "#6b7280", "dark": "#9ca3af"}
_GRID = {"light": "#e5e7eb", "dark": "#2d3440"}
_PAPER = {"light": "#ffffff", "dark": "#161b22"}


def render(draw: Callable[[], Figure], *, dpi: int = 120) -> dict[str, bytes]:
    """Draws once per theme and gives the PNG bytes of each, keyed `light` and `dark`."""
    pictures = {}
    for theme in THEMES:
        with matplotlib.rc_context(rc=_settings(theme)):
            buffer = io.BytesIO()
            draw().savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
            pictures[theme] = buffer.getvalue()
    return pictures


def ink() -> ColorType:
    """Colour of text and of the recorded truth in the current theme."""
    return matplotlib.rcParams["text.color"]


def paper() -> ColorType:
    """Background colour of the current theme."""
    return matplotlib.rcParams["figure.facecolor"]


def series(index: int) -> ColorType:
    """Colour of the `index`-th series of a picture in the current theme; the list repeats when it is used up."""
    colors: Sequence[ColorType] = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return colors[index % len(colors)]


def _settings(theme: str) -> dict[Any, Any]:
    return {
        "figure.facecolor": _PAPER[theme],
        "axes.facecolor": _PAPER[theme],
        "savefig.facecolor": _PAPER[theme],
        "text.color": _INK[theme],
        "axes.labelcolor": _MUTED[theme],
        "axes.titlecolor": _INK[theme],
        "axes.edgecolor": _GRID[theme],
        "xtick.color": _MUTED[theme],
        "ytick.color": _MUTED[theme],
        "grid.color": _GRID[theme],
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "font.size": 9,
        "font.family": "sans-serif",
        "lines.linewidth": 1.5,
        "lines.solid_capstyle": "round",
        "axes.prop_cycle": cycler(color=_SERIES[theme]),
    }
