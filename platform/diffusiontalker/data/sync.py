"""How far a face lags behind its sound, by how much that changes over a clip, and the face brought back.

The sound is told by its level in two bands of speech, the face by how far the mouth is open; the lag is where levels
and their changes correlate best. Speech itself decides what 0 means: on faces made from exact phoneme times the measure
says 10 ms. It does not tell whether the two belong together: another sentence of the same rhythm fits as well. Motion
without a jaw channel (vertices) cannot be told. Knows nothing about files.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from diffusiontalker.audio import timebase
from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
from diffusiontalker.face.motion import MotionClip

CLEAR = 0.08
"""Confidence from which a lag is trusted. Of real, noisily tracked clips of 3, 6 and 12 s then 25, 66 and 90 % are
clear, and of these 97, 98 and 99 % within 60 ms of what all clips together say."""
NOTICEABLE_S = 0.045
"""Viewers notice sound that comes earlier than this before the face (ITU-R BT.1359-1); smaller lags are let be."""
DRIFT_NOTICEABLE_S = 0.1
"""A smaller change of the lag over a clip may be an error of the measure, which is 50 ms for nine clips of ten."""
MAX_LAG_S = 0.5
"""Lags up to this are found."""

_RATE = 100
"""Levels and opening are compared at 100 Hz."""
_REACH = round(MAX_LAG_S * _RATE)
_HOP = SAMPLE_RATE_HZ // _RATE
_WINDOW = 4 * _HOP
_BANDS_HZ = ((300, 1000), (1000, 3000))
"""Voice without its pitch, and consonants without breath and hiss."""
_FLOOR_DB = -50.0
_MIN_FRAMES = 4 * _REACH
"""2 s: below it hardly anything would overlap at the largest lag."""
_PIECE_FRAMES = 12 * _RATE
_MIN_PIECES_OF_DRIFT = 3
_LONG_FRAMES = 60 * _RATE
"""A longer clip is not trusted more."""
_RIVAL = round(0.12 * _RATE)
"""Maxima closer than this are one maximum."""
_LAGS = np.arange(-_REACH, _REACH + 1)
_UNLIKELY = 0.15 * np.abs(_LAGS) / _REACH
"""Correlation that a lag must have more than none to be believed: syllables repeat every 0.3 s or so."""
_MIN_CORRELATION = 0.2
"""Of real clips in time 99 of 100 reach 0.28, of long ones 0.32."""
_MIN_OPENING = 1e-3
"""A mouth whose opening deviates less than this does not speak."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SyncEstimate:
    """How a face stands against its sound. Positive: the face is late. Each is seconds, up to `MAX_LAG_S`."""

    lag_s: float
    """Lag over the whole clip."""
    confidence: float
    """0 to 1: how much better this lag is than any other; trust it from `CLEAR` on."""
    start_lag_s: float | None = None
    """Lag at the start of a clip of 36 s or more; None for a shorter one."""
    end_lag_s: float | None = None
    """Lag at its end."""

    @property
    def is_clear(self) -> bool:
        """Whether the estimate can be trusted."""
        return self.confidence >= CLEAR

    @property
    def drift_s(self) -> float:
        """By how much the lag grows from start to end; 0 where that cannot be told."""
        return 0.0 if self.start_lag_s is None or self.end_lag_s is None else self.end_lag_s - self.start_lag_s


