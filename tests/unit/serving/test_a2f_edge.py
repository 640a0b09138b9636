"""The Audio2Face-3D stream on a real gRPC server: what a client that keeps to the protocol gets."""

import time

import grpc
import numpy as np
import pytest
from a2f_calls import (
    END,
    FPS,
    FRAME_SAMPLES,
    LoudnessService,
    connected,
    cut,
    edge,
    header,
    parts,
    sound,
    staircase,
    talk,
    weights_of,
)
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from in_loop import in_loop

from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    A2FControllerServiceStub,
)
from diffusiontalker.serving.a2f.generated.a2f_pb2 import (
    BlendShapeParameters,
    EmotionPostProcessingParameters,
    FaceParameters,
)
from diffusiontalker.serving.a2f.generated.status_pb2 import Status
from diffusiontalker.serving.service import StyleRequest


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
