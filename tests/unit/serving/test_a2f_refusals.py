"""Streams that break the rules, fail, fall silent or leave: they end with a reason and free their place."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from a2f_calls import END, FPS, FRAME_SAMPLES, LoudnessService, connected, cut, edge, header, parts, sound, talk
from in_loop import eventually, in_loop

from diffusiontalker.serving.a2f import A2FLimits
from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    A2FControllerServiceStub,
)
from diffusiontalker.serving.a2f.generated.a2f_pb2 import (
    BlendShapeParameters,
)
from diffusiontalker.serving.a2f.generated.controller_pb2 import AudioStream
from diffusiontalker.serving.a2f.generated.status_pb2 import Status
from diffusiontalker.serving.a2f.requests import Requests
from diffusiontalker.serving.errors import ServingError

SMALL = A2FLimits(max_clip_s=0.5, max_buffer_s=0.2)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "the first message is missing"),
        ([sound(bytes(640))], "the first message is audio_with_emotion"),
        ([AudioStream()], "the first message is empty"),
        ([header(), header()], "after the header is audio_stream_header"),
        ([header(), sound(bytes(640)), header()], "after the header is audio_stream_header"),
        ([header(), AudioStream()], "after the header is empty"),
        ([header(rate_hz=15_999)], "allowed are 16000 to 144000 Hz"),
        ([header(rate_hz=144_001)], "allowed are 16000 to 144000 Hz"),
        ([header(channels=9)], "9 channels"),
        ([header(channels=0)], "0 channels"),
        ([header(bits=8)], "with 8 bits a sample"),
        ([header(), END], "held no sound"),
        ([header(), sound(b""), END], "held no sound"),
        ([header(rate_hz=48_000), sound(bytes(2)), END], "0.021 ms of sound are too little"),
        ([header(), sound(bytes(641)), END], "1 bytes of an unfinished sample"),
        ([header(), sound(bytes(6_402))], "a buffer of 6402 bytes, at most 6400 (0.2 s of sound)"),
        ([header(), *[sound(bytes(6_400))] * 3], "longer than 0.5 s"),
        ([header(), sound(bytes(640), (0.0, {"joy": float("nan")}))], "emotion 'joy' is nan"),
        (
            [header(blendshape_params=BlendShapeParameters(bs_weight_offsets={"JawOpen": float("inf")}))],
            "is inf",
        ),
    ],
)  # fmt: skip
@in_loop
async def test_a_stream_that_breaks_the_rules_ends_in_error(messages, message):
    service = LoudnessService()
    async with connected(edge(service, limits=SMALL)) as channel:
        answers, call = await talk(channel, *messages, half_closes=not messages)
        assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert message in await call.details()
    assert message in answers[-1].status.message
    assert [answer.status.code for answer in answers if answer.HasField("status")] == [Status.ERROR]
    assert all(stream.is_closed and not stream.is_iterating for stream in service.streams)


@in_loop
async def test_the_limits_themselves_are_allowed():
    async with connected(edge(LoudnessService(), limits=SMALL)) as channel:
        answers, _ = await talk(channel, header(), *[sound(bytes(6_400))] * 2, sound(bytes(3_200)), END)
    assert answers[-1].status.code == Status.SUCCESS


@pytest.mark.parametrize(
    ("service", "code", "message"),
    [
        (LoudnessService(refusal=ServingError("unknown_voice", "no voice 'bob'")), "NOT_FOUND", "no voice 'bob'"),
        (LoudnessService(refusal=ServingError("unavailable", "draining")), "UNAVAILABLE", "draining"),
        (LoudnessService(failure=ServingError("too_large", "too long")), "INVALID_ARGUMENT", "too long"),
        (LoudnessService(failure=RuntimeError("CUDA secrets")), "INTERNAL", "the server failed; the cause is in its"),
    ],
)
@in_loop
async def test_what_fails_in_the_service_fails_the_stream(service, code, message, caplog):
    async with connected(edge(service)) as channel:
        answers, call = await talk(channel, header(), sound(bytes(32_000)))
        assert ((await call.code()).name, answers[-1].status.code) == (code, Status.ERROR)
        assert (await call.details()).startswith(message)
    assert answers[-1].status.message.startswith(message)
    assert all(stream.is_closed and not stream.is_iterating for stream in service.streams)
    secrets = [record.exc_text or str(record.exc_info) for record in caplog.records if record.levelno == logging.ERROR]
    assert [("CUDA secrets" in secret) for secret in secrets] == ([True] if code == "INTERNAL" else [])


@in_loop
async def test_a_busy_server_says_when_to_try_again():
    service = LoudnessService(refusal=ServingError("busy", "64 streams are open", retry_after_s=2.5))
    async with connected(edge(service)) as channel:
        answers, call = await talk(channel, header(), sound(bytes(640)))
        assert await call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(await call.trailing_metadata())["retry-after"] == "2.5"
    assert parts(answers) == ["animation_data_stream_header", "status"]


@pytest.mark.parametrize("messages", [[], [header()], [header(), sound(bytes(2 * FRAME_SAMPLES))]])
@in_loop
async def test_a_client_that_falls_silent_is_let_go(messages):
    service = LoudnessService()
    async with connected(edge(service, limits=A2FLimits(max_idle_s=0.1))) as channel:
        call = A2FControllerServiceStub(channel).ProcessAudioStream()
        for message in messages:
            await call.write(message)
        answers = []
        with pytest.raises(grpc.aio.AioRpcError, match=r"no message for 0\.1 s"):
            while True:
                answers.append(await call.read())
        assert await call.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert parts(answers)[len(messages) :] == ["status"]
    assert answers[-1].status.code == Status.ERROR
    assert all(stream.is_closed for stream in service.streams)


@in_loop
async def test_pauses_shorter_than_the_limit_do_not_add_up(monkeypatch):
    skipped_s = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time.monotonic() + skipped_s[0])

    async def hesitant() -> AsyncIterator[AudioStream]:
        for message in (header(), sound(b""), sound(b""), END):
            skipped_s[0] += 20.0
            await asyncio.sleep(0.01)  # timers that are due by now fire
            yield message

    requests = Requests(hesitant(), limits=A2FLimits(max_idle_s=30.0))
    await requests.header()
    assert [await requests.audio() is None for _ in range(3)] == [False, False, True]
    silent = Requests(hesitant(), limits=A2FLimits(max_idle_s=10.0))
    with pytest.raises(ServingError, match="no message for 10 s"):
        await silent.header()


@in_loop
async def test_a_client_that_leaves_frees_its_stream():
    service = LoudnessService()
    async with connected(edge(service)) as channel:
        call = A2FControllerServiceStub(channel).ProcessAudioStream()
        await call.write(header())
        await call.write(sound(bytes(32_000)))
        for _ in range(26):
            await call.read()
        assert service.streams[0].is_iterating  # it waits for more sound
        call.cancel()
        await eventually(lambda: service.streams[0].is_closed and not service.streams[0].is_iterating)


@in_loop
async def test_a_client_that_never_reads_is_waited_for_and_frees_its_stream_too():
    service, seen = LoudnessService(), [0]

    def is_stuck() -> bool:
        seen.append(service.streams[0].num_given if service.streams else 0)
        return seen[-1] > 0 and seen[-10:] == seen[-1:] * 10

    async with connected(edge(service)) as channel:
        call = A2FControllerServiceStub(channel).ProcessAudioStream()
        await call.write(header())
        for message in cut(bytes(280 * 32_000), 10 * 32_000):
            await call.write(message)
        await eventually(is_stuck)
        assert 0 < service.streams[0].num_given < 280 * FPS
        assert not service.streams[0].is_closed
        call.cancel()
        await eventually(lambda: service.streams[0].is_closed and not service.streams[0].is_iterating)
