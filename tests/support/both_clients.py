"""The blocking and the asyncio client, called in the same way."""

import asyncio
import inspect

import numpy as np
import pytest

from diffusiontalker.client import AsyncClient, Client, EndpointError


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


def error_of(action, *arguments, **options) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        action(*arguments, **options)
    return caught.value
