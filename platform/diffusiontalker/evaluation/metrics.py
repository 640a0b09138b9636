"""How far a predicted motion is from the recorded one: pure functions, one number or curve each.

Vertices and coefficients share the functions: a vertex is a point in three dimensions, a coefficient a point in one.
Lengths are metres, so squared errors are m^2; coefficients have no unit. Which region is meant is the caller's choice
of points. Pooling over clips is in `scoring`. Numbers of other papers that take roots, millimetres or other vertex sets
are not comparable. Source: FaceFormer (LVE), CodeTalker (FDD), EmoTalk (EVE), each as defined in the docstrings here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from diffusiontalker.audio import timebase

SILENCE_BELOW_SPEECH_DB = 30.0
"""A frame is quiet when its level is this far below the clip's speech level (95th percentile of its frames)."""

SILENCE_FLOOR_DB = -60.0
"""... or below this level in dBFS, whatever the clip's speech level is."""

MIN_SILENCE_S = 0.12
"""Quiet stretches shorter than this are closures and pauses inside speech, not silence."""

LIPS_CLOSED_BELOW = 0.05
"""Lips count as closed when jawOpen - mouthClose is at most this (recorded speech: 0.01 in silence, 0.15 in speech)."""


def peak_squared_error(
    predicted: Float[np.ndarray, "frames points dimensions"], truth: Float[np.ndarray, "frames points dimensions"]
) -> Float[np.ndarray, "frames"]:
    """Largest squared L2 distance over the points, per frame.

    Its mean over frames is LVE on lip vertices (m^2) and EVE on eye and forehead vertices (m^2); with coefficients as
    points in one dimension it is their coefficient analogue (no unit).
    """
    return _squared_length(predicted - truth).max(axis=1).astype(np.float64)


def dynamics(displacements: Float[np.ndarray, "frames points dimensions"]) -> float:
    """How much a sequence moves: mean over points of the standard deviation over time of ||m||^2 (m^2 for vertices).

    The upper-face dynamics deviation of a sequence is `dynamics(truth) - dynamics(predicted)`: positive when the
    prediction moves too little. FDD is its mean over sequences.

    Args:
        displacements: offsets m from the neutral face.
    """
    return float(_squared_length(displacements).std(axis=0).mean())


def mean_absolute_error(
    predicted: Float[np.ndarray, "frames channels"], truth: Float[np.ndarray, "frames channels"]
) -> Float[np.ndarray, "channels"]:
    """Mean over frames of |predicted - truth|, per channel."""
    return np.abs(predicted - truth).mean(axis=0).astype(np.float64)


def moments(
    predicted: Float[np.ndarray, "frames channels"], truth: Float[np.ndarray, "frames channels"]
) -> Float[np.ndarray, "six channels"]:
    """Count and sums of x, y, x^2, y^2, x y per channel; sums over clips add up to the pooled sums."""
    x, y = predicted.astype(np.float64), truth.astype(np.float64)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y]).sum(axis=1)


def correlation_from(sums: Float[np.ndarray, "six channels"]) -> Float[np.ndarray, "channels"]:
    """Pearson correlation per channel from `moments`; NaN where either side is constant."""
    count, x, y, xx, yy, xy = sums
    variance_x, variance_y = xx / count - (x / count) ** 2, yy / count - (y / count) ** 2
    covariance = xy / count - x * y / count**2
    is_constant = (variance_x <= 1e-12) | (variance_y <= 1e-12)
    scale = np.sqrt(np.where(is_constant, 1.0, variance_x * variance_y))
    return np.where(is_constant, np.nan, covariance / scale)


def pooled_correlation(
    predicted: Sequence[Float[np.ndarray, "_ channels"]], truth: Sequence[Float[np.ndarray, "_ channels"]]
) -> Float[np.ndarray, "channels"]:
    """Correlation over all frames of all clips taken as one long sequence (the convention of every `_r` in reports).

    It also credits a system for getting the level of each clip right, and a constant clip does no harm to it.
    """
    return correlation_from(np.sum([moments(x, y) for x, y in zip(predicted, truth, strict=True)], axis=0))


