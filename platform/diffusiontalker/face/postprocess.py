"""From a model's raw coefficients to ones a rig can wear: smoothed if asked, then clamped."""

import math

import numpy as np
from jaxtyping import Float

from diffusiontalker.face.motion import MotionError


def postprocess(
    coefficients: Float[np.ndarray, "frames channels"], *, smoothing_s: float = 0.0, fps: float | None = None
) -> Float[np.ndarray, "frames channels"]:
    """Coefficients clamped to [0, 1]; the input is left as it is.

    Args:
        coefficients: ARKit weights, any finite values.
        smoothing_s: standard deviation in seconds of a Gaussian over time, 0 for none. It is symmetric, so nothing is
            delayed; at both ends the first and last frames are repeated. 0.02 to 0.04 removes jitter without visibly
            weakening consonants.
        fps: frames per second; needed only for smoothing.

    Raises:
        MotionError: when smoothing is negative, or asked for without a frame rate.
    """
    if smoothing_s < 0 or not math.isfinite(smoothing_s):
        raise MotionError(f"smoothing is {smoothing_s} s, expected 0 or a few hundredths of a second")
    if smoothing_s > 0 and (fps is None or fps <= 0):
        raise MotionError(f"smoothing over {smoothing_s} s needs a frame rate, got fps {fps}; pass fps=clip.fps")
    smoothed = _gaussian_smoothed(coefficients, width=smoothing_s * fps) if smoothing_s > 0 and fps else coefficients
    return np.clip(smoothed, 0.0, 1.0).astype(np.float32)


def _gaussian_smoothed(coefficients: np.ndarray, *, width: float) -> np.ndarray:
    """Convolution over frames with a normalised Gaussian of `width` frames, cut at three widths."""
    reach = max(1, math.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(coefficients.astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    shifted = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)  # (frames, channels, kernel)
    return shifted @ kernel
