"""Raw PCM bytes in pieces of any size -> 16 kHz mono samples, while they arrive.

For streams that announce their encoding once and then send bare samples. Files of any kind are read by
`diffusiontalker.audio.waveform`; how long a stream may be is for the caller to limit. Knows no protocol.
"""

from typing import Literal, get_args

import numpy as np
import soxr
from jaxtyping import Float32

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.serving.errors import ServingError

SampleFormat = Literal["int16", "float32"]
"""How one sample is stored; little endian both. Full scale is 32768 or 1."""

_DTYPES: dict[SampleFormat, str] = {"int16": "<i2", "float32": "<f4"}
_MAX_PEAK = 8.0
"""Floats may exceed 1 a little; far beyond it they are unscaled integers, or bytes that are no floats at all."""
_MAX_CHANNELS = 8


class PcmDecoder:
    """Decodes one stream; the result does not depend on how the bytes were cut into pieces.

    Args:
        sample_rate_hz: rate of the stream.
        num_channels: interleaved channels, 1 to 8; averaged.
        sample_format: see `SampleFormat`.
        min_rate_hz: lowest rate accepted.
        max_rate_hz: highest rate accepted.

    Raises:
        ServingError: `unsupported_format` when rate, channels or format are not accepted.
    """

    def __init__(
        self,
        *,
        sample_rate_hz: int,
        num_channels: int = 1,
        sample_format: SampleFormat = "int16",
        min_rate_hz: int = 8_000,
        max_rate_hz: int = 192_000,
    ) -> None:
        if not min_rate_hz <= sample_rate_hz <= max_rate_hz:
            raise ServingError(
                "unsupported_format",
                f"sample rate {sample_rate_hz} Hz, allowed are {min_rate_hz} to {max_rate_hz} Hz; resample it first",
            )
        if not 1 <= num_channels <= _MAX_CHANNELS:
            raise ServingError(
                "unsupported_format",
                f"{num_channels} channels, allowed are 1 to {_MAX_CHANNELS}; mix it down first",
            )
        if sample_format not in _DTYPES:
            raise ServingError(
                "unsupported_format",
                f"sample format {sample_format!r}, expected {' or '.join(get_args(SampleFormat))}; convert it first",
            )
        self._rate_hz, self._num_channels = sample_rate_hz, num_channels
        self._dtype = np.dtype(_DTYPES[sample_format])
        self._resampler = (
            None
            if sample_rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
        )
        self._rest = b""
        self._num_decoded = 0
        self._is_finished = False

    @property
    def block_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self._dtype.itemsize * self._num_channels

    @property
    def bytes_per_second(self) -> int:
        """Bytes that one second of the stream takes."""
        return self.block_bytes * self._rate_hz

    @property
    def seconds(self) -> float:
        """How much sound has been decoded, in seconds of the stream."""
        return self._num_decoded / self._rate_hz

    def decode(self, piece: bytes) -> Float32[np.ndarray, "samples"]:
        """What the next bytes add to the samples at 16 kHz, in [-1, 1]; nothing while a filter is still filling.

        Raises:
            ServingError: `bad_audio` when samples are NaN, infinite or far beyond full scale.
        """
        assert not self._is_finished, "decode() after finish()"
        data = self._rest + piece
        num_whole = len(data) // self.block_bytes * self.block_bytes
        self._rest = data[num_whole:]
        if not num_whole:
            return np.zeros(0, np.float32)
        mono = self._mono(data[:num_whole])
        return self._resampled(mono, is_last=False)

    def finish(self) -> Float32[np.ndarray, "samples"]:
        """The last samples, once no more bytes will come.

        Raises:
            ServingError: `bad_audio` when the bytes end in the middle of a sample.
        """
        assert not self._is_finished, "finish() twice"
        self._is_finished = True
        if self._rest:
            raise ServingError(
                "bad_audio",
                f"the audio ends with {len(self._rest)} bytes of an unfinished sample, expected a multiple of "
                f"{self.block_bytes} bytes (one sample of every channel); check the sample format and send all of it",
            )
        return self._resampled(np.zeros(0, np.float32), is_last=True)

    def _mono(self, data: bytes) -> np.ndarray:
        blocks = np.frombuffer(data, self._dtype).reshape(-1, self._num_channels)
        if self._dtype.kind == "f":
            self._check(blocks)
            samples = blocks.mean(axis=1, dtype=np.float32)
        else:
            samples = blocks.mean(axis=1, dtype=np.float32) / np.float32(32768)
        self._num_decoded += len(blocks)
        return samples

    def _check(self, blocks: np.ndarray) -> None:
        is_bad = ~(np.abs(blocks) <= _MAX_PEAK).all(axis=1)  # false for NaN too
        if is_bad.any():
            first = int(is_bad.argmax())
            raise ServingError(
                "bad_audio",
                f"{int(is_bad.sum())} samples are NaN, infinite or beyond {_MAX_PEAK:g}, the first at "
                f"{(self._num_decoded + first) / self._rate_hz:.3f} s ({blocks[first].tolist()}); expected floats in "
                "[-1, 1], little endian; scale integers by their full range",
            )

    def _resampled(self, mono: np.ndarray, *, is_last: bool) -> np.ndarray:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=is_last)
        return np.clip(mono, -1.0, 1.0)
