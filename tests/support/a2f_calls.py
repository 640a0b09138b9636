"""Audio2Face-3D's services on a real gRPC server, called as NVIDIA's own clients do; behind them no network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import grpc
import numpy as np

from diffusiontalker.face import CHANNELS, MotionClip
from diffusiontalker.serving.a2f import A2FEdge
from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    A2FControllerServiceStub,
)
from diffusiontalker.serving.a2f.generated.a2f_pb2 import (
    AudioWithEmotion,
)
from diffusiontalker.serving.a2f.generated.audio_pb2 import AudioHeader
from diffusiontalker.serving.a2f.generated.controller_pb2 import AnimationDataStream, AudioStream, AudioStreamHeader
from diffusiontalker.serving.a2f.generated.emotion_with_timecode_pb2 import EmotionWithTimeCode
from diffusiontalker.serving.errors import ANONYMOUS, Caller, ServingError
from diffusiontalker.serving.service import MotionPiece, SamplingRequest, SpeechStream, StreamFacts, StyleRequest

FPS = 25
FRAME_SAMPLES = 16_000 // FPS
END = AudioStream(end_of_audio=AudioStream.EndOfAudio())


class LoudnessStream:
    """Opens the jaw as wide as each frame's sound is loud; fails before some frame when told to."""

    def __init__(self, *, failure: Exception | None, fail_at: int) -> None:
        self.facts = StreamFacts(fps=FPS, channel_names=CHANNELS, look_ahead_s=1 / FPS)
        self.samples = np.zeros(0, np.float32)
        self.num_given = 0
        self.is_closed = self.is_iterating = False
        self._failure, self._fail_at = failure, fail_at
        self._is_finished = False
        self._changed = asyncio.Event()

    async def feed(self, samples: np.ndarray) -> None:
        self.samples = np.concatenate([self.samples, samples])
        self._changed.set()

    async def finish(self) -> None:
        self._is_finished = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[MotionPiece]:
        self.is_iterating, first = True, 0
        try:
            while not self._is_finished or first * FRAME_SAMPLES < len(self.samples):
                num_ready = -(-len(self.samples) // FRAME_SAMPLES) if self._is_finished else self._num_whole()
                if self._failure is not None and num_ready > self._fail_at:
                    raise self._failure
                if num_ready > first:
                    self.num_given = min(num_ready, first + 40)
                    yield MotionPiece(first_frame=first, coefficients=self._coefficients(first, self.num_given))
                    first = self.num_given
                else:
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            self.is_iterating = False

    async def close(self) -> None:
        self.is_closed = True

    def _num_whole(self) -> int:
        return len(self.samples) // FRAME_SAMPLES

    def _coefficients(self, first: int, stop: int) -> np.ndarray:
        coefficients = np.zeros((stop - first, len(CHANNELS)), np.float32)
        for frame in range(first, stop):
            window = self.samples[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES]
            coefficients[frame - first, CHANNELS.index("jawOpen")] = np.abs(window).max()
        return coefficients


class LoudnessService:
    """A core without a network; remembers what it was asked for."""

    def __init__(self, *, refusal: Exception | None = None, failure: Exception | None = None, fail_at: int = 3) -> None:
        self.fps, self.channel_names, self.emotions = float(FPS), CHANNELS, ("neutral", "happy", "sad")
        self.streams: list[LoudnessStream] = []
        self.styles: list[StyleRequest] = []
        self._refusal, self._failure, self._fail_at = refusal, failure, fail_at

    def student(self, name: str | None = None) -> "LoudnessService":
        if name not in (None, "loud"):
            raise ServingError("unknown_student", f"there is no student '{name}'; there are loud")
        return self

    async def animate(self, waveform: np.ndarray, style: StyleRequest, sampling: SamplingRequest) -> MotionClip:
        raise AssertionError("this interface only streams")

    async def open_stream(
        self, style: StyleRequest, sampling: SamplingRequest, caller: Caller = ANONYMOUS
    ) -> SpeechStream:
        if self._refusal is not None:
            raise self._refusal
        self.styles.append(style)
        self.streams.append(LoudnessStream(failure=self._failure, fail_at=self._fail_at))
        return self.streams[-1]


def let_in(metadata: Mapping[str, str]) -> Caller:
    return Caller(name="anonymous")


def want_key(metadata: Mapping[str, str]) -> Caller:
    if metadata.get("authorization") != "Bearer sesame":
        raise ServingError("unauthenticated", "no known key; send 'authorization: Bearer <key>'")
    return Caller(name="ali")


@contextlib.asynccontextmanager
async def connected(servicer: A2FEdge) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    servicer.add_to_server(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def edge(service: LoudnessService, **options) -> A2FEdge:
    return A2FEdge(service, **{"authenticate": let_in, "is_ready": lambda: True, **options})


def header(*, rate_hz: int = 16_000, channels: int = 1, bits: int = 16, **parameters) -> AudioStream:
    audio = AudioHeader(samples_per_second=rate_hz, channel_count=channels, bits_per_sample=bits)
    return AudioStream(audio_stream_header=AudioStreamHeader(audio_header=audio, **parameters))


def sound(data: bytes, *entries: tuple[float, dict[str, float]]) -> AudioStream:
    emotions = [EmotionWithTimeCode(time_code=at, emotion=what) for at, what in entries]
    return AudioStream(audio_with_emotion=AudioWithEmotion(audio_buffer=data, emotions=emotions))


def staircase(seconds: float) -> np.ndarray:
    """int16 at 16 kHz; frame `i` is as loud as (i mod 32) / 32, so that every frame tells which it is."""
    frame = np.arange(round(seconds * 16_000)) // FRAME_SAMPLES
    return (frame % 32 * 1024).astype("<i2")


def cut(data: bytes, size: int) -> list[AudioStream]:
    return [sound(data[start : start + size]) for start in range(0, len(data), size)]


async def talk(
    channel: grpc.aio.Channel,
    *messages: AudioStream,
    metadata: tuple[tuple[str, str], ...] = (),
    half_closes: bool = False,
) -> tuple[list[AnimationDataStream], grpc.aio.Call]:
    """Sends everything and reads to the end, whatever that is; keeps its half open until the status, as clients do."""
    may_close = asyncio.Event()

    async def outgoing() -> AsyncIterator[AudioStream]:
        for message in messages:
            yield message
        if not half_closes:
            await may_close.wait()

    call = A2FControllerServiceStub(channel).ProcessAudioStream(outgoing(), metadata=metadata)
    answers = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for answer in call:
            answers.append(answer)
            if answer.HasField("status"):
                may_close.set()
    return answers, call


def parts(answers: list[AnimationDataStream]) -> list[str | None]:
    return [answer.WhichOneof("stream_part") for answer in answers]


def weights_of(answers: list[AnimationDataStream], name: str) -> list[float]:
    position = list(answers[0].animation_data_stream_header.skel_animation_header.blend_shapes).index(name)
    return [
        frame.values[position]
        for answer in answers
        for frame in answer.animation_data.skel_animation.blend_shape_weights
    ]