def estimate_sync(waveform: Float32[np.ndarray, "samples"], motion: MotionClip) -> SyncEstimate | None:
    """Where the mouth fits the sound best; None for motion without jaw, a mouth that never moves, or less than 2 s.

    Args:
        waveform: 16 kHz mono.
        motion: its face; the lengths may differ.
    """
    num_frames = min(len(waveform) // _HOP, int(motion.duration_s * _RATE))
    opening = _opening(motion, num_frames=num_frames)
    if opening is None or num_frames < _MIN_FRAMES:
        return None
    level = _level(waveform, num_frames=num_frames)
    pairs = ((level, opening), (np.gradient(_smooth(level)), np.gradient(opening)))
    num_pieces = max(1, num_frames // _PIECE_FRAMES)
    edges = np.linspace(0, num_frames, num_pieces + 1).astype(int)
    curves = np.array(
        [
            np.mean([_correlations(first[start:end], second[start:end]) for first, second in pairs], axis=0)
            for start, end in itertools.pairwise(edges)
        ]
    )
    if num_pieces < _MIN_PIECES_OF_DRIFT:
        curve = curves.mean(axis=0)
        likely = curve - _UNLIKELY
        top = int(likely.argmax())
        confidence = _confidence(likely, [np.abs(_LAGS - _LAGS[top])], num_frames=num_frames)
        return SyncEstimate(lag_s=_lag_s(curve, top), confidence=confidence if _is_found(curve, top) else 0.0)
    surface = _line_scores(curves, centres=(edges[:-1] + edges[1:]) / (2.0 * num_frames))
    likely = surface - np.maximum(_UNLIKELY[:, None], _UNLIKELY)
    start, end = (int(index) for index in np.unravel_index(likely.argmax(), likely.shape))
    offset = _LAGS[:, None] - _LAGS[start] + _LAGS - _LAGS[end]
    turn = _LAGS[:, None] - _LAGS[start] - _LAGS + _LAGS[end]
    confidence = _confidence(likely, [np.abs(offset) / 2, np.abs(turn) / 2], num_frames=num_frames)
    start_lag_s, end_lag_s = _lag_s(surface[:, end], start), _lag_s(surface[start], end)
    return SyncEstimate(
        lag_s=(start_lag_s + end_lag_s) / 2,
        confidence=confidence if _is_found(surface, start, end) else 0.0,
        start_lag_s=start_lag_s,
        end_lag_s=end_lag_s,
    )


def correction(estimate: SyncEstimate | None, *, follows_drift: bool) -> tuple[float, float] | None:
    """Lag at start and end, in seconds, that a clip should be relieved of; None where it is unclear or too small.

    Args:
        estimate: of the clip.
        follows_drift: whether a lag that changes is corrected as such, instead of by its mean.
    """
    if estimate is None or not estimate.is_clear:
        return None
    lags = (estimate.lag_s, estimate.lag_s)
    if follows_drift and abs(estimate.drift_s) >= DRIFT_NOTICEABLE_S:
        lags = (estimate.lag_s - estimate.drift_s / 2, estimate.lag_s + estimate.drift_s / 2)
    return lags if max(map(abs, lags)) >= NOTICEABLE_S else None


def in_time(
    waveform: Float32[np.ndarray, "samples"], motion: MotionClip, *, start_lag_s: float, end_lag_s: float
) -> tuple[Float32[np.ndarray, "kept"], MotionClip]:
    """Sound and face of the same instants: what the face showed `lag` seconds late comes with its sound.

    The lag goes evenly from the first frame to the last. Sound that then has no face is cut off, the end for a face
    that was late, the start for one that was early; and so is the end of an early face, which has no sound.
    """
    first_s, last_s = max(0.0, -start_lag_s), (motion.num_frames - 1) / motion.fps
    most_frames = motion.num_frames + math.ceil(motion.fps * max(0.0, -start_lag_s, -end_lag_s)) + 1
    times_s = first_s + np.arange(most_frames) / motion.fps
    share = np.clip(times_s / last_s, 0.0, 1.0) if last_s > 0 else np.zeros(most_frames)
    wanted_s = times_s + start_lag_s + (end_lag_s - start_lag_s) * share
    kept = waveform[round(first_s * SAMPLE_RATE_HZ) :]
    covering = timebase.motion_frames(len(kept), motion_fps=motion.fps)
    wanted_s = wanted_s[wanted_s <= last_s + 0.5 / motion.fps]
    soundless = min(max(0, len(wanted_s) - covering), round(max(0.0, -end_lag_s) * motion.fps))
    wanted_s = wanted_s[: len(wanted_s) - soundless]
    source_s = np.arange(motion.num_frames) / motion.fps
    columns = [np.interp(wanted_s, source_s, column) for column in motion.coefficients.T]
    moved = dataclasses.replace(motion, coefficients=np.stack(columns, axis=1))
    faceless = len(kept) - timebase.samples_of_frames(moved.num_frames, fps=moved.fps)
    surplus = min(max(0, faceless), round(max(0.0, end_lag_s) * SAMPLE_RATE_HZ))
    return kept[: len(kept) - surplus], moved


def _opening(motion: MotionClip, *, num_frames: int) -> Float[np.ndarray, "frames"] | None:
    if "jawOpen" not in motion.channel_names or not motion.num_frames:
        return None
    lips = [name for name in ("mouthLowerDownLeft", "mouthLowerDownRight") if name in motion.channel_names]
    opening = motion.column("jawOpen").astype(np.float64) + sum(motion.column(name) for name in lips) / 2
    if opening.std() < _MIN_OPENING:
        return None
    return np.interp(np.arange(num_frames) / _RATE, np.arange(motion.num_frames) / motion.fps, opening)


def _level(waveform: np.ndarray, *, num_frames: int) -> Float[np.ndarray, "frames"]:
    """Sum over the bands of the level in dB below the loudest frame, floored; frame `i` is centred on `i` / 100 s."""
    padded = np.pad(waveform, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:num_frames]
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE_HZ)
    power = np.empty((num_frames, len(_BANDS_HZ)))
    for first in range(0, num_frames, _PIECE_FRAMES):  # a whole recording of ten minutes would need 150 MB
        spectrum = np.abs(np.fft.rfft(frames[first : first + _PIECE_FRAMES] * np.hanning(_WINDOW), axis=1)) ** 2
        for band, (low, high) in enumerate(_BANDS_HZ):
            inside = (frequencies >= low) & (frequencies < high)
            power[first : first + len(spectrum), band] = spectrum[:, inside].sum(axis=1)
    loudest = np.maximum(power.max(axis=0), 1e-12)
    return np.maximum(10.0 * np.log10(power / loudest + 1e-12), _FLOOR_DB).sum(axis=1)


def _smooth(level: np.ndarray) -> np.ndarray:
    kernel = np.hanning(9)
    return np.convolve(level, kernel / kernel.sum(), mode="same")


def _correlations(sound: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """(lags,) correlation for the mouth lagging by -`_REACH` to `_REACH` frames, over the frames that then overlap."""
    return np.array(
        [
            _correlation(sound[max(0, -lag) : len(sound) - max(0, lag)], mouth[max(0, lag) : len(mouth) - max(0, -lag)])
            for lag in _LAGS.tolist()
        ]
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0


def _line_scores(curves: np.ndarray, *, centres: np.ndarray) -> np.ndarray:
    """(lags, lags): mean correlation of the pieces if the lag goes evenly from one at the start to one at the end."""
    num_lags = curves.shape[1]
    start, end = np.meshgrid(np.arange(num_lags), np.arange(num_lags), indexing="ij")
    scores = np.zeros((num_lags, num_lags))
    for curve, centre in zip(curves, centres, strict=True):
        scores += np.interp(start + (end - start) * centre, np.arange(num_lags), curve)
    return scores / len(curves)


def _is_found(correlations: np.ndarray, *top: int) -> bool:
    """Whether the best lag is one at all: sound and mouth go together there, and it is not the last that was tried."""
    return float(correlations[top]) >= _MIN_CORRELATION and not {0, len(_LAGS) - 1} & set(top)


def _lag_s(curve: np.ndarray, top: int) -> float:
    """The maximum, refined by a parabola through its neighbours."""
    offset = 0.0
    if 0 < top < len(curve) - 1:
        before, here, after = curve[top - 1 : top + 2]
        bend = before - 2 * here + after
        offset = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(top + offset - _REACH) / _RATE


def _confidence(scores: np.ndarray, distances: Sequence[np.ndarray], *, num_frames: int) -> float:
    """How far the maximum stands above the best other one, in terms of what chance does in a clip of this length.

    Args:
        scores: of lags.
        distances: in frames of every lag from the maximum, in each way in which lags can differ.
        num_frames: length of the clip.
    """
    margin = float(scores.max() - scores[np.max(distances, axis=0) > _RIVAL].max())
    return min(1.0, max(0.0, margin) * (min(num_frames, _LONG_FRAMES) / _PIECE_FRAMES) ** 0.75)
