"""The engine: one bundle, loaded once, that animates whole recordings in batches and streams side by side. No Ray.

Recordings and streams compute in threads of their own, so that a long recording does not hold up the streams.
"""

import asyncio
import dataclasses
import logging
import math
from collections.abc import Sequence

import numpy as np
import torch

from diffusiontalker.audio import SAMPLE_RATE_HZ, timebase
from diffusiontalker.face import MotionClip
from diffusiontalker.inference import (
    AnimationError,
    Bundle,
    EngineName,
    StreamingTalker,
    Style,
    Voice,
    VoiceError,
    animate_batch,
    make_voice,
    resolve,
)
from diffusiontalker.serving.batching import BatchStatistics, MicroBatcher
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.live import LiveStream, LiveStreams
from diffusiontalker.serving.metrics import Metrics
from diffusiontalker.serving.service import SamplingRequest
from diffusiontalker.serving.style_entry import StylePair

logger = logging.getLogger(__name__)

_MOST_STEPS = 64


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """How much an engine takes on at once."""

    max_batch_frames: int = 2400
    """Motion frames of one batch, padding included: 32 clips of 3 s at 25 fps."""
    max_waiting: int = 256
    """Recordings that wait for a batch; more are refused as busy."""
    max_waiting_frames: int = 90_000
    """Motion frames of all recordings that wait, which bounds their memory: an hour of sound, 230 MB, at 25 fps."""
    max_streams: int = 64
    """Streams that may be open."""
    max_stream_steps: int = 8
    """Most diffusion steps that a stream may ask for, beside the bundle's own: every number of steps in use holds
    memory for all streams."""
    pass_ms: float = 10.0
    """How long the first sound after a pause waits for that of other streams: longer gathers more, shorter answers
    sooner."""
    threads: int = 0
    """CPU threads that compute a batch; 0: as many as torch chooses. Live streams have one."""
    networks: EngineName = "auto"
    """What computes: onnx (float32 on CPUs), onnx-int8 (the fastest on CPUs, and not quite the same), torch (the
    reference) or torch-bfloat16; auto: onnx on CPUs, torch elsewhere."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name in ("max_batch_frames", "max_waiting", "max_waiting_frames", "max_streams"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a positive number")
        for name in ("max_stream_steps", "pass_ms", "threads"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A recording to animate."""

    waveform: np.ndarray
    style: Style
    num_steps: int
    temperature: float
    seed: int
    frames: int
    """Motion frames that it will have."""


