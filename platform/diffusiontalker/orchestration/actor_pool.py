"""Bulk work on Ray Data: tables of items through a pool of actors, a row of result for each as it is made.

Only names and results travel through Ray, what they stand for stays in the actors: memory is constant whatever there is
to do. A piece of work whose process dies is done again, at last item by item, and given up when that fails too. What
has a result is known by what it left in storage, which is the caller's affair.
"""

import contextlib
import dataclasses
import functools
import logging
import math
import uuid
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, TypeVar, cast

import pyarrow as pa
import ray
import ray.data
import ray.exceptions
from ray.experimental import internal_kv

from diffusiontalker.config import ConfigError
from diffusiontalker.orchestration.cluster import environment, ray_cluster
from diffusiontalker.orchestration.failure import JobError

logger = logging.getLogger(__name__)

_TASKS_PER_ACTOR = 4
"""A small job is cut finer, so that all actors end at about the same time."""

ItemT = TypeVar("ItemT")


class BulkError(JobError):
    """Bulk work that ended before it was done, or made nothing; the message says why and how to go on."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PoolConfig:
    """Where bulk work runs; any of it may differ when it is resumed."""

    num_actors: int = 0
    """Processes that work; 0: as many as the cluster has room for now. More than that wait for nodes to join."""
    use_gpu: bool = False
    """Compute on GPUs."""
    gpus_per_actor: float = 1.0
    """Part of a GPU that an actor takes; below 1 several share one, so that files are read and written fast enough."""
    cpus_per_actor: int = 1
    """CPUs that an actor reserves; also its number of threads."""
    max_crashes: int = 3
    """How often the work of a dead process is done again before its items are tried one by one."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        for name, lowest in {"num_actors": 0, "cpus_per_actor": 1, "max_crashes": 0}.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        share = self.gpus_per_actor
        if not share > 0 or (share > 1 and share != int(share)):
            raise ValueError(f"gpus_per_actor is {share}, expected a part of one such as 0.25, or a whole number")

    @property
    def device(self) -> str:
        """Where an actor computes."""
        return "cuda" if self.use_gpu else "cpu"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoolWork:
    """What actors do."""

    make: Callable[[], Callable[[pa.Table], pa.Table]]
    """Called in every actor: gives what turns a table of items into a table of results. Both have the item's key in
    their first column."""
    results: pa.Schema
    """Of the results."""
    table: Callable[[Sequence[str]], pa.Table]
    """The items of some keys."""
    weight: Callable[[str], int]
    """How much work an item is; those of a group are alike."""
    max_items: int
    """Most items that an actor is given at once: enough for full batches, little enough for steady progress."""
    max_weight: float = math.inf
    """Most work that an actor is given at once."""


class _Actor:
    """One process of the pool; refuses what was begun too often."""

    def __init__(
        self,
        make: Callable[[], Callable[[pa.Table], pa.Table]],
        results: pa.Schema,
        *,
        begin: Callable[[str], int],
        max_attempts: int,
    ) -> None:
        self._do, self._results = make(), results
        self._begin, self._max_attempts = begin, max_attempts

    def __call__(self, items: pa.Table) -> pa.Table:
        if self._begin(f"{len(items)} from {items.column(0)[0]}") > self._max_attempts:
            return self._results.empty_table()
        return self._do(items)


@contextlib.contextmanager
def worker_pool(config: PoolConfig) -> Iterator[int]:
    """A Ray cluster, a local one if there is none, for the length of the block; gives the number of actors.

    Raises:
        ConfigError: when the cluster has no room for any.
    """
    with _quiet_ray(), ray_cluster(num_cpus=max(1, config.num_actors) * config.cpus_per_actor):
        yield _pool_size(config)[1]


def pool_results(
    work: PoolWork, unreported: MutableMapping[str, ItemT], *, config: PoolConfig
) -> Iterator[tuple[ItemT, dict[str, Any]]]:
    """Streams (item, row of its result) as they are made, in any order; call it inside `worker_pool`.

    Args:
        work: what to do.
        unreported: key -> item; what has a result is taken out. What stays killed its process every time.
        config: where.

    Raises:
        BulkError: when Ray fails, or what is done cannot go on.
    """
    smallest, largest = _pool_size(config)
    job = uuid.uuid4().hex
    begin = functools.partial(_begin, job)
    try:
        for groups in _passes(work, unreported, num_actors=largest):
            pool = (min(smallest, len(groups)), min(largest, len(groups)))
            for row in _rows(work, [work.table(keys) for keys in groups], begin=begin, pool=pool, config=config):
                key = row[work.results.names[0]]
                if key in unreported:  # else: work of a lost node that was done twice
                    yield unreported.pop(key), row
    finally:
        internal_kv._internal_kv_del(_key(job, ""), del_by_prefix=True)


