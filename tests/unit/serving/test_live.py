"""Live streams: their pieces are the whole, many at once, in bounded memory, and all is freed however they end."""

import asyncio
import gc
import itertools
import re
import tracemalloc
import weakref

import numpy as np
import pytest
from decoding_pools import refusal
from in_loop import eventually, in_loop
from serving_app import TOLERANCE
from sounds import speech
from tiny_student import tiny_bundle

from diffusiontalker.inference import Bundle, StreamingTalker, animate, make_voice
from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.live import LiveStream, LiveStreams
from diffusiontalker.serving.metrics import Labelled, PrometheusMetrics

BUNDLE = tiny_bundle()
VOICES = [
    make_voice(name="v", identity=pair[0], emotion=pair[1], bundle_digest=BUNDLE.digest, provenance={})
    for pair in np.random.default_rng(0).standard_normal((8, 2, 8))
]


def streams_of(bundle: Bundle = BUNDLE, *, max_streams: int = 8) -> LiveStreams:
    talker = StreamingTalker(bundle, max_streams=max_streams)
    return LiveStreams(talker, pass_s=0.002, metrics=Labelled(PrometheusMetrics(), student="tiny"))


def opened(streams: LiveStreams, *, voice: int = 0, **options) -> LiveStream:
    return streams.open(identity=VOICES[voice].identity, emotion=VOICES[voice].emotion, **options)


async def frames_of(stream: LiveStream) -> np.ndarray:
    parts, number = [np.zeros((0, len(stream.facts.channel_names)), dtype=np.float32)], 0
    async for piece in stream:
        assert piece.first_frame == number
        number += len(piece.coefficients)
        parts.append(piece.coefficients)
    return np.concatenate(parts)


async def feed_all(stream: LiveStream, waveform: np.ndarray, *, seed: int, most: int = 8000) -> None:
    generator, first = np.random.default_rng(seed), 0
    while first < len(waveform):
        size = int(generator.integers(0, most))
        await stream.feed(waveform[first : first + size])
        first += size
        if generator.random() < 0.2:
            await asyncio.sleep(0)
    await stream.finish()


async def is_as_new(streams: LiveStreams, *, bundle: Bundle = BUNDLE) -> None:
    """Nothing is open, every place is free, and the next stream is right."""
    assert not streams._talker.streams
    assert streams.num_open == 0
    all_of_them = [opened(streams) for _ in range(streams._talker.max_streams)]
    assert (await refusal_of(lambda: opened(streams))).code == "busy"
    for stream in all_of_them:
        await stream.close()
    stream = opened(streams, seed=9)
    feeding = asyncio.create_task(feed_all(stream, speech(1.5), seed=0))
    whole = animate(bundle, speech(1.5), voice=VOICES[0], seed=9).coefficients
    np.testing.assert_allclose(await frames_of(stream), whole, atol=TOLERANCE)
    await feeding
    await stream.close()
    assert streams.num_open == 0


async def refusal_of(action) -> ServingError:
    with pytest.raises(ServingError) as caught:
        action()
    return caught.value


@in_loop
async def test_pieces_of_many_streams_are_the_whole():
    streams = streams_of()
    lengths = (0.0001, 0.02, 0.5, 1.0, 2.5, 4.0, 7.7, 12.3)
    live = [opened(streams, voice=index, seed=index, num_steps=1 + index % 3) for index in range(8)]
    waveforms = [speech(seconds, seed=index) for index, seconds in enumerate(lengths)]
    feeding = [
        asyncio.create_task(feed_all(stream, waveform, seed=index))
        for index, (stream, waveform) in enumerate(zip(live, waveforms, strict=True))
    ]
    streamed = await asyncio.gather(*map(frames_of, live))
    await asyncio.gather(*feeding)
    for index, (frames, waveform) in enumerate(zip(streamed, waveforms, strict=True)):
        whole = animate(BUNDLE, waveform, voice=VOICES[index], seed=index, num_steps=1 + index % 3).coefficients
        assert frames.shape == whole.shape
        np.testing.assert_allclose(frames, whole, atol=TOLERANCE)
        await live[index].close()
    text = streams.metrics._metrics.text().decode()
    for name in ("frame_lag_seconds", "stream_pass_streams"):
        counted = re.search(rf'diffusiontalker_{name}_count{{student="tiny"}} (.*)', text)
        assert float(counted[1]) > 0
    await is_as_new(streams)
    await streams.close()


