"""The client's half of a stream: messages in the order the protocol asks for, within limits, turned into sound.

Knows nothing about motion.
"""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
from jaxtyping import Float32

from diffusiontalker.serving.a2f.generated.a2f_pb2 import AudioWithEmotion
from diffusiontalker.serving.a2f.generated.audio_pb2 import AudioHeader
from diffusiontalker.serving.a2f.generated.controller_pb2 import AudioStream, AudioStreamHeader
from diffusiontalker.serving.a2f.limits import A2FLimits
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.pcm import PcmDecoder

_BITS = 16


class Requests:
    """Reads one client's messages.

    Args:
        messages: as they come.
        limits: what is accepted.
    """

    def __init__(self, messages: AsyncIterator[AudioStream], *, limits: A2FLimits) -> None:
        self._messages, self._limits = messages, limits
        self.has_end = False
        """Whether `end_of_audio` came; clients may also just stop sending."""

    async def header(self) -> AudioStreamHeader:
        """The first message.

        Raises:
            ServingError: `bad_request` when it is another one, `too_slow` when it does not come.
        """
        message = await self._next()
        part = "missing" if message is None else message.WhichOneof("stream_part") or "empty"
        if message is None or part != "audio_stream_header":
            raise ServingError(
                "bad_request", f"the first message is {part}, expected audio_stream_header; send that first"
            )
        return message.audio_stream_header

    async def audio(self) -> AudioWithEmotion | None:
        """The next message of sound; None once there are no more.

        Raises:
            ServingError: `bad_request` for a message out of order, `too_slow` when none comes.
        """
        message = await self._next()
        if message is None:
            return None
        part = message.WhichOneof("stream_part")
        if part == "end_of_audio":
            self.has_end = True
            return None
        if part != "audio_with_emotion":
            raise ServingError(
                "bad_request",
                f"a message after the header is {part or 'empty'}, expected audio_with_emotion or end_of_audio; open "
                "another stream for another recording",
            )
        return message.audio_with_emotion

    async def _next(self) -> AudioStream | None:
        try:
            async with asyncio.timeout(self._limits.max_idle_s):
                return await anext(self._messages, None)
        except TimeoutError:
            raise ServingError(
                "too_slow",
                f"no message for {self._limits.max_idle_s:g} s, the longest pause allowed; send sound steadily, then "
                "end_of_audio",
            ) from None


class Sound:
    """Decodes the sound of one stream and keeps the bytes until they are sent back with the frames they belong to.

    Args:
        header: how it is encoded.
        limits: what is accepted.

    Raises:
        ServingError: `unsupported_format` for an encoding that is not accepted.
    """

    def __init__(self, header: AudioHeader, *, limits: A2FLimits) -> None:
        if header.audio_format != AudioHeader.AUDIO_FORMAT_PCM or header.bits_per_sample != _BITS:
            raise ServingError(
                "unsupported_format",
                f"audio format {header.audio_format} with {header.bits_per_sample} bits a sample, expected "
                f"{AudioHeader.AUDIO_FORMAT_PCM} (PCM) with {_BITS}; convert it first",
            )
        self._limits = limits
        self._decoder = PcmDecoder(
            sample_rate_hz=header.samples_per_second,
            num_channels=header.channel_count,
            min_rate_hz=limits.min_rate_hz,
            max_rate_hz=limits.max_rate_hz,
        )
        self._rate_hz = header.samples_per_second
        self._num_received = 0
        self._kept = bytearray()
        self._first_kept = 0

    @property
    def seconds(self) -> float:
        """How much sound has come, in seconds."""
        return self._decoder.seconds

    def decode(self, buffer: bytes) -> Float32[np.ndarray, "samples"]:
        """The next samples at 16 kHz.

        Raises:
            ServingError: `too_large` beyond the longest buffer or recording.
        """
        most = self._limits.max_buffer_s * self._decoder.bytes_per_second
        if len(buffer) > most:
            raise ServingError(
                "too_large",
                f"a buffer of {len(buffer)} bytes, at most {most:.0f} ({self._limits.max_buffer_s:g} s of sound) are "
                "allowed; send smaller ones",
            )
        self._num_received += len(buffer)
        if self._num_received > self._limits.max_clip_s * self._decoder.bytes_per_second:
            raise ServingError(
                "too_large",
                f"longer than {self._limits.max_clip_s:g} s, the longest recording allowed; split it into streams",
            )
        samples = self._decoder.decode(buffer)
        self._kept += buffer
        return samples

    def finish(self) -> Float32[np.ndarray, "samples"]:
        """The last samples.

        Raises:
            ServingError: `bad_audio` when there was no sound, or it ends within a sample.
        """
        if not self._num_received:
            raise ServingError("bad_audio", "the stream held no sound; send audio_with_emotion before end_of_audio")
        return self._decoder.finish()

    def take(self, *, until_s: float | None) -> tuple[float, bytes]:
        """(seconds at which they begin, the bytes) not yet taken up to an instant, as far as they have come.

        Args:
            until_s: the instant, to the nearest sample; None for all.
        """
        start_s = self._first_kept / self._rate_hz
        num_samples = len(self._kept) // self._decoder.block_bytes
        if until_s is not None:
            num_samples = min(num_samples, max(0, round(until_s * self._rate_hz) - self._first_kept))
        num_bytes = num_samples * self._decoder.block_bytes
        taken = bytes(self._kept[:num_bytes])
        del self._kept[:num_bytes]
        self._first_kept += num_samples
        return start_s, taken
