"""Speech with phoneme times from the espeak-ng library, called in-process.

espeak-ng keeps state between utterances (wave phase, flutter, noise) that terminating does not clear, so the library is
loaded afresh for each one: an utterance depends on its text and voice alone, bit for bit. It is not reentrant either;
a lock lets one utterance through at a time. Knows nothing about faces.

Source: espeak-ng, `speak_lib.h` (events, parameters) and `espeak_ng.h` (random seed).
"""

import ctypes
import dataclasses
import threading
from _ctypes import dlclose
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import espeakng_loader
import numpy as np
import soxr

from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
from diffusiontalker.data.clip import CorpusError

_MAX_CHARACTERS = 2000
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEMES_AS_IPA, _DONT_EXIT = 0x1, 0x2, 0x8000
_CHARS_UTF8 = 1
_END_OF_EVENTS, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_LOCK = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Phoneme:
    """One phoneme of an utterance."""

    symbol: str
    """IPA with stress and length marks, as espeak-ng writes it; empty for a pause."""
    start_s: float
    """Where its sound begins, in seconds; a stop begins at its burst."""
    end_s: float
    """Where the next one begins."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Utterance:
    """Spoken text and when each phoneme sounds."""

    waveform: np.ndarray
    """(samples,) float32, 16 kHz mono in [-1, 1]."""
    phonemes: tuple[Phoneme, ...]
    """In time order, without gaps, from the first sound on."""


def say(text: str, *, voice: str, words_per_minute: float, pitch: float, pitch_range: float) -> Utterance:
    """Speaks English text.

    Args:
        text: at most 2000 characters.
        voice: espeak language and variant, such as `en-us+f2`.
        words_per_minute: 80 to 450.
        pitch: 0 to 99, 50 is the voice's own.
        pitch_range: 0 to 99, 50 is the voice's own; 0 is monotone.

    Raises:
        CorpusError: for text without anything to say or too long, a voice espeak-ng lacks, or a library that fails.
    """
    if not 0 < len(text.strip()) <= _MAX_CHARACTERS:
        raise CorpusError(f"text to speak has {len(text)} characters, expected 1 to {_MAX_CHARACTERS}; give a sentence")
    blocks: list[bytes] = []
    marks: list[tuple[int, str]] = []

    def collect(samples: Any, num_samples: int, events: Any) -> int:
        if samples:
            blocks.append(ctypes.string_at(samples, 2 * num_samples))
        index = 0
        while events[index].type != _END_OF_EVENTS:
            if events[index].type == _EVENT_PHONEME:
                marks.append((events[index].sample, events[index].id.string.decode("utf-8", errors="ignore")))
            index += 1
        return 0

    parameters = {_RATE: words_per_minute, _PITCH: pitch, _RANGE: pitch_range}
    with _LOCK, _fresh_library() as (library, rate_hz):
        callback = _Callback(collect)
        library.espeak_SetSynthCallback(callback)
        _require(library.espeak_SetVoiceByName(voice.encode()) == 0, f"has no voice '{voice}'")
        for parameter, value in parameters.items():
            library.espeak_SetParameter(parameter, round(value), 0)
        encoded = text.encode() + b"\0"
        status = library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, 1, 0, _CHARS_UTF8, None, None)
        _require(status == 0, f"failed with status {status} on '{text[:40]}'")
    samples = np.frombuffer(b"".join(blocks), dtype=np.int16).astype(np.float32) / 32768.0
    if not any(symbol for _, symbol in marks):
        raise CorpusError(f"text '{text[:40]}' holds nothing that can be spoken; give English words")
    edges_s = [*(sample / rate_hz for sample, _ in marks), len(samples) / rate_hz]
    return Utterance(
        waveform=soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="HQ"),
        phonemes=tuple(
            Phoneme(symbol=symbol, start_s=edges_s[index], end_s=max(edges_s[index], edges_s[index + 1]))
            for index, (_, symbol) in enumerate(marks)
        ),
    )


@contextmanager
def _fresh_library() -> Iterator[tuple[ctypes.CDLL, int]]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        options = _PHONEME_EVENTS | _PHONEMES_AS_IPA | _DONT_EXIT
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), options)
        _require(rate_hz > 0, "could not be initialized")
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        yield library, rate_hz
    finally:
        library.espeak_Terminate()
        dlclose(library._handle)


def _require(is_fine: bool, complaint: str) -> None:
    if not is_fine:
        raise CorpusError(f"espeak-ng {complaint}; reinstall the package espeakng-loader or choose another voice")
