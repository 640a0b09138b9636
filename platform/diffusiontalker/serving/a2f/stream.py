"""One call of `ProcessAudioStream`: sound in and motion out at the same time, errors as `ServingError`.

The header goes out as soon as the client's header has come, before any sound: clients time the first message. Then
every frame is one message, with the sound of that frame as it was sent. An event ends the frames. The final status is
for `edge`. What follows `end_of_audio` is not read.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import numpy as np

from diffusiontalker.serving.a2f.blendshapes import BlendShapes
from diffusiontalker.serving.a2f.emotions import choose_emotion, count_changes
from diffusiontalker.serving.a2f.generated.a2f_pb2 import AudioWithEmotion
from diffusiontalker.serving.a2f.generated.animation_data_pb2 import (
    AnimationData,
    AudioWithTimeCode,
    FloatArrayWithTimeCode,
    SkelAnimation,
    SkelAnimationHeader,
)
from diffusiontalker.serving.a2f.generated.controller_pb2 import (
    END_OF_A2F_AUDIO_PROCESSING,
    AnimationDataStream,
    AnimationDataStreamHeader,
    AudioStream,
    AudioStreamHeader,
    Event,
)
from diffusiontalker.serving.a2f.limits import A2FLimits
from diffusiontalker.serving.a2f.requests import Requests, Sound
from diffusiontalker.serving.errors import Caller, ServingError
from diffusiontalker.serving.service import MotionPiece, SamplingRequest, Service, SpeechStream, StyleRequest

_MAX_LISTED = 10


@dataclasses.dataclass(kw_only=True, slots=True)
class Report:
    """What there is to say about a stream at its end; grows while it runs."""

    num_frames: int = 0
    """Frames sent."""
    seconds: float = 0.0
    """Sound received, in seconds."""
    remarks: list[str] = dataclasses.field(default_factory=list)
    """What the client asked for and did not get, or did other than the protocol says."""


async def animate(
    messages: AsyncIterator[AudioStream],
    service: Service,
    *,
    caller: Caller,
    voice: str | None,
    student: str | None,
    limits: A2FLimits,
    report: Report,
) -> AsyncGenerator[AnimationDataStream, None]:
    """Answers one client up to its final status; frees the service's stream however it ends.

    Args:
        messages: the client's.
        service: the core.
        caller: who calls.
        voice: whose voice; None for none in particular.
        student: who animates; None for the first.
        limits: what is accepted.
        report: filled in.

    Raises:
        ServingError: when the client, or the service, does not keep to the contract.
    """
    requests = Requests(messages, limits=limits)
    header = await requests.header()
    facts = service.student(student)
    sound = Sound(header.audio_header, limits=limits)
    shapes = BlendShapes(facts.channel_names, header.blendshape_params)
    if shapes.unknown_names:
        report.remarks.append(f"unknown blend shapes were not changed: {_listed(shapes.unknown_names)}")
    yield _header(header, shapes)
    first = await requests.audio()
    if first is None:
        sound.finish()  # raises: there was none
        return
    chosen = choose_emotion(header, first, emotions=facts.emotions)
    report.remarks.extend(chosen.remarks)
    style = StyleRequest(student=student, voice=voice, emotion=chosen.name, emotion_intensity=chosen.intensity)
    stream = await service.open_stream(style, SamplingRequest(), caller)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(stream.close)
        feeder = _Feeder(requests, sound, stream, chosen=chosen.name, emotions=facts.emotions)
        pieces = await stack.enter_async_context(contextlib.aclosing(_pieces(stream, feeder, first=first)))
        async for piece in pieces:
            report.seconds = sound.seconds
            for message in _frames(piece, shapes, sound, fps=stream.facts.fps):
                report.num_frames += 1
                yield message
    report.seconds = sound.seconds
    report.remarks.extend(feeder.remarks())
    start_s, rest = sound.take(until_s=None)
    if rest:
        audio = AudioWithTimeCode(time_code=start_s, audio_buffer=rest)
        yield AnimationDataStream(animation_data=AnimationData(audio=audio))
    yield AnimationDataStream(event=Event(event_type=END_OF_A2F_AUDIO_PROCESSING))


class _Feeder:
    """Carries the client's sound into the service's stream, message by message."""

    def __init__(
        self, requests: Requests, sound: Sound, stream: SpeechStream, *, chosen: str | None, emotions: tuple[str, ...]
    ) -> None:
        self._requests, self._sound, self._stream = requests, sound, stream
        self._chosen, self._emotions = chosen, emotions
        self._num_changes = 0
        self.is_ending = False
        """Whether the frames may come to an end, as all sound is in."""

    async def run(self, first: AudioWithEmotion) -> None:
        """Feeds the first message of sound and all that follow."""
        message: AudioWithEmotion | None = first
        has_samples = False
        while message is not None:
            self._num_changes += count_changes(message.emotions, chosen=self._chosen, emotions=self._emotions)
            has_samples |= await self._feed(self._sound.decode(message.audio_buffer))
            message = await self._requests.audio()
        has_samples |= await self._feed(self._sound.finish())
        if not has_samples:
            raise ServingError("bad_audio", f"{self._sound.seconds * 1000:.3f} ms of sound are too little; send more")
        self.is_ending = True
        await self._stream.finish()

    def remarks(self) -> list[str]:
        """What was odd about the client's messages."""
        remarks = []
        if self._num_changes:
            remarks.append(
                f"{self._num_changes} changes of emotion were not followed: a stream keeps the one it begins with"
            )
        if not self._requests.has_end:
            remarks.append("the messages ended without end_of_audio, which was taken for the end of the sound")
        return remarks

    async def _feed(self, samples: np.ndarray) -> bool:
        if len(samples):
            await self._stream.feed(samples)
        return len(samples) > 0


