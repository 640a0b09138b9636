"""Bodies that are too long, too slow, too many, cut off or not asked for: refused without harm to others."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from http_calls import SOUND, is_close, offline, post, told
from in_loop import DEADLINE_S, in_loop
from serving_app import Server, served, slow_batches, wait_until
from sounds import RATE_HZ, encoded

from diffusiontalker.serving.http.bodies import BodyLimits

SMALL = {"max_upload_megabytes": 0.2}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("http")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server) -> httpx.Client:
    return server.http


def test_a_body_is_refused_by_its_declared_length_before_it_is_sent(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
    with server.limits(**SMALL), contextlib.closing(connection):
        connection.putrequest("POST", "/v1/animations")
        connection.putheader("content-length", "200001")
        connection.putheader("expect", "100-continue")
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert "at most 200000 are allowed" in json.load(response)["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/animations", "/v1/voices?name=x"])
@pytest.mark.parametrize("is_form", [False, True])
def test_a_body_without_length_is_refused_when_it_is_too_long(server, client, path, is_form):
    head = b'--x\r\ncontent-disposition: form-data; name="audio"; filename="a"\r\n\r\n' if is_form else b""

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(30):
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=x"} if is_form else {}
    with server.limits(**SMALL):
        response = client.post(path, content=chunks(), headers=headers)
        assert "more than 200000 bytes" in told(response, 413, "too_large")
        assert post(client).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_json_bodies_are_small(client, method):
    path = "/v1/voices/blend" if method == "POST" else "/v1/voices/some"
    body = json.dumps({"name": "x" * 70_000}).encode()
    headers = {"content-type": "application/json"}
    told(client.request(method, path, content=body, headers=headers), 413, "too_large")
    told(client.request(method, path, content=iter([body[:100], body[100:]]), headers=headers), 413, "too_large")


@pytest.mark.parametrize(
    "limits", [{"idle_seconds": 0.2}, {"idle_seconds": 30.0, "wall_seconds": 0.2}], ids=["idle", "drip"]
)
def test_who_is_too_slow_with_a_body_is_let_go(server, limits):
    is_over = threading.Event()
    with server.limits(**limits), socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        raw.sendall(b"POST /v1/animations HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not is_over.wait(0.01):
                    raw.sendall(b"x")

        dripping = threading.Thread(target=drip)
        if "wall_seconds" in limits:
            dripping.start()
        answer = raw.makefile("rb").read()
        is_over.set()
        if dripping.ident:
            dripping.join()
    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert b'"too_slow"' in answer


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/animations", "audio/wav"),
        ("/v1/animations", "multipart/form-data; boundary=x"),
        ("/v1/voices?name=a", "audio/wav"),
        ("/v1/voices/blend", "application/json"),
    ],
)
def test_who_leaves_in_the_middle_of_a_body_is_counted_and_no_fault(server, caplog, path, content_type):
    route = path.partition("?")[0]
    before = server.metric("requests_total", route=route, code="499")
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as raw:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: 1000\r\n\r\n--x"
        raw.sendall(head.encode())
    wait_until(lambda: server.metric("requests_total", route=route, code="499") == before + 1)
    assert not [record for record in caplog.records if record.name.startswith("diffusiontalker")]


def test_too_many_bodies_at_the_same_time_are_refused(server, client):
    with server.limits(max_upload_megabytes=0.3, max_held_megabytes=0.4), contextlib.ExitStack() as stack:
        request = b"POST /v1/animations HTTP/1.1\r\nhost: x\r\ncontent-length: 250000\r\n\r\n" + bytes(240_000)
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S))
        slow.sendall(request)
        limits = next(one for one in layers(server) if isinstance(one, BodyLimits))
        wait_until(lambda: limits._held_bytes >= 240_000)
        message = told(post(client, bytes(250_000)), 429, "busy")
        assert "too much is being uploaded" in message
        slow.close()
        wait_until(lambda: limits._held_bytes == 0)
        told(post(client, bytes(250_000)), 415, "unsupported_format")


def layers(server: Server) -> Iterator[object]:
    layer = server._uvicorn.config.app.middleware_stack
    while layer is not None:
        yield layer
        layer = getattr(layer, "app", None) or getattr(layer, "_app", None)


@in_loop
async def test_a_client_that_leaves_is_not_computed_for(server):
    batcher = server.core.student().engine.batcher
    jobs = server.metric("batch_jobs_sum")
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as client:
        with slow_batches(server.core) as gate:
            first = asyncio.create_task(client.post("/v1/animations", content=SOUND))
            await asyncio.to_thread(wait_until, lambda: not batcher.is_idle and batcher.waiting == 0)
            leaving = [asyncio.create_task(client.post("/v1/animations", content=SOUND)) for _ in range(3)]
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 3)
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 0)
            gate.set()
            assert (await first).status_code == 200
    await asyncio.to_thread(wait_until, lambda: batcher.is_idle)
    assert server.metric("batch_jobs_sum") == jobs + 1
    assert server.metric("requests_total", route="/v1/animations", code="499") >= 3


@in_loop
async def test_requests_that_come_together_are_computed_together_and_a_full_queue_is_busy(server):
    batches = server.metric("batch_seconds_count")
    server.run(lambda: server.core.reconfigure(max_waiting=3))
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S) as client:
        with slow_batches(server.core) as gate:
            batcher = server.core.student().engine.batcher
            first = asyncio.create_task(client.post("/v1/animations", content=SOUND))
            await asyncio.to_thread(wait_until, lambda: not batcher.is_idle and batcher.waiting == 0)
            later = [
                asyncio.create_task(client.post("/v1/animations", content=SOUND, params={"seed": seed}))
                for seed in range(3)
            ]
            await asyncio.to_thread(wait_until, lambda: batcher.waiting == 3)
            told(await client.post("/v1/animations", content=SOUND), 429, "busy")
            gate.set()
            for seed, response in enumerate(await asyncio.gather(*later)):
                is_close(response, offline(seed=seed))
            assert (await first).status_code == 200
    server.run(lambda: server.core.reconfigure(max_waiting=256))
    assert server.metric("batch_seconds_count") == batches + 2


def test_who_does_not_read_the_answer_is_let_go(server):
    is_there = "requests_total", {"route": "/v1/animations", "code": "200"}
    before = server.metric(is_there[0], **is_there[1])
    sound = encoded(np.zeros(100 * RATE_HZ, dtype=np.float32), kind="FLAC")
    with server.limits(idle_seconds=1.0), socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(DEADLINE_S)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(
            b"POST /v1/animations?fps=120 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(sound) + sound
        )
        wait_until(lambda: server.metric(is_there[0], **is_there[1]) == before + 1)
