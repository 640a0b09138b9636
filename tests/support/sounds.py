"""Sounds, and files of them: exact, in any format, damaged."""

import io
import struct

import numpy as np
import soundfile

RATE_HZ = 16_000


def tone(seconds: float = 1.0, *, rate_hz: int = RATE_HZ, frequency_hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def speech(seconds: float = 1.0, *, seed: int = 0) -> np.ndarray:
    """(samples,) noise that comes and goes; different for every seed."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * generator.uniform(2, 5) * time_s)
    return (0.2 * envelope * generator.standard_normal(len(time_s))).clip(-1, 1).astype(np.float32)


def encoded(samples: np.ndarray, *, rate_hz: int = RATE_HZ, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def wav(samples: np.ndarray, *, rate_hz: int = RATE_HZ) -> bytes:
    """As an uploaded file, exact."""
    return encoded(samples, rate_hz=rate_hz, subtype="FLOAT")


def with_data_size(wav: bytes, size: int) -> bytes:
    """What a wav file says of its length, changed."""
    position = wav.index(b"data") + 4
    return wav[:position] + struct.pack("<I", size) + wav[position + 4 :]


def with_rate(wav: bytes, rate_hz: int) -> bytes:
    """What a wav file says of its rate, changed."""
    position = wav.index(b"fmt ") + 12
    return wav[:position] + struct.pack("<I", rate_hz) + wav[position + 4 :]
