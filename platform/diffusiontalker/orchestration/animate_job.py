"""The bulk animation job: any number of recordings through a pool of actors on Ray Data, one motion file each.

A motion file appears whole or not at all, so "is it there" is the same as "is it done": there is no other record, and a
job that was killed goes on with what is missing. Only names travel through Ray; sound and motion stay in the actor.
"""

import functools
import json
import logging
from pathlib import Path
from typing import Any

from diffusiontalker.config import ConfigError, publish_file
from diffusiontalker.data import Recording
from diffusiontalker.inference import RESULTS, BulkAnimator
from diffusiontalker.orchestration.actor_pool import BulkError, PoolWork, pool_results, worker_pool
from diffusiontalker.orchestration.animate_plan import (
    FAILED,
    MADE_WITH,
    SUMMARY,
    AnimateJobConfig,
    BulkPlan,
    make_plan,
)
from diffusiontalker.orchestration.bulk_progress import BulkProgress
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.storage import files_below, open_filesystem

logger = logging.getLogger(__name__)

_MAX_FILES, _MAX_BYTES = 32, 8 * 1024 * 1024
"""Most that an actor is given at once: enough for full batches, little enough for steady progress."""
_UNKNOWN_BYTES = 1 << 18
"""What a file counts whose size is not known: 8 s at 16 kHz."""
_CRASHED = "every process that animated it died, perhaps for want of memory; cut it into shorter files"


def run_animate_job(config: AnimateJobConfig, *, out: Path | str | None = None, resume: bool | None = False) -> str:
    """Animates every recording that has no motion file yet, and returns what to tell the user.

    Recordings that fail are listed in `failed.jsonl` and tried again when the job is resumed.

    Args:
        config: what to animate and how.
        out: folder of the motion files, a path that all nodes see or a URL; `runs/<name>` when None.
        resume: go on with what is missing there; None: if it was begun.

    Raises:
        ArtefactError: when the folder exists (without `resume`) or cannot be written.
        BulkError: when motion cannot be written, no recording at all could be animated, or Ray fails.
        ConfigError: for missing or changed configuration, bundle or voices.
        ValueError: of the package's own types, for anything else that `make_plan` finds.
    """
    plan = make_plan(config)
    with RunFolder.opened(out or Path("runs") / config.name, config, resume=resume) as folder:
        _check_made_with(plan, folder)
        filesystem, root = open_filesystem(folder.copy.address(folder.root))
        done = plan.recordings.keys() & files_below(filesystem, root).keys()
        pending = {output: one for output, one in plan.recordings.items() if output not in done}
        if done:
            logger.info("%d of %d recordings have their motion already", len(done), len(plan.recordings))
        if pending:
            result = _animate(plan, folder, pending, num_before=len(done))
            with publish_file(folder.root / SUMMARY, overwrite=True) as temporary:
                temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            _refuse_nothing(result, folder)
            return _text(result, folder)
        return f"all {len(done)} recordings are animated\nmotion       {folder.shown(folder.root)}"


def _animate(plan: BulkPlan, folder: RunFolder, pending: dict[str, Recording], *, num_before: int) -> dict[str, Any]:
    """Computes what is missing; gives the summary."""
    orchestration = plan.config.orchestration
    order = plan.order(out=folder.published(folder.root))
    work = PoolWork(
        make=functools.partial(BulkAnimator, order),
        results=RESULTS,
        table=plan.table,
        weight=lambda output: _weight(plan.recordings[output]),
        max_items=_MAX_FILES,
        max_weight=_MAX_BYTES,
    )
    unreported, total = dict(pending), sum(map(_weight, pending.values()))
    progress = BulkProgress("recordings", num_pending=len(pending), weight=total, failures_path=folder.root / FAILED)
    with progress, worker_pool(orchestration) as num_actors:
        logger.info("animating %d recordings with %d actors", len(pending), num_actors)
        for recording, row in pool_results(work, unreported, config=orchestration):
            if row["is_unwritable"]:
                raise BulkError(f"{row['reason']}; what is there is kept, mend this and go on with --resume")
            if row["reason"] is None:
                progress.done(seconds=row["seconds"], weight=_weight(recording))
            else:
                progress.failed(recording.name, reason=row["reason"], weight=_weight(recording))
        for recording in unreported.values():
            reason = f"{recording.name}: {_CRASHED}"
            progress.failed(recording.name, reason=reason, weight=_weight(recording))
    about = {"actors": num_actors, "device": "gpu" if orchestration.use_gpu else "cpu", **plan.made_with}
    return summary(progress, num_recordings=len(plan.recordings), num_before=num_before, about=about)


def _weight(recording: Recording) -> int:
    """How much work a recording is, in bytes of its file."""
    return recording.num_bytes or _UNKNOWN_BYTES


def summary(progress: BulkProgress, *, num_recordings: int, num_before: int, about: dict[str, Any]) -> dict[str, Any]:
    """The figures of a start that has ended; plain data.

    Args:
        progress: of this start.
        num_recordings: all that were asked for.
        num_before: what earlier starts had finished.
        about: how it was computed.
    """
    return {
        "recordings": num_recordings,
        "finished": num_before + progress.num_done,
        "failed": progress.num_failed,
        "this_start": {
            "animated": progress.num_done,
            "audio_s": round(progress.audio_s, 3),
            "wall_s": round(progress.wall_s, 3),
            **{name: round(value, 3) for name, value in progress.rates().items()},
        },
        **about,
    }


def _check_made_with(plan: BulkPlan, folder: RunFolder) -> None:
    """Refuses to mix the motion of two bundles, or two voices of one name, in one folder."""
    path = folder.root / MADE_WITH
    now = plan.made_with
    if path.is_file():
        then: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        voices = {name: voice for name, voice in then["voices"].items() if now["voices"].get(name, voice) != voice}
        changed = [
            *(["the bundle"] if then["bundle"] != now["bundle"] else []),
            *(f"voice '{name}'" for name in voices),
        ]
        if changed:
            raise ConfigError(
                f"{folder.shown(path)}: {' and '.join(changed)} changed since this was begun; give the new motion "
                "another folder with --out"
            )
        now = {**now, "voices": {**then["voices"], **now["voices"]}}
    with publish_file(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


def _refuse_nothing(result: dict[str, Any], folder: RunFolder) -> None:
    if result["finished"] == 0:
        with (folder.root / FAILED).open(encoding="utf-8") as stream:
            first = json.loads(stream.readline())
        raise BulkError(
            f"none of {result['recordings']} recordings could be animated, the first because: {first['reason']}; all "
            f"reasons are in {folder.shown(folder.root / FAILED)}"
        )


def _text(result: dict[str, Any], folder: RunFolder) -> str:
    now = result["this_start"]
    lines = [
        f"{result['finished']} of {result['recordings']} recordings are animated, {now['animated']} of them now: "
        f"{now['audio_s']:.1f} s of sound in {now['wall_s']:.1f} s, {now['files_per_s']:.1f} files/s, "
        f"{now['x_real_time']:.1f} x real time"
    ]
    if result["failed"]:
        lines.append(f"FAILED       {result['failed']}: {folder.shown(folder.root / FAILED)} says why")
    lines += [f"motion       {folder.shown(folder.root)}", f"figures      {folder.shown(folder.root / SUMMARY)}"]
    return "\n".join(lines)
