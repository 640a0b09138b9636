"""The client against a real server: both kinds, every method, every error by name, patience where it is asked for."""

import asyncio
import hashlib
import inspect
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from in_loop import in_loop
from serving_app import TOLERANCE, Server, served, speech, tiny_bundle, wait_until, wav

from diffusiontalker.client import AsyncClient, Client, EndpointError
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


class Both:
    """Calls the blocking or the asyncio client in the same way."""

    def __init__(self, url: str, *, is_async: bool, **options) -> None:
        self.client = (AsyncClient if is_async else Client)(url, **({"key": "sesame"} | options))
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str):
        def call(*arguments, **options):
            made = getattr(self.client, name)(*arguments, **options)
            return self._loop.run_until_complete(made) if inspect.isawaitable(made) else made

        return call

    def streamed(self, waveform: np.ndarray, **start) -> tuple[dict, np.ndarray]:
        """Facts and frames of a stream that is fed at once."""
        if isinstance(self.client, Client):
            with self.client.stream(**start) as stream:
                stream.send(waveform)
                stream.end()
                return stream.facts, np.concatenate([frames.coefficients for frames in stream])
        return self._loop.run_until_complete(self._streamed(waveform, start))

    async def _streamed(self, waveform: np.ndarray, start: dict) -> tuple[dict, np.ndarray]:
        assert isinstance(self.client, AsyncClient)
        async with self.client.stream(**start) as stream:
            await stream.send(waveform)
            await stream.end()
            return stream.facts, np.concatenate([frames.coefficients async for frames in stream])

    def end(self) -> None:
        self.close()
        self._loop.close()


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


@pytest.mark.parametrize("suffix", ["csv", "JSON", "glb"])
def test_an_animation_is_downloaded_in_the_format_of_its_suffix(client, tmp_path, suffix):
    out = client.download(SOUND, tmp_path / f"out.{suffix}", seed=1)
    assert out.stat().st_size > 1000
    if suffix == "JSON":
        np.testing.assert_allclose(json.loads(out.read_bytes())["frames"], offline(seed=1), atol=TOLERANCE)


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


def error_of(action, *arguments, **options) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        action(*arguments, **options)
    return caught.value


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


class Flaky(ThreadingHTTPServer):
    """Gives the answers it was told to, one a request; an answer of None hangs up."""

    def __init__(self, *answers: tuple[int, dict, str] | None) -> None:
        self.answers, self.times = list(answers), []
        super().__init__(("127.0.0.1", 0), _FlakyHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Flaky":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _FlakyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Flaky)
        self.server.times.append(time.monotonic())
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments) -> None:
        pass


def busy(after_s: float) -> tuple[int, dict, str]:
    return 429, {}, json.dumps({"error": {"code": "busy", "message": "try again", "retry_after_s": after_s}})


GOOD = (200, {}, "{}")


def test_a_busy_endpoint_is_asked_again_after_as_long_as_it_says(is_async):
    with Flaky(busy(0.2), (503, {"retry-after": "0"}, "starting"), None, GOOD) as flaky:
        client = Both(flaky.url, is_async=is_async)
        assert client.about() == {}
        assert len(flaky.times) == 4
        assert flaky.times[1] - flaky.times[0] >= 0.2
        assert flaky.times[3] - flaky.times[2] >= 2.0, "the third wait, where nothing was said"
        client.end()


def test_patience_ends(is_async):
    with Flaky(*[busy(0.01)] * 10) as flaky:
        for retries in (0, 2):
            client = Both(flaky.url, is_async=is_async, retries=retries)
            flaky.times.clear()
            error = error_of(client.about)
            assert (error.code, error.status, error.retry_after_s) == ("busy", 429, 0.01)
            assert error.is_temporary
            assert len(flaky.times) == retries + 1
            client.end()


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ((502, {}, "<html>bad gateway"), "http_502", "<html>bad gateway"),
        ((500, {}, ""), "http_500", "Internal Server Error"),
        ((400, {}, '{"error": "text"}'), "http_400", '{"error": "text"}'),
        ((400, {}, '{"error": {}}'), "http_400", '{"error": {}}'),
        ((400, {}, "[]"), "http_400", "[]"),
    ],
)
def test_answers_that_are_none_of_ours_are_errors_too(is_async, answer, code, message):
    with Flaky(answer) as flaky:
        client = Both(flaky.url, is_async=is_async)
        error = error_of(client.about)
        assert (error.code, error.message, error.status) == (code, message, answer[0])
        client.end()


def test_an_endpoint_that_is_not_there_or_does_not_answer_is_an_error(is_async):
    with Flaky() as flaky:
        url = flaky.url
    client = Both(url, is_async=is_async, retries=0)
    for action, arguments in ((client.about, ()), (client.streamed, (speech(),))):
        error = error_of(action, *arguments)
        assert error.code == "unavailable"
        assert error.is_temporary
        assert "cannot be reached" in error.message
    client.end()
    with Flaky((404, {}, "no such path")) as flaky:
        client = Both(flaky.url, is_async=is_async)
        assert error_of(client.streamed, speech()).code == "http_404"
        client.end()
    silent = ThreadingHTTPServer(("127.0.0.1", 0), _FlakyHandler)
    client = Both(f"http://127.0.0.1:{silent.server_port}", is_async=is_async, timeout_s=0.2)
    assert error_of(client.about).code == "no_answer"
    client.end()
    silent.server_close()


def test_a_stream_whose_server_ends_is_lost(tmp_path):
    with served(tmp_path) as server:
        with Client(server.url) as client, client.stream() as stream:
            wait_until(lambda: server.core.engine.streams.num_open == 1)
            assert server._uvicorn is not None
            server._uvicorn.should_exit = True
            error = error_of(list, stream)
        assert error.code == "unavailable"
        assert "begin a new stream" in error.message
