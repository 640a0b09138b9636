"""The client against servers that are busy, broken, silent or gone: patience where it is asked for, errors by name."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from both_clients import Both, error_of
from serving_app import Server, served, wait_until
from sounds import speech

from diffusiontalker.client import Client


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
            wait_until(lambda: server.core.student().engine.streams.num_open == 1)
            assert server._uvicorn is not None
            server._uvicorn.should_exit = True
            error = error_of(list, stream)
        assert error.code == "unavailable"
        assert "begin a new stream" in error.message
