"""One look for every picture, in a light and a dark version, without pyplot and its global state."""

import io
from collections.abc import Callable, Collection, Sequence
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

THEMES = ("light", "dark")

MISSING = "*: missing in some or all of the source"
"""What the star of `marked` means."""

# The Studio's surface, ink, ink-soft, line and curves; pages lay pictures on its surface. The second curve comes first,
# as the first is too close to the ink of the truth. Pictures may have more series than the Studio has curves.
_SERIES = {
    "light": ("#d96a12", "#1e4798", "#287b70", "#8a2c66", "#368ed9", "#b3261e", "#6a8f1d", "#7a5cc9"),
    "dark": ("#f88a1a", "#6c9bff", "#84d5cf", "#cb86b0", "#f9da49", "#ff8f84", "#b6d957", "#b79cff"),
}
_INK = {"light": "#1b1c1f", "dark": "#edeeef"}
_MUTED = {"light": "#5b5d63", "dark": "#a5a9b1"}
_GRID = {"light": "#e0dfdb", "dark": "#2d3035"}
_PAPER = {"light": "#ffffff", "dark": "#1b1d20"}


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


def marked(channel: str, missing: Collection[str]) -> str:
    """The channel's name, with a star when it is one of those that a corpus lacks."""
    return f"{channel}*" if channel in missing else channel


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
