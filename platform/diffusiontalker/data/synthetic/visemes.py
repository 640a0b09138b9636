"""What the mouth does for each phoneme: targets of nine articulators and how strongly they insist.

A strength above 1 marks what a sound cannot do without (lips for `b`, lip on teeth for `f`, rounding for `w`); the rest
gives way to the neighbours. The values are ours, set by eye and by common descriptions of English visemes.
"""

# ruff: noqa: RUF001  (phonetic letters look like others)

import dataclasses
import unicodedata
from collections.abc import Mapping

ARTICULATORS: tuple[str, ...] = (
    "jaw", "closure", "pucker", "funnel", "spread", "lower", "upper", "tuck", "tongue",
)  # fmt: skip
"""Jaw opening, lips pressed shut, lips rounded forward, lips flared, corners apart, lower lip down, upper lip up, lower
lip under the teeth, tongue tip forward; 0 at rest, 1 at full reach."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Viseme:
    """Targets and strengths of one class of phonemes."""

    targets: Mapping[str, float]
    """Articulator -> target; those absent have target 0. Above 1: pressed on beyond contact, so that contact holds."""
    strengths: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Articulator -> dominance relative to a plain vowel's 1."""
    strength: float = 1.0
    """Dominance of the articulators not named in `strengths`."""
    closure_s: float = 0.0
    """How long before its burst a voiceless stop already closes, in seconds; espeak-ng marks the burst."""


_STOP_S = 0.05
_TAKES_ANY_ROUNDING: Mapping[str, float] = {"pucker": 0.25, "funnel": 0.25}
"""Consonants made behind the lips leave rounding to the vowels around them: `s` in `soup`."""

VISEMES: Mapping[str, Viseme] = {
    "silence": Viseme(targets={}, strength=2.0),
    "bilabial_stop": Viseme(
        targets={"jaw": 0.10, "closure": 1.4},
        strengths={"closure": 4.0, "jaw": 1.6, "lower": 3.0, "upper": 3.0, "pucker": 0.3, "funnel": 0.3, "spread": 0.3},
        closure_s=_STOP_S,
    ),
    "bilabial": Viseme(
        targets={"jaw": 0.10, "closure": 1.4},
        strengths={"closure": 4.0, "jaw": 1.6, "lower": 3.0, "upper": 3.0, "pucker": 0.3, "funnel": 0.3, "spread": 0.3},
    ),
    "labiodental": Viseme(
        targets={"jaw": 0.12, "tuck": 1.1, "upper": 0.25},
        strengths={"tuck": 6.0, "jaw": 1.4, "closure": 2.0, "upper": 2.0},
        strength=0.4,
    ),
    "dental": Viseme(
        targets={"jaw": 0.17, "tongue": 0.9, "lower": 0.2, "spread": 0.15},
        strengths={**_TAKES_ANY_ROUNDING, "tongue": 6.0, "jaw": 1.5},
    ),
    "alveolar": Viseme(
        targets={"jaw": 0.15, "spread": 0.15, "lower": 0.18}, strengths=_TAKES_ANY_ROUNDING, strength=0.6
    ),
    "alveolar_stop": Viseme(
        targets={"jaw": 0.12, "spread": 0.15, "lower": 0.18},
        strengths={**_TAKES_ANY_ROUNDING, "jaw": 1.2},
        strength=0.6,
        closure_s=_STOP_S,
    ),
    "lateral": Viseme(
        targets={"jaw": 0.22, "tongue": 0.3, "lower": 0.2},
        strengths={**_TAKES_ANY_ROUNDING, "tongue": 2.0},
        strength=0.6,
    ),
    "sibilant": Viseme(
        targets={"jaw": 0.06, "spread": 0.4, "lower": 0.28, "upper": 0.16},
        strengths={**_TAKES_ANY_ROUNDING, "jaw": 3.0},
        strength=0.9,
    ),
    "postalveolar": Viseme(
        targets={"jaw": 0.08, "funnel": 0.8, "pucker": 0.25, "lower": 0.2, "upper": 0.22},
        strengths={"jaw": 2.5, "funnel": 4.0, "spread": 2.0},
    ),
    "velar": Viseme(targets={"jaw": 0.20, "lower": 0.12}, strengths=_TAKES_ANY_ROUNDING, strength=0.45),
    "velar_stop": Viseme(
        targets={"jaw": 0.18, "lower": 0.12}, strengths=_TAKES_ANY_ROUNDING, strength=0.45, closure_s=_STOP_S
    ),
    "glottal": Viseme(targets={"jaw": 0.25, "lower": 0.1}, strength=0.15),
    "rhotic": Viseme(targets={"jaw": 0.20, "funnel": 0.42, "pucker": 0.25}, strengths={"funnel": 1.8, "pucker": 1.5}),
    "labiovelar": Viseme(
        targets={"jaw": 0.10, "pucker": 0.95, "funnel": 0.2}, strengths={"pucker": 6.0, "spread": 3.0, "jaw": 1.5}
    ),
    "palatal": Viseme(targets={"jaw": 0.13, "spread": 0.5, "lower": 0.15}, strength=0.8),
    "close_front": Viseme(targets={"jaw": 0.17, "spread": 0.65, "lower": 0.26, "upper": 0.08}),
    "mid_front": Viseme(targets={"jaw": 0.40, "spread": 0.42, "lower": 0.36, "upper": 0.12}),
    "open_front": Viseme(targets={"jaw": 0.64, "spread": 0.34, "lower": 0.46, "upper": 0.20}),
    "open_back": Viseme(targets={"jaw": 0.62, "lower": 0.36, "upper": 0.10}),
    "mid_central": Viseme(targets={"jaw": 0.30, "lower": 0.22}, strength=0.5),
    "open_round": Viseme(targets={"jaw": 0.52, "funnel": 0.55, "pucker": 0.15, "lower": 0.24}),
    "mid_round": Viseme(
        targets={"jaw": 0.34, "funnel": 0.45, "pucker": 0.50, "lower": 0.12}, strengths={"pucker": 2.0}
    ),
    "close_round": Viseme(
        targets={"jaw": 0.14, "funnel": 0.25, "pucker": 0.90}, strengths={"pucker": 3.5, "spread": 1.5}
    ),
}
"""Name -> viseme."""

