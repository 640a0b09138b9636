"""Small real clips for the tests of this room."""

import zlib

import numpy as np
import pytest

from diffusiontalker.audio import timebase
from diffusiontalker.data import Clip
from diffusiontalker.face.arkit import CHANNELS
from diffusiontalker.face.motion import MotionClip


@pytest.fixture
def make_clip():
    """Builds an aligned clip of noise and random motion; equal arguments give equal clips."""

    def build(clip_id="clip", *, seconds=0.5, fps=25.0, speaker="ada", emotion="neutral", split="train", seed=None):
        generator = np.random.default_rng(zlib.crc32(clip_id.encode()) if seed is None else seed)
        samples = round(16_000 * seconds)
        # Sixteen-bit values, so that FLAC gives them back exactly.
        waveform = np.round(generator.standard_normal(samples) * 3000).clip(-32768, 32767) / 32768
        frames = timebase.motion_frames(samples, motion_fps=fps)
        motion = MotionClip(coefficients=generator.random((frames, len(CHANNELS))), fps=fps)
        return Clip(clip_id=clip_id, waveform=waveform, motion=motion, speaker=speaker, emotion=emotion, split=split)

    return build