async def _pieces(
    stream: SpeechStream, feeder: _Feeder, *, first: AudioWithEmotion
) -> AsyncGenerator[MotionPiece, None]:
    """The service's frames while the client's sound is fed, whichever of the two fails first."""
    feeding = asyncio.create_task(feeder.run(first))
    pieces = aiter(stream)
    piece_task: asyncio.Task[MotionPiece | None] | None = None
    try:
        while True:
            piece_task = asyncio.create_task(_next_piece(pieces))
            if not feeding.done():
                await asyncio.wait({feeding, piece_task}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()  # raises what stopped it
            piece = await piece_task
            if piece is None:
                break
            yield piece
        if not feeder.is_ending:
            raise ServingError("internal", "the service ended the stream before its sound had ended")
        await feeding
    finally:
        tasks = [task for task in (feeding, piece_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


async def _next_piece(pieces: AsyncIterator[MotionPiece]) -> MotionPiece | None:
    return await anext(pieces, None)


def _header(header: AudioStreamHeader, shapes: BlendShapes) -> AnimationDataStream:
    return AnimationDataStream(
        animation_data_stream_header=AnimationDataStreamHeader(
            audio_header=header.audio_header,
            skel_animation_header=SkelAnimationHeader(blend_shapes=shapes.names),
            start_time_code_since_epoch=time.time(),
        )
    )


def _frames(piece: MotionPiece, shapes: BlendShapes, sound: Sound, *, fps: float) -> Iterator[AnimationDataStream]:
    """One message a frame, each with the sound up to the next frame, as far as it has come."""
    for number, weights in enumerate(shapes.weights(piece.coefficients), start=piece.first_frame):
        shape_weights = FloatArrayWithTimeCode(time_code=number / fps, values=weights.tolist())
        start_s, buffer = sound.take(until_s=(number + 1) / fps)
        data = AnimationData(
            skel_animation=SkelAnimation(blend_shape_weights=[shape_weights]),
            audio=AudioWithTimeCode(time_code=start_s, audio_buffer=buffer),
        )
        yield AnimationDataStream(animation_data=data)


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
