"""`Intake`: takes the clips of an import in order, leaves out what may not enter, and makes the report.

All that needs more than one clip is here: names and content that repeat, channels that only some clips have, how many
were rejected. Knows nothing about files of recordings.
"""

import contextlib
import dataclasses
import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from diffusiontalker.config import counted, to_plain
from diffusiontalker.data.checks import ContentRegistry
from diffusiontalker.data.clip import CorpusError
from diffusiontalker.data.corpus import CorpusInfo
from diffusiontalker.data.corpus_writer import CorpusWriter, EncodedClip
from diffusiontalker.data.importers.checked import CheckedClip, RejectedClip, checked_or_rejected
from diffusiontalker.data.importers.config import ImportConfig
from diffusiontalker.data.importers.formats import list_clips
from diffusiontalker.data.importers.source import ClipList, ClipSource, shown
from diffusiontalker.data.importers.sync_summary import SyncSummary, summarize_sync, sync_warnings
from diffusiontalker.data.sync import SyncEstimate

logger = logging.getLogger(__name__)

REPORT_NAME = "import_report.json"
_SHOWN = 10
_NEEDED_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import did with every clip of the source; also lies in the corpus as `import_report.json`."""

    accepted: tuple[str, ...]
    """Ids of the clips in the corpus."""
    rejected: tuple[tuple[str, str], ...]
    """Id and reason of every clip left out."""
    warnings: tuple[str, ...]
    """What was accepted but deserves a look."""
    sync: SyncSummary | None
    """How sound and face stand against each other; None where no clip tells, as for vertices."""
    lacking: tuple[str, ...]
    """Channels that every clip lacks."""
    info: CorpusInfo
    """The corpus that was written."""

    def text(self) -> str:
        """A summary for people: counts, then up to ten rejections and warnings."""
        splits = ", ".join(f"{split} {count}" for split, count in self.info.splits.items())
        lines = [
            f"accepted {counted(len(self.accepted), 'clip')}, {self.info.seconds / 60:.1f} min ({splits}); "
            f"rejected {len(self.rejected)}, warnings {len(self.warnings)}"
        ]
        if self.lacking:
            lines.append(f"channels the source lacks (0 in the corpus): {', '.join(self.lacking)}")
        if empty := [split for split in _NEEDED_SPLITS if split not in self.info.splits]:
            lines.append(f"no clip is in {', '.join(empty)}: training needs {', '.join(_NEEDED_SPLITS)}")
        if self.sync:
            lines.append(self.sync.text())
        lines += _listed("rejected", [f"{clip_id}: {reason}" for clip_id, reason in self.rejected])
        lines += _listed("warning", self.warnings)
        return "\n".join(lines)


class Intake:
    """The state of one import; made by `open_intake`."""

    def __init__(self, writer: CorpusWriter, clips: ClipList, *, folder: Path, config: ImportConfig) -> None:
        self._writer = writer
        self._config = config
        self._folder = folder
        self._channel_names = frozenset(clips.channel_names)
        self._content = ContentRegistry()
        self._seen: set[str] = set()
        self._lacking: dict[frozenset[str], list[str]] = defaultdict(list)
        self._accepted: list[str] = []
        self._rejected: list[tuple[str, str]] = []
        self._notes = clips.notes
        self._warnings: list[str] = list(clips.notes)
        self._sync: dict[str, SyncEstimate] = {}
        self._num_corrected = 0
        self._sync_summary: SyncSummary | None = None

    def take(self, source: ClipSource, outcome: CheckedClip | RejectedClip) -> None:
        """Writes a clip or notes why not; call it for every clip, in the order of the list."""
        try:
            if source.clip_id in self._seen:
                raise CorpusError("an earlier clip has this clip_id; give every clip its own")
            self._seen.add(source.clip_id)
            if isinstance(outcome, RejectedClip):
                raise CorpusError(outcome.reason)
            self._content.check(outcome.clip, outcome.content)
        except CorpusError as error:
            is_named = source.source == source.clip_id or source.source in str(error)
            self._rejected.append((source.clip_id, str(error) if is_named else f"{source.source}: {error}"))
            return
        self._warnings += [f"{source.clip_id}: {warning}" for warning in self._oddities(outcome)]
        self._accepted.append(source.clip_id)
        if outcome.sync:
            self._sync[source.clip_id] = outcome.sync
            self._num_corrected += outcome.is_corrected
        lacking = self._channel_names.difference(outcome.channel_names)
        self._lacking[lacking].append(source.clip_id)
        self._writer.missing_channels |= lacking
        if isinstance(outcome.clip, EncodedClip):
            self._writer.add_encoded(outcome.clip)
        else:
            self._writer.add(outcome.clip)

    def finish(self) -> None:
        """Writes the report.

        Raises:
            CorpusError: when too many clips were rejected.
        """
        self._check_rejections()
        self._warnings += self._uneven_channels()
        self._sync_summary = summarize_sync(self._sync, num_corrected=self._num_corrected)
        if self._sync_summary and self._config.correct_sync == "none":
            self._warnings += sync_warnings(self._sync, summary=self._sync_summary)
        sync = {clip_id: dataclasses.asdict(estimate) for clip_id, estimate in self._sync.items()}
        plain = {"accepted": self._accepted, "rejected": self._rejected, "warnings": self._warnings, "sync": sync}
        self._writer.add_document(REPORT_NAME, json.dumps(plain, indent=1) + "\n")
        found = ((len(self._rejected), "rejected clip"), (len(self._warnings), "warning"))
        if said := [counted(number, noun) for number, noun in found if number]:
            logger.warning("the import has %s", " and ".join(said))

    def report(self) -> ImportReport:
        """What happened; only once the block of `open_intake` has ended."""
        return ImportReport(
            accepted=tuple(self._accepted),
            rejected=tuple(self._rejected),
            warnings=tuple(self._warnings),
            sync=self._sync_summary,
            lacking=tuple(name for name in self._writer.info.missing_channels if name in self._all_lack()),
            info=self._writer.info,
        )

    def _oddities(self, checked: CheckedClip) -> Iterator[str]:
        yield from self._content.add(checked.clip, checked.content)
        yield from checked.warnings

    def _all_lack(self) -> frozenset[str]:
        """Channels that every clip lacks."""
        return frozenset.intersection(*self._lacking) if self._lacking else frozenset()

    def _uneven_channels(self) -> Iterator[str]:
        """Clips that lack what others have; told in the end, as only then all are known."""
        of_all = self._all_lack()
        for lacking, clip_ids in self._lacking.items():
            if others_have := sorted(lacking - of_all):
                yield (
                    f"{shown(clip_ids)}: {counted(len(clip_ids), 'clip')} of {len(self._accepted)} without channels "
                    f"that other clips have: {', '.join(others_have)}; 0 stands there, and no evaluation counts them"
                )

    def _check_rejections(self) -> None:
        total = len(self._accepted) + len(self._rejected)
        share = self._config.max_rejected_fraction
        limit = 0 if self._config.strict else math.floor(share * total)
        if self._rejected and (len(self._rejected) > limit or not self._accepted):
            if not self._accepted:
                remedy = "repair them"
            elif self._config.strict:
                remedy = "--strict allows none; repair them, or leave it out"
            else:
                remedy = f"at most {limit} ({100 * share:g} %) may be; repair them, or raise --max-rejected-fraction"
            lines = _listed("rejected", [f"{clip_id}: {reason}" for clip_id, reason in self._rejected])
            lines += _listed("warning", self._notes)
            raise CorpusError(
                f"{self._folder}: {len(self._rejected)} of {total} clips were rejected; {remedy}\n" + "\n".join(lines)
            )


@contextlib.contextmanager
def open_intake(clips: ClipList, uri: str | Path, *, folder: Path, config: ImportConfig) -> Iterator[Intake]:
    """A new corpus at `uri` that takes clips until the block ends; `Intake.report` is there after it.

    Raises:
        CorpusError: when the destination is unusable, or too many clips were rejected (if strict, also when files were
            left out that are none of the format); nothing is written then.
    """
    if config.strict and clips.strays:
        notes = "\n".join(_listed("warning", clips.notes))
        raise CorpusError(
            f"{folder}: {counted(len(clips.strays), 'recording')} would be left out: {shown(clips.strays)}; --strict "
            f"allows none: rename them, take them away, or leave out --strict\n{notes}"
        )
    terms = {name: getattr(config, name) for name in ("licence", "credit") if getattr(config, name)}
    description = {"importer": clips.format, "folder": folder.name, "config": to_plain(config)} | terms
    with CorpusWriter.create(
        uri, motion_fps=config.motion_fps, channel_names=clips.channel_names, source=description
    ) as writer:
        for name, content in clips.documents.items():
            writer.add_document(name, content)
        intake = Intake(writer, clips, folder=folder, config=config)
        yield intake
        intake.finish()


def import_corpus(
    source: Path,
    uri: str | Path,
    *,
    corpus_format: str = "auto",
    config: ImportConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Turns a folder of recordings into a corpus at `uri`, clip by clip in this process.

    Args:
        source: the folder.
        uri: where the corpus goes, a local path or URL; must not exist.
        corpus_format: one of `CORPUS_FORMATS`.
        config: rate and strictness.
        progress: called with (clips done, clips in all).

    Raises:
        CorpusError: when the recordings or the destination are unusable, or too many clips are rejected (any, if
            strict); nothing is written then.
    """
    config = config or ImportConfig()
    clips = list_clips(source, corpus_format=corpus_format)
    with open_intake(clips, uri, folder=source, config=config) as intake:
        for number, clip in enumerate(clips.clips, start=1):
            intake.take(clip, checked_or_rejected(clip, config=config))
            if progress:
                progress(number, len(clips.clips))
    return intake.report()


def _listed(label: str, lines: list[str] | tuple[str, ...]) -> list[str]:
    shown = [f"  {label} {line}" for line in lines[:_SHOWN]]
    return [*shown, f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else shown