def grouped(work: PoolWork, keys: Sequence[str], *, max_items: int) -> list[list[str]]:
    """Keys of items that an actor is given at once, those with the most work first.

    So items of a group need little padding, and all actors end at about the same time.
    """
    groups: list[list[str]] = []
    total = 0.0
    for key in sorted(keys, key=lambda one: -work.weight(one)):
        weight = work.weight(key)
        if not groups or len(groups[-1]) == max_items or total + weight > work.max_weight:
            groups.append([])
            total = 0.0
        groups[-1].append(key)
        total += weight
    return groups


def _passes(work: PoolWork, unreported: MutableMapping[str, ItemT], *, num_actors: int) -> Iterator[list[list[str]]]:
    """The work in groups; then, item by item, what died with a process again and again."""
    size = max(1, min(work.max_items, math.ceil(len(unreported) / (num_actors * _TASKS_PER_ACTOR))))
    yield grouped(work, list(unreported), max_items=size)
    if unreported:
        logger.warning("%d items died with their processes; trying them one by one", len(unreported))
        yield grouped(work, list(unreported), max_items=1)


def _rows(
    work: PoolWork,
    tables: Sequence[pa.Table],
    *,
    begin: Callable[[str], int],
    pool: tuple[int, int],
    config: PoolConfig,
) -> Iterator[dict[str, Any]]:
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # an hour of speech on one CPU is no standstill
    with ray.data.DataContext.current(context):
        dataset = ray.data.from_arrow(list(tables)).map_batches(
            _Actor,
            fn_constructor_args=(work.make, work.results),
            fn_constructor_kwargs={"begin": begin, "max_attempts": 1 + config.max_crashes},
            compute=ray.data.ActorPoolStrategy(min_size=pool[0], max_size=pool[1]),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=config.cpus_per_actor,
            num_gpus=config.gpus_per_actor if config.use_gpu else 0,
        )
        try:
            for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from cast(pa.Table, table).to_pylist()
        except ray.exceptions.RayError as error:
            raise BulkError(f"{_reason(error)}; what is there is kept, mend this and go on with --resume") from error


def _begin(job: str, work: str) -> int:
    """Notes that a piece of work is begun, and says how often it has been, by whatever process.

    In the cluster's own table: an actor that counts would be one more process that starts, half a second on two cores.
    """
    begun = int(internal_kv._internal_kv_get(_key(job, work)) or 0) + 1
    internal_kv._internal_kv_put(_key(job, work), str(begun).encode(), overwrite=True)
    return begun


def _key(job: str, work: str) -> bytes:
    return f"diffusiontalker/{job}/{work}".encode()


@contextlib.contextmanager
def _quiet_ray() -> Iterator[None]:
    """Keeps Ray's own news off the terminal, and saves the process that would collect figures about its use."""
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with environment({"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_DATA_USAGE_DISABLED": "1"}):
            yield
    finally:
        log.setLevel(level)


def _pool_size(config: PoolConfig) -> tuple[int, int]:
    """Actors there is room for now, and actors that are wanted."""
    resources = ray.cluster_resources()
    room = resources.get("CPU", 0.0) // config.cpus_per_actor
    if config.use_gpu:
        room = min(room, resources.get("GPU", 0.0) // config.gpus_per_actor)
    wanted = config.num_actors or int(room)
    if not wanted:
        gpus = config.gpus_per_actor if config.use_gpu else 0.0
        raise ConfigError(
            f"the cluster has {resources.get('CPU', 0.0):g} CPUs and {resources.get('GPU', 0.0):g} GPUs, an actor "
            f"needs {config.cpus_per_actor} CPUs and {gpus:g} GPUs; lower that, add nodes, or set "
            "orchestration.num_actors, which waits for nodes that are on their way"
        )
    return max(1, min(int(room), wanted)), wanted


def _reason(error: BaseException) -> str:
    """The last line of what Ray says: the error that the actor raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