@in_loop
async def test_who_does_not_read_cannot_feed_without_end():
    streams = streams_of()
    stream = opened(streams)
    waveform = speech(60.0)
    feeding = asyncio.create_task(stream.feed(waveform))
    await eventually(lambda: not stream._has_room.is_set() and stream._fed - stream._heard < 4 * 16_000)
    assert not feeding.done()
    assert stream._fed <= 27 * 16_000
    assert stream._unread <= 27 * 25
    other = opened(streams, voice=1)
    await feed_all(other, speech(1.0), seed=0)
    assert len(await frames_of(other)) == 25, "others are not held up"
    await other.close()
    reading = asyncio.create_task(frames_of(stream))
    await feeding
    await stream.finish()
    whole = animate(BUNDLE, waveform, voice=VOICES[0]).coefficients
    np.testing.assert_allclose(await reading, whole, atol=TOLERANCE)
    await stream.close()
    await streams.close()


@in_loop
async def test_a_feeder_that_waits_is_let_go_when_the_stream_is_closed():
    streams = streams_of()
    stream = opened(streams)
    feeding = asyncio.create_task(stream.feed(speech(60.0)))
    await eventually(lambda: not stream._has_room.is_set())
    await stream.close()
    await feeding
    await stream.feed(speech(60.0))
    await stream.finish()
    assert len(await frames_of(stream)) == 0
    await stream.close()
    await is_as_new(streams)
    await streams.close()


@pytest.mark.slow
@in_loop
async def test_a_thousand_streams_that_vanish_leave_nothing():
    streams = streams_of()
    alive: weakref.WeakSet = weakref.WeakSet()
    piece = speech(1.0)

    async def vanish(how: int) -> None:
        stream = opened(streams, seed=how)
        alive.add(stream)
        reading = asyncio.create_task(frames_of(stream))
        if how % 5:
            await stream.feed(piece[: 3000 * (how % 5)])
        if how % 3 == 0:
            await stream.finish()
        if how % 4 == 0:
            await asyncio.wait([reading], timeout=0.001)
        if how % 7 == 0:
            reading.cancel()
        await stream.close()
        await asyncio.wait([reading])

    async def vanish_many(first: int, last: int) -> None:
        for begin in range(first, last, 8):
            await asyncio.gather(*(vanish(how) for how in range(begin, begin + 8)))
            assert streams.num_open == 0

    await vanish_many(0, 200)
    tracemalloc.start()
    held = []
    for first in (200, 600, 1000):
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        if first < 1000:
            await vanish_many(first, first + 400)
    tracemalloc.stop()
    # What leaks does so both times; other threads of this process allocate now and then.
    grown = min(after - before for before, after in itertools.pairwise(held))
    assert grown < 100_000, f"400 streams left {grown} bytes, each time"
    assert len(alive) <= 8, "what the last pass still holds"
    assert streams.num_open == 0
    await is_as_new(streams)
    await streams.close()


@in_loop
async def test_a_pass_that_fails_fails_the_streams_and_not_the_next_one(monkeypatch):
    streams = streams_of()
    live = [opened(streams), opened(streams, voice=1)]
    reading = [asyncio.create_task(frames_of(stream)) for stream in live]
    with monkeypatch.context() as patch:
        patch.setattr(streams._talker, "advance", lambda: 1 / 0)
        await live[0].feed(speech(1.0))
        errors = await asyncio.gather(*reading, return_exceptions=True)
    assert [error.code for error in errors if isinstance(error, ServingError)] == ["internal", "internal"]
    assert "ZeroDivisionError" not in str(errors)
    assert (await refusal(live[1].feed(speech(1.0)))).code == "internal"
    assert (await refusal(frames_of(live[1]))).code == "internal"
    for stream in live:
        await stream.close()
    await is_as_new(streams)
    await streams.close()


