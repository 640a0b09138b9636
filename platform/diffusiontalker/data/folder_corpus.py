"""Importer of the generic folder corpus: `manifest.csv`, audio files and motion files with named columns.

Clips that fail a check are left out and listed with the reason; nothing is skipped silently.
"""

import dataclasses
import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from diffusiontalker.audio.waveform import AudioError, read_waveform
from diffusiontalker.config import to_plain
from diffusiontalker.data import checks
from diffusiontalker.data.clip import Clip, CorpusError
from diffusiontalker.data.corpus import CorpusInfo
from diffusiontalker.data.corpus_writer import CorpusWriter
from diffusiontalker.data.manifest import ManifestRow, read_manifest
from diffusiontalker.face import MotionError, read_motion
from diffusiontalker.face.arkit import CHANNELS

logger = logging.getLogger(__name__)

REPORT_NAME = "import_report.json"
_SHOWN = 10


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportConfig:
    """How strictly a folder corpus is imported."""

    motion_fps: float = 25.0
    """Frame rate of the corpus, in Hz; every motion is resampled to it. 25, 30 and 60 are usual."""
    max_drift_s: float = 0.05
    """Largest accepted difference in length between audio and motion, in seconds, beyond half a motion frame."""
    range_tolerance: float = 0.05
    """How far a coefficient may lie outside [0, 1]; within the tolerance it is clamped."""
    max_rejected_fraction: float = 0.2
    """Import fails when more than this share of the clips is rejected: the export is then wrong as a whole."""
    licence: str = ""
    """Licence of the recordings; every bundle trained on them states it."""
    credit: str = ""
    """Whom to credit for the recordings; every bundle trained on them does."""
    strict: bool = False
    """Whether a single rejected clip makes the import fail."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if not 1 <= self.motion_fps <= 240:
            raise ValueError(f"motion_fps is {self.motion_fps}, expected 1 to 240 Hz, such as 25, 30 or 60")
        if self.max_drift_s < 0 or self.range_tolerance < 0:
            raise ValueError("max_drift_s and range_tolerance must not be negative")
        if not 0 <= self.max_rejected_fraction <= 1:
            raise ValueError(f"max_rejected_fraction is {self.max_rejected_fraction}, expected 0 to 1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import did with every clip of the source; also lies in the corpus as `import_report.json`."""

    accepted: tuple[str, ...]
    """Ids of the clips in the corpus."""
    rejected: tuple[tuple[str, str], ...]
    """Id and reason of every clip left out."""
    warnings: tuple[str, ...]
    """What was accepted but deserves a look."""
    info: CorpusInfo
    """The corpus that was written."""

    def text(self) -> str:
        """A summary for people: counts, then up to ten rejections and warnings."""
        splits = ", ".join(f"{split} {count}" for split, count in self.info.splits.items())
        lines = [
            f"accepted {len(self.accepted)} clips, {self.info.seconds / 60:.1f} min ({splits}); "
            f"rejected {len(self.rejected)}, warnings {len(self.warnings)}"
        ]
        if self.info.missing_channels:
            lines.append(f"channels the source lacks (0 in the corpus): {', '.join(self.info.missing_channels)}")
        lines += _listed("rejected", [f"{clip_id}: {reason}" for clip_id, reason in self.rejected])
        lines += _listed("warning", self.warnings)
        return "\n".join(lines)


