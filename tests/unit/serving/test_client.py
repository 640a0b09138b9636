"""The client against a real server: both kinds, every method, every error by name."""

import asyncio
import hashlib
import inspect
import json
from collections.abc import Iterator

import numpy as np
import pytest
from both_clients import Both, error_of
from in_loop import in_loop
from serving_app import TOLERANCE, Server, served
from sounds import speech, wav
from tiny_student import tiny_bundle

from diffusiontalker.client import AsyncClient, Client
from diffusiontalker.face import CHANNELS
from diffusiontalker.inference import animate, embed, make_voice

BUNDLE = tiny_bundle()
SOUND = wav(speech(1.2))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "keys.txt").write_text(f"alice:{hashlib.sha256(b'sesame').hexdigest()}")
    with served(folder, keys_file=str(folder / "keys.txt"), limits={"max_seconds": 5.0}) as started:
        yield started


@pytest.fixture(params=[False, True], ids=["blocking", "asyncio"])
def is_async(request) -> bool:
    return request.param


@pytest.fixture
def client(server, is_async) -> Iterator[Both]:
    made = Both(server.url, is_async=is_async)
    yield made
    made.end()


def voice_of(waveform: np.ndarray):
    identity, emotion = embed(BUNDLE, waveform)
    return make_voice(name="v", identity=identity, emotion=emotion, bundle_digest=BUNDLE.digest, provenance={})


def offline(**options) -> np.ndarray:
    return animate(BUNDLE, speech(1.2), **options).coefficients


def test_both_clients_have_the_same_methods():
    def signatures(kind: type) -> dict[str, list[str]]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(one).parameters) for name, one in members if not name.startswith("_")}

    assert signatures(Client) == signatures(AsyncClient)


