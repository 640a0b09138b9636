"""Audio files of any kind in, 16 kHz mono waveforms out; and back to FLAC or WAV.

The decoder is not trusted: libsndfile silently accepts rates of 2^31-1 Hz, 1024 channels, NaN samples, cut-off files
and headers that declare gigabytes. So the header is checked first, then blocks are decoded under a budget of samples
and of time, whatever length the header declares. Knows nothing about frames or features.
"""

import contextlib
import dataclasses
import io
import logging
import math
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from jaxtyping import Float, Float32

from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
from diffusiontalker.config import publish_file

logger = logging.getLogger(__name__)

_Stream = io.FileIO | io.BytesIO
_FORMATS = "wav, flac, ogg (Vorbis or Opus) and mp3"
_BLOCK_SAMPLES = 1 << 18
_MAX_PEAK = 8.0
"""Float files may exceed 1 a little; far beyond it they hold unscaled integers."""


AudioCause = Literal["unusable", "too_large", "unknown_format"]
"""Why audio is refused, for programs: what it holds, how much it is (or work it makes), or that it is no audio."""


class AudioError(ValueError):
    """Audio that cannot be used; the message names the source, what it holds, what is allowed and what to do.

    Args:
        message: for people.
        cause: for programs.
    """

    def __init__(self, message: str, *, cause: AudioCause = "unusable") -> None:
        super().__init__(message)
        self.cause: AudioCause = cause


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AudioLimits:
    """What a caller accepts as audio; everything outside is an `AudioError` before much work is done."""

    min_seconds: float = 0.1
    """Shortest accepted audio, in seconds."""
    max_seconds: float = 3600.0
    """Longest accepted audio, in seconds; also the decoding budget, whatever the header declares."""
    min_rate_hz: int = 8_000
    """Lowest accepted sample rate, in Hz; telephone speech has 8 kHz."""
    max_rate_hz: int = 192_000
    """Highest accepted sample rate, in Hz."""
    max_channels: int = 8
    """Most channels; all are averaged into one."""
    max_bytes: int = 1 << 30
    """Largest accepted file, in bytes."""
    max_decode_seconds: float = 300.0
    """Wall-clock budget for decoding one file, in seconds."""

    def __post_init__(self) -> None:
        """Checks that the limits leave something to accept."""
        if not 0 <= self.min_seconds < self.max_seconds:
            raise ValueError(
                f"min_seconds is {self.min_seconds} and max_seconds {self.max_seconds}: expected 0 <= min < max"
            )
        if not 0 < self.min_rate_hz <= self.max_rate_hz:
            raise ValueError(
                f"min_rate_hz is {self.min_rate_hz} and max_rate_hz {self.max_rate_hz}: expected 0 < min <= max"
            )
        for field in ("max_channels", "max_bytes", "max_decode_seconds"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is {getattr(self, field)}, expected a positive number")


CLIP_LIMITS = AudioLimits(min_seconds=0.0)
"""What a corpus accepts as the sound of a clip: however short, up to an hour."""


def read_waveform(
    source: Path | str | bytes, *, limits: AudioLimits | None = None, name: str | None = None
) -> Float32[np.ndarray, "samples"]:
    """Decodes wav, flac, ogg or mp3 to mono at 16 kHz, in [-1, 1].

    Channels are averaged and any rate is resampled (soxr, high quality) while decoding, so memory grows with the
    16 kHz result only. Samples beyond full scale are clipped, with a warning in the log.

    Args:
        source: a file, or the bytes of one.
        limits: what to accept; the defaults of `AudioLimits` when None.
        name: what messages call the audio; the path by default.

    Raises:
        AudioError: when the file is missing, empty, of another format, cut off, corrupt, outside the limits, or holds
            NaN or infinite samples.
    """
    limits = limits or AudioLimits()
    name = name or ("audio" if isinstance(source, bytes) else str(source))
    with _opened(source, name=name, limits=limits) as stream:
        _check_signature(stream, name=name)
        try:
            with SequentialFile(_handle(stream), closefd=False) as sound:
                _check_header(sound, name=name, limits=limits)
                waveform = _decode(sound, name=name, limits=limits)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{name}: cannot be decoded ({error.error_string.rstrip('.')}); the file is corrupt or cut off, "
                "export it again"
            ) from None
    return _clipped(waveform, name=name)


