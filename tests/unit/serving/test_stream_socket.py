"""`WS /v1/stream` on a real server: pieces are the whole, in any encoding; who errs is told, who leaves is freed."""

import asyncio
import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
import websockets
from in_loop import DEADLINE_S, in_loop
from serving_app import TOLERANCE, Server, served, speech, tiny_bundle, wait_until, wav
from websockets.asyncio.client import connect

from diffusiontalker.inference import animate, embed, make_voice
from diffusiontalker.serving.http.stream import BINARY_HEADER

BUNDLE = tiny_bundle()
NUM_CHANNELS = len(BUNDLE.talker.channel_names)
END = '{"type": "end"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("stream"), engine={"max_streams": 12}, limits={"max_seconds": 40.0}) as started:
        yield started
        wait_until(lambda: server_is_free(started))


def server_is_free(server: Server) -> bool:
    return not server.core._streams_of and server.core.engine.streams.num_open == 0


@pytest.fixture(autouse=True)
def is_free_afterwards(server) -> Iterator[None]:
    """Whatever a test did, its streams give their places back."""
    yield
    wait_until(lambda: server_is_free(server))
    assert not server.core.engine.streams._talker.streams


@contextlib.asynccontextmanager
async def conversation(server: Server, *, header: str | None = None, **start):
    """A socket on which the first message has been sent."""
    headers = {} if header is None else {"authorization": header}
    url = f"ws://127.0.0.1:{server.port}/v1/stream"
    async with connect(url, additional_headers=headers, max_size=None) as talk:
        await talk.send(json.dumps({"type": "start", **start}))
        yield talk


async def said(talk) -> dict:
    async with asyncio.timeout(DEADLINE_S):
        return json.loads(await talk.recv())


async def frames_until_the_end(talk) -> np.ndarray:
    """All frames, in JSON or binary; checks that they follow one another and are counted at the end."""
    parts, number = [np.zeros((0, NUM_CHANNELS))], 0
    while True:
        async with asyncio.timeout(DEADLINE_S):
            message = await talk.recv()
        if isinstance(message, bytes):
            first, frames, channels = BINARY_HEADER.unpack_from(message)
            part = np.frombuffer(message, "<f4", offset=BINARY_HEADER.size).reshape(frames, channels)
        else:
            told = json.loads(message)
            if told["type"] == "end":
                assert told["num_frames"] == number
                return np.concatenate(parts)
            assert told["type"] == "frames", told
            first, part = told["first_frame"], np.array(told["weights"])
            assert told["time_s"] == pytest.approx(first / 25.0)
        assert first == number
        number += len(part)
        parts.append(part)


async def streamed(server: Server, sound: bytes, *, piece: int = 3001, **start) -> np.ndarray:
    async with conversation(server, **start) as talk:
        assert (await said(talk))["type"] == "ready"
        reading = asyncio.create_task(frames_until_the_end(talk))
        for first in range(0, len(sound), piece):
            await talk.send(sound[first : first + piece])
        await talk.send(END)
        frames = await reading
        with pytest.raises(websockets.ConnectionClosedOK):
            await talk.recv()
        assert talk.close_code == 1000
    return frames


async def refused(talk, *, code: str, close: int) -> str:
    """The message of an error, which is also the reason of the close that follows."""
    while (told := await said(talk))["type"] in ("ready", "frames"):
        pass
    assert set(told) == {"type", "error"}
    assert told["type"] == "error"
    assert told["error"]["code"] == code
    with pytest.raises(websockets.ConnectionClosedError):
        async with asyncio.timeout(DEADLINE_S):
            await talk.recv()
    assert talk.close_code == close
    assert f"{code}: {told['error']['message']}".startswith(talk.close_reason)
    assert len(talk.close_reason) > len(code)
    return told["error"]["message"]


def voice_of(waveform: np.ndarray):
    identity, emotion = embed(BUNDLE, waveform)
    return make_voice(name="v", identity=identity, emotion=emotion, bundle_digest=BUNDLE.digest, provenance={})


