"""The Audio2Face-3D services on a real gRPC server, called as NVIDIA's own clients call them."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from in_loop import eventually, in_loop

from diffusiontalker.face import CHANNELS, MotionClip
from diffusiontalker.serving.a2f import SERVICE_NAMES, A2FEdge, A2FLimits
from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    A2FControllerServiceStub,
    add_A2FControllerServiceServicer_to_server,
)
from diffusiontalker.serving.a2f.generated.a2f_pb2 import (
    AudioWithEmotion,
    BlendShapeParameters,
    EmotionPostProcessingParameters,
    FaceParameters,
)
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2 import ConfigsTypeRequest
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2_grpc import A2XExportConfigServiceStub
from diffusiontalker.serving.a2f.generated.audio_pb2 import AudioHeader
from diffusiontalker.serving.a2f.generated.controller_pb2 import AnimationDataStream, AudioStream, AudioStreamHeader
from diffusiontalker.serving.a2f.generated.emotion_with_timecode_pb2 import EmotionWithTimeCode
from diffusiontalker.serving.a2f.generated.status_pb2 import Status
from diffusiontalker.serving.a2f.requests import Requests
from diffusiontalker.serving.errors import ANONYMOUS, Caller, ServingError
from diffusiontalker.serving.service import MotionPiece, SamplingRequest, SpeechStream, StreamFacts, StyleRequest

FPS = 25
FRAME_SAMPLES = 16_000 // FPS
END = AudioStream(end_of_audio=AudioStream.EndOfAudio())


class LoudnessStream:
    """Opens the jaw as wide as each frame's sound is loud; fails before some frame when told to."""

    def __init__(self, *, failure: Exception | None, fail_at: int) -> None:
        self.facts = StreamFacts(fps=FPS, channel_names=CHANNELS, look_ahead_s=1 / FPS)
        self.samples = np.zeros(0, np.float32)
        self.num_given = 0
        self.is_closed = self.is_iterating = False
        self._failure, self._fail_at = failure, fail_at
        self._is_finished = False
        self._changed = asyncio.Event()

    async def feed(self, samples: np.ndarray) -> None:
        self.samples = np.concatenate([self.samples, samples])
        self._changed.set()

    async def finish(self) -> None:
        self._is_finished = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[MotionPiece]:
        self.is_iterating, first = True, 0
        try:
            while not self._is_finished or first * FRAME_SAMPLES < len(self.samples):
                num_ready = -(-len(self.samples) // FRAME_SAMPLES) if self._is_finished else self._num_whole()
                if self._failure is not None and num_ready > self._fail_at:
                    raise self._failure
                if num_ready > first:
                    self.num_given = min(num_ready, first + 40)
                    yield MotionPiece(first_frame=first, coefficients=self._coefficients(first, self.num_given))
                    first = self.num_given
                else:
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            self.is_iterating = False

    async def close(self) -> None:
        self.is_closed = True

    def _num_whole(self) -> int:
        return len(self.samples) // FRAME_SAMPLES

    def _coefficients(self, first: int, stop: int) -> np.ndarray:
        coefficients = np.zeros((stop - first, len(CHANNELS)), np.float32)
        for frame in range(first, stop):
            window = self.samples[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES]
            coefficients[frame - first, CHANNELS.index("jawOpen")] = np.abs(window).max()
        return coefficients


class LoudnessService:
    """A core without a network; remembers what it was asked for."""

    def __init__(self, *, refusal: Exception | None = None, failure: Exception | None = None, fail_at: int = 3) -> None:
        self.fps, self.channel_names, self.emotions = float(FPS), CHANNELS, ("neutral", "happy", "sad")
        self.streams: list[LoudnessStream] = []
        self.styles: list[StyleRequest] = []
        self._refusal, self._failure, self._fail_at = refusal, failure, fail_at

    async def animate(self, waveform: np.ndarray, style: StyleRequest, sampling: SamplingRequest) -> MotionClip:
        raise AssertionError("this interface only streams")

    async def open_stream(
        self, style: StyleRequest, sampling: SamplingRequest, caller: Caller = ANONYMOUS
    ) -> SpeechStream:
        if self._refusal is not None:
            raise self._refusal
        self.styles.append(style)
        self.streams.append(LoudnessStream(failure=self._failure, fail_at=self._fail_at))
        return self.streams[-1]


def let_in(metadata: Mapping[str, str]) -> Caller:
    return Caller(name="anonymous")


def want_key(metadata: Mapping[str, str]) -> Caller:
    if metadata.get("authorization") != "Bearer sesame":
        raise ServingError("unauthenticated", "no known key; send 'authorization: Bearer <key>'")
    return Caller(name="ali")


@contextlib.asynccontextmanager
async def connected(servicer: A2FEdge) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    servicer.add_to_server(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def edge(service: LoudnessService, **options) -> A2FEdge:
    return A2FEdge(service, **{"authenticate": let_in, "is_ready": lambda: True, **options})


def header(*, rate_hz: int = 16_000, channels: int = 1, bits: int = 16, **parameters) -> AudioStream:
    audio = AudioHeader(samples_per_second=rate_hz, channel_count=channels, bits_per_sample=bits)
    return AudioStream(audio_stream_header=AudioStreamHeader(audio_header=audio, **parameters))


def sound(data: bytes, *entries: tuple[float, dict[str, float]]) -> AudioStream:
    emotions = [EmotionWithTimeCode(time_code=at, emotion=what) for at, what in entries]
    return AudioStream(audio_with_emotion=AudioWithEmotion(audio_buffer=data, emotions=emotions))


def staircase(seconds: float) -> np.ndarray:
    """int16 at 16 kHz; frame `i` is as loud as (i mod 32) / 32, so that every frame tells which it is."""
    frame = np.arange(round(seconds * 16_000)) // FRAME_SAMPLES
    return (frame % 32 * 1024).astype("<i2")


def cut(data: bytes, size: int) -> list[AudioStream]:
    return [sound(data[start : start + size]) for start in range(0, len(data), size)]


async def talk(
    channel: grpc.aio.Channel,
    *messages: AudioStream,
    metadata: tuple[tuple[str, str], ...] = (),
    half_closes: bool = False,
) -> tuple[list[AnimationDataStream], grpc.aio.Call]:
    """Sends everything and reads to the end, whatever that is; keeps its half open until the status, as clients do."""
    may_close = asyncio.Event()

    async def outgoing() -> AsyncIterator[AudioStream]:
        for message in messages:
            yield message
        if not half_closes:
            await may_close.wait()

    call = A2FControllerServiceStub(channel).ProcessAudioStream(outgoing(), metadata=metadata)
    answers = []
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for answer in call:
            answers.append(answer)
            if answer.HasField("status"):
                may_close.set()
    return answers, call


def parts(answers: list[AnimationDataStream]) -> list[str | None]:
    return [answer.WhichOneof("stream_part") for answer in answers]


def weights_of(answers: list[AnimationDataStream], name: str) -> list[float]:
    position = list(answers[0].animation_data_stream_header.skel_animation_header.blend_shapes).index(name)
    return [
        frame.values[position]
        for answer in answers
        for frame in answer.animation_data.skel_animation.blend_shape_weights
    ]


@pytest.mark.parametrize("buffer_ms", [10, 333, 1000])
@in_loop
async def test_a_client_that_keeps_to_the_protocol_gets_header_frames_event_and_status(buffer_ms):
    service, samples = LoudnessService(), staircase(2.0)
    before = time.time()
    async with connected(edge(service)) as channel:
        health = await HealthStub(channel).Check(HealthCheckRequest())
        assert health.status == HealthCheckResponse.SERVING
        call = A2FControllerServiceStub(channel).ProcessAudioStream()
        await call.write(header())
        answers = [await call.read()]  # before any sound was sent
        for message in cut(samples.tobytes(), 32 * buffer_ms):
            await call.write(message)
        await call.write(sound(b""))  # their client sends one when the length is a whole number of buffers
        await call.write(END)  # and never half-closes
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(answer)
        assert await call.code() == grpc.StatusCode.OK
    assert parts(answers) == ["animation_data_stream_header", *["animation_data"] * 50, "event", "status"]
    begin = answers[0].animation_data_stream_header
    assert len(begin.skel_animation_header.blend_shapes) == 52
    assert begin.audio_header == header().audio_stream_header.audio_header
    assert before <= begin.start_time_code_since_epoch <= time.time()
    assert weights_of(answers, "JawOpen") == [frame % 32 / 32 for frame in range(50)]
    assert set(weights_of(answers, "TongueOut")) == {0.0}
    for number, answer in enumerate(answers[1:51]):
        data = answer.animation_data
        assert data.skel_animation.blend_shape_weights[0].time_code == data.audio.time_code == number / FPS
        assert data.audio.audio_buffer == samples[number * FRAME_SAMPLES :][:FRAME_SAMPLES].tobytes()
    assert (answers[-1].status.code, answers[-1].status.message) == (Status.SUCCESS, "50 frames for 2.000 s of sound")
    assert service.streams[0].is_closed
    assert not service.streams[0].is_iterating


@pytest.mark.parametrize(
    ("rate_hz", "channels", "num_samples"),
    [(44_100, 2, 44_500), (22_051, 1, 22_500), (144_000, 1, 144_100), (144_000, 8, 146_000)],
)
@in_loop
async def test_any_encoding_comes_back_as_it_was_sent_beside_the_frames(rate_hz, channels, num_samples):
    data = np.random.default_rng(0).integers(-9_000, 9_000, (num_samples, channels)).astype("<i2").tobytes()
    async with connected(edge(LoudnessService())) as channel:
        answers, _ = await talk(channel, header(rate_hz=rate_hz, channels=channels), *cut(data, 4_001), END)
    assert answers[-1].status.code == Status.SUCCESS
    assert b"".join(answer.animation_data.audio.audio_buffer for answer in answers) == data
    assert len(weights_of(answers, "JawOpen")) == 26
    begins = [answer.animation_data.audio.time_code for answer in answers if answer.HasField("animation_data")]
    np.testing.assert_allclose(begins[:26], np.arange(26) / FPS, atol=0.51 / rate_hz)


@in_loop
async def test_sound_too_short_for_a_frame_of_its_own_comes_back_after_the_last():
    data = np.arange(144_004, dtype="<i2").tobytes()  # 16,000 samples at 16 kHz, and a little
    async with connected(edge(LoudnessService())) as channel:
        answers, _ = await talk(channel, header(rate_hz=144_000), sound(data), END)
    assert len(weights_of(answers, "JawOpen")) == 25
    assert b"".join(answer.animation_data.audio.audio_buffer for answer in answers) == data
    rest = answers[26].animation_data
    assert (rest.audio.time_code, len(rest.audio.audio_buffer), rest.HasField("skel_animation")) == (1.0, 8, False)


@in_loop
async def test_frames_come_while_the_client_is_still_speaking():
    async with connected(edge(LoudnessService())) as channel:
        call = A2FControllerServiceStub(channel).ProcessAudioStream()
        await call.write(header())
        await call.read()
        for frame, message in enumerate(cut(staircase(0.4).tobytes(), 2 * FRAME_SAMPLES)):
            await call.write(message)
            answer = await call.read()  # of this very frame; no end was announced
            assert answer.animation_data.skel_animation.blend_shape_weights[0].time_code == frame / FPS
        call.cancel()


@in_loop
async def test_a_voice_an_emotion_and_its_strength_reach_the_service():
    service = LoudnessService()
    asked = header(emotion_post_processing_params=EmotionPostProcessingParameters(emotion_strength=0.5))
    async with connected(edge(service)) as channel:
        spoken = sound(staircase(0.2).tobytes(), (0.0, {"joy": 0.5, "fear": 0.25}))
        answers, _ = await talk(channel, asked, spoken, END, metadata=(("voice", "ada"),))
        plain, _ = await talk(channel, header(), *cut(staircase(0.2).tobytes(), 640), END)
    assert service.styles == [StyleRequest(voice="ada", emotion="happy", emotion_intensity=0.25), StyleRequest()]
    assert [answer[-1].status.code for answer in (answers, plain)] == [Status.SUCCESS, Status.SUCCESS]


@in_loop
async def test_weights_are_scaled_shifted_and_clamped_as_asked():
    scaling = {"bs_weight_multipliers": {"JawOpen": 2.0}, "bs_weight_offsets": {"JawOpen": -0.125, "MouthSmileLeft": 2}}
    spoken = cut(staircase(1.28).tobytes(), 3_200)
    async with connected(edge(LoudnessService())) as channel:
        free, _ = await talk(channel, header(blendshape_params=BlendShapeParameters(**scaling)), *spoken, END)
        clamping = BlendShapeParameters(**scaling, enable_clamping_bs_weight=True)
        clamped, _ = await talk(channel, header(blendshape_params=clamping), *spoken, END)
    expected = [2 * frame / 32 - 0.125 for frame in range(32)]
    assert weights_of(free, "JawOpen") == expected
    assert weights_of(clamped, "JawOpen") == [min(max(weight, 0.0), 1.0) for weight in expected]
    assert (set(weights_of(free, "MouthSmileLeft")), set(weights_of(clamped, "MouthSmileLeft"))) == ({2.0}, {1.0})


@pytest.mark.parametrize(
    ("messages", "remark"),
    [
        (
            [header(blendshape_params=BlendShapeParameters(bs_weight_offsets={"Ears": 1.0, "Nose": 1.0})),
             sound(bytes(640)), END],
            "unknown blend shapes were not changed: Ears, Nose",
        ),
        ([header(), sound(bytes(640), (0.0, {"anger": 1.0})), END], "no emotion for 'anger'"),
        ([header(), sound(bytes(640), (0.0, {"joy": 1.0}), (1.0, {"sadness": 1.0})), END], "1 changes of emotion"),
        ([header(), sound(bytes(640)), sound(bytes(640), (0.0, {"joy": 1.0})), END], "1 changes of emotion"),
        ([header(), sound(bytes(640))], "ended without end_of_audio"),
    ],
)  # fmt: skip
@in_loop
async def test_what_was_asked_for_and_not_done_is_a_warning(messages, remark):
    async with connected(edge(LoudnessService())) as channel:
        answers, call = await talk(channel, *messages, half_closes=True)
        assert await call.code() == grpc.StatusCode.OK
    assert answers[-1].status.code == Status.WARNING
    assert remark in answers[-1].status.message


@in_loop
async def test_parameters_of_other_networks_are_no_reason_to_complain():
    asked = header(
        face_params=FaceParameters(float_params={"lowerFaceStrength": 1.25}, integer_params={"source_frame": 10}),
        blendshape_params=BlendShapeParameters(bs_weight_multipliers={"TongueTipUp": 1.0}),
    )
    async with connected(edge(LoudnessService())) as channel:
        answers, _ = await talk(channel, asked, sound(bytes(640)), END)
    assert answers[-1].status.code == Status.SUCCESS


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


@in_loop
async def test_without_a_key_nothing_but_health_answers():
    service = LoudnessService()
    async with connected(edge(service, authenticate=want_key, configs={"a.yaml": "a: 1\n"})) as channel:
        answers, call = await talk(channel)
        assert (await call.code(), parts(answers)) == (grpc.StatusCode.UNAUTHENTICATED, ["status"])
        assert answers[-1].status.code == Status.ERROR
        configs = A2XExportConfigServiceStub(channel).GetConfigs(ConfigsTypeRequest())
        with pytest.raises(grpc.aio.AioRpcError, match="no known key"):
            await configs.read()
        assert (await HealthStub(channel).Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING
        key = (("authorization", "Bearer sesame"),)
        answers, _ = await talk(channel, header(), sound(bytes(640)), END, metadata=key)
        assert answers[-1].status.code == Status.SUCCESS
        configs = A2XExportConfigServiceStub(channel).GetConfigs(ConfigsTypeRequest(), metadata=key)
        assert [config.name async for config in configs] == ["a.yaml"]
    assert len(service.streams) == 1


@in_loop
async def test_configurations_come_as_yaml_or_as_json():
    configs = {"server.yaml": "fps: 25\n# why\nnames: [a]\n", "limits.yml": "max_clip_s: 300\n"}
    async with connected(edge(LoudnessService(), configs=configs)) as channel:
        stub = A2XExportConfigServiceStub(channel)
        as_yaml = [(config.name, config.content) async for config in stub.GetConfigs(ConfigsTypeRequest())]
        wanted = ConfigsTypeRequest(config_type=ConfigsTypeRequest.JSON)
        as_json = {config.name: json.loads(config.content) async for config in stub.GetConfigs(wanted)}
    assert as_yaml == list(configs.items())
    assert as_json == {"server.json": {"fps": 25, "names": ["a"]}, "limits.json": {"max_clip_s": 300}}


@in_loop
async def test_health_follows_readiness():
    ready = [False]
    async with connected(edge(LoudnessService(), is_ready=lambda: ready[0], health_poll_s=0.01)) as channel:
        stub = HealthStub(channel)
        watch = stub.Watch(HealthCheckRequest(service=SERVICE_NAMES[0]))
        assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
        assert (await stub.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING
        ready[0] = True
        assert (await watch.read()).status == HealthCheckResponse.SERVING
        watch.cancel()
        for service in ("", *SERVICE_NAMES):
            assert (await stub.Check(HealthCheckRequest(service=service))).status == HealthCheckResponse.SERVING
        listed = await stub.List(HealthListRequest())
        assert {name: item.status for name, item in listed.statuses.items()} == dict.fromkeys(("", *SERVICE_NAMES), 1)
        with pytest.raises(grpc.aio.AioRpcError, match="no service 'a2f'") as caught:
            await stub.Check(HealthCheckRequest(service="a2f"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        unknown = stub.Watch(HealthCheckRequest(service="a2f"))
        assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        unknown.cancel()


class RayLike:
    """A servicer that hands over what Ray Serve gives to an ingress, and takes back what its proxy takes."""

    def __init__(self, inner: A2FEdge) -> None:
        self._inner = inner

    async def ProcessAudioStream(self, request_iterator, context):  # noqa: N802
        from ray.serve.grpc_util import RayServegRPCContext, gRPCInputStream

        ray_context = RayServegRPCContext(context)
        ray_context.set_trailing_metadata([("request_id", "1")])
        stream = gRPCInputStream(aiter(request_iterator))
        async with contextlib.aclosing(self._inner.ProcessAudioStream(stream, ray_context)) as answers:
            async for answer in answers:
                ray_context._set_on_grpc_context(context)  # with every message; never after the last
                yield answer

    def add_to_server(self, server: grpc.aio.Server) -> None:
        add_A2FControllerServiceServicer_to_server(self, server)


@in_loop
async def test_an_ingress_of_ray_serve_can_delegate_to_it():
    busy = LoudnessService(refusal=ServingError("busy", "full", retry_after_s=1))
    for service, code, endings in ((LoudnessService(), "OK", [END]), (busy, "RESOURCE_EXHAUSTED", [])):
        async with connected(RayLike(edge(service))) as channel:
            answers, call = await talk(channel, header(), sound(bytes(2 * FRAME_SAMPLES)), *endings)
            assert (await call.code()).name == code
            trailers = dict(await call.trailing_metadata())
        assert answers[-1].status.code == (Status.SUCCESS if code == "OK" else Status.ERROR)
        assert trailers == ({"request_id": "1"} if code == "OK" else {"request_id": "1", "retry-after": "1"})


@pytest.mark.parametrize(
    "wrong",
    [{"min_rate_hz": 0}, {"min_rate_hz": 48_000, "max_rate_hz": 16_000}, {"max_idle_s": 0.0}, {"max_clip_s": -1.0}],
)
def test_limits_that_leave_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        A2FLimits(**wrong)