def mean_of_known(values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "columns"]:
    """Mean over rows of what is not NaN; NaN where nothing is left."""
    is_known = ~np.isnan(values)
    count = is_known.sum(axis=0)
    return np.where(count > 0, np.where(is_known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def jitter(coefficients: Float[np.ndarray, "frames channels"], *, fps: float) -> float:
    """Mean |third difference| x fps^3, in 1/s^3: how rough a motion is. 0 below four frames."""
    if len(coefficients) < 4:
        return 0.0
    return float(np.abs(np.diff(coefficients.astype(np.float64), n=3, axis=0)).mean() * fps**3)


def diversity(samples: Float[np.ndarray, "samples frames channels"]) -> float:
    """Standard deviation over samples (unbiased), mean over frames and channels; 0 for one sample.

    Its square is half the mean squared difference over all pairs of samples.
    """
    if len(samples) < 2:
        return 0.0
    return float(samples.astype(np.float64).std(axis=0, ddof=1).mean())


def silent_frames(
    waveform: Float[np.ndarray, "samples"],
    *,
    num_frames: int,
    fps: float,
    below_speech_db: float = SILENCE_BELOW_SPEECH_DB,
    floor_db: float = SILENCE_FLOOR_DB,
    min_silence_s: float = MIN_SILENCE_S,
) -> Bool[np.ndarray, "frames"]:
    """Which motion frames fall into silence, judged by audio level alone.

    The level of a frame is the RMS over one frame period centred on it. Quiet frames are silent when they stand in a
    quiet stretch of at least `min_silence_s`.
    """
    centres = np.arange(num_frames) * (timebase.SAMPLE_RATE_HZ / fps)
    half = timebase.samples_of_frames(1, fps=fps) / 2
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    begin, end = (np.clip(np.rint(centres + side), 0, len(waveform)).astype(int) for side in (-half, half))
    power = (energy[end] - energy[begin]) / np.maximum(end - begin, 1)
    level_db = 10.0 * np.log10(power + 1e-12)
    is_quiet = level_db < max(float(np.percentile(level_db, 95)) - below_speech_db, floor_db)
    return _long_runs(is_quiet, shortest=min_silence_s * fps)


def lips_closed(
    jaw_open: Float[np.ndarray, "frames"], mouth_close: Float[np.ndarray, "frames"]
) -> Bool[np.ndarray, "frames"]:
    """Frames with jawOpen - mouthClose at most `LIPS_CLOSED_BELOW` (mouthClose closes the lips of an open jaw)."""
    return jaw_open - mouth_close <= LIPS_CLOSED_BELOW


def equal_error_rate(genuine: Float[np.ndarray, "pairs"], impostor: Float[np.ndarray, "others"]) -> float:
    """Error rate at the score threshold where false accepts equal false rejects (0 perfect, 0.5 chance).

    Between two thresholds the mean of both rates at the closest one is taken.

    Args:
        genuine: similarities of pairs of the same speaker.
        impostor: similarities of pairs of different speakers.

    Raises:
        ValueError: when either side is empty.
    """
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"equal error rate: got {len(genuine)} genuine and {len(impostor)} impostor pairs, expected at least one "
            "of each; give clips of two speakers, two clips for at least one of them"
        )
    thresholds = np.append(np.unique(np.concatenate([genuine, impostor])), np.inf)
    rejects = np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
    accepts = 1.0 - np.searchsorted(np.sort(impostor), thresholds, side="left") / len(impostor)
    closest = np.argmin(np.abs(rejects - accepts))
    return float((rejects[closest] + accepts[closest]) / 2)


def verification_scores(
    embeddings: Float[np.ndarray, "clips width"], labels: Sequence[str]
) -> tuple[Float[np.ndarray, "genuine"], Float[np.ndarray, "impostor"]]:
    """Cosine similarity of every pair of clips, split into pairs of the same and of different labels."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), k=1)
    scores = (unit @ unit.T)[first, second]
    names = np.asarray(labels)
    is_genuine = names[first] == names[second]
    return scores[is_genuine], scores[~is_genuine]


def nearest_prototype_accuracy(
    embeddings: Float[np.ndarray, "clips width"],
    labels: Sequence[str],
    *,
    prototypes: Float[np.ndarray, "prototypes width"],
    names: Sequence[str],
) -> float:
    """Share of clips whose closest prototype (by cosine) bears their own label.

    Raises:
        ValueError: when a label has no prototype, or there are no clips.
    """
    unknown = sorted(set(labels) - set(names))
    if unknown or not labels:
        raise ValueError(f"nearest prototype: labels {unknown} have no prototype (known: {list(names)}), or no clips")
    unit = prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
    nearest = (embeddings @ unit.T).argmax(axis=1)
    return float(np.mean([names[index] == label for index, label in zip(nearest, labels, strict=True)]))


def _squared_length(points: np.ndarray) -> np.ndarray:
    return np.einsum("fpd,fpd->fp", points, points)


def _long_runs(is_quiet: np.ndarray, *, shortest: float) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_quiet, [False]]).astype(int)))
    keep = np.zeros_like(is_quiet)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        keep[begin:end] = end - begin >= shortest
    return keep
