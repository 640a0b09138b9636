"""`diffusiontalker serve`: what comes out of Ray Serve is what `animate` gives, by every way in."""

import asyncio
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from endpoint import wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sounds import speech, wav

from diffusiontalker.client import AsyncClient, Client, EndpointError
from diffusiontalker.face import CHANNELS, read_motion
from diffusiontalker.inference import animate, enroll, load_bundle
from diffusiontalker.serving.a2f.generated import (
    a2f_controller_service_pb2_grpc,
    a2f_pb2,
    a2x_export_config_service_pb2,
    a2x_export_config_service_pb2_grpc,
    audio_pb2,
    controller_pb2,
    status_pb2,
)

pytestmark = [pytest.mark.ray, pytest.mark.serve]
TOLERANCE = 2e-5
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def bundle(bundle_path):
    return load_bundle(bundle_path)


@pytest.fixture(scope="module")
def teacher(teacher_path):
    return load_bundle(teacher_path)


@pytest.fixture(scope="module")
def channel(endpoint):
    with grpc.insecure_channel(f"127.0.0.1:{endpoint.grpc_port}") as opened:
        yield opened


def assert_equal(frames, expected):
    assert frames.shape == expected.shape
    np.testing.assert_allclose(frames, expected, atol=TOLERANCE)


def test_files_streams_and_voices_equal_animate(endpoint, bundle):
    samples, references = speech(seed=1, seconds=1.7), [speech(seed=2), speech(seed=3)]
    with Client(endpoint.url) as client:
        animation = client.animate(wav(samples), seed=5)
        assert_equal(animation.coefficients, animate(bundle, samples, seed=5).coefficients)
        assert (animation.fps, animation.channel_names) == (25.0, CHANNELS)
        voice = client.enroll("Anna", *map(wav, references))
        expected = animate(bundle, samples, voice=enroll(bundle, references, name="Anna"), seed=5).coefficients
        assert_equal(client.animate(wav(samples), voice=voice["id"], seed=5).coefficients, expected)
        with client.stream(voice=voice["id"], sample_format="float32", seed=5) as stream:
            assert stream.facts["look_ahead_ms"] < 300
            for first in range(0, len(samples), 700):
                stream.send(samples[first : first + 700])
            stream.end()
            assert_equal(np.concatenate([piece.coefficients for piece in stream]), expected)
        client.delete(voice["id"])


