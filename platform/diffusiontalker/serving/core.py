"""The core of the endpoint: what edges ask for, put together from students, voices, decoder and keys.

Knows neither a protocol nor Ray: a replica of Ray Serve and a plain server run the same core.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from diffusiontalker import __version__
from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.face import MotionClip
from diffusiontalker.serving.arguments import Limits, ServingArguments
from diffusiontalker.serving.auth import Authenticator
from diffusiontalker.serving.decoding import DecodingPool
from diffusiontalker.serving.errors import ANONYMOUS, Caller, ServingError
from diffusiontalker.serving.live import LiveStream
from diffusiontalker.serving.metrics import Metrics, timed
from diffusiontalker.serving.service import (
    MotionPiece,
    SamplingRequest,
    SpeechStream,
    StreamFacts,
    StyleRequest,
    Upload,
)
from diffusiontalker.serving.student import Student
from diffusiontalker.serving.voice_registry import VoiceRegistry

_MOST_SHOWN = 80


class Core:
    """One replica's share of the endpoint; implements `Service`.

    Args:
        arguments: what the operator set.
        students: who animates; the first one where a request names none.
        voices: enrolled ones.
        decoder: turns uploads into waveforms.
        keys: who may ask.
        metrics: where numbers go.
    """

    def __init__(
        self,
        arguments: ServingArguments,
        *,
        students: Sequence[Student],
        voices: VoiceRegistry,
        decoder: DecodingPool,
        keys: Authenticator,
        metrics: Metrics,
    ) -> None:
        self.arguments, self.limits = arguments, arguments.limits
        self.students = {student.name: student for student in students}
        self.voices, self.decoder, self.keys, self.metrics = voices, decoder, keys, metrics
        self.is_closing = False
        self._first = students[0]
        self._streams_of: Counter[str] = Counter()

    def student(self, name: str | None = None) -> Student:
        """See `Service`."""
        if name is None:
            return self._first
        if name not in self.students:
            known = ", ".join(self.students)
            raise ServingError("unknown_student", f"there is no student {name[:_MOST_SHOWN]!r}; there are {known}")
        return self.students[name]

    def authenticate(self, header: str | None) -> Caller:
        """Who asks; see `Authenticator`.

        Raises:
            ServingError: also `unavailable` once the server ends.
        """
        if self.is_closing:
            raise ServingError("unavailable", "the server is shutting down; try again", retry_after_s=1)
        return self.keys.authenticate(header)

    async def decode(self, upload: Upload) -> np.ndarray:
        """A waveform from an uploaded file.

        Raises:
            ServingError: see `DecodingPool`.
        """
        with timed(self.metrics, "stage_seconds", stage="decode"):
            return await self.decoder.decode(upload.content, limits=self.limits.audio(), name=upload.name)

    async def animate(self, waveform: np.ndarray, style: StyleRequest, sampling: SamplingRequest) -> MotionClip:
        """See `Service`."""
        return await self.student(style.student).animate(waveform, style, sampling)

    async def open_stream(
        self,
        style: StyleRequest,
        sampling: SamplingRequest,
        caller: Caller = ANONYMOUS,
    ) -> SpeechStream:
        """See `Service`; `caller` counts against the streams that one caller may have open."""
        student = self.student(style.student)
        num_open = self._streams_of[caller.name]
        if num_open >= self.limits.max_streams_per_key:
            raise ServingError(
                "busy", f"'{caller.name}' has {num_open} streams open, which is as many as may be; close one",
                retry_after_s=5,
            )  # fmt: skip
        self._count_stream(caller, +1)
        try:
            live = await student.open_stream(style, sampling, max_seconds=self.limits.max_seconds)
        except BaseException:
            self._count_stream(caller, -1)
            raise
        return _CountedStream(self, live, caller)

    def about(self, student: str | None = None) -> dict[str, Any]:
        """What is loaded, with the measured numbers of one student."""
        return {
            **self.student(student).about(),
            "students": list(self.students),
            "diffusiontalker": __version__,
            "limits": self.limits.model_dump(),
        }

    def reconfigure(
        self, *, limits: Limits | None = None, max_batch_frames: int | None = None, max_waiting: int | None = None
    ) -> None:
        """Other limits and batch sizes from now on, without a restart; what is None stays."""
        self.limits = limits or self.limits
        for student in self.students.values():
            batcher = student.engine.batcher
            batcher.max_size = max_batch_frames or batcher.max_size
            batcher.max_waiting = max_waiting or batcher.max_waiting

    async def close(self) -> None:
        """Takes nothing new and ends everything."""
        self.is_closing = True
        await asyncio.gather(self.decoder.close(), *(student.close() for student in self.students.values()))
        self.voices.close()

    def _count_stream(self, caller: Caller, change: int) -> None:
        self._streams_of[caller.name] += change
        if not self._streams_of[caller.name]:
            del self._streams_of[caller.name]
        self.metrics.set("streams_open", self._streams_of.total())

    def stream_closed(self, caller: Caller, *, seconds: float) -> None:
        """Called once by every stream."""
        self._count_stream(caller, -1)
        self.metrics.count("audio_seconds_total", seconds, how="stream")


class _CountedStream:
    """A stream that lives no longer than allowed, and gives back its caller's allowance when it is closed."""

    def __init__(self, core: Core, live: LiveStream, caller: Caller) -> None:
        self._core, self._live, self._caller = core, live, caller
        self._samples, self._is_closed = 0, False
        wall_s = core.limits.wall_seconds
        error = ServingError("too_slow", f"the stream took longer than {wall_s:g} s; begin a new one")
        self._timer = asyncio.get_running_loop().call_later(wall_s, live.fail, error)

    @property
    def facts(self) -> StreamFacts:
        return self._live.facts

    async def feed(self, samples: np.ndarray) -> None:
        await self._live.feed(samples)
        self._samples += len(samples)

    async def finish(self) -> None:
        await self._live.finish()

    def __aiter__(self) -> AsyncIterator[MotionPiece]:
        return self._live.__aiter__()

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._timer.cancel()
            self._core.stream_closed(self._caller, seconds=self._samples / SAMPLE_RATE_HZ)
            await self._live.close()