@in_loop
async def test_what_one_stream_does_wrong_is_not_the_others_problem():
    streams = streams_of()
    good = opened(streams)
    reading = asyncio.create_task(frames_of(good))
    wrong_voice = streams.open(identity=np.ones(3, dtype=np.float32), emotion=np.ones(3, dtype=np.float32))
    wrong_sound = opened(streams)
    await wrong_sound.feed(np.zeros((100, 2), dtype=np.float32))
    for wrong in (wrong_voice, wrong_sound):
        assert (await refusal(frames_of(wrong))).code == "internal"
        await wrong.close()
    await feed_all(good, speech(2.0), seed=0)
    whole = animate(BUNDLE, speech(2.0), voice=VOICES[0]).coefficients
    np.testing.assert_allclose(await reading, whole, atol=TOLERANCE)
    await good.close()
    await is_as_new(streams)
    await streams.close()


@in_loop
async def test_a_stream_is_not_longer_than_allowed():
    streams = streams_of()
    stream = opened(streams, max_seconds=2.0)
    await stream.feed(speech(1.5))
    error = await refusal(stream.feed(speech(0.6)))
    assert error.code == "too_large"
    assert "2 s" in error.message
    await stream.feed(speech(0.5))
    await stream.finish()
    assert len(await frames_of(stream)) == 50, "what was refused was not heard"
    await stream.close()
    await streams.close()


@in_loop
async def test_only_so_many_are_open_and_a_place_is_free_at_once():
    streams = streams_of(max_streams=2)
    first, second = opened(streams), opened(streams)
    error = await refusal_of(lambda: opened(streams))
    assert error.code == "busy"
    assert error.retry_after_s
    assert streams.num_open == 2
    await first.close()
    await first.close()
    assert streams.num_open == 1
    third = opened(streams)
    for stream in (second, third):
        await stream.close()
    assert (await refusal_of(lambda: opened(streams, num_steps=0))).code == "invalid_parameter"
    await is_as_new(streams)
    await streams.close()


@in_loop
async def test_a_shutdown_fails_the_open_streams_as_unavailable():
    streams = streams_of()
    reader, feeder, done = (opened(streams, voice=index) for index in range(3))
    reading = asyncio.create_task(frames_of(reader))
    feeding = asyncio.create_task(feeder.feed(speech(60.0)))
    await feed_all(done, speech(1.0), seed=0)
    assert len(await frames_of(done)) == 25
    await eventually(lambda: not feeder._has_room.is_set())
    thread = streams._thread
    assert thread is not None
    await streams.close()
    assert not thread.is_alive()
    for action in (reading, feeding, reader.feed(speech()), frames_of(feeder)):
        assert (await refusal(action)).code == "unavailable"
    assert (await refusal_of(lambda: opened(streams))).code == "unavailable"
    assert len(await frames_of(done)) == 0
    for stream in (reader, feeder, done):
        await stream.close()
    assert streams.num_open == 0
    await streams.close()


@in_loop
async def test_a_long_look_ahead_does_not_stop_who_feeds():
    bundle = tiny_bundle(ahead=(None, None), steps=48)
    streams = streams_of(bundle)
    stream = opened(streams)
    assert stream.facts.look_ahead_s > 5.0, "longer than what may be unheard otherwise"
    waveform = speech(30.0)
    reading = asyncio.create_task(frames_of(stream))
    for first in range(0, len(waveform), 1600):
        await stream.feed(waveform[first : first + 1600])
    await stream.finish()
    voice = make_voice(
        name="v", identity=VOICES[0].identity, emotion=VOICES[0].emotion, bundle_digest=bundle.digest, provenance={}
    )
    whole = animate(bundle, waveform, voice=voice).coefficients
    np.testing.assert_allclose(await reading, whole, atol=TOLERANCE)
    await stream.close()
    await streams.close()


@in_loop
async def test_reading_again_after_the_end_ends_at_once():
    streams = streams_of()
    stream = opened(streams)
    await feed_all(stream, speech(0.5), seed=0)
    assert len(await frames_of(stream)) == 13
    assert [piece async for piece in stream] == []
    await stream.close()
    await streams.close()


@in_loop
async def test_what_was_fed_may_be_reused_by_the_caller():
    streams = streams_of()
    stream = opened(streams)
    buffer = np.zeros(16_000, dtype=np.float32)
    for second in range(3):
        buffer[:] = speech(3.0)[second * 16_000 : (second + 1) * 16_000]
        await stream.feed(buffer)
        buffer[:] = np.nan
    await stream.finish()
    whole = animate(BUNDLE, speech(3.0), voice=VOICES[0]).coefficients
    np.testing.assert_allclose(await frames_of(stream), whole, atol=TOLERANCE)
    await stream.close()
    await streams.close()
