"""`ImportConfig`: what the import of any format can be told."""

import dataclasses
from typing import Literal

_MAX_FACE_LAG_S = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportConfig:
    """How strictly recordings are imported."""

    motion_fps: float = 25.0
    """Frame rate of the corpus, in Hz; every motion is resampled to it. 25, 30 and 60 are usual."""
    max_drift_s: float = 0.05
    """Largest accepted difference in length between audio and motion, in seconds, beyond half a motion frame."""
    range_tolerance: float = 0.05
    """How far a coefficient may lie outside [0, 1]; within the tolerance it is clamped."""
    max_rejected_fraction: float = 0.2
    """Import fails when more than this share of the clips is rejected: the export is then wrong as a whole."""
    correct_sync: Literal["none", "offset", "drift"] = "none"
    """What to do about a face that is clearly late or early: nothing, shift it, or follow a lag that changes too.

    Sound that then has no face is cut off.
    """
    face_lag_s: float = 0.0
    """By how many seconds the face is late in every clip (negative: early), if you know; it is taken back likewise."""
    licence: str = ""
    """Licence of the recordings; every bundle trained on them states it."""
    credit: str = ""
    """Whom to credit for the recordings; every bundle trained on them does."""
    strict: bool = False
    """Whether a single rejected clip makes the import fail, or a recording whose name is none of the format."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if not 1 <= self.motion_fps <= 240:
            raise ValueError(f"motion_fps is {self.motion_fps}, expected 1 to 240 Hz, such as 25, 30 or 60")
        if self.max_drift_s < 0 or self.range_tolerance < 0:
            raise ValueError("max_drift_s and range_tolerance must not be negative")
        if abs(self.face_lag_s) > _MAX_FACE_LAG_S:
            raise ValueError(
                f"face_lag_s is {self.face_lag_s}, expected -{_MAX_FACE_LAG_S:g} to {_MAX_FACE_LAG_S:g} seconds"
            )
        if not 0 <= self.max_rejected_fraction <= 1:
            raise ValueError(f"max_rejected_fraction is {self.max_rejected_fraction}, expected 0 to 1")
