"""The light HTTP client against servers that answer in every way HTTP/1.1 allows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from in_loop import in_loop

from diffusiontalker.client.calls import EndpointError, animation_call
from diffusiontalker.load.connections import Connections

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CALL = animation_call(b"RIFFsound", None, "npz", {"voice": "anna"})


@contextlib.asynccontextmanager
async def connections_to(handler: Handler) -> AsyncIterator[Connections]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        connections = Connections(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", headers={"authorization": "Bearer k"}
        )
        yield connections
        connections.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().partition("content-length:")[2].split()[0])
    return head, await reader.readexactly(length)


@in_loop
async def test_one_connection_serves_many_requests() -> None:
    seen, opened = [], 0

    async def handler(reader, writer) -> None:
        nonlocal opened
        opened += 1
        while True:
            seen.append(await read_request(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    async with connections_to(handler) as connections:
        request = connections.prepared(CALL)
        for _ in range(3):
            await connections.exchange(request)
    assert (opened, len(seen)) == (1, 3)
    head, body = seen[0]
    assert head.startswith("POST /v1/animations?voice=anna&format=npz HTTP/1.1\r\n")
    assert "authorization: Bearer k" in head
    assert body.count(b"RIFFsound") == 1


@in_loop
async def test_chunked_answers_are_read_to_their_end() -> None:
    async def handler(reader, writer) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await writer.drain()
            writer.write(b"a;x=1\r\n0123456789\r\n0\r\n\r\n")

    async with connections_to(handler) as connections:
        request = connections.prepared(CALL)
        await connections.exchange(request)
        await connections.exchange(request)


@in_loop
async def test_a_connection_that_the_server_closed_while_idle_is_opened_again() -> None:
    opened = 0

    async def handler(reader, writer) -> None:
        nonlocal opened
        opened += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with connections_to(handler) as connections:
        request = connections.prepared(CALL)
        for _ in range(3):
            await connections.exchange(request)
    assert opened == 3


@in_loop
async def test_an_answer_that_breaks_off_is_an_error_and_not_repeated() -> None:
    opened = 0

    async def handler(reader, writer) -> None:
        nonlocal opened
        opened += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

    async with connections_to(handler) as connections:
        with pytest.raises(EOFError):
            await connections.exchange(connections.prepared(CALL))
    assert opened == 1


@in_loop
async def test_refusals_keep_the_endpoints_code() -> None:
    body = b'{"error": {"code": "unknown_voice", "message": "no voice"}}'

    async def handler(reader, writer) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await read_request(reader)
        writer.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with connections_to(handler) as connections:
        request = connections.prepared(CALL)
        with pytest.raises(EndpointError) as unknown:
            await connections.exchange(request)
        with pytest.raises(EndpointError) as busy:
            await connections.exchange(request)
    assert (unknown.value.code, unknown.value.status) == ("unknown_voice", 404)
    assert (busy.value.code, busy.value.retry_after_s) == ("busy", 3.0)