_SYMBOLS: Mapping[str, str] = {
    "bilabial_stop": "p", "bilabial": "bmɱ", "labiodental": "fvʋ", "dental": "θð", "alveolar": "nɾɳdɖ",
    "alveolar_stop": "tʈ", "lateral": "lɫɭ", "sibilant": "szɕʑ", "postalveolar": "ʃʒ", "velar": "ŋxɣçɬɡg",
    "velar_stop": "kqc", "glottal": "hɦʔ", "rhotic": "ɹrɻɚɝɜʀʁ", "labiovelar": "wʍɥ", "palatal": "jʎɲʲ",
    "close_front": "iɪyᵻɨ", "mid_front": "eɛøœ", "open_front": "æa", "open_back": "ɑɐʌ", "mid_central": "əɘɵɤ",
    "open_round": "ɔɒ", "mid_round": "o", "close_round": "uʊɯʉ",
}  # fmt: skip
_VISEME_OF_SYMBOL = {symbol: name for name, symbols in _SYMBOLS.items() for symbol in symbols}


def visemes_of(symbol: str) -> tuple[str, ...]:
    """Names of the visemes that one IPA phoneme passes through: two for a diphthong or affricate, `silence` for none.

    Stress, length and other marks are passed over; a letter that English does not use counts as a weak open vowel.
    """
    if not symbol:
        return ("silence",)
    known = (_VISEME_OF_SYMBOL.get(letter, "mid_central") for letter in symbol if _is_letter(letter))
    return tuple(known) or ("mid_central",)


def _is_letter(character: str) -> bool:
    return character in _VISEME_OF_SYMBOL or unicodedata.category(character) in ("Ll", "Lo")


def is_stressed(symbol: str) -> bool:
    """Whether the phoneme bears the primary stress of its word."""
    return "ˈ" in symbol