def test_the_studio_is_served(endpoint):
    with httpx.Client(base_url=endpoint.url, timeout=30.0) as client:
        page = client.get("/", follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/studio/"), page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        (script,) = re.findall(r'src="\./(assets/[^"]+\.js)"', page.text)
        for path in ("/studio/", f"/studio/{script}", "/studio/head.glb"):
            answer = client.get(path)
            assert answer.headers["content-encoding"] == "gzip", path
            again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            only = client.head(path)
            assert (only.status_code, only.content, only.headers["etag"]) == (200, b"", answer.headers["etag"])


def test_every_student_is_asked_by_its_name(endpoint, bundle, teacher, channel):
    samples, reference = speech(seed=1, seconds=1.5), speech(seed=2, seconds=2.0)
    with Client(endpoint.url, retries=0) as client:
        about = client.about()
        assert (about["students"], about["digest"]) == (["first", "teacher"], bundle.digest)
        for name, student in (("first", bundle), ("teacher", teacher)):
            expected = animate(student, samples, voice=enroll(student, [reference], name="r")).coefficients
            assert_equal(client.animate(wav(samples), reference=wav(reference), student=name).coefficients, expected)
        with client.stream(student="teacher", voice="anna", sample_format="float32") as stream:
            stream.send(samples)
            stream.end()
            expected = animate(teacher, samples, voice="anna", emotion="neutral").coefficients
            assert_equal(np.concatenate([piece.coefficients for piece in stream]), expected)
        with pytest.raises(EndpointError, match="there are first, teacher") as caught:
            client.animate(wav(samples), student="nobody")
        assert caught.value.code == "unknown_student"
    controller = a2f_controller_service_pb2_grpc.A2FControllerServiceStub(channel)
    header, *_ = a2f_messages(samples)
    call = controller.ProcessAudioStream(iter([header]), metadata=(("student", "nobody"),), timeout=60)
    with pytest.raises(grpc.RpcError) as refused:
        list(call)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    exporter = a2x_export_config_service_pb2_grpc.A2XExportConfigServiceStub(channel)
    configs = exporter.GetConfigs(a2x_export_config_service_pb2.ConfigsTypeRequest(), timeout=20)
    assert {config.name for config in configs} == {"bundle.yaml", "bundle-teacher.yaml"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readmes_request_is_answered(endpoint, tmp_path):
    (line,) = [line for line in README.read_text().splitlines() if line.startswith("curl ")]
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "hello.wav").write_bytes(wav(speech(seconds=2.0)))
    words = shlex.split(line.replace("http://127.0.0.1:8000", endpoint.url))
    subprocess.run([*words, "--silent", "--fail"], cwd=tmp_path, check=True, timeout=60)
    assert read_motion(tmp_path / "hello.csv").num_frames == 50


def test_a_reference_is_heard_by_the_personalizer(endpoint, bundle):
    samples, reference = speech(seed=1), speech(seed=8, seconds=2.0)
    expected = animate(bundle, samples, voice=enroll(bundle, [reference], name="r"), emotion="happy").coefficients
    with Client(endpoint.url) as client:
        for _ in range(2):
            animation = client.animate(wav(samples), reference=wav(reference), emotion="happy")
            assert_equal(animation.coefficients, expected)


def test_many_at_once_are_what_each_is_alone(endpoint, bundle):
    sounds = [speech(seed=number, seconds=0.5 + 0.1 * number) for number in range(12)]

    async def animated():
        async with AsyncClient(endpoint.url) as client:
            return await asyncio.gather(
                *(client.animate(wav(sound), voice="anna", seed=number, emotion="sad")
                  for number, sound in enumerate(sounds))
            )  # fmt: skip

    for number, animation in enumerate(asyncio.run(animated())):
        expected = animate(bundle, sounds[number], voice="anna", seed=number, emotion="sad")
        assert_equal(animation.coefficients, expected.coefficients)


def test_errors_keep_their_code_through_ray_serve(endpoint):
    with Client(endpoint.url, retries=0) as client:
        for sound, options, code in (
            (b"nonsense", {}, "unsupported_format"),
            (wav(speech()), {"voice": "nobody"}, "unknown_voice"),
            (wav(speech()), {"emotion": "joyful"}, "invalid_parameter"),
            (wav(speech(seconds=0.01)), {}, "bad_audio"),
        ):
            with pytest.raises(EndpointError) as caught:
                client.animate(sound, **options)
            assert caught.value.code == code


def a2f_messages(samples: np.ndarray):
    header = controller_pb2.AudioStreamHeader(
        audio_header=audio_pb2.AudioHeader(channel_count=1, samples_per_second=16_000, bits_per_sample=16)
    )
    yield controller_pb2.AudioStream(audio_stream_header=header)
    pcm = (samples * 32767).astype("<i2").tobytes()
    for first in range(0, len(pcm), 3200):
        yield controller_pb2.AudioStream(
            audio_with_emotion=a2f_pb2.AudioWithEmotion(audio_buffer=pcm[first : first + 3200])
        )
    yield controller_pb2.AudioStream(end_of_audio=controller_pb2.AudioStream.EndOfAudio())


def test_audio2face_clients_are_served(channel, bundle):
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    exporter = a2x_export_config_service_pb2_grpc.A2XExportConfigServiceStub(channel)
    configs = list(exporter.GetConfigs(a2x_export_config_service_pb2.ConfigsTypeRequest(), timeout=20))
    assert bundle.digest in configs[0].content
    samples = speech(seed=4, seconds=1.5)
    controller = a2f_controller_service_pb2_grpc.A2FControllerServiceStub(channel)
    call = controller.ProcessAudioStream(a2f_messages(samples), metadata=(("voice", "Ben"),), timeout=60)
    header, *data, event, status = call
    names = list(header.animation_data_stream_header.skel_animation_header.blend_shapes)
    assert names == [name[0].upper() + name[1:] for name in names]
    assert event.HasField("event")
    assert status.status.code == status_pb2.Status.SUCCESS
    frames = np.float32([message.animation_data.skel_animation.blend_shape_weights[0].values for message in data])
    order = [CHANNELS.index(name[0].lower() + name[1:]) for name in names]
    quantized = (samples * 32767).astype("<i2").astype(np.float32) / 32768
    expected = animate(bundle, quantized, voice="Ben", emotion="neutral").coefficients[:, order]
    assert_equal(frames, expected)


def test_a_cancelled_call_frees_its_stream(channel, endpoint, bundle):
    controller = a2f_controller_service_pb2_grpc.A2FControllerServiceStub(channel)
    for _ in range(70):  # more than may be open at once
        call = controller.ProcessAudioStream(a2f_messages(speech(seed=4, seconds=0.3)), timeout=60)
        assert next(call).HasField("animation_data_stream_header")
        call.cancel()
    with Client(endpoint.url, retries=10) as client, client.stream() as stream:
        stream.end()
        assert list(stream) == []


def test_sigterm_lets_streams_end(endpoint, bundle):
    """The last of this file: it ends the endpoint that the others share."""
    samples = speech(seed=1, seconds=4.0)
    with Client(endpoint.url) as client, client.stream(sample_format="float32", voice="anna") as stream:
        stream.send(samples[:16_000])
        pieces = iter(stream)
        frames = [next(pieces).coefficients]
        endpoint.terminate()
        wait_for(lambda: "finishing" in endpoint.log.read_text(), what=endpoint.log.read_text)
        for begin in range(16_000, len(samples), 8000):
            stream.send(samples[begin : begin + 8000])
        stream.end()
        frames += [piece.coefficients for piece in pieces]
    assert_equal(np.concatenate(frames), animate(bundle, samples, voice="anna", emotion="neutral").coefficients)
    assert endpoint.end() == 0, endpoint.log.read_text()
    assert "Traceback" not in endpoint.log.read_text()
