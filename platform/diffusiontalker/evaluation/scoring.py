"""From predicted clips to one row of the results table: what each clip contributes, and how contributions are pooled.

Pooling rules: LVE, EVE and errors are means over all frames; FDD is a mean over sequences; correlations are over all
frames of all clips as one sequence (`_r`), or means of the correlation within each clip (`_r_clip`). Several samples of
a clip count as several clips. Channels that the corpus' source lacks are left out everywhere.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from diffusiontalker.data import Clip
from diffusiontalker.evaluation import metrics
from diffusiontalker.face import MotionClip, Rig
from diffusiontalker.face.arkit import CHANNELS, LIP_CHANNELS, UPPER_FACE_CHANNELS

NAMED_CORRELATIONS = {"jaw_open": "jawOpen", "mouth_funnel": "mouthFunnel"}
"""Report field prefix -> channel whose correlation has a column of its own."""


class EvaluationError(ValueError):
    """An evaluation that cannot be made as asked; the message says which system or clip, what, and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipTerms:
    """What one prediction of one clip contributes to a row."""

    frames: int
    lip_error_m2: float
    """Sum over frames of the largest squared distance among the lip vertices."""
    upper_error_m2: float
    """Sum over frames of the same among upper-face vertices."""
    dynamics_deviation_m2: float
    """Truth's minus prediction's upper-face dynamics."""
    lip_error: float
    """Sum over frames of the largest squared difference among the lip channels."""
    upper_error: float
    """Sum over frames of the same among upper-face channels."""
    dynamics_deviation: float
    """Truth's minus prediction's dynamics of the upper-face channels."""
    moments: np.ndarray
    """(6, channels) of `metrics.moments`."""
    absolute_error: np.ndarray
    """(channels,) mean over frames."""
    jitter: float
    jitter_truth: float
    silent: int
    """Silent frames."""
    silent_closed: int
    """Silent frames in which the prediction's lips are closed."""
    silent_closed_truth: int
    """Silent frames in which the truth's lips are closed."""


class ClipScorer:
    """Compares predictions with recordings, on one rig and on the channels that exist in the source."""

    def __init__(self, rig: Rig, *, channel_names: Sequence[str], missing_channels: Sequence[str] = ()) -> None:
        self.channel_names = tuple(name for name in channel_names if name not in missing_channels)
        self._lip_shapes = _shapes(rig, self.channel_names, rig.lip_vertices)
        self._upper_shapes = _shapes(rig, self.channel_names, rig.upper_face_vertices)
        self._lips = self._columns(LIP_CHANNELS)
        self._upper = self._columns(UPPER_FACE_CHANNELS)
        for region, columns, shapes in (
            ("lip", self._lips, self._lip_shapes), ("upper-face", self._upper, self._upper_shapes)
        ):  # fmt: skip
            if not columns:
                raise EvaluationError(
                    f"the corpus has 0 {region} channels in its source, expected some; evaluate on another corpus"
                )
            if not shapes.any():
                raise EvaluationError(
                    f"rig '{rig.name}' has {shapes.shape[1] // 3} {region} vertices and the corpus' channels move none "
                    "of them, expected at least one; give the rig its shapes and regions, or use the built-in rig"
                )

    def samples(self, clip: Clip, predictions: Sequence[MotionClip], *, system: str) -> np.ndarray:
        """(samples, frames, channels) of this scorer's channels.

        Raises:
            EvaluationError: when a prediction has another rate or length than the recording.
        """
        for predicted in predictions:
            if predicted.num_frames != clip.motion.num_frames or predicted.fps != clip.motion.fps:
                raise EvaluationError(
                    f"system '{system}', clip '{clip.clip_id}': predicted {predicted.num_frames} frames at "
                    f"{predicted.fps:g} fps, expected {clip.motion.num_frames} at {clip.motion.fps:g}; "
                    "evaluate on a corpus of the system's own motion_fps"
                )
        return np.stack([predicted.with_channels(self.channel_names).coefficients for predicted in predictions])

    def terms(self, clip: Clip, predictions: np.ndarray) -> list[ClipTerms]:
        """One entry per sample of `predictions` (samples, frames, channels)."""
        truth = clip.motion.with_channels(self.channel_names)
        silent = metrics.silent_frames(clip.waveform, num_frames=truth.num_frames, fps=truth.fps)
        vertices = (truth.coefficients @ self._lip_shapes, truth.coefficients @ self._upper_shapes)
        return [self._terms(sample, truth, vertices, silent) for sample in predictions]

    def diversity(self, predictions: Sequence[np.ndarray]) -> dict[str, float]:
        """Spread over seeds of the upper-face and of the lip channels, mean over clips."""
        return {
            "diversity_upper": float(
                np.mean([metrics.diversity(samples[..., self._upper]) for samples in predictions])
            ),
            "diversity_lips": float(np.mean([metrics.diversity(samples[..., self._lips]) for samples in predictions])),
        }

    def _terms(
        self, sample: np.ndarray, truth: MotionClip, truth_vertices: tuple[np.ndarray, np.ndarray], silent: np.ndarray
    ) -> ClipTerms:
        truth_lips, truth_upper = (_points(flat, 3) for flat in truth_vertices)
        lips, upper = _points(sample @ self._lip_shapes, 3), _points(sample @ self._upper_shapes, 3)
        channels, truth_channels = _points(sample, 1), _points(truth.coefficients, 1)
        deviation = metrics.dynamics(truth_channels[:, self._upper]) - metrics.dynamics(channels[:, self._upper])
        return ClipTerms(
            frames=truth.num_frames,
            lip_error_m2=float(metrics.peak_squared_error(lips, truth_lips).sum()),
            upper_error_m2=float(metrics.peak_squared_error(upper, truth_upper).sum()),
            dynamics_deviation_m2=metrics.dynamics(truth_upper) - metrics.dynamics(upper),
            lip_error=float(metrics.peak_squared_error(channels[:, self._lips], truth_channels[:, self._lips]).sum()),
            upper_error=float(
                metrics.peak_squared_error(channels[:, self._upper], truth_channels[:, self._upper]).sum()
            ),
            dynamics_deviation=deviation,
            moments=metrics.moments(sample, truth.coefficients),
            absolute_error=metrics.mean_absolute_error(sample, truth.coefficients),
            jitter=metrics.jitter(sample, fps=truth.fps),
            jitter_truth=metrics.jitter(truth.coefficients, fps=truth.fps),
            silent=int(silent.sum()),
            silent_closed=int((silent & self._closed(sample)).sum()),
            silent_closed_truth=int((silent & self._closed(truth.coefficients)).sum()),
        )

    def _closed(self, coefficients: np.ndarray) -> np.ndarray:
        jaw, lips = (
            coefficients[:, self.channel_names.index(name)]
            if name in self.channel_names
            else np.zeros(len(coefficients))
            for name in ("jawOpen", "mouthClose")
        )
        return metrics.lips_closed(jaw, lips)

    def _columns(self, canonical: Sequence[int]) -> list[int]:
        wanted = {CHANNELS[index] for index in canonical}
        return [column for column, name in enumerate(self.channel_names) if name in wanted]