def import_folder_corpus(
    source: Path,
    uri: str | Path,
    *,
    config: ImportConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Turns a folder corpus into a corpus at `uri`.

    Args:
        source: folder with `manifest.csv`; its paths are relative to the folder.
        uri: where the corpus goes, a local path or URL; must not exist.
        config: rate and strictness.
        progress: called with (clips done, clips in all).

    Raises:
        CorpusError: when the manifest or the destination is unusable, or too many clips are rejected (any, if strict);
            nothing is written then.
    """
    config = config or ImportConfig()
    rows = read_manifest(source)
    terms = {name: getattr(config, name) for name in ("licence", "credit") if getattr(config, name)}
    description = {"importer": "folder", "folder": source.name, "config": to_plain(config)} | terms
    with CorpusWriter.create(uri, motion_fps=config.motion_fps, source=description) as writer:
        importer = _Importer(writer, config)
        for number, row in enumerate(rows, start=1):
            importer.take(row)
            if progress:
                progress(number, len(rows))
        importer.check_rejections(source)
        importer.write_report()
    return importer.report(writer.info)


class _Importer:
    """State of one import."""

    def __init__(self, writer: CorpusWriter, config: ImportConfig) -> None:
        self._writer = writer
        self._config = config
        self._content = checks.ContentRegistry()
        self._seen: set[str] = set()
        self._channels: frozenset[str] = frozenset()
        self._accepted: list[str] = []
        self._rejected: list[tuple[str, str]] = []
        self._warnings: list[str] = []

    def take(self, row: ManifestRow) -> None:
        try:
            clip = self._checked(row)
        except (AudioError, MotionError, CorpusError, OSError) as error:
            self._rejected.append((row.clip_id, str(error)))
            return
        self._warnings += [f"{clip.clip_id}: {warning}" for warning in self._oddities(clip)]
        self._accepted.append(clip.clip_id)
        self._writer.missing_channels |= set(CHANNELS) - set(clip.motion.channel_names)
        self._writer.add(clip.aligned(motion_fps=self._config.motion_fps))

    def _checked(self, row: ManifestRow) -> Clip:
        if row.clip_id in self._seen:
            raise CorpusError("this clip_id stands in the manifest more than once; give every clip its own")
        self._seen.add(row.clip_id)
        clip = read_clip(row, config=self._config)
        self._content.check(clip)
        return clip

    def _oddities(self, clip: Clip) -> Iterator[str]:
        yield from self._content.add(clip)
        if checks.is_still(clip.motion):
            yield "motion never moves; the face was probably not tracked"
        channels = frozenset(clip.motion.channel_names)
        self._channels = self._channels or channels
        if lacking := self._channels - channels:
            yield f"lacks channels that other clips have: {', '.join(sorted(lacking))}"

    def check_rejections(self, source: Path) -> None:
        total = len(self._accepted) + len(self._rejected)
        limit = 0 if self._config.strict else math.floor(self._config.max_rejected_fraction * total)
        if self._rejected and (len(self._rejected) > limit or not self._accepted):
            reasons = "\n".join(_listed("rejected", [f"{clip_id}: {reason}" for clip_id, reason in self._rejected]))
            raise CorpusError(
                f"{source}: {len(self._rejected)} of {total} clips were rejected, at most {limit} may be; repair them, "
                f"or relax strict or max_rejected_fraction\n{reasons}"
            )

    def write_report(self) -> None:
        plain = {"accepted": self._accepted, "rejected": self._rejected, "warnings": self._warnings}
        self._writer.add_document(REPORT_NAME, json.dumps(plain, indent=1) + "\n")

    def report(self, info: CorpusInfo) -> ImportReport:
        if self._rejected or self._warnings:
            logger.warning("import left out %d clips and noted %d warnings", len(self._rejected), len(self._warnings))
        return ImportReport(
            accepted=tuple(self._accepted),
            rejected=tuple(self._rejected),
            warnings=tuple(self._warnings),
            info=info,
        )


def read_clip(row: ManifestRow, *, config: ImportConfig) -> Clip:
    """Reads and checks one clip of a folder corpus; the motion keeps its own rate and channels.

    Raises:
        AudioError: for audio that cannot be used.
        MotionError: for motion that cannot be used.
        CorpusError: for labels or a pair that cannot be used.
    """
    try:
        fps = float(row.fps)
    except ValueError:
        raise CorpusError(f"fps is '{row.fps}' in the manifest, expected a number such as 25, 30 or 60") from None
    waveform = read_waveform(row.audio)
    motion = read_motion(row.motion, fps=fps)
    checks.check_audible(waveform)
    checks.check_range(motion, tolerance=config.range_tolerance)
    checks.check_drift(motion, waveform, max_drift_s=config.max_drift_s)
    return Clip(
        clip_id=row.clip_id,
        waveform=waveform,
        motion=dataclasses.replace(motion, coefficients=np.clip(motion.coefficients, 0.0, 1.0)),
        speaker=row.speaker,
        emotion=row.emotion,
        split=row.split,
    )


def _listed(label: str, lines: list[str] | tuple[str, ...]) -> list[str]:
    shown = [f"  {label} {line}" for line in lines[:_SHOWN]]
    return [*shown, f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else shown
