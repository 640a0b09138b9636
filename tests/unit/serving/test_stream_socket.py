"""`WS /v1/stream` on a real server: pieces are the whole, in any encoding; wrong messages are told why."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from in_loop import in_loop
from serving_app import TOLERANCE, Server, served, wait_until
from sounds import speech, wav
from stream_talks import BUNDLE, END, conversation, refused, said, server_is_free, streamed, voice_of
from websockets.asyncio.client import connect

from diffusiontalker.inference import animate


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