def test_a_recording_is_animated_as_offline(client, tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(SOUND)
    reference = tmp_path / "reference.wav"
    reference.write_bytes(wav(speech(2.0, seed=1)))
    for audio, options, expected in (
        (SOUND, {}, offline()),
        (path, {"voice": "Ben", "emotion": "sad", "seed": 5}, offline(voice="Ben", emotion="sad", seed=5)),
        (str(path), {"reference": reference}, offline(voice=voice_of(speech(2.0, seed=1)))),
    ):
        animation = client.animate(audio, **options)
        assert animation.fps == 25.0
        assert animation.channel_names == CHANNELS
        np.testing.assert_allclose(animation.coefficients, expected, atol=TOLERANCE)
        assert np.array_equal(animation.channel("jawOpen"), animation.coefficients[:, CHANNELS.index("jawOpen")])
    with pytest.raises(KeyError, match="no channel 'jaw'"):
        animation.channel("jaw")
    with pytest.raises(FileNotFoundError):
        client.animate(tmp_path / "nothing.wav")


@pytest.mark.parametrize("suffix", ["csv", "JSON", "glb", "2.livelink.csv", "a2f.json"])
def test_an_animation_is_downloaded_in_the_format_of_its_suffix(client, tmp_path, suffix):
    out = client.download(SOUND, tmp_path / f"out.{suffix}", seed=1)
    assert out.stat().st_size > 1000
    if suffix == "JSON":
        np.testing.assert_allclose(json.loads(out.read_bytes())["frames"], offline(seed=1), atol=TOLERANCE)
    if suffix == "a2f.json":
        np.testing.assert_allclose(json.loads(out.read_bytes())["weightMat"], offline(seed=1), atol=TOLERANCE)
    if suffix.endswith("csv"):
        assert out.read_bytes().startswith(b"Timecode," if "livelink" in suffix else b"time_s,")


def test_voices_from_enrolment_to_deletion(client):
    assert client.about()["digest"] == BUNDLE.digest
    first = client.enroll("Anna", wav(speech(2.0, seed=1)))
    second = client.enroll("Ben", wav(speech(1.0, seed=2)), wav(speech(1.0, seed=3)))
    assert {voice["id"] for voice in client.voices()} == {first["id"], second["id"]}
    assert client.voice(first["id"]) == first
    assert client.rename(first["id"], "Annette")["name"] == "Annette"
    both = client.blend("Both", {first["id"]: 1.0, second["id"]: 3.0})
    np.testing.assert_allclose(
        client.animate(SOUND, voice=first["id"]).coefficients, offline(voice=voice_of(speech(2.0, seed=1))),
        atol=TOLERANCE,
    )  # fmt: skip
    for voice in (first, second, both):
        assert client.delete(voice["id"]) is None
    assert client.voices() == []


def test_all_pages_of_voices_are_read(server, client, monkeypatch):
    made = [client.enroll(name, wav(speech(1.5, seed=seed)))["id"] for seed, name in enumerate("abc")]
    listing = server.core.voices.list
    monkeypatch.setattr(server.core.voices, "list", lambda *, limit, after: listing(limit=1, after=after))
    assert [voice["id"] for voice in client.voices()] == sorted(made)
    monkeypatch.undo()
    for voice_id in made:
        client.delete(voice_id)


def test_what_the_endpoint_refuses_is_an_error_by_name(server, client, tmp_path):
    for action, arguments, options, code, status in (
        (client.animate, (b"hello" * 9,), {}, "unsupported_format", 415),
        (client.animate, (SOUND,), {"voice": "nobody"}, "unknown_voice", 404),
        (client.animate, (SOUND,), {"fps": 999}, "invalid_parameter", 422),
        (client.download, (SOUND, tmp_path / "out.fbx"), {}, "invalid_parameter", 422),
        (client.voice, ("nobody",), {}, "unknown_voice", 404),
        (client.delete, ("../bundle",), {}, "unknown_path", 404),
        (client.rename, ("a?b", "c"), {}, "invalid_parameter", 422),
        (client.enroll, ("a", wav(speech(0.2))), {}, "invalid_parameter", 422),
    ):
        error = error_of(action, *arguments, **options)
        assert (error.code, error.status) == (code, status)
        assert str(error) == f"{code}: {error.message}"
        assert not error.is_temporary
    assert not (tmp_path / "out.fbx").exists()
    with_wrong_key = Both(server.url, is_async=isinstance(client.client, AsyncClient), key="please")
    assert error_of(with_wrong_key.about).code == "unauthenticated"
    assert error_of(with_wrong_key.streamed, speech()).code == "unauthenticated"
    with_wrong_key.end()


def test_a_stream_is_the_whole(client):
    waveform = speech(3.3)
    facts, frames = client.streamed(waveform, sample_format="float32", voice="anna", emotion="happy", seed=2)
    assert facts["fps"] == 25.0
    assert facts["channel_names"] == list(CHANNELS)
    text = client.streamed(waveform, sample_format="float32", voice="anna", emotion="happy", seed=2, frames="json")[1]
    integers = (waveform * 32767).round().astype("<i2")
    coarse = client.streamed(integers, voice="anna", emotion="happy", seed=2)[1]
    np.testing.assert_allclose(text, frames, atol=TOLERANCE)
    np.testing.assert_allclose(coarse, frames, atol=5e-3)
    assert len(frames) == 83


def test_samples_of_another_type_than_announced_are_not_sent(client):
    with pytest.raises(ValueError, match="samples are float64, but"):
        client.streamed(np.zeros(100), sample_format="float32")


def test_a_stream_that_fails_says_why_whether_one_reads_or_sends(server):
    with Client(server.url, key="sesame") as client:
        assert error_of(client.stream(voice="nobody").__enter__).code == "unknown_voice"
        with client.stream(sample_format="float32") as stream:
            stream.send(speech(6.0))
            assert "longer than 5 s" in error_of(list, stream).message
        with client.stream(sample_format="float32") as stream:

            def send_on() -> None:
                while True:
                    stream.send(speech(1.0))

            error = error_of(send_on)
            assert error.code == "too_large"
            assert error.message.startswith("the stream is longer")
            assert error_of(stream.end).code == "too_large"


@in_loop
async def test_one_may_send_and_read_at_the_same_time(server):
    waveform = speech(4.0)
    async with AsyncClient(server.url, key="sesame") as client, client.stream(sample_format="float32") as stream:

        async def send() -> None:
            for first in range(0, len(waveform), 1600):
                await stream.send(waveform[first : first + 1600])
            await stream.end()

        sending = asyncio.create_task(send())
        numbers = []
        async for frames in stream:
            numbers += [frames.first_frame + row for row in range(len(frames.coefficients))]
        await sending
    assert numbers == list(range(100))
