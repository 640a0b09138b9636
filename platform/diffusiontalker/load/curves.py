"""Endpoints under more and more load, from their start on: what each level did to their batches, queues and CPUs.

Every round starts every endpoint anew, one at a time and in turns, and takes all levels of a closed loop; what the
endpoint tells of itself is read before and after each of them.
"""

import dataclasses
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from diffusiontalker.client import Client
from diffusiontalker.load.measures import Level
from diffusiontalker.load.processes import ServerProcess, free_port, python_program, started
from diffusiontalker.load.running import run_load
from diffusiontalker.load.settings import LoadConfig, LoadError
from diffusiontalker.load.sound import Sound, load_sound
from diffusiontalker.load.telemetry import Telemetry, read_telemetry

PLAIN, ON_RAY = "plain server", "Ray Serve"
RAY_REPORTS_S = 1.0
"""How often processes of Ray tell a node's agent of their metrics; `programs.own` asks for it."""

_METRICS_LINE = re.compile(r"^metrics at (http\S+)$", re.MULTILINE)
_SETTLING_S = 2.5 * RAY_REPORTS_S
_WARM_UP_S = 1.5
_START_S = 180.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CurvesConfig:
    """What is measured.

    Raises:
        LoadError: for another kind of load than a closed loop, or nothing to measure.
    """

    load: LoadConfig
    """A closed loop, whose url is replaced; its levels are numbers of workers."""
    bundles: Mapping[str, Path]
    """Name -> folder of each student that is served."""
    rounds: int = 5
    """How often each endpoint is started and has all levels."""
    with_ray: bool = False
    """Whether each student is served on Ray Serve, too."""
    threads: int = 0
    """CPU threads of one computation; 0: one for every core."""

    def __post_init__(self) -> None:
        """Checks what can be measured."""
        if self.load.mode != "closed" or self.load.find_max:
            raise LoadError("curves are taken from levels of a closed loop; leave out other modes and the search")
        if not self.bundles or self.rounds < 1 or self.threads < 0:
            raise LoadError(
                f"{len(self.bundles)} bundles, rounds {self.rounds}, threads {self.threads}: expected at least one "
                "bundle, 1 round and 0 threads"
            )

    def systems(self) -> dict[str, tuple[Path, bool]]:
        """Name -> bundle, and whether on Ray Serve."""
        kinds = {PLAIN: False, **({ON_RAY: True} if self.with_ray else {})}
        return {
            f"{name}, {kind}": (bundle, is_on_ray)
            for name, bundle in self.bundles.items()
            for kind, is_on_ray in kinds.items()
        }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """One start of an endpoint, in seconds."""

    system: str
    ready_s: float
    """From the start of its process until it answers that it is ready."""
    first_answer_s: float
    """From then until its first animation is answered."""
    parts: Mapping[str, float]
    """What the endpoint says of it: `process`, `bundle`, `warm_up`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One level of load on one endpoint, warm-up included where nothing else is said."""

    system: str
    level: Level
    """What the client saw."""
    seconds: float
    """From the first request to the last answer."""
    told: Telemetry
    """What the endpoint added to its metrics meanwhile."""

    @property
    def batch_size(self) -> float:
        """Recordings of a batch, on average."""
        return self.told.total("job_wait_seconds_count") / self._batches

    @property
    def batch_ms(self) -> float:
        """Computing a batch took, on average."""
        return 1e3 * self.told.total("compute_seconds_total") / self._batches

    @property
    def idle_share(self) -> float:
        """Of the seconds under load, those in which no batch was computed."""
        return 1.0 - self.told.total("compute_seconds_total") / self.seconds

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Part -> CPU time of an answer, in ms; empty where the endpoint does not tell."""
        answers = self.told.total("requests_total", route="/v1/animations")
        return {part: 1e3 * used / answers for part, used in self.told.by("cpu_seconds_total", "part").items()}

    @property
    def cpu_share_outside(self) -> float | None:
        """Of the CPU seconds, those not spent on batches; None where the endpoint does not tell."""
        used = self.cpu_ms
        return 1.0 - used.get("batches", 0.0) / sum(used.values()) if used else None

    def wait_ms(self, share: float) -> float:
        """A percentile of the recordings' waits for their batch."""
        return 1e3 * (self.told.percentile("job_wait_seconds", share) or 0.0)

    def stages_ms(self) -> dict[str, float]:
        """Stage -> its part of an answer's time, on average: HTTP, decoding, waiting, computing, encoding."""
        animate, wait = self._mean_ms("stage_seconds", stage="animate"), self._mean_ms("job_wait_seconds")
        decode, encode = (self._mean_ms("stage_seconds", stage=stage) for stage in ("decode", "encode"))
        request = self._mean_ms("request_seconds", route="/v1/animations")
        return {
            "HTTP": request - decode - animate - encode,
            "decoding": decode,
            "waiting for a batch": wait,
            "batch": animate - wait,
            "encoding": encode,
        }

    def _mean_ms(self, name: str, **labels: str) -> float:
        return 1e3 * self.told.total(f"{name}_sum", **labels) / max(1.0, self.told.total(f"{name}_count", **labels))

    @property
    def _batches(self) -> float:
        return max(1.0, self.told.total("batch_seconds_count"))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """What came of it, in the order of rounds."""

    config: CurvesConfig
    starts: Sequence[Start]
    points: Sequence[Point]

    def at(self, system: str, workers: float) -> list[Point]:
        """One endpoint's points at one level."""
        return [point for point in self.points if (point.system, point.level.level) == (system, workers)]


