import threading
from collections import Counter

import numpy as np
import pytest
import tiny

from diffusiontalker.data import Clip, Corpus, CorpusError, StreamedWindows, WindowConfig, WindowSource, write_corpus
from diffusiontalker.data.corpus import BLOCK_CLIPS
from diffusiontalker.face import CHANNELS, MotionClip

SIZES = [5, 7, 3, 6, 7, 7, 4]


class Blocks:
    """Blocks of short clips that tell by their one motion value which clip of which block they are."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def load(self, block: int) -> WindowSource:
        self.read.append(block)
        return windows_of([numbered(f"{block}_{row}", 100 * block + row) for row in range(SIZES[block])])


def numbered(clip_id: str, number: int, *, split: str = "train") -> Clip:
    motion = MotionClip(coefficients=np.full((5, len(CHANNELS)), number / 10_000, dtype=np.float32), fps=25.0)
    waveform = np.full(3200, 0.1, dtype=np.float32)
    return Clip(clip_id=clip_id, waveform=waveform, motion=motion, speaker="anna", emotion="neutral", split=split)


def windows_of(clips) -> WindowSource:
    config = WindowConfig(seconds=0.2, reference_seconds=0.2)
    return WindowSource(clips, speakers=["anna"], emotions=["neutral"], config=config, augment=None)


def number_of(window) -> int:
    return round(float(window.motion[0, 0]) * 10_000)


def streamed(blocks: Blocks, *, num_lanes: int = 2) -> StreamedWindows:
    return StreamedWindows(SIZES, load=blocks.load, batch_size=4, num_lanes=num_lanes)


def seen(source, positions, *, seed: int = 0) -> list[int]:
    return [number_of(source.at(position, seed=seed)) for position in positions]


@pytest.mark.parametrize("num_lanes", [1, 2, 4])
def test_every_clip_is_seen_as_often_as_any_other(num_lanes):
    stream = seen(streamed(Blocks(), num_lanes=num_lanes), range(1200))
    counts = Counter(stream)
    assert len(counts) == sum(SIZES)
    assert max(counts.values()) - min(counts.values()) <= num_lanes


def test_a_lane_sees_no_clip_twice_before_all_of_its_epoch():
    stream = seen(streamed(Blocks(), num_lanes=1), range(4 * sum(SIZES)))
    for first in range(0, len(stream), sum(SIZES)):
        assert len(set(stream[first : first + sum(SIZES)])) == sum(SIZES)


def test_any_position_is_found_without_what_lies_before_it():
    whole = seen(streamed(Blocks()), range(300))
    for position in (0, 1, 37, 38, 111, 299):
        assert seen(streamed(Blocks()), [position]) == whole[position : position + 1]
    assert seen(streamed(Blocks()), range(120, 180)) == whole[120:180]


def test_the_seed_decides_the_order():
    orders = [seen(streamed(Blocks()), range(30), seed=seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_the_half_of_a_batch_reads_half_of_the_blocks():
    steps, whole, half = range(6), Blocks(), Blocks()
    both = seen(streamed(whole), (4 * step + place for step in steps for place in range(4)))
    source = streamed(half)
    left = seen(source, (4 * step + place for step in steps for place in range(2)))
    assert left == [number for step in steps for number in both[4 * step : 4 * step + 2]]
    used = {number // 100 for number in left}
    assert used.isdisjoint({number // 100 for number in both} - used)
    assert len(half.read) <= len(used) + 1  # the next one is read ahead


def test_a_block_is_read_once_in_an_epoch():
    blocks = Blocks()
    seen(streamed(blocks, num_lanes=1), range(24))
    assert max(Counter(blocks.read).values()) == 1


def test_clips_in_their_own_order_come_one_after_the_other():
    blocks = Blocks()
    source = streamed(blocks, num_lanes=1)
    numbers = [number_of(source.window(index, seed=0)) for index in range(len(source))]
    assert numbers == [100 * block + row for block, size in enumerate(SIZES) for row in range(size)]
    assert blocks.read == list(range(len(SIZES)))


def test_a_block_that_cannot_be_read_ahead_is_told_when_its_turn_comes():
    blocks = Blocks()
    source = streamed(blocks, num_lanes=1)
    load = blocks.load

    def failing(block: int) -> WindowSource:
        if len(blocks.read) == 1:
            blocks.read.append(-1)
            raise CorpusError("no such shard")
        return load(block)

    source._load = failing
    with pytest.raises(CorpusError, match="no such shard"):
        seen(source, range(sum(SIZES)))
    assert len(seen(source, range(sum(SIZES)))) == sum(SIZES), "another try"


def test_what_nobody_wants_any_more_is_not_read():
    began, may_go_on = threading.Event(), threading.Event()
    blocks = Blocks()

    def slow(block: int) -> WindowSource:
        source = blocks.load(block)
        if threading.current_thread() is not threading.main_thread():
            began.set()
            may_go_on.wait(20)
        return source

    source = StreamedWindows(SIZES, load=slow, batch_size=4, num_lanes=4)
    seen(source, range(4))
    assert began.wait(20)
    readers = source._readers
    del source
    may_go_on.set()
    readers.shutdown(wait=True)
    assert len(blocks.read) == 5, "four at once, one of the four that come after"


def test_fewer_blocks_than_lanes_are_refused():
    with pytest.raises(CorpusError, match=r"7 blocks.* 8 lanes; lower reading\.num_lanes"):
        StreamedWindows(SIZES, load=Blocks().load, batch_size=8, num_lanes=8)


def test_the_blocks_of_a_corpus_are_its_clips_in_order(tmp_path):
    clips = [numbered(f"clip{number}", number) for number in range(2 * BLOCK_CLIPS + 3)]
    write_corpus([*clips, numbered("held", 0, split="validation")], tmp_path / "corpus", motion_fps=25.0)
    corpus = Corpus.open(tmp_path / "corpus")
    blocks = corpus.blocks("train")
    assert [block.num_clips for block in blocks] == [BLOCK_CLIPS, BLOCK_CLIPS, 3]
    assert [block.name for block in blocks] == [f"train-00000-000{number}" for number in range(3)]
    read = [clip for block in blocks for clip in corpus.read_block(block)]
    assert [clip.clip_id for clip in read] == [clip.clip_id for clip in clips]
    np.testing.assert_array_equal(read[70].motion.coefficients, clips[70].motion.coefficients)
    with pytest.raises(CorpusError, match="no split 'test'"):
        corpus.blocks("test")


def test_a_shard_that_was_replaced_is_told(tmp_path):
    corpus = tiny.tiny_corpus(tmp_path / "corpus")
    other = tiny.tiny_corpus(tmp_path / "other", clips_each=3)
    (tmp_path / "corpus" / "train-00000.parquet").write_bytes((tmp_path / "other" / "train-00000.parquet").read_bytes())
    with pytest.raises(CorpusError, match=r"train-00000\.parquet: row group 0 holds 6 clips, expected 8"):
        corpus.read_block(corpus.blocks("train")[0])
    assert other.read_block(other.blocks("train")[0])
