"""Sounds, files of sounds, and pools that decode them."""

import contextlib
import io
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diffusiontalker.audio.waveform import AudioLimits
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool
from diffusiontalker.serving.errors import ServingError

RATE_HZ = 16_000


def tone(seconds: float = 1.5, *, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440.0 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def encoded(samples: np.ndarray, *, rate_hz: int = RATE_HZ, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def with_data_size(wav: bytes, size: int) -> bytes:
    position = wav.index(b"data") + 4
    return wav[:position] + struct.pack("<I", size) + wav[position + 4 :]


def with_rate(wav: bytes, rate_hz: int) -> bytes:
    position = wav.index(b"fmt ") + 12
    return wav[:position] + struct.pack("<I", rate_hz) + wav[position + 4 :]


@contextlib.asynccontextmanager
async def pool_of(**settings) -> AsyncIterator[DecodingPool]:
    """A pool whose processes are all gone afterwards."""
    pool = DecodingPool(DecodingConfig(**settings))
    seen = set()
    try:
        yield pool
        seen = set(pool.process_ids)
    finally:
        await pool.close()
    assert pool.process_ids == ()
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)


async def refusal(action) -> ServingError:
    with pytest.raises(ServingError) as caught:
        await action
    return caught.value


def limits_of(**changes) -> AudioLimits:
    return AudioLimits(**({"min_seconds": 1.0, "max_seconds": 300.0, "max_decode_seconds": 20.0} | changes))