def pool(terms: Sequence[ClipTerms], *, channel_names: Sequence[str]) -> dict[str, object]:
    """The metric fields of one row; None where a number does not exist (such as the correlation of a still face)."""
    frames = sum(term.frames for term in terms)
    correlation = metrics.correlation_from(np.sum([term.moments for term in terms], axis=0))
    within = np.stack([metrics.correlation_from(term.moments) for term in terms])
    within_mean = metrics.mean_of_known(within)
    error = np.average([term.absolute_error for term in terms], axis=0, weights=[term.frames for term in terms])
    lve, eve = (sum(getattr(term, field) for term in terms) / frames for field in ("lip_error_m2", "upper_error_m2"))
    fdd = float(np.mean([term.dynamics_deviation_m2 for term in terms]))
    fdd_coefficients = float(np.mean([term.dynamics_deviation for term in terms]))
    silent = sum(term.silent for term in terms)
    row: dict[str, object] = {
        "lve_m2": lve, "lve_mm": float(np.sqrt(lve) * 1000.0), "eve_m2": eve, "eve_mm": float(np.sqrt(eve) * 1000.0),
        "fdd": fdd, "fdd_abs": abs(fdd),
        "lve_coefficients": sum(term.lip_error for term in terms) / frames,
        "eve_coefficients": sum(term.upper_error for term in terms) / frames,
        "fdd_coefficients": fdd_coefficients, "fdd_coefficients_abs": abs(fdd_coefficients),
        "mae": float(error.mean()),
        "jitter": float(np.mean([term.jitter for term in terms])),
        "jitter_truth": float(np.mean([term.jitter_truth for term in terms])),
        "silent_frames": silent,
        "silence_closure": sum(term.silent_closed for term in terms) / silent if silent else None,
        "silence_closure_truth": sum(term.silent_closed_truth for term in terms) / silent if silent else None,
    }  # fmt: skip
    for field, name in NAMED_CORRELATIONS.items():
        index = list(channel_names).index(name) if name in channel_names else None
        row[f"{field}_r"] = None if index is None else _known(correlation[index])
        row[f"{field}_r_clip"] = None if index is None else _known(within_mean[index])
    row["channel_r"] = {name: _known(value) for name, value in zip(channel_names, correlation, strict=True)}
    row["channel_mae"] = {name: float(value) for name, value in zip(channel_names, error, strict=True)}
    return row


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _shapes(rig: Rig, channel_names: Sequence[str], vertices: np.ndarray) -> np.ndarray:
    """(channels, 3 x vertices): what each channel does to the chosen vertices; 0 where the rig lacks the shape."""
    shapes = np.zeros((len(channel_names), 3 * len(vertices)), dtype=np.float32)
    for row, name in enumerate(channel_names):
        if name in rig.shape_names:
            shapes[row] = rig.shape_deltas[rig.shape_names.index(name), vertices].reshape(-1)
    return shapes


def _points(flat: np.ndarray, dimensions: int) -> np.ndarray:
    """(frames, points x dimensions) to (frames, points, dimensions)."""
    return flat.reshape(len(flat), -1, dimensions)
