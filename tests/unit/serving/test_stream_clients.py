"""Clients of `WS /v1/stream` that err, stall, vanish, are too many or have no key: told why, and freed."""

import asyncio
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from in_loop import DEADLINE_S, in_loop
from serving_app import Server, served, wait_until
from stream_talks import END, conversation, frames_until_the_end, refused, said, server_is_free, streamed
from websockets.asyncio.client import connect


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("stream"), engine={"max_streams": 12}, limits={"max_seconds": 40.0}) as started:
        yield started
        wait_until(lambda: server_is_free(started))


@pytest.fixture(autouse=True)
def is_free_afterwards(server) -> Iterator[None]:
    """Whatever a test did, its streams give their places back."""
    yield
    wait_until(lambda: server_is_free(server))
    assert not server.core.student().engine.streams._talker.streams


@pytest.mark.parametrize("has_begun", [False, True])
@in_loop
async def test_who_says_nothing_is_let_go(server, has_begun):
    with server.limits(idle_seconds=0.2):
        async with connect(f"ws://127.0.0.1:{server.port}/v1/stream") as talk:
            if has_begun:
                await talk.send('{"type": "start"}')
                await talk.send(bytes(6400))
            assert "nothing came for 0.2 s" in await refused(talk, code="too_slow", close=1007)


@in_loop
async def test_who_drips_is_let_go_in_the_end(server):
    with server.limits(wall_seconds=0.5):
        async with conversation(server) as talk:

            async def drip() -> None:
                while True:
                    await talk.send(bytes(2))
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip())
            assert "longer than 0.5 s" in await refused(talk, code="too_slow", close=1007)
            dripping.cancel()
            await asyncio.wait([dripping])


@in_loop
async def test_a_full_server_is_busy_and_a_place_is_free_at_once(server):
    async with contextlib.AsyncExitStack() as stack:
        talks = [await stack.enter_async_context(conversation(server)) for _ in range(12)]
        for talk in talks:
            assert (await said(talk))["type"] == "ready"
        async with conversation(server) as late:
            assert "12 streams are open" in await refused(late, code="busy", close=1013)
        await talks[0].send(END)
        await frames_until_the_end(talks[0])
        await talks[0].wait_closed()
        async with conversation(server) as late:
            assert (await said(late))["type"] == "ready"
            await late.send(END)
            await frames_until_the_end(late)


@in_loop
async def test_a_draining_server_begins_no_stream_and_finishes_the_others(server):
    async with conversation(server, voice="anna") as open_one:
        assert (await said(open_one))["type"] == "ready"
        server.core.is_closing = True
        try:
            async with conversation(server) as talk:
                assert "shutting down" in await refused(talk, code="unavailable", close=1012)
            await open_one.send(bytes(32_000))
            await open_one.send(END)
            assert len(await frames_until_the_end(open_one)) == 25
        finally:
            server.core.is_closing = False


@in_loop
async def test_a_fault_of_ours_is_told_as_one_and_logged(server, monkeypatch, caplog):
    async with conversation(server) as talk:
        assert (await said(talk))["type"] == "ready"
        with monkeypatch.context() as patch:
            patch.setattr(server.core.student().engine.streams._talker, "advance", lambda: 1 / 0)
            await talk.send(bytes(32_000))
            message = await refused(talk, code="internal", close=1011)
    assert "ZeroDivision" not in message
    assert "ZeroDivision" in caplog.text
    assert len(await streamed(server, bytes(32_000))) == 25


def handshaken(server: Server, *, receive_bytes: int | None = None) -> socket.socket:
    """A bare socket after the handshake and the first message."""
    raw = socket.socket()
    if receive_bytes is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(DEADLINE_S)
    raw.connect(("127.0.0.1", server.port))
    raw.sendall(
        b"GET /v1/stream HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    while not raw.recv(4096).endswith(b"\r\n\r\n"):
        pass
    send_frame(raw, b'{"type": "start"}', opcode=1)
    return raw


def send_frame(raw: socket.socket, content: bytes, *, opcode: int = 2) -> None:
    """A masked frame, with a mask of zeros."""
    raw.sendall(bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q", len(content)) + bytes(4) + content)


@pytest.mark.parametrize("how", ["aborted", "closed"])
def test_a_client_that_vanishes_in_the_middle_is_freed(server, how, caplog):
    for _ in range(3):
        raw = handshaken(server)
        wait_until(lambda: server.core.student().engine.streams.num_open == 1)
        send_frame(raw, bytes(64_000))
        if how == "aborted":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        wait_until(lambda: server_is_free(server))
    assert not [record for record in caplog.records if record.name.startswith("diffusiontalker")]


def test_a_client_that_does_not_read_is_let_go_in_bounded_memory(tmp_path):
    limits = {"idle_seconds": 1.0}
    with served(tmp_path, sent_bytes=4096, limits=limits) as server, handshaken(server, receive_bytes=4096) as raw:
        wait_until(lambda: server.core.student().engine.streams.num_open == 1)
        (live,) = server.core.student().engine.streams._live
        unread, is_over = [], threading.Event()

        def feed() -> None:
            with contextlib.suppress(OSError):
                for number in range(1_000_000):
                    send_frame(raw, bytes(32_000) if number < 200 else b"")  # it is not idle, whatever comes of it
                    unread.append(live._unread)
                    if is_over.wait(0.005):
                        break

        feeding = threading.Thread(target=feed)
        feeding.start()
        wait_until(lambda: server_is_free(server))
        is_over.set()
        with contextlib.suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)
        feeding.join()
    assert len(unread) > 10
    assert max(unread) <= 25 * 25


def test_many_that_vanish_at_once_are_freed(server):
    for _ in range(10):
        sockets = [handshaken(server) for _ in range(12)]
        for raw in sockets:
            send_frame(raw, bytes(9000))
        for raw in sockets:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
        wait_until(lambda: server_is_free(server))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("alice", "bob")}
    (folder / "keys.txt").write_text(f"alice:{digests['alice']}\nbob:{digests['bob']}:0\n")
    with served(folder, keys_file=str(folder / "keys.txt"), limits={"max_streams_per_key": 1}) as started:
        yield started


@in_loop
async def test_keys_come_in_the_header_or_in_the_first_message(keyed):
    for good in ({"header": "Bearer alice"}, {"key": "alice"}, {"header": "Bearer alice", "key": "mallory"}):
        async with conversation(keyed, **good) as talk:
            assert (await said(talk))["type"] == "ready"
            async with conversation(keyed, key="alice") as second:
                assert "'alice' has 1 streams open" in await refused(second, code="busy", close=1013)
            await talk.send(END)
            await frames_until_the_end(talk)
            await talk.wait_closed()
    for wrong, code in (
        ({}, "unauthenticated"),
        ({"key": "mallory"}, "unauthenticated"),
        ({"header": "Bearer mallory", "key": "alice"}, "unauthenticated"),
        ({"header": "alice"}, "unauthenticated"),
        ({"key": "bob"}, "forbidden"),
    ):
        async with conversation(keyed, **wrong) as talk:
            await refused(talk, code=code, close=1008)
    assert keyed.core.student().engine.is_idle
