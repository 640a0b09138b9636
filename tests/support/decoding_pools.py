"""Pools that decode files of sound, and what they refuse."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diffusiontalker.audio.waveform import AudioLimits
from diffusiontalker.serving.decoding import DecodingConfig, DecodingPool
from diffusiontalker.serving.errors import ServingError


@contextlib.asynccontextmanager
async def pool_of(**settings) -> AsyncIterator[DecodingPool]:
    """A pool whose processes are all gone afterwards."""
    pool = DecodingPool(DecodingConfig(**settings))
    seen = set()
    try:
        yield pool
        seen = set(pool.process_ids)
    finally:
        await pool.close()
    assert pool.process_ids == ()
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)


async def refusal(action) -> ServingError:
    with pytest.raises(ServingError) as caught:
        await action
    return caught.value


def limits_of(**changes) -> AudioLimits:
    return AudioLimits(**({"min_seconds": 1.0, "max_seconds": 300.0, "max_decode_seconds": 20.0} | changes))