def measure_curves(config: CurvesConfig, *, on_line: Callable[[str], None] = lambda line: None) -> Curves:
    """Takes all levels of all endpoints in all rounds; no endpoint is left running.

    Raises:
        LoadError: when an endpoint does not start, or tells nothing of itself.
        AudioError: when the speech cannot be used.
        KeyboardInterrupt: nothing is known before the end.
    """
    sound = load_sound(config.load.speech, seconds=config.load.seconds)
    starts: list[Start] = []
    points: list[Point] = []
    systems = config.systems()
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
        for number in range(config.rounds):
            for system in list(systems)[:: 1 if number % 2 == 0 else -1]:
                on_line(f"round {number + 1} of {config.rounds}: {system}")
                start, found = _take_turn(config, system, sound, Path(folder) / "log", is_reversed=number % 2 == 1)
                starts.append(start)
                points += found
    return Curves(config=config, starts=starts, points=points)


def _take_turn(
    config: CurvesConfig, system: str, sound: Sound, log: Path, *, is_reversed: bool
) -> tuple[Start, list[Point]]:
    bundle, is_on_ray = config.systems()[system]
    port = free_port()
    load = dataclasses.replace(config.load, url=f"http://127.0.0.1:{port}")
    words = ("--bundle", bundle, "--threads", config.threads or os.cpu_count() or 1, "--port", port)
    command = python_program("diffusiontalker.load.programs.own", *words, *(("--ray",) if is_on_ray else ()))
    begin = time.perf_counter()
    with started(command, url=load.url, log=log) as server:
        server.wait_ready()
        ready = time.perf_counter()
        with Client(load.url) as client:
            client.animate(sound.clips[0])
        answered = time.perf_counter()
        page = _metrics_page(server)
        workers = sorted(load.levels, reverse=is_reversed)
        warm_up = dataclasses.replace(load, levels=(max(workers),), duration_s=_WARM_UP_S, warm_up_s=0.0)
        _require_whole(run_load(warm_up, sound=sound).is_partial)
        points = []
        settling_s = _SETTLING_S if is_on_ray else 0.0
        told = _read(page, settling_s)
        parts = told.by("start_seconds_total", "part")
        for number in workers:
            stamps: list[float] = []
            result = run_load(
                dataclasses.replace(load, levels=(number,)), sound=sound, server_cpu_s=_stamped(server.cpu_s, stamps)
            )
            _require_whole(result.is_partial)
            before, told = told, _read(page, settling_s)
            points.append(
                Point(
                    system=system, level=result.levels[0], seconds=stamps[-1] - stamps[0], told=told.since(before)
                )
            )  # fmt: skip
    return Start(system=system, ready_s=ready - begin, first_answer_s=answered - ready, parts=parts), points


def _stamped(cpu_s: Callable[[], float], stamps: list[float]) -> Callable[[], float]:
    """The same, called first before and then after a level; notes when it begins and ends, without the call itself."""

    def stamped() -> float:
        if stamps:
            stamps.append(time.perf_counter())
            return cpu_s()
        seconds = cpu_s()
        stamps.append(time.perf_counter())
        return seconds

    return stamped


def _metrics_page(server: ServerProcess) -> str:
    """Where the endpoint says that its metrics are."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if line := _METRICS_LINE.search(server.output()):
            return line[1]
        time.sleep(0.1)
    raise LoadError(f"the endpoint does not say where its metrics are:\n{server.output()[-2000:]}")


def _read(page: str, settling_s: float) -> Telemetry:
    time.sleep(settling_s)
    return read_telemetry(page)


def _require_whole(is_partial: bool) -> None:
    if is_partial:
        raise KeyboardInterrupt
