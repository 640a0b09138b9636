"""The bulk animation job: any number of recordings through a pool of actors on Ray Data, one motion file each.

A motion file appears whole or not at all, so "is it there" is the same as "is it done": there is no other record, and a
job that was killed goes on with what is missing. Only names travel through Ray; sound and motion stay in the actor.
"""

import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, no_type_check

import pyarrow as pa
import ray
import ray.data
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from diffusiontalker.config import ConfigError, publish_file
from diffusiontalker.data import Recording
from diffusiontalker.inference import BulkAnimator, BulkOrder
from diffusiontalker.orchestration.animate_plan import (
    FAILED,
    MADE_WITH,
    SUMMARY,
    AnimateJobConfig,
    BulkConfig,
    BulkError,
    BulkPlan,
    make_plan,
)
from diffusiontalker.orchestration.animate_progress import BulkProgress, summary, weight
from diffusiontalker.orchestration.cluster import environment, ray_cluster
from diffusiontalker.orchestration.run_folder import RunFolder
from diffusiontalker.storage import files_below, open_filesystem

logger = logging.getLogger(__name__)

_MAX_FILES, _MAX_BYTES = 32, 8 * 1024 * 1024
"""Most that an actor is given at once: enough for full batches, little enough for steady progress."""
_TASKS_PER_ACTOR = 4
"""A small job is cut finer, so that all actors end at about the same time."""
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
    unreported = dict(pending)
    progress = BulkProgress(list(pending.values()), failures_path=folder.root / FAILED)
    num_cpus = max(1, orchestration.num_actors) * orchestration.cpus_per_actor
    with progress, _quiet_ray(), ray_cluster(num_cpus=num_cpus):
        smallest, largest = _pool(orchestration)
        logger.info("animating %d recordings with %d actors", len(pending), largest)
        begin = _ledger()
        for groups in _passes(unreported, num_actors=largest):
            pool = (min(smallest, len(groups)), min(largest, len(groups)))
            tables = [plan.table(outputs) for outputs in groups]
            for row in _results(order, tables, begin=begin, pool=pool, orchestration=orchestration):
                if row["is_unwritable"]:
                    raise BulkError(f"{row['reason']}; what is there is kept, mend this and go on with --resume")
                recording = unreported.pop(row["output"], None)
                if recording is None:  # work of a lost node that was done twice
                    continue
                if row["reason"] is None:
                    progress.animated(recording, seconds=row["seconds"])
                else:
                    progress.failed(recording, reason=row["reason"])
        for recording in unreported.values():
            progress.failed(recording, reason=f"{recording.name}: {_CRASHED}")
    about = {"actors": largest, "device": "gpu" if orchestration.use_gpu else "cpu", **plan.made_with}
    return summary(progress, num_recordings=len(plan.recordings), num_before=num_before, about=about)


def _passes(unreported: dict[str, Recording], *, num_actors: int) -> Iterator[list[list[str]]]:
    """The work in groups; then, file by file, what died with a process again and again."""
    yield grouped(unreported, max_files=_files_per_task(len(unreported), num_actors=num_actors))
    if unreported:
        logger.warning("%d recordings died with their processes; trying them one by one", len(unreported))
        yield grouped(unreported, max_files=1)


def grouped(pending: Mapping[str, Recording], *, max_files: int) -> list[list[str]]:
    """Motion files whose recordings an actor is given at once.

    The largest come first: recordings of a group need little padding, and all actors end at about the same time.
    """
    groups: list[list[str]] = []
    num_bytes = 0
    for output in sorted(pending, key=lambda one: -weight(pending[one])):
        size = weight(pending[output])
        if not groups or len(groups[-1]) == max_files or num_bytes + size > _MAX_BYTES:
            groups.append([])
            num_bytes = 0
        groups[-1].append(output)
        num_bytes += size
    return groups


def _files_per_task(num_files: int, *, num_actors: int) -> int:
    return max(1, min(_MAX_FILES, math.ceil(num_files / (num_actors * _TASKS_PER_ACTOR))))


def _results(
    order: BulkOrder,
    tables: Sequence[pa.Table],
    *,
    begin: Callable[[str], int],
    pool: tuple[int, int],
    orchestration: BulkConfig,
) -> Iterator[dict[str, Any]]:
    """Streams the rows of `RESULTS` as they are made, in any order; none for what kills its process every time."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # an hour of speech on one CPU is no standstill
    with ray.data.DataContext.current(context):
        dataset = ray.data.from_arrow(list(tables)).map_batches(
            BulkAnimator,
            fn_constructor_args=(order,),
            fn_constructor_kwargs={"begin": begin},
            compute=ray.data.ActorPoolStrategy(min_size=pool[0], max_size=pool[1]),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=orchestration.cpus_per_actor,
            num_gpus=orchestration.gpus_per_actor if orchestration.use_gpu else 0,
        )
        try:
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from cast(pa.Table, table).to_pylist()
        except ray.exceptions.RayError as error:
            raise BulkError(f"{_reason(error)}; what is there is kept, mend this and go on with --resume") from error


@no_type_check
def _ledger() -> Callable[[str], int]:
    """Counts for all actors how often each piece of work was begun; stays with this process's node.

    Class and function travel by value as they are local: the ledger's process need not import us and torch. (What
    checks types in tests would not travel.)
    """

    class Attempts:
        def __init__(self) -> None:
            self.begun: dict[str, int] = {}

        def begin(self, work: str) -> int:
            self.begun[work] = self.begun.get(work, 0) + 1
            return self.begun[work]

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    ledger: Any = ray.remote(Attempts)
    ledger = ledger.options(num_cpus=0, scheduling_strategy=here).remote()

    def begin(work: str) -> int:
        return ray.get(ledger.begin.remote(work))

    return begin


@contextlib.contextmanager
def _quiet_ray() -> Iterator[None]:
    """Keeps Ray's own news (bars are off, arguments lie in the object store, a dataset is done) off the terminal."""
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with environment({"RAY_BACKEND_LOG_LEVEL": "fatal"}):
            yield
    finally:
        log.setLevel(level)


def _pool(orchestration: BulkConfig) -> tuple[int, int]:
    """Actors there is room for now, and actors that are wanted."""
    resources = ray.cluster_resources()
    room = resources.get("CPU", 0.0) // orchestration.cpus_per_actor
    if orchestration.use_gpu:
        room = min(room, resources.get("GPU", 0.0) // orchestration.gpus_per_actor)
    wanted = orchestration.num_actors or int(room)
    if not wanted:
        gpus = orchestration.gpus_per_actor if orchestration.use_gpu else 0.0
        raise ConfigError(
            f"the cluster has {resources.get('CPU', 0.0):g} CPUs and {resources.get('GPU', 0.0):g} GPUs, an actor "
            f"needs {orchestration.cpus_per_actor} CPUs and {gpus:g} GPUs; lower that, add nodes, or set "
            "orchestration.num_actors, which waits for nodes that are on their way"
        )
    return max(1, min(int(room), wanted)), wanted


def _reason(error: BaseException) -> str:
    """The last line of what Ray says: the error that the actor raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


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
