"""The blocking and the asyncio client; the same methods, the same errors."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from diffusiontalker.client.calls import (
    Animation,
    Call,
    EndpointError,
    Sound,
    animation_call,
    animation_of,
    blend_call,
    checked,
    enrolment_call,
    format_of,
    headers_of,
    unreached,
    voice_call,
    waits_s,
)
from diffusiontalker.client.streams import AsyncStream, Stream


class Client:
    """Talks to one endpoint and waits for its answers.

    Args:
        url: such as http://127.0.0.1:8000.
        key: bearer key, where the endpoint asks for one.
        timeout_s: for one answer.
        retries: further tries when the endpoint is busy, restarting or cannot be reached; after as long as it asks for.

    Every method raises `EndpointError` with what the endpoint said.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = 120.0, retries: int = 3) -> None:
        self._url, self._key, self._retries = url.rstrip("/"), key, retries
        self._http = httpx.Client(base_url=self._url, headers=headers_of(key), timeout=timeout_s)

    def __enter__(self) -> "Client":
        """For `with`."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the connections."""
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def animate(self, audio: Sound, *, reference: Sound | None = None, **options: Any) -> Animation:
        """The animation of a recording.

        Args:
            audio: a sound file or its content.
            reference: somebody's recording, whose voice to take.
            **options: voice, emotion, emotion_intensity, num_steps, temperature, seed, fps.
        """
        return animation_of(self._do(animation_call(audio, reference, "npz", options)).content)

    def download(self, audio: Sound, out: str | Path, *, reference: Sound | None = None, **options: Any) -> Path:
        """Animates into a file whose name says the format.

        It ends in .csv, .json, .ndjson, .npz, .parquet, .arrow, .glb, .usda, .usdc, .livelink.csv, .beat.json or
        .a2f.json.
        """
        out = Path(out)
        out.write_bytes(self._do(animation_call(audio, reference, format_of(out), options)).content)
        return out

    def about(self, *, student: str | None = None) -> dict[str, Any]:
        """What the endpoint has loaded; of its students the first by default."""
        return self._do(Call(method="GET", path="/v1/bundle", query={"student": student})).json()

    def enroll(self, name: str, *recordings: Sound, student: str | None = None) -> dict[str, Any]:
        """A new voice of a student, by default of the first; use its `id`."""
        return self._do(enrolment_call(name, recordings, student)).json()

    def voices(self, *, student: str | None = None) -> list[dict[str, Any]]:
        """All enrolled voices, with whether a student, by default the first, can use them."""
        found, after = [], None
        while True:
            page = self._do(Call(method="GET", path="/v1/voices", query={"after": after, "student": student})).json()
            found += page["voices"]
            after = page["next_after"]
            if after is None:
                return found

    def voice(self, voice_id: str) -> dict[str, Any]:
        """One voice."""
        return self._do(voice_call("GET", voice_id)).json()

    def rename(self, voice_id: str, name: str) -> dict[str, Any]:
        """Another name; the id stays."""
        return self._do(voice_call("PATCH", voice_id, {"name": name})).json()

    def blend(self, name: str, weights: Mapping[str, float]) -> dict[str, Any]:
        """A new voice between voices, id -> weight."""
        return self._do(blend_call(name, weights)).json()

    def delete(self, voice_id: str) -> None:
        """Deletes a voice."""
        self._do(voice_call("DELETE", voice_id))

    def stream(self, **start: Any) -> Stream:
        """A live stream: use it in `with`; see `Stream`."""
        return Stream(self._url, key=self._key, start=start)

    def _do(self, call: Call) -> httpx.Response:
        for wait_s in waits_s(self._retries):
            try:
                return self._once(call)
            except EndpointError as error:
                if not error.is_temporary:
                    raise
                time.sleep(wait_s if error.retry_after_s is None else error.retry_after_s)
        return self._once(call)

    def _once(self, call: Call) -> httpx.Response:
        try:
            return checked(self._http.request(**call.arguments()))
        except httpx.TransportError as error:
            raise unreached(error) from None


class AsyncClient:
    """`Client` for asyncio; see there."""

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = 120.0, retries: int = 3) -> None:
        self._url, self._key, self._retries = url.rstrip("/"), key, retries
        self._http = httpx.AsyncClient(base_url=self._url, headers=headers_of(key), timeout=timeout_s)

    async def __aenter__(self) -> "AsyncClient":
        """For `async with`."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes the connections."""
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def animate(self, audio: Sound, *, reference: Sound | None = None, **options: Any) -> Animation:
        """The animation of a recording; see `Client.animate`."""
        return animation_of((await self._do(animation_call(audio, reference, "npz", options))).content)

    async def download(self, audio: Sound, out: str | Path, *, reference: Sound | None = None, **options: Any) -> Path:
        """Animates into a file; see `Client.download`."""
        out = Path(out)
        answer = await self._do(animation_call(audio, reference, format_of(out), options))
        out.write_bytes(answer.content)
        return out

    async def about(self, *, student: str | None = None) -> dict[str, Any]:
        """What the endpoint has loaded; of its students the first by default."""
        return (await self._do(Call(method="GET", path="/v1/bundle", query={"student": student}))).json()

    async def enroll(self, name: str, *recordings: Sound, student: str | None = None) -> dict[str, Any]:
        """A new voice of a student, by default of the first; use its `id`."""
        return (await self._do(enrolment_call(name, recordings, student))).json()

    async def voices(self, *, student: str | None = None) -> list[dict[str, Any]]:
        """All enrolled voices, with whether a student, by default the first, can use them."""
        found, after = [], None
        while True:
            page = (
                await self._do(Call(method="GET", path="/v1/voices", query={"after": after, "student": student}))
            ).json()
            found += page["voices"]
            after = page["next_after"]
            if after is None:
                return found

    async def voice(self, voice_id: str) -> dict[str, Any]:
        """One voice."""
        return (await self._do(voice_call("GET", voice_id))).json()

    async def rename(self, voice_id: str, name: str) -> dict[str, Any]:
        """Another name; the id stays."""
        return (await self._do(voice_call("PATCH", voice_id, {"name": name}))).json()

    async def blend(self, name: str, weights: Mapping[str, float]) -> dict[str, Any]:
        """A new voice between voices, id -> weight."""
        return (await self._do(blend_call(name, weights))).json()

    async def delete(self, voice_id: str) -> None:
        """Deletes a voice."""
        await self._do(voice_call("DELETE", voice_id))

    def stream(self, **start: Any) -> AsyncStream:
        """A live stream: use it in `async with`; see `Stream`."""
        return AsyncStream(self._url, key=self._key, start=start)

    async def _do(self, call: Call) -> httpx.Response:
        for wait_s in waits_s(self._retries):
            try:
                return await self._once(call)
            except EndpointError as error:
                if not error.is_temporary:
                    raise
                await asyncio.sleep(wait_s if error.retry_after_s is None else error.retry_after_s)
        return await self._once(call)

    async def _once(self, call: Call) -> httpx.Response:
        try:
            return checked(await self._http.request(**call.arguments()))
        except httpx.TransportError as error:
            raise unreached(error) from None
