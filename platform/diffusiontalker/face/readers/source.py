"""`MotionSource`: the bytes of a motion file and what to call them."""

import dataclasses
import json
from typing import Any

from diffusiontalker.face.motion import MotionError


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionSource:
    """What every reader is given."""

    content: bytes
    """Of the whole file; not empty."""
    place: str
    """What messages call the file."""
    suffix: str = ""
    """The last suffix of the file's name, in lower case."""
    fps: float | None = None
    """Frames per second, if the caller knows."""

    def text(self, kind: str) -> str:
        """The content as text, without a byte order mark.

        Raises:
            MotionError: when it is not UTF-8.
        """
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MotionError(f"{self.place}: cannot be read as {kind}: {error}") from None

    def json(self, text: str | None = None) -> Any:
        """The content as JSON, or `text` of it.

        Raises:
            MotionError: when it is none.
        """
        try:
            return json.loads(self.text("JSON") if text is None else text)
        except (ValueError, RecursionError) as error:
            raise MotionError(f"{self.place}: cannot be read as JSON: {error}") from None