@pytest.fixture(scope="module")
def voice_id(server) -> str:
    return server.http.post("/v1/voices", params={"name": "Anna"}, content=wav(speech(2.0, seed=9))).json()["id"]


@pytest.mark.parametrize("frames", ["json", "binary"])
@pytest.mark.parametrize("piece", [64, 3001, 1 << 20])
@in_loop
async def test_the_pieces_are_the_whole(server, voice_id, frames, piece):
    waveform, voice = speech(1.5 if piece == 64 else 6.3), voice_of(speech(2.0, seed=9))
    got = await streamed(
        server, waveform.tobytes(), piece=piece, sample_format="float32", frames=frames, voice=voice_id, seed=3,
        emotion="happy", emotion_intensity=0.7, num_steps=3, temperature=0.5,
    )  # fmt: skip
    whole = animate(
        BUNDLE, waveform, voice=voice, seed=3, emotion="happy", emotion_intensity=0.7, num_steps=3, temperature=0.5
    ).coefficients
    assert got.shape == whole.shape
    np.testing.assert_allclose(got, whole, atol=TOLERANCE)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_format", ["int16", "float32"])
@in_loop
async def test_any_rate_channels_and_format_are_heard(server, voice_id, rate_hz, channels, sample_format):
    mono = soxr.resample(speech(1.0), 16_000, rate_hz)
    sound = np.stack([mono] * channels, axis=1)
    packed = (sound * 32767).round().astype("<i2") if sample_format == "int16" else sound.astype("<f4")
    got = await streamed(
        server, packed.tobytes(), sample_rate_hz=rate_hz, channels=channels, sample_format=sample_format, voice=voice_id
    )
    heard = soxr.resample(packed.astype(np.float32) / (32768 if sample_format == "int16" else 1), rate_hz, 16_000)
    heard = heard.mean(axis=1).clip(-1, 1).astype(np.float32)
    whole = animate(BUNDLE, heard, voice=voice_of(speech(2.0, seed=9))).coefficients
    assert abs(len(got) - len(whole)) <= 1
    common = min(len(got), len(whole))
    np.testing.assert_allclose(got[:common], whole[:common], atol=TOLERANCE if rate_hz == 16_000 else 2e-3)


