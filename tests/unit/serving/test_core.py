"""The core: one embedding for one recording, allowances given back however a request ends, an orderly end."""

import asyncio
import json
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from decoding_pools import refusal
from in_loop import eventually, in_loop
from serving_app import TOLERANCE, arguments_of, core_of, slow_batches
from sounds import speech, wav

from diffusiontalker.inference import VoiceStore, animate, embed, enroll, make_voice
from diffusiontalker.serving.arguments import Limits
from diffusiontalker.serving.core import Core
from diffusiontalker.serving.errors import Caller
from diffusiontalker.serving.service import SamplingRequest, Service, StyleRequest, Upload
from diffusiontalker.serving.style_entry import StylePair

NO_STYLE, SAMPLING = StyleRequest(), SamplingRequest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("endpoint")
    arguments_of(path)
    return path


class Gate:
    """The personalizer, behind a gate."""

    def __init__(self, inner) -> None:
        self.inner, self.gate, self.num_waiting = inner, asyncio.Event(), 0

    async def embed(self, waveform: np.ndarray) -> StylePair:
        self.num_waiting += 1
        try:
            await self.gate.wait()
            return await self.inner.embed(waveform)
        finally:
            self.num_waiting -= 1


def is_computing(core: Core) -> bool:
    """Whether recordings are computed and none waits."""
    batcher = core.student().engine.batcher
    return not batcher.is_idle and batcher.waiting == 0


def counted(core: Core, name: str) -> Iterator[tuple[str, float]]:
    for line in core.metrics.text().decode().splitlines():
        if line.startswith(f"diffusiontalker_{name}"):
            label, _, value = line.rpartition(" ")
            yield label, float(value)


@in_loop
async def test_one_reference_is_embedded_once_however_many_ask(folder):
    async with core_of(folder) as core:
        assert isinstance(core, Service)
        reference = speech(3.0, seed=7)
        styles = [StyleRequest(reference=reference.copy()) for _ in range(20)]
        clips = await asyncio.gather(*(core.animate(speech(), style, SAMPLING) for style in styles))
        counters = core.student().personalizer._cache.counters
        assert (counters.misses, counters.computed, counters.joined) == (1, 1, 19)
        again = await asyncio.gather(*(core.animate(speech(), style, SAMPLING) for style in styles))
        assert (counters.misses, counters.computed, counters.joined, counters.hits_memory) == (1, 1, 19, 20)
        voice = make_voice(
            name="v", **dict(zip(("identity", "emotion"), embed(core.student().bundle, reference), strict=True)),
            bundle_digest=core.student().bundle.digest, provenance={},
        )  # fmt: skip
        whole = animate(core.student().bundle, speech(), voice=voice).coefficients
        for clip in (*clips, *again):
            np.testing.assert_allclose(clip.coefficients, whole, atol=TOLERANCE)
        told = dict(counted(core, "style_cache_total"))
        assert {label.split('"')[1]: value for label, value in told.items()} == {
            "memory": 20.0, "joined": 19.0, "computed": 1.0
        }  # fmt: skip


@in_loop
async def test_enrolled_from_several_recordings_is_enrolled_offline(folder):
    async with core_of(folder, voices=str(folder / "several")) as core:
        references = [speech(2.0, seed=seed) for seed in (1, 2, 3)]
        voice = await core.student().enroll(references, name="Anna B.")
        expected = enroll(core.student().bundle, references, name="Anna B.")
        np.testing.assert_allclose(voice.identity, expected.identity, atol=1e-5)
        np.testing.assert_allclose(voice.emotion, expected.emotion, atol=1e-5)
        assert voice.provenance.items() >= expected.provenance.items()
        assert (await refusal(core.student().enroll(references, name="Anna B."))).code == "voice_exists"
        assert (await refusal(core.student().enroll([speech(0.5)], name="short"))).code == "invalid_parameter"
        assert (await refusal(core.student().enroll(references, name="\n"))).code == "invalid_parameter"
        clip = await core.animate(speech(), StyleRequest(voice=voice.voice_id), SAMPLING)
        whole = animate(core.student().bundle, speech(), voice=expected).coefficients
        np.testing.assert_allclose(clip.coefficients, whole, atol=TOLERANCE)


