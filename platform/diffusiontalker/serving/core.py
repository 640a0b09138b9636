"""The core of the endpoint: what edges ask for, put together from engine, personalizer, voices, decoder and keys.

Knows neither a protocol nor Ray: a replica of Ray Serve and a plain server run the same core.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from diffusiontalker import __version__
from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle, Voice, VoiceError, check_references, voice_of_references
from diffusiontalker.serving.arguments import Limits, ServingArguments
from diffusiontalker.serving.auth import Authenticator
from diffusiontalker.serving.decoding import DecodingPool
from diffusiontalker.serving.engine import Engine
from diffusiontalker.serving.errors import ANONYMOUS, Caller, ServingError
from diffusiontalker.serving.live import LiveStream
from diffusiontalker.serving.metrics import Metrics, timed
from diffusiontalker.serving.personalizer import Personalizer
from diffusiontalker.serving.service import (
    MotionPiece,
    SamplingRequest,
    SpeechStream,
    StreamFacts,
    StyleRequest,
    Upload,
)
from diffusiontalker.serving.style_entry import StylePair
from diffusiontalker.serving.voice_registry import VoiceRegistry

logger = logging.getLogger(__name__)


class Core:
    """One replica's share of the endpoint; implements `Service`.

    Args:
        arguments: what the operator set.
        engine: animates.
        personalizer: makes embeddings.
        voices: enrolled ones.
        decoder: turns uploads into waveforms.
        keys: who may ask.
        metrics: where numbers go.
    """

    def __init__(
        self,
        arguments: ServingArguments,
        *,
        engine: Engine,
        personalizer: Personalizer,
        voices: VoiceRegistry,
        decoder: DecodingPool,
        keys: Authenticator,
        metrics: Metrics,
    ) -> None:
        self.arguments, self.limits = arguments, arguments.limits
        self.engine, self.personalizer, self.voices = engine, personalizer, voices
        self.decoder, self.keys, self.metrics = decoder, keys, metrics
        self.is_closing = False
        self._streams_of: Counter[str] = Counter()

    @property
    def bundle(self) -> Bundle:
        """The student."""
        return self.engine.bundle

    @property
    def fps(self) -> float:
        """Its frame rate."""
        return self.bundle.motion_fps

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Its channels."""
        return self.bundle.talker.channel_names

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions it knows."""
        return self.bundle.talker.emotions

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
        voice = await self._voice(style)
        self.metrics.set("waiting_jobs", self.engine.batcher.waiting)
        with timed(self.metrics, "stage_seconds", stage="animate"):
            clip = await self.engine.animate(
                waveform,
                voice=voice,
                emotion=style.emotion,
                emotion_intensity=style.emotion_intensity,
                sampling=sampling,
            )
        self.metrics.count("audio_seconds_total", len(waveform) / SAMPLE_RATE_HZ, how="file")
        return clip

    async def open_stream(
        self,
        style: StyleRequest,
        sampling: SamplingRequest,
        caller: Caller = ANONYMOUS,
    ) -> SpeechStream:
        """See `Service`; `caller` counts against the streams that one caller may have open."""
        num_open = self._streams_of[caller.name]
        if num_open >= self.limits.max_streams_per_key:
            raise ServingError(
                "busy", f"'{caller.name}' has {num_open} streams open, which is as many as may be; close one",
                retry_after_s=5,
            )  # fmt: skip
        self._count_stream(caller, +1)
        try:
            live = await self.engine.open_stream(
                voice=await self._voice(style),
                emotion=style.emotion,
                emotion_intensity=style.emotion_intensity,
                sampling=sampling,
                max_seconds=self.limits.max_seconds,
            )
        except BaseException:
            self._count_stream(caller, -1)
            raise
        return _CountedStream(self, live, caller)

    async def enroll(self, waveforms: Sequence[np.ndarray], *, name: str) -> Voice:
        """Stores a new voice from recordings of one speaker.

        Raises:
            ServingError: `invalid_parameter` for too little sound or an unusable name, `voice_exists`.
        """
        try:
            await asyncio.to_thread(check_references, waveforms, name=name)
            embeddings = await asyncio.gather(*map(self._embedded, waveforms))
            voice = voice_of_references(
                waveforms,
                embeddings,
                name=name,
                bundle_digest=self.bundle.digest,
            )
        except VoiceError as error:
            raise ServingError("invalid_parameter", str(error)) from None
        return await self.voices.create(voice)

    def about(self) -> dict[str, Any]:
        """What is loaded, and its measured numbers."""
        bundle = self.bundle
        streams = self.engine.streams
        return {
            "name": bundle.card.get("name", ""),
            "digest": bundle.digest,
            "diffusiontalker": __version__,
            "parameters": bundle.parameters,
            "file_bytes": bundle.file_bytes,
            "fps": self.fps,
            "channel_names": list(self.channel_names),
            "speakers": list(bundle.talker.speakers),
            "emotions": list(self.emotions),
            "num_steps": bundle.sampling.num_steps,
            "temperature": bundle.sampling.temperature,
            "streams": (
                {"look_ahead_ms": round(1e3 * streams.look_ahead_s(), 1), "max_open": self.arguments.engine.max_streams}
                if streams is not None
                else {"cannot": self.engine.cannot_stream}
            ),
            "limits": self.limits.model_dump(),
            "measured": bundle.card.get("measured", []),
            "data_licences": bundle.card.get("data_licences", []),
        }

    def reconfigure(
        self, *, limits: Limits | None = None, max_batch_frames: int | None = None, max_waiting: int | None = None
    ) -> None:
        """Other limits and batch sizes from now on, without a restart; what is None stays."""
        batcher = self.engine.batcher
        self.limits = limits or self.limits
        batcher.max_size = max_batch_frames or batcher.max_size
        batcher.max_waiting = max_waiting or batcher.max_waiting

    async def close(self) -> None:
        """Takes nothing new and ends everything."""
        self.is_closing = True
        await asyncio.gather(self.engine.close(), self.decoder.close(), self.personalizer.close())
        self.voices.close()

    async def _voice(self, style: StyleRequest) -> StylePair | str | None:
        """What the engine needs to know of a voice."""
        if style.voice is not None and style.reference is not None:
            raise ServingError("invalid_parameter", "a voice and a reference are given; give one of them")
        if style.reference is not None:
            return await self._embedded(style.reference)
        if style.voice is None or style.voice in self.bundle.talker.speakers:
            return style.voice
        try:
            voice = await self.voices.get(style.voice)
            voice.check_bundle(self.bundle.digest)
        except VoiceError as error:
            raise ServingError("unknown_voice", str(error)) from None
        except ServingError as error:
            if error.code == "unavailable":
                raise
            speakers = ", ".join(self.bundle.talker.speakers)
            raise ServingError("unknown_voice", f"{error.message}; this bundle's own: {speakers}") from None
        return StylePair(voice.identity, voice.emotion)

    async def _embedded(self, waveform: np.ndarray) -> StylePair:
        with timed(self.metrics, "stage_seconds", stage="personalize"):
            return await self.personalizer.embed(waveform)

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
