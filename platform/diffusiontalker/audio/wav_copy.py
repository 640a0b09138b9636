"""A sound as other programs want it beside an animation: 16-bit WAV of its own rate and channels.

What may be read is decided by `audio.waveform`.
"""

from pathlib import Path

import numpy as np
import soundfile

from diffusiontalker.audio.waveform import AudioError, SequentialFile, read_waveform
from diffusiontalker.config import publish_file

_BLOCK_SAMPLES = 1 << 18


def is_copy(path: Path, source: Path | str) -> bool:
    """Whether `path` already is what `copy_as_wav` would make of `source`, sample by sample.

    Raises:
        AudioError: when `read_waveform` refuses the source.
    """
    read_waveform(source)
    try:
        with SequentialFile(str(source)) as sound, soundfile.SoundFile(path) as copy:
            kinds = [(file.samplerate, file.channels) for file in (sound, copy)]
            if (copy.format, copy.subtype) != ("WAV", "PCM_16") or kinds[0] != kinds[1]:
                return False
            while len(block := sound.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                if not np.array_equal(_in_16_bits(block), copy.read(len(block), dtype="int16", always_2d=True)):
                    return False
            return not len(copy.read(1))
    except soundfile.LibsndfileError:
        return False


def copy_as_wav(source: Path | str, path: Path, *, overwrite: bool = False) -> tuple[float, int, int]:
    """Copies wav, flac, ogg or mp3 to 16-bit WAV, block by block and atomically.

    Returns:
        Seconds, sample rate in Hz, and channels.

    Raises:
        AudioError: when `read_waveform` refuses the source.
        ArtefactError: when `path` exists (unless `overwrite`) or cannot be written.
    """
    read_waveform(source)  # refuses what is damaged or too long, by one set of rules
    try:
        with SequentialFile(str(source)) as sound, publish_file(path, overwrite=overwrite) as temporary:
            rate_hz, channels, written = sound.samplerate, sound.channels, 0
            with soundfile.SoundFile(
                temporary, "w", samplerate=rate_hz, channels=channels, format="WAV", subtype="PCM_16"
            ) as copy:
                while len(block := sound.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                    copy.write(_in_16_bits(block))
                    written += len(block)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{source}: cannot be copied as WAV ({error.error_string}); convert it first") from None
    return written / rate_hz, rate_hz, channels


def _in_16_bits(block: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(block * 32768.0), -32768, 32767).astype(np.int16)