@in_loop
async def test_voices_that_cannot_be_used_are_unknown(folder):
    async with core_of(folder) as core:
        foreign = make_voice(
            name="foreign", identity=np.ones(8), emotion=np.ones(8), bundle_digest="f" * 64, provenance={}
        )
        VoiceStore(folder / "voices").save(foreign, overwrite=True)
        for name, message in (
            ("nobody", "there is no voice 'nobody'"),
            ("ANNA", "this bundle's own: anna, Ben"),
            ("../../etc/passwd", "is not allowed"),
            (foreign.voice_id, "enroll it again with this bundle"),
        ):
            for asked in (core.animate, core.open_stream):
                arguments = (speech(),) if asked == core.animate else ()
                error = await refusal(asked(*arguments, StyleRequest(voice=name), SAMPLING))
                assert error.code == "unknown_voice"
                assert message in error.message
        both = StyleRequest(voice="anna", reference=speech())
        assert (await refusal(core.animate(speech(), both, SAMPLING))).code == "invalid_parameter"
        assert core.student().engine.is_idle


@in_loop
async def test_one_caller_has_only_so_many_streams(folder):
    async with core_of(folder, limits={"max_streams_per_key": 2}) as core:
        anna, ben = Caller("anna"), Caller("ben")
        streams = [await core.open_stream(NO_STYLE, SAMPLING, anna) for _ in range(2)]
        assert dict(counted(core, "streams_open"))["diffusiontalker_streams_open"] == 2.0
        error = await refusal(core.open_stream(NO_STYLE, SAMPLING, anna))
        assert error.code == "busy"
        assert "'anna' has 2 streams open" in error.message
        streams.append(await core.open_stream(NO_STYLE, SAMPLING, ben))
        await streams[0].close()
        await streams[0].close()
        streams.append(await core.open_stream(NO_STYLE, SAMPLING, anna))
        for stream in streams:
            await stream.close()
        assert core.student().engine.is_idle
        assert not core._streams_of
        assert dict(counted(core, "streams_open"))["diffusiontalker_streams_open"] == 0.0


@in_loop
async def test_whoever_leaves_while_a_stream_begins_leaves_nothing(folder):
    async with core_of(folder) as core:
        core.student().personalizer = personalizer = Gate(core.student().personalizer)
        style = StyleRequest(reference=speech())
        opening = [asyncio.create_task(core.open_stream(style, SAMPLING)) for _ in range(5)]
        await eventually(lambda: personalizer.num_waiting == 5)
        assert core._streams_of["anonymous"] == 5
        for task in opening:
            task.cancel()
        await asyncio.wait(opening)
        assert not core._streams_of
        personalizer.gate.set()
        core.student().personalizer = personalizer.inner
        assert (await refusal(core.open_stream(StyleRequest(emotion="joyful"), SAMPLING))).code == "invalid_parameter"
        assert not core._streams_of
        assert core.student().engine.is_idle


@in_loop
async def test_a_stream_lives_only_so_long(folder):
    async with core_of(folder, limits={"wall_seconds": 0.2}) as core:
        idle, busy = [await core.open_stream(NO_STYLE, SAMPLING) for _ in range(2)]

        async def drip() -> None:
            while True:
                await busy.feed(np.zeros(16, dtype=np.float32))
                await asyncio.sleep(0.01)

        async def read() -> None:
            async for _ in idle:
                pass

        for error in await asyncio.gather(refusal(drip()), refusal(read())):
            assert error.code == "too_slow"
            assert "0.2 s" in error.message
        await eventually(lambda: core.student().engine.is_idle)
        for stream in (idle, busy):
            await stream.close()
        assert not core._streams_of


