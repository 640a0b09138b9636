"""Conversations on `WS /v1/stream` of a tiny endpoint."""

import asyncio
import contextlib
import json

import numpy as np
import pytest
import websockets
from in_loop import DEADLINE_S
from serving_app import Server
from tiny_student import tiny_bundle
from websockets.asyncio.client import connect

from diffusiontalker.inference import embed, make_voice
from diffusiontalker.serving.http.stream import BINARY_HEADER

BUNDLE = tiny_bundle()
NUM_CHANNELS = len(BUNDLE.talker.channel_names)
END = '{"type": "end"}'


def server_is_free(server: Server) -> bool:
    return not server.core._streams_of and server.core.student().engine.streams.num_open == 0


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
