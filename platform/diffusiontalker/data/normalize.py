"""Channel statistics of a corpus: what the denoiser's motion space is centred on and scaled by."""

from collections.abc import Iterable

import numpy as np

from diffusiontalker.data.clip import CorpusError
from diffusiontalker.face.arkit import is_arkit
from diffusiontalker.face.motion import MotionClip

MIN_SCALE = 0.005
"""ARKit channels that move less than this (in ARKit weight) are not blown up to unit variance: they are tracking noise.

Larger values damp small but real lip channels: at 0.02, mouthFunnel of grid_faces (deviation 0.005) is badly learnt.
"""

MIN_VERTEX_SCALE = 1e-4
"""The same for coordinates of vertices, in metres: lips move by millimetres, scanning noise is below a tenth of one."""


def smallest_scale(channel_names: Iterable[str]) -> float:
    """What counts as noise in such channels: `MIN_SCALE` or `MIN_VERTEX_SCALE`."""
    return MIN_SCALE if is_arkit(channel_names) else MIN_VERTEX_SCALE


def channel_statistics(clips: Iterable[MotionClip]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (at least the `smallest_scale`) per channel over all frames, (channels,) float32.

    Raises:
        CorpusError: when there is no clip.
    """
    count, total, squares, min_scale = 0, 0.0, 0.0, MIN_SCALE
    for clip in clips:
        if not count:
            min_scale = smallest_scale(clip.channel_names)
        motion = clip.coefficients.astype(np.float64)
        count += len(motion)
        total = total + motion.sum(axis=0)
        squares = squares + np.square(motion).sum(axis=0)
    if not count:
        raise CorpusError("no clip to compute channel statistics from; the split 'train' is empty, check the manifest")
    mean = np.asarray(total) / count
    deviation = np.sqrt(np.maximum(np.asarray(squares) / count - np.square(mean), 0.0))
    return mean.astype(np.float32), np.maximum(deviation, min_scale).astype(np.float32)
