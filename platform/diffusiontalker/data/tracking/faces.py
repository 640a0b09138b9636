"""`FaceTracker`: who finds a face in the pictures of a video and tells what it does. Trackers are interchangeable."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from diffusiontalker.data.tracking.video import Picture


class TrackerError(ValueError):
    """A tracker that cannot be used; the message says what it needs."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrackedFace:
    """The face in one picture."""

    coefficients: Mapping[str, float]
    """Channel -> weight in [0, 1]; names in any spelling of ARKit's, others are ignored."""
    num_faces: int = 1
    """Faces in the picture; with several, this is the largest."""


@runtime_checkable
class FaceTracker(Protocol):
    """Follows one face through a video."""

    @property
    def identity(self) -> str:
        """What decides its results: another value means that videos must be tracked again."""
        ...

    def track(self, pictures: Iterable[Picture]) -> Iterator[TrackedFace | None]:
        """One result per picture of one video, in order; None where no face is found."""
        ...