class Engine:
    """Animates with one bundle.

    Args:
        bundle: loaded, on its device.
        config: limits.
        metrics: where numbers go.
    """

    def __init__(self, bundle: Bundle, config: EngineConfig, *, metrics: Metrics) -> None:
        self.bundle, self.config, self._metrics = bundle, config, metrics
        self._threads = config.threads or torch.get_num_threads()
        self.batcher: MicroBatcher[Job, MotionClip] = MicroBatcher(
            self._animate,
            size_of=lambda job: job.frames,
            max_size=config.max_batch_frames,
            kind_of=lambda job: job.num_steps,
            max_waiting=config.max_waiting,
            max_waiting_size=config.max_waiting_frames,
            on_batch=self._tell_batch,
        )
        self._unheard = _unheard(bundle)
        try:
            talker = StreamingTalker(bundle, max_streams=config.max_streams)
            self.streams: LiveStreams | None = LiveStreams(talker, pass_s=config.pass_ms / 1e3, metrics=metrics)
            self.cannot_stream = ""
        except AnimationError as error:
            self.streams, self.cannot_stream = None, str(error)

    def warm_up(self) -> None:
        """Computes once what every request will, with the threads it will have, so that the first does not wait."""
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self._threads)
            animate_batch(self.bundle, [np.zeros(48_000, dtype=np.float32)] * 2, seeds=[0, 0])
            torch.set_num_threads(1)
            self._warm_up_streams()
        finally:
            torch.set_num_threads(threads)

    def _warm_up_streams(self) -> None:
        if self.streams is not None:
            talker = StreamingTalker(self.bundle, max_streams=1)
            size = self.bundle.talker.config.personalizer.embedding_dim
            one = np.full(size, size**-0.5, dtype=np.float32)
            stream = talker.open(identity=one, emotion=one)
            talker.feed(stream, np.zeros(16_000, dtype=np.float32))
            talker.finish(stream)
            while talker.advance()[0]:
                pass

    async def animate(
        self,
        waveform: np.ndarray,
        *,
        voice: StylePair | str | None = None,
        emotion: str | None = None,
        emotion_intensity: float = 1.0,
        sampling: SamplingRequest = SamplingRequest(),  # noqa: B008
    ) -> MotionClip:
        """Animates (samples,) 16 kHz mono, together with whatever else waits.

        Args:
            waveform: at least one sample.
            voice: embeddings, a speaker of the bundle, or None for the audio's own.
            emotion: one of the bundle's, None for the voice's or the audio's own.
            emotion_intensity: 0 to 2.
            sampling: which of the possible animations.

        Raises:
            ServingError: `bad_audio` without samples, `invalid_parameter`, `unknown_voice`, `busy` or `unavailable`.
        """
        if waveform.ndim != 1 or not len(waveform):
            raise ServingError("bad_audio", f"sound of shape {waveform.shape}, expected (samples,), at least one")
        style, _ = self._styled(voice, emotion, emotion_intensity)
        num_steps, temperature = self._checked(sampling)
        frames = timebase.motion_frames(len(waveform), motion_fps=self.bundle.motion_fps)
        self._metrics.set("waiting_jobs", self.batcher.waiting)
        return await self.batcher.submit(
            Job(
                waveform=waveform,
                style=style,
                num_steps=num_steps,
                temperature=temperature,
                seed=sampling.seed,
                frames=frames,
            )
        )

    async def open_stream(
        self,
        *,
        voice: StylePair | str | None = None,
        emotion: str | None = None,
        emotion_intensity: float = 1.0,
        sampling: SamplingRequest = SamplingRequest(),  # noqa: B008
        max_seconds: float = math.inf,
    ) -> LiveStream:
        """Begins a stream; without a voice the learnt unknown speaker speaks, without an emotion neutrally.

        The arguments are those of `animate`, and the longest sound that it may have.

        Raises:
            ServingError: as `animate`; `invalid_parameter` when the bundle cannot stream.
        """
        if self.streams is None:
            raise ServingError("invalid_parameter", self.cannot_stream)
        _, (identity, feeling) = self._styled(voice, emotion, emotion_intensity)
        num_steps, temperature = self._checked(sampling)
        own = self.bundle.sampling.num_steps
        if num_steps > self.config.max_stream_steps and num_steps != own:
            raise ServingError(
                "invalid_parameter",
                f"num_steps is {num_steps}; a stream may have 1 to {self.config.max_stream_steps}, or {own}",
            )
        return self.streams.open(
            identity=identity.cpu().numpy(),
            emotion=feeling.cpu().numpy(),
            num_steps=num_steps,
            temperature=temperature,
            seed=sampling.seed,
            max_seconds=max_seconds,
        )

    @property
    def is_idle(self) -> bool:
        """Whether no recording waits or is computed, and no stream is open."""
        return self.batcher.is_idle and (self.streams is None or not self.streams.num_open)

    async def close(self) -> None:
        """Finishes the batch under way, refuses what waits, ends the streams."""
        parts = (self.batcher,) if self.streams is None else (self.batcher, self.streams)
        await asyncio.gather(*(part.close() for part in parts))

    def _tell_batch(self, jobs: Sequence[Job], statistics: BatchStatistics) -> None:
        seconds = sum(len(job.waveform) for job in jobs) / SAMPLE_RATE_HZ
        self._metrics.set("waiting_jobs", self.batcher.waiting)
        self._metrics.observe("batch_jobs", len(jobs))
        self._metrics.observe("queue_seconds", max(statistics.waits_s))
        for waited_s in statistics.waits_s:
            self._metrics.observe("job_wait_seconds", waited_s)
        self._metrics.count("compute_seconds_total", statistics.compute_s)
        self._metrics.observe("batch_seconds", statistics.compute_s)
        self._metrics.observe("rtf", statistics.compute_s / seconds)

    def _animate(self, jobs: Sequence[Job]) -> list[MotionClip]:
        torch.set_num_threads(self._threads)  # of this thread; passes over the streams set it too, to one
        return animate_batch(
            self.bundle,
            [job.waveform for job in jobs],
            seeds=[job.seed for job in jobs],
            styles=[job.style for job in jobs],
            num_steps=jobs[0].num_steps,
            temperature=[job.temperature for job in jobs],
        )

    def _styled(
        self, voice: StylePair | str | None, emotion: str | None, intensity: float
    ) -> tuple[Style, tuple[torch.Tensor, torch.Tensor]]:
        """The style, and the embeddings it stands for where nothing has been heard. Checked before anything waits."""
        named: Voice | str | None = None
        if isinstance(voice, StylePair):
            named = make_voice(
                name="voice",
                identity=voice.identity,
                emotion=voice.emotion,
                bundle_digest=self.bundle.digest,
                provenance={},
            )
        elif voice is not None:
            named = voice
        style = Style(voice=named, emotion=emotion, emotion_intensity=intensity)
        try:
            with torch.inference_mode():
                return style, resolve(self.bundle, style, *self._unheard)
        except (AnimationError, VoiceError) as error:
            is_voice = isinstance(voice, str) and voice not in self.bundle.talker.speakers
            raise ServingError("unknown_voice" if is_voice else "invalid_parameter", str(error)) from None

    def _checked(self, sampling: SamplingRequest) -> tuple[int, float]:
        """Steps and temperature, the bundle's where none is asked for."""
        own = self.bundle.sampling
        num_steps = own.num_steps if sampling.num_steps is None else sampling.num_steps
        temperature = own.temperature if sampling.temperature is None else sampling.temperature
        if not 1 <= num_steps <= _MOST_STEPS:
            raise ServingError("invalid_parameter", f"num_steps is {num_steps}, expected 1 to {_MOST_STEPS}")
        if not 0.0 <= temperature <= 4.0:
            raise ServingError("invalid_parameter", f"temperature is {temperature}, expected 0 to 4")
        return num_steps, temperature


def _unheard(bundle: Bundle) -> tuple[torch.Tensor, torch.Tensor]:
    """Identity and emotion of somebody who has not said anything yet."""
    talker = bundle.talker
    with torch.inference_mode():
        identity = torch.nn.functional.normalize(talker.personalizer.unknown_identity, dim=-1)
        _, emotions = talker.personalizer.prototypes()
    neutral = talker.emotions.index("neutral") if "neutral" in talker.emotions else 0
    return identity, emotions[neutral]
