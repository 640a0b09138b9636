"""English sentences from a small grammar: emotionally neutral, rich in lip shapes, two to three seconds long.

The word lists mix lip closures (b, m, p), lip to teeth (f, v), rounded and spread vowels in every position.
"""

import numpy as np

_ADJECTIVES = (
    "blue", "brown", "small", "purple", "open", "famous", "warm", "heavy", "smooth", "wooden", "new", "old",
    "early", "quiet", "broad", "thin", "simple", "modern", "yellow", "empty", "round", "long", "few", "good",
    "whole",
)  # fmt: skip
_NOUNS = (
    "map", "bottle", "window", "farmer", "movie", "paper", "village", "boat", "room", "piano", "bridge", "office",
    "shop", "father", "beaver", "music", "problem", "number", "book", "valley", "family", "computer", "wolf",
    "member", "question", "thumb", "garden", "mushroom", "weather", "object", "oven", "path", "moon", "bus",
    "choir", "puppy", "machine",
)  # fmt: skip
_VERBS = (
    "found", "moved", "passed", "bought", "watched", "opened", "kept", "saw", "followed", "remembered", "washed",
    "pushed", "measured", "borrowed", "gave up", "paid for", "thought of", "wrapped", "chose", "improved", "left",
    "sold", "took",
)  # fmt: skip
_SUBJECTS = (
    "Bob", "Emma", "my mother", "our neighbour", "the baker", "a woman", "the team", "Paul", "your father",
    "Phoebe", "two people", "everybody", "the whole village", "Wayne", "a few boys", "Joyce", "Matthew",
    "the pilot",
)  # fmt: skip
_PLACES = (
    "by the river", "in the room", "before noon", "above the shop", "on Monday", "for a while", "from the house",
    "with both arms", "near the beach", "at five", "over the bridge", "behind the farm", "every morning",
    "in the box", "without a map", "this afternoon", "below the window", "again and again", "to my office",
)  # fmt: skip
_FRAMES = (
    "{subject} {verb} the {adjective} {noun} {place}.",
    "The {adjective} {noun} and the {noun2} {verb2} {place}.",
    "{place}, {subject} {verb} a {noun}.",
    "{subject} {verb} every {noun}, but not the {noun2}.",
    "Please put the {adjective} {noun} {place}.",
    "We {verb} a {noun} and a {adjective} {noun2}.",
    "Maybe {subject} {verb} the {noun} {place}.",
)
_INTRANSITIVE = ("were here", "came back", "moved away", "stood", "appeared", "remained", "showed up", "fell over")


def sentence(generator: np.random.Generator) -> str:
    """One sentence, drawn by `generator`."""

    def pick(words: tuple[str, ...]) -> str:
        return words[int(generator.integers(len(words)))]

    noun, noun2 = (_NOUNS[index] for index in generator.permutation(len(_NOUNS))[:2])
    text = pick(_FRAMES).format(
        subject=pick(_SUBJECTS),
        verb=pick(_VERBS),
        verb2=pick(_INTRANSITIVE),
        adjective=pick(_ADJECTIVES),
        noun=noun,
        noun2=noun2,
        place=pick(_PLACES),
    )
    return text[0].upper() + text[1:]


def distinct_sentences(count: int, *, generator: np.random.Generator, taken: set[str]) -> list[str]:
    """`count` sentences that differ from each other and from those in `taken`, to which they are added."""
    drawn: list[str] = []
    while len(drawn) < count:
        text = sentence(generator)
        if text not in taken:
            taken.add(text)
            drawn.append(text)
    return drawn
