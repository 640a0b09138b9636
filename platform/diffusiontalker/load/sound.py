"""What a load run says: recordings of one length as WAV, and the same sound in chunks for live streams."""

import dataclasses
import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diffusiontalker.load.settings import CHUNK_MS, LoadError

SAMPLE_RATE_HZ = 16_000
"""Of everything that is sent. Not taken from `diffusiontalker.audio`, which would import torch into the client."""
CHUNK_SAMPLES = round(CHUNK_MS * SAMPLE_RATE_HZ / 1e3)

_MOST_CLIPS = 32
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """Recordings, ready to be sent."""

    clips: tuple[bytes, ...]
    """WAV files of `seconds` each, all different."""
    chunks: tuple[bytes, ...]
    """The same speech as one, int16, `CHUNK_SAMPLES` a piece."""
    seconds: float


def load_sound(folder: Path | None, *, seconds: float) -> Sound:
    """Speech from a folder, or a made-up signal, cut into clips.

    Args:
        folder: wav, flac, ogg and mp3 files, subfolders included; None: `made_up_speech`.
        seconds: length of a clip.

    Raises:
        LoadError: when the folder holds less than one clip.
        AudioError: when a file cannot be used.
    """
    length = round(seconds * SAMPLE_RATE_HZ)
    joined = made_up_speech(_MOST_CLIPS * length) if folder is None else _read(folder, most=_MOST_CLIPS * length)
    if len(joined) < max(length, CHUNK_SAMPLES):
        raise LoadError(
            f"{folder}: {len(joined) / SAMPLE_RATE_HZ:.1f} s of speech, expected at least one clip of {seconds:g} s "
            f"({', '.join(_SUFFIXES)}); give another folder or shorter clips"
        )
    samples = np.clip(np.rint(joined * 32767.0), -32768, 32767).astype("<i2")
    return Sound(
        clips=tuple(_wav(piece) for piece in _pieces(samples, length)),
        chunks=tuple(piece.tobytes() for piece in _pieces(samples, CHUNK_SAMPLES)),
        seconds=length / SAMPLE_RATE_HZ,
    )


def made_up_speech(num_samples: int) -> np.ndarray:
    """(samples,) float32 as loud and as lively as speech: syllables of vowels and hiss, pauses; always the same.

    For load only: what a network makes of it has no meaning, but the work is that of speech.
    """
    generator = np.random.default_rng(0)
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    syllables = np.sin(np.pi * 4.0 * time_s) ** 2
    phrases = (np.sin(2.0 * np.pi * 0.3 * time_s) > -0.8).astype(np.float32)
    pitch_hz = 130.0 + 25.0 * np.sin(2.0 * np.pi * 0.7 * time_s)
    phase = 2.0 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    vowel = sum(np.sin(number * phase) / number for number in range(1, 9))
    hiss = generator.standard_normal(num_samples) * (0.1 + 0.4 * (np.sin(np.pi * 2.0 * time_s) > 0.9))
    room = 1e-3 * generator.standard_normal(num_samples)  # no two pauses are the same sound to a cache
    return (0.12 * phrases * (syllables * vowel + 0.5 * hiss) + room).astype(np.float32)


def _read(folder: Path, *, most: int) -> np.ndarray:
    from diffusiontalker.audio.waveform import read_waveform

    if not folder.is_dir():
        raise LoadError(f"{folder}: is no folder; give one with speech ({', '.join(_SUFFIXES)})")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    found, length = [np.zeros(0, dtype=np.float32)], 0
    for path in paths:
        found.append(read_waveform(path))
        length += len(found[-1])
        if length >= most:
            break
    return np.concatenate(found)[:most]


def _pieces(samples: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Whole ones; the rest is left out."""
    return (samples[start : start + length] for start in range(0, len(samples) - length + 1, length))


def _wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()
