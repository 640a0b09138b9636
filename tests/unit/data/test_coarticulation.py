# ruff: noqa: RUF001  (phonetic letters look like others)
import itertools

import numpy as np
import pytest

from diffusiontalker.data.synthetic import visemes
from diffusiontalker.data.synthetic.coarticulation import Sound, articulate, sounds_of
from diffusiontalker.data.synthetic.espeak import Phoneme
from diffusiontalker.data.synthetic.visemes import ARTICULATORS, VISEMES, visemes_of

FPS = 50.0


def curve(sounds, name, *, seconds):
    return articulate(sounds, num_frames=round(seconds * FPS), fps=FPS)[:, ARTICULATORS.index(name)]


def sounds(*spans):
    edges = list(itertools.accumulate((seconds for _, seconds in spans), initial=0.0))
    return [
        Sound(viseme=name, start_s=start, end_s=end)
        for (name, _), start, end in zip(spans, edges[:-1], edges[1:], strict=True)
    ]


def test_the_viseme_table_is_consistent():
    for name, viseme in VISEMES.items():
        assert set(viseme.targets) | set(viseme.strengths) <= set(ARTICULATORS), name
        assert viseme.strength > 0
        assert all(0 <= target <= 1.5 for target in viseme.targets.values())
    symbols = "".join(visemes._SYMBOLS.values())
    assert len(symbols) == len(set(symbols))
    assert set(visemes._SYMBOLS) == set(VISEMES) - {"silence"}


@pytest.mark.parametrize(
    ("symbol", "wanted"),
    [
        ("", ("silence",)),
        ("ˈiː", ("close_front",)),
        ("aɪ", ("open_front", "close_front")),
        ("tʃ", ("alveolar_stop", "postalveolar")),
        ("əl", ("mid_central", "lateral")),
        ("t̪", ("alveolar_stop",)),
        ("ʘ", ("mid_central",)),
        ("ː", ("mid_central",)),
    ],
)
def test_phonemes_map_to_visemes_by_their_letters(symbol, wanted):
    assert visemes_of(symbol) == wanted


def test_a_lone_sound_is_held_at_its_targets():
    for name in ("open_back", "close_round", "sibilant"):
        poses = articulate(sounds((name, 1.0)), num_frames=50, fps=FPS)
        wanted = [min(1.0, VISEMES[name].targets.get(articulator, 0.0)) for articulator in ARTICULATORS]
        np.testing.assert_allclose(poses, np.tile(wanted, (50, 1)), atol=1e-6)


def test_a_sound_between_equals_changes_nothing():
    parts = articulate(sounds(("open_back", 0.3), ("open_back", 0.1), ("open_back", 0.6)), num_frames=50, fps=FPS)
    whole = articulate(sounds(("open_back", 1.0)), num_frames=50, fps=FPS)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_lips_close_fully_for_a_short_b_between_open_vowels():
    closure = curve(sounds(("open_back", 0.2), ("bilabial", 0.06), ("open_back", 0.2)), "closure", seconds=0.46)
    assert closure[round(0.23 * FPS)] > 0.95
    assert closure[round(0.1 * FPS)] < 0.1
    assert closure[round(0.36 * FPS)] < 0.1


def test_a_vowel_opens_between_two_lip_closures():
    closure = curve(sounds(("bilabial", 0.08), ("open_front", 0.1), ("bilabial", 0.08)), "closure", seconds=0.26)
    assert closure.min() < 0.2
    assert closure[2] > 0.9


def test_rounding_begins_before_the_rounded_vowel():
    """Coarticulation: the lips of `s` in `soup` are already rounded, those of `s` in `seat` are not."""
    before_round = curve(sounds(("silence", 0.2), ("sibilant", 0.1), ("close_round", 0.2)), "pucker", seconds=0.5)
    before_spread = curve(sounds(("silence", 0.2), ("sibilant", 0.1), ("close_front", 0.2)), "pucker", seconds=0.5)
    middle = round(0.25 * FPS)
    assert before_round[middle] > 0.15
    assert before_spread[middle] < 0.01


def test_the_mouth_rests_in_a_pause():
    poses = articulate(sounds(("open_back", 0.2), ("silence", 0.4), ("open_back", 0.2)), num_frames=40, fps=FPS)
    assert np.abs(poses[round(0.33 * FPS) : round(0.47 * FPS)]).max() < 0.02


def test_poses_do_not_depend_on_the_frame_rate():
    spans = sounds(("silence", 0.1), ("bilabial", 0.08), ("open_front", 0.15), ("silence", 0.2))
    np.testing.assert_allclose(
        articulate(spans, num_frames=52, fps=100.0)[::2], articulate(spans, num_frames=26, fps=50.0), atol=1e-4
    )


def test_voiceless_stops_close_before_their_burst_and_ends_are_silent():
    phonemes = [
        Phoneme(symbol="ɑː", start_s=0.2, end_s=0.4),
        Phoneme(symbol="p", start_s=0.4, end_s=0.45),
        Phoneme(symbol="", start_s=0.45, end_s=0.5),
    ]
    got = [
        (sound.viseme, round(sound.start_s, 3), round(sound.end_s, 3)) for sound in sounds_of(phonemes, duration_s=0.9)
    ]
    assert got == [
        ("silence", 0.0, 0.2),
        ("open_back", 0.2, 0.35),
        ("bilabial_stop", 0.35, 0.45),
        ("silence", 0.45, 0.9),
    ]


def test_without_phonemes_all_is_silence():
    assert [sound.viseme for sound in sounds_of([], duration_s=1.0)] == ["silence"]


def test_stressed_sounds_open_wider():
    stressed = sounds_of([Phoneme(symbol="ˈɑː", start_s=0.0, end_s=0.3)], duration_s=0.3)
    plain = sounds_of([Phoneme(symbol="ɑː", start_s=0.0, end_s=0.3)], duration_s=0.3)
    assert curve(stressed, "jaw", seconds=0.3).max() > 1.2 * curve(plain, "jaw", seconds=0.3).max()
