"""`bench inference`: live streams. What 33 ms of sound cost, with one stream and with many, early and late."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.benchmarks.animations import Floors
from diffusiontalker.benchmarks.results import Group, Row
from diffusiontalker.benchmarks.students import Student
from diffusiontalker.evaluation import count_animation, noise, seconds_in_turns
from diffusiontalker.inference import Stream, StreamingTalker

PIECE_SAMPLES = 528
"""33 ms."""
_TIMED_PIECES = 100
_WARM_UP_PIECES = 40
"""Until frames come out of all diffusion steps."""
_FAST_PIECE_SAMPLES = SAMPLE_RATE_HZ // 2
"""In which the minutes between are fed."""
_WANTED_GROWTH = 1.1


def streams_group(students: Sequence[Student], streams: Sequence[int], floors: Floors, *, repeats: int) -> Group:
    """Milliseconds that a piece of every stream takes, over the number of streams."""
    talks = {(one, number): _Talk(one, streams=number) for number in streams for one in students}
    works = {f"{one.name}, {_counted(number)}": talk.pieces for (one, number), talk in talks.items()}
    seconds = seconds_in_turns(works, repeats=repeats)
    rows = []
    for one in students:
        operations = count_animation(one.bundle, seconds=10.0).operations / 10.0
        piece = floors.seconds(operations * PIECE_SAMPLES / SAMPLE_RATE_HZ, one)
        for number in streams:
            name = f"{one.name}, {_counted(number)}"
            rows.append(
                Row(
                    name=name,
                    unit="ms",
                    values=tuple(taken / _TIMED_PIECES * 1e3 for taken in seconds[name]),
                    floor=None if piece is None else number * piece * 1e3,
                    floor_from=floors.told,
                    series=one.name,
                    x=number,
                )
            )
    about = "To move all streams by 33 ms of sound each, on one core: below 33 ms it keeps up with real time."
    return Group(title="Live streams", about=about, rows=tuple(rows), x_label="streams")


def age_group(student: Student, *, minutes: int, repeats: int) -> Group:
    """What a piece costs in the first and in the last minute of a stream."""
    early, late = [], []
    for _ in range(repeats):
        talk = _Talk(student, streams=1)
        early.append(_seconds(talk.pieces) / _TIMED_PIECES * 1e3)
        for _ in range((minutes - 1) * 60 * SAMPLE_RATE_HZ // _FAST_PIECE_SAMPLES):
            talk.piece(_FAST_PIECE_SAMPLES)
        late.append(_seconds(talk.pieces) / _TIMED_PIECES * 1e3)
    ratios = tuple(second / first for first, second in zip(early, late, strict=True))
    rows = (
        Row(name="minute 1", unit="ms", values=tuple(early)),
        Row(name=f"minute {minutes}", unit="ms", values=tuple(late)),
        Row(name=f"minute {minutes} over minute 1", unit="times", values=ratios, wanted=_WANTED_GROWTH),
    )
    return Group(title="Age of a stream", about=f"A piece of 33 ms, one stream: {student.name}.", rows=rows)


class _Talk:
    """Streams that are fed in step."""

    def __init__(self, student: Student, *, streams: int) -> None:
        bundle = student.bundle
        self._talker = StreamingTalker(bundle, max_streams=streams)
        size = bundle.talker.config.personalizer.embedding_dim
        identity, emotion = np.random.default_rng(0).standard_normal((2, size)).astype(np.float32)
        self._streams: list[Stream] = [
            self._talker.open(identity=identity, emotion=emotion, seed=number) for number in range(streams)
        ]
        self._sound = noise(2 * _FAST_PIECE_SAMPLES / SAMPLE_RATE_HZ)
        for _ in range(_WARM_UP_PIECES):
            self.piece(PIECE_SAMPLES)

    def pieces(self) -> None:
        """Those that are timed."""
        for _ in range(_TIMED_PIECES):
            self.piece(PIECE_SAMPLES)

    def piece(self, samples: int) -> None:
        """Feeds one to every stream and moves them until nothing is left to move."""
        for stream in self._streams:
            self._talker.feed(stream, self._sound[:samples])
        while self._talker.advance()[0]:
            pass


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _counted(number: int) -> str:
    return f"{number} stream{'' if number == 1 else 's'}"