def encode_flac(waveform: Float[np.ndarray, "samples"]) -> bytes:
    """A 16 kHz waveform in [-1, 1] as 16-bit FLAC; `read_waveform` gives it back exactly, rounded to 16 bits.

    Raises:
        AudioError: when a sample is NaN or infinite.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, _as_int16(waveform), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def write_wav(waveform: Float[np.ndarray, "samples"], path: Path, *, overwrite: bool = False) -> None:
    """Writes a 16 kHz waveform in [-1, 1] as 16-bit WAV, atomically.

    Raises:
        ArtefactError: when `path` exists (unless `overwrite`) or cannot be written.
        AudioError: when a sample is NaN or infinite.
    """
    samples = _as_int16(waveform)
    with publish_file(path, overwrite=overwrite) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")


class SequentialFile(soundfile.SoundFile):
    """A sound file that is only read forward: soundfile else seeks after each block, which FLAC streams refuse."""

    def seekable(self) -> bool:
        """Says no, so that `read` neither trusts the declared length nor seeks."""
        return False


@contextlib.contextmanager
def _opened(source: Path | str | bytes, *, name: str, limits: AudioLimits) -> Iterator[_Stream]:
    if isinstance(source, bytes):
        stream, num_bytes = io.BytesIO(source), len(source)
    else:
        path = Path(source)
        if path.is_dir():
            raise AudioError(f"{name}: is a folder, expected an audio file ({_FORMATS})")
        try:
            stream, num_bytes = path.open("rb", buffering=0), path.stat().st_size
        except FileNotFoundError:
            raise AudioError(f"{name}: no such file; check the path") from None
        except OSError as error:
            raise AudioError(f"{name}: cannot be opened ({error.strerror}); check its permissions") from None
    with stream:
        if num_bytes == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes), expected {_FORMATS}; export or upload it again")
        if num_bytes > limits.max_bytes:
            raise AudioError(
                f"{name}: {num_bytes} bytes, at most {limits.max_bytes} are allowed; shorten or compress it",
                cause="too_large",
            )
        yield stream


def _handle(stream: _Stream) -> int | io.BytesIO:
    """What libsndfile opens: a file by its descriptor, as soundfile would guess headerless audio from some names."""
    return stream if isinstance(stream, io.BytesIO) else stream.fileno()


def _check_signature(stream: _Stream, *, name: str) -> None:
    """Accepts four families by their first bytes, so that no other parser of libsndfile meets foreign data."""
    head = stream.read(12)
    is_wav = head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE"
    is_mp3 = head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    if not (is_wav or is_mp3 or head[:4] in (b"fLaC", b"OggS")):
        raise AudioError(
            f"{name}: unknown format (it begins with {head[:8]!r}), expected {_FORMATS}; convert it first",
            cause="unknown_format",
        )
    if head[:4] == b"RIFF":
        _check_wav_data(stream, name=name)
    stream.seek(0)


def _check_wav_data(stream: _Stream, *, name: str) -> None:
    """Refuses a cut-off data chunk, which libsndfile shortens silently; the 2 to 4 GiB that pipes declare pass."""
    block_bytes = 1
    file_bytes = stream.seek(0, io.SEEK_END)
    position = 12
    while position + 8 <= file_bytes:
        stream.seek(position)
        chunk, declared = struct.unpack("<4sI", stream.read(8))
        if chunk == b"fmt " and declared >= 16:
            block_bytes = max(1, int.from_bytes(stream.read(16)[12:14], "little"))
        if chunk == b"data":
            held = file_bytes - position - 8
            is_open_ended = declared >= 0x7FFF_0000
            if declared > held and not is_open_ended:
                raise AudioError(
                    f"{name}: the header declares {declared} bytes of samples but the file holds {held}; "
                    "it is cut off, export or upload it again"
                )
            if min(declared, held) % block_bytes:
                raise AudioError(
                    f"{name}: {min(declared, held)} bytes of samples, expected a multiple of {block_bytes} (one sample "
                    "of every channel); it is cut off, export or upload it again"
                )
            return
        position += 8 + declared + declared % 2


def _check_header(sound: soundfile.SoundFile, *, name: str, limits: AudioLimits) -> None:
    if not limits.min_rate_hz <= sound.samplerate <= limits.max_rate_hz:
        raise AudioError(
            f"{name}: sample rate {sound.samplerate} Hz, allowed are {limits.min_rate_hz} to {limits.max_rate_hz} Hz; "
            "resample it first"
        )
    if not 1 <= sound.channels <= limits.max_channels:
        raise AudioError(
            f"{name}: {sound.channels} channels, allowed are 1 to {limits.max_channels}; mix it down first"
        )


def _decode(sound: soundfile.SoundFile, *, name: str, limits: AudioLimits) -> np.ndarray:
    rate_hz, deadline = sound.samplerate, time.monotonic() + limits.max_decode_seconds
    budget = round(limits.max_seconds * rate_hz)
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
    # Room for what the header declares, and no promise: pieces put together in the end would take twice the memory.
    likely_s = min(limits.max_seconds, sound.frames / rate_hz) + 1.0
    waveform = np.empty(math.ceil(likely_s * SAMPLE_RATE_HZ), dtype=np.float32)
    resampled = decoded = 0
    while True:
        block = sound.read(min(_BLOCK_SAMPLES, budget - decoded + 1), dtype="float32", always_2d=True)
        _check_samples(block, first=decoded, rate_hz=rate_hz, name=name)
        decoded += len(block)
        if decoded > budget:
            raise AudioError(
                f"{name}: longer than {limits.max_seconds:g} s, the longest allowed; split it or raise max_seconds",
                cause="too_large",
            )
        if time.monotonic() > deadline:
            raise AudioError(
                f"{name}: decoding took longer than {limits.max_decode_seconds:g} s and was stopped after "
                f"{decoded / rate_hz:.1f} s of audio; convert it to 16 kHz wav first or raise max_decode_seconds",
                cause="too_large",
            )
        mono = block.mean(axis=1, dtype=np.float32)
        piece = resampler.resample_chunk(mono, last=not len(mono))
        if resampled + len(piece) > len(waveform):
            waveform.resize(2 * (resampled + len(piece)), refcheck=False)
        waveform[resampled : resampled + len(piece)] = piece
        resampled += len(piece)
        if not len(block):
            break
    _check_length(sound, decoded, name=name, limits=limits)
    waveform.resize(resampled, refcheck=False)
    return waveform


def _check_samples(block: np.ndarray, *, first: int, rate_hz: int, name: str) -> None:
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        raise AudioError(
            f"{name}: {int(bad.sum())} samples are NaN or infinite, the first at "
            f"{(first + int(bad.argmax())) / rate_hz:.3f} s; expected numbers in [-1, 1], export it again"
        )
    peak = np.abs(block).max(initial=0.0)
    if peak > _MAX_PEAK:
        raise AudioError(
            f"{name}: samples reach {peak:g}, expected [-1, 1]; it looks like integers stored as floats, "
            "divide by full scale (32768 for 16 bits) and export it again"
        )


def _check_length(sound: soundfile.SoundFile, decoded: int, *, name: str, limits: AudioLimits) -> None:
    if decoded == 0:
        raise AudioError(
            f"{name}: holds no samples, expected at least {limits.min_seconds:g} s of audio; record it again"
        )
    seconds, declared = decoded / sound.samplerate, sound.frames / sound.samplerate
    is_declared = sound.frames < 1 << 62  # libsndfile's stand-in for "unknown" is 2^63 - 1
    if is_declared and declared > 1.05 * seconds + 0.1:
        raise AudioError(
            f"{name}: the header declares {declared:.2f} s but only {seconds:.2f} s can be decoded; it is cut off or "
            "corrupt, export or upload it again"
        )
    if seconds < limits.min_seconds:
        raise AudioError(
            f"{name}: lasts {seconds:.3f} s, at least {limits.min_seconds:g} s are needed; record it longer"
        )


def _clipped(waveform: np.ndarray, *, name: str) -> np.ndarray:
    if waveform.min() < -1.0 or waveform.max() > 1.0:
        num_beyond = int((np.abs(waveform) > 1.0).sum())
        logger.warning("%s: %d of %d samples lie beyond full scale and were clipped", name, num_beyond, len(waveform))
        np.clip(waveform, -1.0, 1.0, out=waveform)
    return waveform


def _as_int16(waveform: np.ndarray) -> np.ndarray:
    if waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise AudioError(
            f"cannot write a waveform of shape {waveform.shape} that may hold NaN or infinite samples; expected shape "
            "(samples,) and numbers in [-1, 1]"
        )
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)
