# ruff: noqa: RUF001  (phonetic letters look like others)
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from diffusiontalker.data import CorpusError
from diffusiontalker.data.synthetic import performers
from diffusiontalker.data.synthetic.espeak import say

PROSODY = {"words_per_minute": 170.0, "pitch": 50.0, "pitch_range": 50.0}


def spoken(text="My brown puppy moved.", voice="en-us+f2", **prosody):
    return say(text, voice=voice, **(PROSODY | prosody))


def test_phonemes_follow_the_text_and_tile_the_utterance():
    utterance = spoken("My puppy")
    symbols = [phoneme.symbol for phoneme in utterance.phonemes if phoneme.symbol]
    assert [symbol.strip("ˈˌ") for symbol in symbols] == ["m", "aɪ", "p", "ʌ", "p", "i"]
    for before, after in zip(utterance.phonemes, utterance.phonemes[1:], strict=False):
        assert before.start_s <= before.end_s == after.start_s
    assert utterance.phonemes[-1].end_s == pytest.approx(len(utterance.waveform) / 16_000, abs=1e-3)


def test_vowels_are_loud_where_the_phonemes_say():
    utterance = spoken("Papa")
    power = {}
    for phoneme in utterance.phonemes:
        part = utterance.waveform[round(phoneme.start_s * 16_000) : round(phoneme.end_s * 16_000)]
        power.setdefault(phoneme.symbol.strip("ˈˌ"), []).append(float(np.square(part).mean()) if len(part) else 0.0)
    assert min(power["ɑː"]) > 10 * max(power[""])


def test_an_utterance_does_not_depend_on_what_was_said_before():
    first = spoken()
    for voice in ("en-gb-scotland+m5", "en-us+whisper"):
        spoken("Something else entirely, and louder!", voice=voice, pitch=90.0)
    again = spoken()
    np.testing.assert_array_equal(first.waveform, again.waveform)
    assert first.phonemes == again.phonemes


def test_threads_take_turns():
    alone = spoken()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: spoken(), range(8)))
    assert all(np.array_equal(alone.waveform, utterance.waveform) for utterance in together)


def test_rate_and_pitch_change_the_speech():
    assert len(spoken(words_per_minute=300.0).waveform) < 0.8 * len(spoken().waveform)
    assert not np.array_equal(spoken(pitch=80.0).waveform, spoken().waveform)


@pytest.mark.parametrize("name", performers.SPEAKER_NAMES)
def test_every_speaker_has_a_voice(name):
    utterance = spoken(voice=performers.speaker_named(name).voice)
    assert np.abs(utterance.waveform).max() > 0.05


@pytest.mark.parametrize(
    ("text", "voice", "message"),
    [
        ("", "en-us", "has 0 characters, expected 1 to 2000"),
        ("x" * 2001, "en-us", "has 2001 characters"),
        ("?!", "en-us", "nothing that can be spoken"),
        ("Hello", "no-such-language", "has no voice 'no-such-language'"),
    ],
)
def test_what_cannot_be_spoken_is_refused(text, voice, message):
    with pytest.raises(CorpusError, match=message):
        spoken(text, voice=voice)
