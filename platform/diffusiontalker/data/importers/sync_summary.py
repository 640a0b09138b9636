"""What an import says about sound and face of all its clips: the lag they share, and the clips that stand apart."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from diffusiontalker.config import counted
from diffusiontalker.data.importers.source import shown
from diffusiontalker.data.sync import DRIFT_NOTICEABLE_S, NOTICEABLE_S, SyncEstimate

_APART_S = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SyncSummary:
    """How faces stand against their sound; all lags are in seconds, positive where the face is late."""

    num_clips: int
    """Clips that were measured."""
    num_clear: int
    """Clips whose lag is clear; all lags here are of these."""
    num_corrected: int
    """Clips whose face was shifted."""
    median_lag_s: float
    """Lag of the middle clip; 0 when none is clear."""
    quartile_lags_s: tuple[float, float]
    """Half of the clips lie between these."""

    def text(self) -> str:
        """One line for people."""
        if not self.num_clear:
            return f"sound and face: of {counted(self.num_clips, 'clip')} none tells clearly how they stand"
        low, high = (f"{1000 * lag:.0f}" for lag in self.quartile_lags_s)
        spread = f"median of {self.num_clear} clear clips of {self.num_clips}, half of them {low} to {high} ms"
        if self.num_clear == 1:
            spread = f"told by the one clear clip of {self.num_clips}"
        corrected = f"; {counted(self.num_corrected, 'clip')} corrected" if self.num_corrected else ""
        is_late = abs(self.median_lag_s) >= NOTICEABLE_S and not self.num_corrected
        advice = f"; --face-lag-s {self.median_lag_s:.3f} at import takes it back in every clip" if is_late else ""
        return f"sound and face: the face {_described(self.median_lag_s)} ({spread}){corrected}{advice}"


def summarize_sync(estimates: Mapping[str, SyncEstimate], *, num_corrected: int) -> SyncSummary | None:
    """The summary of clips by id; None when there are none."""
    if not estimates:
        return None
    lags = [estimate.lag_s for estimate in estimates.values() if estimate.is_clear]
    low, middle, high = np.percentile(lags, [25, 50, 75]).tolist() if lags else (0.0, 0.0, 0.0)
    return SyncSummary(
        num_clips=len(estimates),
        num_clear=len(lags),
        num_corrected=num_corrected,
        median_lag_s=middle,
        quartile_lags_s=(low, high),
    )


def sync_warnings(estimates: Mapping[str, SyncEstimate], *, summary: SyncSummary) -> Iterator[str]:
    """The clips that stand apart from the others, and those whose lag changes, as one warning each."""
    clear = {clip_id: estimate for clip_id, estimate in estimates.items() if estimate.is_clear}
    apart = [
        f"{clip_id} ({1000 * estimate.lag_s:+.0f} ms)"
        for clip_id, estimate in clear.items()
        if abs(estimate.lag_s - summary.median_lag_s) > _APART_S
    ]
    if apart:
        yield (
            f"sound and face of {counted(len(apart), 'clip')} stand apart from the others "
            f"({1000 * summary.median_lag_s:+.0f} ms, positive: the face is late): {shown(apart)}; look at them, or "
            "correct them with --correct-sync offset"
        )
    drifting = [
        f"{clip_id} ({1000 * (estimate.start_lag_s or 0):+.0f} to {1000 * (estimate.end_lag_s or 0):+.0f} ms)"
        for clip_id, estimate in clear.items()
        if abs(estimate.drift_s) >= DRIFT_NOTICEABLE_S
    ]
    if drifting:
        yield (
            f"sound and face of {counted(len(drifting), 'clip')} drift apart from start to end: {shown(drifting)}; "
            "correct them with --correct-sync drift"
        )


def _described(lag_s: float) -> str:
    return f"is {'late' if lag_s >= 0 else 'early'} by {abs(1000 * lag_s):.0f} ms"