@in_loop
async def test_many_streams_at_once_are_each_their_own(server):
    waveforms = [speech(2.0 + number / 7, seed=number) for number in range(12)]
    how = {"sample_format": "float32", "frames": "binary"}
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(streamed(server, waveform.tobytes(), voice=("anna", "Ben")[seed % 2], seed=seed, **how))
            for seed, waveform in enumerate(waveforms)
        ]
    alone = await streamed(server, waveforms[5].tobytes(), voice="Ben", seed=5, **how)
    np.testing.assert_allclose(running[5].result(), alone, atol=TOLERANCE)
    assert not np.allclose(running[7].result()[:50], alone[:50], atol=1e-2)
    assert [len(task.result()) for task in running] == [-(-len(waveform) // 640) for waveform in waveforms]


@in_loop
async def test_frames_come_while_sound_is_still_sent(server):
    async with conversation(server, sample_format="float32", voice="anna") as talk:
        ready = await said(talk)
        assert ready["fps"] == 25.0
        assert ready["channel_names"] == list(BUNDLE.talker.channel_names)
        look_ahead_s = ready["look_ahead_ms"] / 1e3
        assert 0.0 < look_ahead_s < 0.5
        await talk.send(speech(look_ahead_s + 0.5).tobytes())
        assert (await said(talk))["type"] == "frames"
        await talk.send(END)
        await frames_after(talk)
    assert server.metric("frame_lag_seconds_count") >= 1


async def frames_after(talk) -> None:
    while (await said(talk))["type"] != "end":
        pass


@in_loop
async def test_a_stream_without_sound_ends_at_once(server):
    assert len(await streamed(server, b"")) == 0


WRONG_STARTS = {
    "no JSON": ("hello", "invalid_parameter", 1007, "Invalid JSON"),
    "no object": ("[]", "invalid_parameter", 1007, "the first message must be JSON such as"),
    "deep": ("[" * 9999, "invalid_parameter", 1007, "Invalid JSON"),
    "huge": ('{"voice": "%s"}' % ("x" * 100_000), "invalid_parameter", 1007, "Invalid JSON"),
    "binary": (b"\0\0", "invalid_parameter", 1007, "Invalid JSON"),
    "another type": ('{"type": "begin"}', "invalid_parameter", 1007, "type: Input should be 'start'"),
    "unknown": ('{"type": "start", "tempo": 1}', "invalid_parameter", 1007, "tempo: Extra inputs"),
    "rate": ('{"type": "start", "sample_rate_hz": 4000}', "unsupported_format", 1007, "4000 Hz"),
    "channels": ('{"type": "start", "channels": 9}', "unsupported_format", 1007, "9 channels"),
    "format": ('{"type": "start", "sample_format": "mp3"}', "invalid_parameter", 1007, "sample_format"),
    "voice": ('{"type": "start", "voice": "nobody"}', "unknown_voice", 1007, "nobody"),
    "emotion": ('{"type": "start", "emotion": "joyful"}', "invalid_parameter", 1007, "joyful"),
    "NaN": ('{"type": "start", "temperature": NaN}', "invalid_parameter", 1007, "temperature"),
    "steps": ('{"type": "start", "num_steps": 9}', "invalid_parameter", 1007, "1 to 8, or 2"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_STARTS)
@in_loop
async def test_a_wrong_first_message_is_refused_with_its_reason(server, what):
    first, code, close, message = WRONG_STARTS[what]
    async with connect(f"ws://127.0.0.1:{server.port}/v1/stream") as talk:
        await talk.send(first)
        assert message in await refused(talk, code=code, close=close)


WRONG_LATER = {
    "text": ("some text", "bad_request", 1007, "expected sound as a binary message"),
    "another type": ('{"type": "stop"}', "bad_request", 1007, "expected sound"),
    "deep": ("[" * 100_000, "bad_request", 1007, "expected sound"),
    "NaN": (np.full(100, np.nan, dtype="<f4").tobytes(), "bad_audio", 1007, "NaN"),
    "unscaled": (np.full(100, 3e4, dtype="<f4").tobytes(), "bad_audio", 1007, "scale integers"),
    "too long": (bytes(4 * 16_000 * 41), "too_large", 1009, "longer than 40 s"),
}


@pytest.mark.parametrize("what", WRONG_LATER)
@in_loop
async def test_wrong_sound_ends_the_stream_with_its_reason(server, caplog, what):
    message, code, close, reason = WRONG_LATER[what]
    async with conversation(server, sample_format="float32", frames="json") as talk:
        await talk.send(speech(1.0).tobytes())
        await talk.send(message)
        assert reason in await refused(talk, code=code, close=close)
    assert not [record for record in caplog.records if record.name.startswith("diffusiontalker")]


@in_loop
async def test_half_a_sample_at_the_end_is_an_error(server):
    async with conversation(server) as talk:
        await talk.send(bytes(3201))
        await talk.send(END)
        assert "unfinished sample" in await refused(talk, code="bad_audio", close=1007)


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
            patch.setattr(server.core.engine.streams._talker, "advance", lambda: 1 / 0)
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
        wait_until(lambda: server.core.engine.streams.num_open == 1)
        send_frame(raw, bytes(64_000))
        if how == "aborted":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        wait_until(lambda: server_is_free(server))
    assert not [record for record in caplog.records if record.name.startswith("diffusiontalker")]


def test_a_client_that_does_not_read_is_let_go_in_bounded_memory(tmp_path):
    limits = {"idle_seconds": 1.0}
    with served(tmp_path, sent_bytes=4096, limits=limits) as server, handshaken(server, receive_bytes=4096) as raw:
        wait_until(lambda: server.core.engine.streams.num_open == 1)
        (live,) = server.core.engine.streams._live
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
    assert 10 < len(unread) < 200
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
    assert keyed.core.engine.is_idle
