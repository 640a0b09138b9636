"""Features of a frozen speech encoder, computed once per corpus and kept in a file."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.config import publish_file
from diffusiontalker.data import Clip
from diffusiontalker.models import Talker

_LOG = logging.getLogger(__name__)


def clip_features(talker: Talker, clip: Clip) -> np.ndarray:
    """(speech_frames, features) float16 of one clip, computed on the whole clip."""
    return _encoded(talker, torch.from_numpy(clip.waveform).to(talker.statistics.mean.device))


def silence_features(talker: Talker, *, seconds: float) -> np.ndarray:
    """(speech_frames, features) float16 of digital silence, a little longer than asked for."""
    waveform = torch.zeros(round((seconds + 0.1) * SAMPLE_RATE_HZ), device=talker.statistics.mean.device)
    return _encoded(talker, waveform)


def precompute_features(talker: Talker, clips: Sequence[Clip], *, cache_path: Path | None) -> dict[str, np.ndarray]:
    """Features by clip id; read from `cache_path` when it holds exactly these clips, written there otherwise.

    The caller puts the digests of corpus and encoder into the file's name.
    """
    if cache_path is not None and cache_path.exists():
        cached = load_file(cache_path)
        if set(cached) == {clip.clip_id for clip in clips}:
            return cached
    features = {}
    for index, clip in enumerate(clips):
        features[clip.clip_id] = clip_features(talker, clip)
        if (index + 1) % 100 == 0:
            _LOG.info("speech features of %d of %d clips computed", index + 1, len(clips))
    if cache_path is not None:
        with publish_file(cache_path, overwrite=True) as temporary:
            save_file(features, temporary)
    return features


@torch.no_grad()
def _encoded(talker: Talker, waveform: Tensor) -> np.ndarray:
    features, _ = talker.encode(waveform[None], torch.tensor([len(waveform)], device=waveform.device))
    return features[0].to(torch.float16).cpu().numpy()
