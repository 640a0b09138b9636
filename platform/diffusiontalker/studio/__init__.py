"""The Studio: the page that shows and plays what an endpoint animates.

Its TypeScript lies in this folder and is made into `page/` by `make studio`; Python only says where that is. Knows no
server.
"""

from pathlib import Path

__all__ = ["PageError", "page_folder"]


class PageError(ValueError):
    """The page is not there; the message says how to make it."""


def page_folder() -> Path:
    """The folder with the built page: `index.html`, `assets/` and `player.js`.

    Raises:
        PageError: when it has not been built.
    """
    folder = Path(__file__).parent / "page"
    if not (folder / "index.html").is_file():
        raise PageError(f"the Studio's page is not built, {folder} holds no index.html; run `make studio` (needs Node)")
    return folder