@in_loop
async def test_cancelled_recordings_are_not_computed(folder):
    async with core_of(folder) as core:
        with slow_batches(core) as gate:
            first = asyncio.create_task(core.animate(speech(), NO_STYLE, SAMPLING))
            await eventually(lambda: is_computing(core))
            leaving = [asyncio.create_task(core.animate(speech(), NO_STYLE, SAMPLING)) for _ in range(5)]
            await eventually(lambda: core.student().engine.batcher.waiting == 5)
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
            assert core.student().engine.batcher.waiting == 0
            gate.set()
            await first
        assert dict(counted(core, "batch_jobs_sum"))['diffusiontalker_batch_jobs_sum{student="student"}'] == 1.0


@in_loop
async def test_what_ends_takes_nothing_new_and_finishes_what_is_under_way(folder):
    async with core_of(folder) as core:
        with slow_batches(core) as gate:
            computing = asyncio.create_task(core.animate(speech(), NO_STYLE, SAMPLING))
            await eventually(
                lambda: not core.student().engine.batcher.is_idle and core.student().engine.batcher.waiting == 0
            )
            closing = asyncio.create_task(core.close())
            await eventually(lambda: core.is_closing)
            with pytest.raises(Exception, match="shutting down") as caught:
                core.authenticate(None)
            assert caught.value.code == "unavailable"
            assert not closing.done()
            gate.set()
            assert len((await computing).coefficients) == 25
        await closing


@in_loop
async def test_closing_frees_threads_and_processes_and_fails_who_still_waits(folder):
    before = set(threading.enumerate())
    async with core_of(folder) as core:
        await core.decode(Upload("a.wav", wav(speech())))
        await core.animate(speech(), StyleRequest(reference=speech(2.0)), SAMPLING)
        stream = await core.open_stream(NO_STYLE, SAMPLING)
        await stream.feed(speech())
        assert core.decoder.process_ids
        reading = asyncio.create_task(anext(aiter(stream)))
        await reading
        with slow_batches(core) as gate:
            computing = asyncio.create_task(core.animate(speech(), NO_STYLE, SAMPLING))
            await eventually(
                lambda: not core.student().engine.batcher.is_idle and core.student().engine.batcher.waiting == 0
            )
            waiting = asyncio.create_task(core.animate(speech(), NO_STYLE, SAMPLING))
            await eventually(lambda: core.student().engine.batcher.waiting == 1)
            closing = asyncio.create_task(core.close())
            assert (await refusal(waiting)).code == "unavailable"
            gate.set()
            await closing
            assert len((await computing).coefficients) == 25
        assert (await refusal(stream.feed(speech()))).code == "unavailable"
        await stream.close()
        assert not core.decoder.process_ids

        def ours() -> set[str]:
            """Threads that are neither the loop's own nor those of a store, which ends when it is collected."""
            names = {thread.name for thread in set(threading.enumerate()) - before}
            return {name for name in names if not name.startswith(("asyncio", "folder-store"))}

        await eventually(lambda: not ours())


@in_loop
async def test_limits_and_batches_change_while_it_runs(folder):
    async with core_of(folder) as core:
        core.reconfigure(limits=Limits(max_seconds=1.0), max_batch_frames=7, max_waiting=3)
        assert (core.student().engine.batcher.max_size, core.student().engine.batcher.max_waiting) == (7, 3)
        assert (await refusal(core.decode(Upload("long.wav", wav(speech(2.0)))))).code == "too_large"
        core.reconfigure(max_waiting=4)
        assert core.limits.max_seconds == 1.0


@in_loop
async def test_what_is_loaded_can_be_told_as_json(folder):
    async with core_of(folder) as core:
        about = json.loads(json.dumps(core.about()))
        assert about["digest"] == core.student().bundle.digest
        assert about["streams"]["max_open"] == 64
        assert about["limits"]["wall_seconds"] == 900.0
        assert set(about["speakers"]) == {"anna", "Ben"}
