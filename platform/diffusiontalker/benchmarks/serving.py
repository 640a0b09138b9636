"""`bench serve --curves`: what load does to an endpoint, what of its time is not the model's, how soon a replica is up.

The measuring is `load.curves`; here it becomes groups of rows.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from diffusiontalker.benchmarks.machine import measure_rates
from diffusiontalker.benchmarks.results import BenchmarkResult, Group, MachineRates, Row, new_result
from diffusiontalker.benchmarks.students import untrained
from diffusiontalker.evaluation import count_animation
from diffusiontalker.inference import load_bundle, save_bundle
from diffusiontalker.load import Curves, CurvesConfig, LoadError, Point, measure_curves

AT_WORKERS = 8
"""Where the parts of an answer are told one by one, and less than `_WANTED_OUTSIDE` of the time is wanted outside."""
_WANTED_OUTSIDE = 30.0
_SIZES, _FPS = ("small", "nano"), 30.0
_WORKERS = "workers, each with one recording under way"
_IN_BATCH = "recordings of a batch, on average"
_FLOOR_FROM = "the products of a recording, counted, at the rate measured on all cores, and nothing else"
_PARTS = {"process": "Python and imports", "bundle": "loading the bundle", "warm_up": "warming up"}


@contextlib.contextmanager
def served_bundles(bundle: Path | None) -> Iterator[dict[str, Path]]:
    """Name -> folder of what is served within the block: a bundle, or untrained students of two sizes.

    Raises:
        BundleError: when there is no such bundle.
    """
    if bundle is not None:
        load_bundle(bundle)
        yield {"student": bundle.resolve()}
        return
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
        bundles = {size: Path(folder) / size for size in _SIZES}
        for size, path in bundles.items():
            save_bundle(untrained(size, motion_fps=_FPS), path)
        yield bundles


def measure_serving(config: CurvesConfig, *, on_line: Callable[[str], None] = lambda line: None) -> BenchmarkResult:
    """Takes some minutes.

    Args:
        config: what is measured.
        on_line: hears what comes next.

    Raises:
        LoadError: when an endpoint does not start, or requests fail.
        AudioError: when the speech cannot be used.
    """
    on_line("the machine")
    rates = measure_rates()
    seconds = config.load.seconds
    operations = {
        name: count_animation(load_bundle(path), seconds=seconds).operations for name, path in config.bundles.items()
    }
    curves = measure_curves(config, on_line=on_line)
    _require_answers(curves)
    load = config.load.plain()
    kept = ("seconds", "voice", "motion_format", "duration_s", "warm_up_s", "speech")
    settings = {
        "bundles": list(config.bundles),
        "workers": list(config.load.levels),
        "rounds": config.rounds,
        "threads": config.threads,
        **{name: load[name] for name in kept},
    }
    return new_result("serve", config=settings, groups=serving_groups(curves, operations, rates), rates=rates)


def serving_groups(curves: Curves, operations: Mapping[str, float], rates: MachineRates) -> list[Group]:
    """All tables.

    Args:
        curves: what was measured.
        operations: name of a bundle -> floating-point operations of one recording.
        rates: what the machine can do.
    """
    # Which bundle a system serves, the first part of its name says.
    floors_ms = {
        system: operations[system.partition(",")[0]] / rates.float32_all_cores / 1e6
        for system in curves.config.systems()
    }
    return [
        *_client_groups(curves, floors_ms),
        *_batch_groups(curves, floors_ms),
        *_outside_groups(curves),
        _start_group(curves),
    ]


def _client_groups(curves: Curves, floors_ms: Mapping[str, float]) -> list[Group]:
    answers = _rows(
        curves,
        "answers/s",
        {"": lambda point: point.level.throughput},
        floor=lambda system, kind: 1e3 / floors_ms[system],
    )
    latency = _rows(
        curves,
        "ms",
        {
            "p50": lambda point: None if point.level.latency is None else point.level.latency.p50,
            "p99": lambda point: None if point.level.latency is None else point.level.latency.p99,
        },
    )
    cpu = _rows(curves, "ms", {"": lambda point: point.level.server_cpu_ms})
    seconds = curves.config.load.seconds
    return [
        Group(title="Answers", about=f"Recordings of {seconds:g} s.", rows=answers, x_label=_WORKERS),
        Group(
            title="Latency", about="Of a recording, until its whole answer is there.", rows=latency, x_label=_WORKERS
        ),
        Group(
            title="CPU time of an answer",
            about="Of all processes of the endpoint; the warm-up of the level included.",
            rows=cpu,
            x_label=_WORKERS,
        ),
    ]


def _batch_groups(curves: Curves, floors_ms: Mapping[str, float]) -> list[Group]:
    size = _rows(curves, "recordings", {"": lambda point: point.batch_size})
    wait = _rows(curves, "ms", {f"p{round(100 * q)}": _wait(q) for q in (0.5, 0.99)}, over_batch=True)
    kinds = {"a batch": lambda point: point.batch_ms, "a recording": lambda point: point.batch_ms / point.batch_size}
    computing = _rows(
        curves,
        "ms",
        kinds,
        over_batch=True,
        floor=lambda system, kind: floors_ms[system] if kind == "a recording" else None,
    )
    return [
        Group(
            title="Batch size",
            about="There is no timer: what arrives while a batch is computed makes the next one.",
            rows=size,
            x_label=_WORKERS,
        ),
        Group(
            title="Wait for a batch",
            about="Of a recording that is decoded, until a batch takes it; read from buckets that are 1.4 times apart.",
            rows=wait,
            x_label=_IN_BATCH,
        ),
        Group(
            title="Computing",
            about="A whole batch, and what of it falls to a recording.",
            rows=computing,
            x_label=_IN_BATCH,
        ),
    ]


def _outside_groups(curves: Curves) -> list[Group]:
    kinds: dict[str, Callable[[Point], float | None]] = {
        "time": lambda point: 100.0 * point.idle_share,
        "CPU": lambda point: None if point.cpu_share_outside is None else 100.0 * point.cpu_share_outside,
    }
    wanted = {float(AT_WORKERS): _WANTED_OUTSIDE}
    shares = _rows(curves, "%", kinds, wanted=wanted)
    groups = [
        Group(
            title="Outside the model",
            about="Time: of the seconds from a level's first request to its last answer, those in which no batch was "
            "computed. CPU: of the seconds of CPU that the endpoint used in them, those that were not used for batches "
            "(plain server alone).",
            rows=shares,
            x_label=_WORKERS,
        )
    ]
    if AT_WORKERS not in curves.config.load.levels:
        return groups
    at = f"{AT_WORKERS} workers"
    cpu = _parts_rows(curves, lambda point: point.cpu_ms)
    stages = _parts_rows(curves, lambda point: point.stages_ms() if point.cpu_ms else {})
    if cpu:
        groups += [
            Group(title=f"CPU time of an answer by part, {at}", about="Plain server.", rows=cpu),
            Group(title=f"Latency by part, {at}", about="Means, plain server.", rows=stages),
        ]
    return groups


def _start_group(curves: Curves) -> Group:
    rows = []
    for system in curves.config.systems():
        starts = [start for start in curves.starts if start.system == system]
        for part, label in _PARTS.items():
            if all(part in start.parts for start in starts):
                values = tuple(start.parts[part] for start in starts)
                rows.append(Row(name=f"{system}: {label}", unit="s", values=values))
        rows += [
            Row(name=f"{system}: ready", unit="s", values=tuple(start.ready_s for start in starts)),
            Row(
                name=f"{system}: first answer after that", unit="s", values=tuple(s.first_answer_s for s in starts)
            ),
        ]  # fmt: skip
    about = (
        "Ready: from the start of the process to the first answer of /ready; on Ray Serve with the start of Ray, a "
        "cluster and the personalizer's replica. The parts are the talker's own; on Ray Serve its process may have "
        "waited before. Files are in the cache of the system."
    )
    return Group(title="Start", about=about, rows=tuple(rows))


def _rows(
    curves: Curves,
    unit: str,
    kinds: dict[str, Callable[[Point], float | None]],
    *,
    over_batch: bool = False,
    wanted: dict[float, float] | None = None,
    floor: Callable[[str, str], float | None] = lambda system, kind: None,
) -> tuple[Row, ...]:
    """A row for every system, kind and level; over the workers or over the batch size that they made."""
    rows = []
    for system in curves.config.systems():
        for kind, value in kinds.items():
            series = f"{system}, {kind}" if kind else system
            for workers in sorted(curves.config.load.levels):
                points = curves.at(system, workers)
                values = [found for point in points if (found := value(point)) is not None]
                if not values:
                    continue
                batch = round(statistics.median(point.batch_size for point in points), 1)
                rows.append(
                    Row(
                        name=f"{series}, {_counted(workers)}",
                        unit=unit,
                        values=tuple(values),
                        wanted=(wanted or {}).get(workers),
                        floor=floor(system, kind),
                        floor_from="" if floor(system, kind) is None else _FLOOR_FROM,
                        series=series,
                        x=batch if over_batch else workers,
                    )
                )
    return tuple(rows)


def _parts_rows(curves: Curves, parts_of: Callable[[Point], dict[str, float]]) -> tuple[Row, ...]:
    """A row for every system and part, at `AT_WORKERS`."""
    rows = []
    for system in curves.config.systems():
        found = [parts_of(point) for point in curves.at(system, AT_WORKERS)]
        for part in found[0]:
            rows.append(Row(name=f"{system}: {part}", unit="ms", values=tuple(one.get(part, 0.0) for one in found)))
    return tuple(rows)


def _wait(share: float) -> Callable[[Point], float]:
    return lambda point: point.wait_ms(share)


def _counted(workers: float) -> str:
    return f"{workers:g} worker{'' if workers == 1 else 's'}"


def _require_answers(curves: Curves) -> None:
    """Failed requests would make every figure one of something else."""
    failed: Sequence[str] = [
        f"{point.system}, {_counted(point.level.level)}: {dict(point.level.errors)}"
        for point in curves.points
        if point.level.errors or point.level.latency is None
    ]
    if failed:
        raise LoadError(f"requests failed ({'; '.join(failed)}); take fewer workers, or a longer --timeout")
    silent = [f"{point.system}, {_counted(point.level.level)}" for point in curves.points if not point.batch_size]
    if silent:
        raise LoadError(f"the endpoint told of no batch ({'; '.join(silent)}); take a longer --duration")
