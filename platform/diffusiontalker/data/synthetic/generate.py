"""Spoken sentences with their faces: one with `speak`, a whole corpus with `synthesize_corpus`.

A clip depends on seed, speaker, emotion and text alone: the same in any corpus, on its own, and in every run.
"""

import dataclasses
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from diffusiontalker.audio import timebase
from diffusiontalker.config import to_plain
from diffusiontalker.data.clip import Clip, CorpusError, suggestion
from diffusiontalker.data.corpus import CorpusInfo
from diffusiontalker.data.corpus_writer import write_corpus
from diffusiontalker.data.synthetic.coarticulation import sounds_of
from diffusiontalker.data.synthetic.espeak import Phoneme, say
from diffusiontalker.data.synthetic.performance import perform
from diffusiontalker.data.synthetic.performers import EMOTIONS, SPEAKER_NAMES, Emotion, emotion_named, speaker_named
from diffusiontalker.data.synthetic.sentences import distinct_sentences

_SPEECH_GAIN = 0.5
_MAX_PEAK = 0.95
_ROOM_NOISE_DB = -55.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticCorpusConfig:
    """Size and make-up of a synthetic corpus; the defaults give 10 minutes in 208 clips."""

    num_speakers: int = 6
    """Speakers in all, at most 12."""
    num_unseen_speakers: int = 1
    """How many of them, the last ones, only occur in split `test_unseen_speaker`."""
    emotions: tuple[str, ...] = ("neutral", "happy", "sad", "angry")
    """Emotions that every speaker plays; `surprised` exists too."""
    sentences_per_speaker_emotion: int = 10
    """Sentences of a known speaker in one emotion, over train, validation and test."""
    validation_fraction: float = 0.1
    """Share of those sentences in split `validation`; at least one."""
    test_fraction: float = 0.2
    """Share of those sentences in split `test`, the same ones for all speakers; at least one."""
    motion_fps: float = 30.0
    """Frame rate of the motion, in Hz."""
    seed: int = 0
    """Decides sentences, prosody, blinks, gaze, noise; not who the speakers are."""

    def __post_init__(self) -> None:
        """Checks names, counts and fractions."""
        if not 0 <= self.num_unseen_speakers < self.num_speakers <= len(SPEAKER_NAMES):
            raise ValueError(
                f"num_speakers is {self.num_speakers} and num_unseen_speakers {self.num_unseen_speakers}, expected "
                f"0 <= num_unseen_speakers < num_speakers <= {len(SPEAKER_NAMES)}"
            )
        unknown = [name for name in self.emotions if name not in EMOTIONS]
        if unknown:
            raise ValueError(f"no synthetic emotion '{unknown[0]}'{suggestion(unknown[0], EMOTIONS)}")
        if not self.emotions or len(set(self.emotions)) < len(self.emotions):
            raise ValueError(f"emotions are {', '.join(self.emotions) or 'empty'}, expected distinct names")
        if not (0 < self.validation_fraction < 1 and 0 < self.test_fraction < 1) or self._split_sizes()["train"] < 1:
            raise ValueError(
                f"{self.sentences_per_speaker_emotion} sentences with validation_fraction {self.validation_fraction} "
                f"and test_fraction {self.test_fraction} leave none for training; raise the count or lower fractions"
            )
        if not 1 <= self.motion_fps <= 240:
            raise ValueError(f"motion_fps is {self.motion_fps}, expected 1 to 240 Hz, such as 25, 30 or 60")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected 0 or more")

    def _split_sizes(self) -> dict[str, int]:
        count = self.sentences_per_speaker_emotion
        validation, test = (max(1, round(count * part)) for part in (self.validation_fraction, self.test_fraction))
        return {"train": count - validation - test, "validation": validation, "test": test}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One clip to be spoken."""

    text: str
    """The sentence."""
    voice: str
    """Name of the speaker."""
    emotion: str
    """Name of the emotion."""
    split: str
    """Split of the clip."""
    clip_id: str
    """Id of the clip."""


def synthesize_corpus(
    uri: str | Path,
    config: SyntheticCorpusConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> CorpusInfo:
    """Writes a synthetic corpus; about 40 clips per second on one core.

    Sentences of validation and test are spoken by everybody and occur in no other split; those of train are drawn anew
    for each speaker and emotion.

    Args:
        uri: where the corpus goes, a local path or URL; must not exist.
        config: size and make-up.
        progress: called with (clips done, clips in all).

    Raises:
        CorpusError: when something stands at `uri`, it cannot be written, or espeak-ng fails.
    """
    config = config or SyntheticCorpusConfig()
    lines = script(config)

    def clips() -> Iterator[Clip]:
        for number, line in enumerate(lines, start=1):
            yield speak(
                line.text,
                voice=line.voice,
                emotion=line.emotion,
                motion_fps=config.motion_fps,
                seed=config.seed,
                clip_id=line.clip_id,
                split=line.split,
            )
            if progress:
                progress(number, len(lines))

    source = {"generator": "synthetic", "speech": "espeak-ng", "config": to_plain(config)}
    return write_corpus(clips(), uri, motion_fps=config.motion_fps, source=source)


def speak(
    text: str,
    *,
    voice: str = SPEAKER_NAMES[0],
    emotion: str = "neutral",
    intensity: float | None = None,
    motion_fps: float = 30.0,
    seed: int = 0,
    clip_id: str = "speech",
    split: str = "test",
) -> Clip:
    """One spoken sentence with its face.

    Args:
        text: English text.
        voice: name of a synthetic speaker, one of `SPEAKER_NAMES`.
        emotion: name of an emotion, one of `EMOTIONS`.
        intensity: of the emotion, 0 to 1; drawn from 0.75 to 1 when None.
        motion_fps: frame rate of the motion, in Hz.
        seed: of everything random.
        clip_id: id of the result.
        split: split of the result.

    Raises:
        CorpusError: for a speaker or emotion that does not exist, text that cannot be spoken, or an intensity outside
            [0, 1].
    """
    speaker, feeling = speaker_named(voice), emotion_named(emotion)
    key = [seed, SPEAKER_NAMES.index(voice), list(EMOTIONS).index(emotion), zlib.crc32(text.encode())]
    generator = np.random.default_rng(key)
    drawn = generator.uniform(0.75, 1.0)
    intensity = drawn if intensity is None else intensity
    if not 0 <= intensity <= 1:
        raise CorpusError(f"intensity is {intensity}, expected 0 to 1")
    utterance = say(
        text,
        voice=speaker.voice,
        words_per_minute=speaker.words_per_minute * feeling.rate * generator.uniform(0.95, 1.05),
        pitch=float(np.clip(speaker.pitch + feeling.pitch + generator.normal(0.0, 2.0), 0, 99)),
        pitch_range=float(np.clip(speaker.pitch_range * feeling.pitch_range, 0, 99)),
    )
    lead_s, tail_s = generator.uniform(0.15, 0.4, 2)
    waveform = _recorded(utterance.waveform, lead_s=lead_s, tail_s=tail_s, emotion=feeling, generator=generator)
    lead_s = round(lead_s * timebase.SAMPLE_RATE_HZ) / timebase.SAMPLE_RATE_HZ
    phonemes = [
        Phoneme(symbol=phoneme.symbol, start_s=phoneme.start_s + lead_s, end_s=phoneme.end_s + lead_s)
        for phoneme in utterance.phonemes
    ]
    motion = perform(
        sounds_of(phonemes, duration_s=len(waveform) / timebase.SAMPLE_RATE_HZ),
        speaker=speaker,
        emotion=feeling,
        intensity=intensity,
        num_frames=timebase.motion_frames(len(waveform), motion_fps=motion_fps),
        fps=motion_fps,
        generator=generator,
    )
    return Clip(clip_id=clip_id, waveform=waveform, motion=motion, speaker=voice, emotion=emotion, split=split)


def script(config: SyntheticCorpusConfig) -> list[Line]:
    """Who says what in which emotion, for a whole corpus; sentences of different splits never coincide."""
    return list(_lines(config))


def _lines(config: SyntheticCorpusConfig) -> Iterator[Line]:
    generator = np.random.default_rng([config.seed, zlib.crc32(b"sentences")])
    taken: set[str] = set()
    sizes = config._split_sizes()
    shared = {
        split: distinct_sentences(sizes[split], generator=generator, taken=taken) for split in ("test", "validation")
    }
    num_known = config.num_speakers - config.num_unseen_speakers
    for index, voice in enumerate(SPEAKER_NAMES[: config.num_speakers]):
        for emotion in config.emotions:
            if index < num_known:
                own = distinct_sentences(sizes["train"], generator=generator, taken=taken)
                texts = {"train": own, "validation": shared["validation"], "test": shared["test"]}
            else:
                texts = {"test_unseen_speaker": shared["test"]}
            for split, lines in texts.items():
                for number, text in enumerate(lines):
                    clip_id = f"{voice}_{emotion}_{split.split('_')[0]}_{number:03d}"
                    yield Line(text=text, voice=voice, emotion=emotion, split=split, clip_id=clip_id)


def _recorded(
    speech: np.ndarray, *, lead_s: float, tail_s: float, emotion: Emotion, generator: np.random.Generator
) -> np.ndarray:
    """Vocal effort, silence around the speech, and the noise of a quiet room (1/f, about -55 dB of full scale)."""
    pads = [round(seconds * timebase.SAMPLE_RATE_HZ) for seconds in (lead_s, tail_s)]
    padded = np.pad(speech.astype(np.float64), (pads[0], pads[1]))
    length = 1 << (len(padded) - 1).bit_length()  # a power of two: transforms of odd lengths take 10 ms
    octaves = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / timebase.SAMPLE_RATE_HZ), 60.0) / 1000.0)

    def shaped(signal: np.ndarray, db_per_octave: float) -> np.ndarray:
        gains = 10.0 ** (db_per_octave * octaves / 20.0)
        return np.fft.irfft(np.fft.rfft(signal, n=length) * gains, n=length)[: len(signal)]

    noise_db = _ROOM_NOISE_DB + generator.normal(0.0, 2.0)
    hiss = shaped(generator.standard_normal(len(padded)), -3.0)
    voiced = _SPEECH_GAIN * emotion.loudness * shaped(padded, emotion.tilt_db)
    voiced *= min(1.0, _MAX_PEAK / np.abs(voiced).max())
    return (voiced + 10.0 ** (noise_db / 20.0) * hiss / hiss.std()).astype(np.float32)
