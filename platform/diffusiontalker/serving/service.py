"""What the protocol edges (HTTP, WebSocket, gRPC) ask of the core: requests in, motion out. Knows no protocol."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

import numpy as np

from diffusiontalker.face import MotionClip
from diffusiontalker.serving.errors import ANONYMOUS, Caller


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """A file that a client sent."""

    name: str
    """As the client calls it, made safe for messages."""
    content: bytes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StyleRequest:
    """Which student animates, who speaks and how they feel, as clients ask for it."""

    student: str | None = None
    """Name of one of the students; None: the first."""
    voice: str | None = None
    """Id of an enrolled voice, or a speaker the bundle was trained on; None: see `reference`."""
    reference: np.ndarray | None = None
    """(samples,) 16 kHz: whose voice to take; None: the audio's own, and for streams, which have heard nothing yet, the
    learnt unknown speaker."""
    emotion: str | None = None
    """One of the bundle's emotions; None: the voice's or the audio's own, and `neutral` for streams without either."""
    emotion_intensity: float = 1.0
    """0 (neutral) to 2 (exaggerated), with an explicit emotion."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SamplingRequest:
    """Which of the possible animations."""

    num_steps: int | None = None
    """Diffusion steps; None: the bundle's."""
    temperature: float | None = None
    """Scale of the noise; None: the bundle's."""
    seed: int = 0
    """Which noise."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StreamFacts:
    """What a client may want to know of a stream before its first frame."""

    fps: float
    """Motion frames per second; frame `i` is valid at `i / fps` seconds of the audio fed."""
    channel_names: tuple[str, ...]
    """One per coefficient."""
    look_ahead_s: float
    """Sound that must have been fed beyond a frame's instant before the frame can come out."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MotionPiece:
    """Frames of a stream that follow one another."""

    first_frame: int
    """Number of the first one since the stream began."""
    coefficients: np.ndarray
    """(frames, channels) float32 in [0, 1]."""


@runtime_checkable
class SpeechStream(Protocol):
    """Speech in, frames out, at the same time. One task may feed while another iterates."""

    @property
    def facts(self) -> StreamFacts:
        """What is known from the start."""
        ...

    async def feed(self, samples: np.ndarray) -> None:
        """Takes (samples,) float32 at 16 kHz in [-1, 1], any number of them. Waits while too much is unread.

        Raises:
            ServingError: `too_large` beyond the longest stream allowed.
        """
        ...

    async def finish(self) -> None:
        """No more sound will come; the rest of the frames comes out, then iteration ends."""
        ...

    def __aiter__(self) -> AsyncIterator[MotionPiece]:
        """The frames in order, as soon as they can be known; raises `ServingError` when the stream failed."""
        ...

    async def close(self) -> None:
        """Frees everything, at once; harmless when done before or after the end."""
        ...


@runtime_checkable
class StudentFacts(Protocol):
    """What edges want to know of a student before they ask something of it."""

    @property
    def fps(self) -> float:
        """Motion frames per second."""
        ...

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One per coefficient."""
        ...

    @property
    def emotions(self) -> tuple[str, ...]:
        """The emotions that may be asked for."""
        ...


@runtime_checkable
class Service(Protocol):
    """The core as edges see it."""

    def student(self, name: str | None = None) -> StudentFacts:
        """The student of that name; None: the first.

        Raises:
            ServingError: `unknown_student`.
        """
        ...

    async def animate(self, waveform: np.ndarray, style: StyleRequest, sampling: SamplingRequest) -> MotionClip:
        """Animates (samples,) 16 kHz mono at the student's frame rate.

        Raises:
            ServingError: for an unknown student, voice or emotion, a parameter out of range, or when busy or draining.
        """
        ...

    async def open_stream(
        self, style: StyleRequest, sampling: SamplingRequest, caller: Caller = ANONYMOUS
    ) -> SpeechStream:
        """Begins a stream, which counts against what its caller may have open.

        Raises:
            ServingError: as `animate`; `busy` when as many are open as allowed.
        """
        ...
