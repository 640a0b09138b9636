"""One student of the endpoint: a bundle with the engine that animates and the personalizer that hears voices.

Knows neither limits nor who asks: that is `core`'s.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import Bundle, Voice, VoiceError, check_references, voice_of_references
from diffusiontalker.serving.engine import Engine
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.live import LiveStream
from diffusiontalker.serving.metrics import Metrics, timed
from diffusiontalker.serving.personalizer import Personalizer
from diffusiontalker.serving.service import SamplingRequest, StyleRequest
from diffusiontalker.serving.style_entry import StylePair
from diffusiontalker.serving.voice_registry import VoiceRegistry


class Student:
    """A bundle that is served.

    Args:
        name: what requests call it.
        engine: animates with its bundle.
        personalizer: makes embeddings with its bundle.
        voices: enrolled ones, of all students.
        metrics: where numbers go.
    """

    def __init__(
        self, name: str, *, engine: Engine, personalizer: Personalizer, voices: VoiceRegistry, metrics: Metrics
    ) -> None:
        self.name, self.engine, self.personalizer = name, engine, personalizer
        self._voices, self._metrics = voices, metrics

    @property
    def bundle(self) -> Bundle:
        """What it was loaded from."""
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

    async def animate(self, waveform: np.ndarray, style: StyleRequest, sampling: SamplingRequest) -> MotionClip:
        """See `Service`."""
        voice = await self._voice(style)
        with timed(self._metrics, "stage_seconds", stage="animate"):
            clip = await self.engine.animate(
                waveform,
                voice=voice,
                emotion=style.emotion,
                emotion_intensity=style.emotion_intensity,
                sampling=sampling,
            )
        self._metrics.count("audio_seconds_total", len(waveform) / SAMPLE_RATE_HZ, how="file")
        return clip

    async def open_stream(self, style: StyleRequest, sampling: SamplingRequest, *, max_seconds: float) -> LiveStream:
        """See `Service`; the sound may be as long as `max_seconds`."""
        return await self.engine.open_stream(
            voice=await self._voice(style),
            emotion=style.emotion,
            emotion_intensity=style.emotion_intensity,
            sampling=sampling,
            max_seconds=max_seconds,
        )

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
        return await self._voices.create(voice)

    def about(self) -> dict[str, Any]:
        """What is loaded, and its measured numbers."""
        bundle, streams = self.bundle, self.engine.streams
        return {
            "name": bundle.card.get("name", ""),
            "student": self.name,
            "digest": bundle.digest,
            "parameters": bundle.parameters,
            "file_bytes": bundle.file_bytes,
            "fps": self.fps,
            "channel_names": list(self.channel_names),
            "speakers": list(bundle.talker.speakers),
            "emotions": list(self.emotions),
            "num_steps": bundle.sampling.num_steps,
            "temperature": bundle.sampling.temperature,
            "streams": (
                {"look_ahead_ms": round(1e3 * streams.look_ahead_s(), 1), "max_open": self.engine.config.max_streams}
                if streams is not None
                else {"cannot": self.engine.cannot_stream}
            ),
            "measured": bundle.card.get("measured", []),
            "data_licences": bundle.card.get("data_licences", []),
        }

    async def close(self) -> None:
        """Ends everything."""
        await asyncio.gather(self.engine.close(), self.personalizer.close())

    async def _voice(self, style: StyleRequest) -> StylePair | str | None:
        """What the engine needs to know of a voice."""
        if style.voice is not None and style.reference is not None:
            raise ServingError("invalid_parameter", "a voice and a reference are given; give one of them")
        if style.reference is not None:
            return await self._embedded(style.reference)
        if style.voice is None or style.voice in self.bundle.talker.speakers:
            return style.voice
        try:
            voice = await self._voices.get(style.voice)
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
        with timed(self._metrics, "stage_seconds", stage="personalize"):
            return await self.personalizer.embed(waveform)
