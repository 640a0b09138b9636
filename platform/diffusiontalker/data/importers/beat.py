"""The BEAT corpus: `{speaker}_{name}_{type}_{start}_{end}.wav` and `.json`, 51 channels at 60 fps, official splits.

The type is a language and a manner: even digits are speech, odd ones conversation (0/1 English, 2/3 Chinese, 4/5
Spanish, 6/7 Japanese). Of speech the number says emotion and split, whatever the language; conversation is neutral.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusiontalker.config import counted
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.importers.pairs import NamedPair, named_pairs
from diffusiontalker.data.importers.source import ClipList, ClipSource, FilePair, UnusableClip, shown

FPS = 60.0

_NAME = re.compile(r"(?P<id>[0-9]+)_(?P<name>.+)_(?P<type>[0-7])_(?P<start>[0-9]+)_(?P<end>[0-9]+)")
_EMOTIONS = (
    (range(1, 65), "neutral"), (range(65, 73), "happiness"), (range(73, 81), "anger"), (range(81, 87), "sadness"),
    (range(87, 95), "contempt"), (range(95, 103), "surprise"), (range(103, 111), "fear"), (range(111, 119), "disgust"),
)  # fmt: skip
_FIRST_OF_EMOTION = frozenset(numbers[0] for numbers, emotion in _EMOTIONS if emotion != "neutral")
_LAST_OF_EMOTION = frozenset(numbers[-1] for numbers, emotion in _EMOTIONS if emotion != "neutral")

_HIGHEST_SPEECH = _EMOTIONS[-1][0][-1]

_FOUR_HOUR_SPEAKERS = frozenset({1, 2, 3, 4, 6, 7, 8, 9, 11, 21})
_HALVES = "halves"
"""In place of a split: the first half is test, the second validation."""
_HALF_SPEECH_S, _HALF_CONVERSATION_S = 30.0, 300.0
_ONE_HOUR_TRAIN = frozenset({*range(9, 17), 66, 74, 82, 88, 96, 104, 112, 118})


def is_beat_name(stem: str) -> bool:
    """Whether a file of this name, without its suffix, would belong to the corpus."""
    return _NAME.fullmatch(stem) is not None


def list_beat(folder: Path) -> ClipList:
    """The clips below a folder, by path; recordings that no official split has are left out with a note.

    Raises:
        CorpusError: when no file is named as in BEAT.
    """
    clips: list[ClipSource] = []
    foreign, without_split = [], []
    for pair in named_pairs(folder, motion_suffixes={".json"}):
        if not is_beat_name(pair.stem):
            foreign.append(pair.name)
            continue
        found = list(_clips(pair))
        clips += found
        if not found:
            without_split.append(pair.name)
    if not clips:
        raise CorpusError(
            f"{folder}: holds no recording of an official split of BEAT, such as 1_wayne_0_1_1.wav and .json"
        )
    notes = tuple(_notes(foreign, without_split))
    return ClipList(format="beat", clips=tuple(clips), notes=notes, strays=tuple(foreign))


def _clips(pair: NamedPair) -> Iterator[ClipSource]:
    """One clip, two halves, or none for a recording without a split."""
    match = _NAME.fullmatch(pair.stem)
    assert match
    start, end = int(match["start"]), int(match["end"])
    is_conversation = int(match["type"]) % 2 == 1
    meanings = {
        _meaning(number, is_conversation=is_conversation, is_long=int(match["id"]) in _FOUR_HOUR_SPEAKERS)
        for number in range(start, min(end, start + _HIGHEST_SPEECH) + 1)
    }
    labels: dict[str, Any] = {"clip_id": pair.stem, "speaker": f"{match['id']}_{match['name']}", "source": pair.name}
    problem = pair.lack or _problem(start, end, meanings)
    if problem or pair.audio is None or pair.motion is None:
        yield UnusableClip(**labels, emotion="neutral", split="train", reason=problem)
        return
    ((emotion, split),) = meanings
    files: dict[str, Any] = {"audio": pair.audio, "motion": pair.motion, "motion_format": "beat", "usual_fps": FPS}
    if split == _HALVES:
        cut_s = _HALF_CONVERSATION_S if is_conversation else _HALF_SPEECH_S
        halves = (("a", "test", 0.0, cut_s), ("b", "validation", cut_s, None))
        for half, its_split, begin_s, end_s in halves:
            its_labels: dict[str, Any] = labels | {
                "clip_id": f"{pair.stem}_{half}",
                "split": its_split,
                "emotion": emotion,
            }
            yield FilePair(**its_labels, **files, begin_s=begin_s, end_s=end_s)
    elif split:
        yield FilePair(**labels, **files, emotion=emotion, split=split)


def _problem(start: int, end: int, meanings: set[tuple[str, str]]) -> str:
    if end < start:
        return f"its numbers go from {start} to {end}; correct the name"
    if any(not emotion for emotion, _ in meanings):
        return f"its numbers {start} to {end} are none of BEAT, speech has 1 to {_HIGHEST_SPEECH}; correct the name"
    if len(meanings) > 1:
        what = " and ".join(sorted(f"{emotion} ({split or 'no split'})" for emotion, split in meanings))
        return f"its numbers {start} to {end} belong to {what}; cut the recording so that each file has one meaning"
    return ""


def _meaning(number: int, *, is_conversation: bool, is_long: bool) -> tuple[str, str]:
    """(emotion, split) of a number; the emotion is empty for a number that does not exist, the split for one without.

    Args:
        number: of the recording.
        is_conversation: instead of speech.
        is_long: of a speaker who was recorded for four hours.
    """
    if is_conversation:
        known = {1: "test", 12: "validation"} if is_long else {1: _HALVES, 2: "train", 3: "train"}
        return "neutral", known.get(number, "train" if is_long else "")
    emotion = next((emotion for numbers, emotion in _EMOTIONS if number in numbers), "")
    return emotion, _speech_split_long(number) if is_long else _speech_split_short(number)


def _speech_split_long(number: int) -> str:
    if number in range(1, 9) or number in _FIRST_OF_EMOTION:
        return "test"
    if number in range(57, 65) or number in _LAST_OF_EMOTION:
        return "validation"
    return "train"


def _speech_split_short(number: int) -> str:
    if number in _FIRST_OF_EMOTION:
        return _HALVES
    if number in range(1, 5):
        return "test"
    if number in range(5, 9):
        return "validation"
    return "train" if number in _ONE_HOUR_TRAIN else ""


def _notes(foreign: list[str], without_split: list[str]) -> Iterator[str]:
    if foreign:
        what = counted(len(foreign), "recording")
        yield f"{what} left out, not named speaker_name_type_start_end: {shown(foreign)}"
    if without_split:
        yield f"{counted(len(without_split), 'recording')} left out, in no official split: {shown(without_split)}"
