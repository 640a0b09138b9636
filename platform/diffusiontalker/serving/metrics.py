"""Every metric of the endpoint, declared once: name, meaning, labels, buckets. How they are exported is the caller's.

A plain server exports them with `PrometheusMetrics`; replicas of Ray Serve with `ray_metrics.RayMetrics`.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WAITS = tuple(round(0.0005 * 2 ** (step / 2), 6) for step in range(32))
"""Half a millisecond to 23 s, each 1.4 times the last: fine enough to read percentiles from."""
_COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One metric; labels have few values each."""

    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SECONDS


PREFIX = "diffusiontalker_"
_OF_STUDENT = ("student",)
"""Labels of what an engine tells: each student has one."""
METRICS: dict[str, Metric] = {
    "requests_total": Metric("counter", "Requests answered.", ("route", "code")),
    "request_seconds": Metric("histogram", "Time from a request to its answer.", ("route",)),
    "stage_seconds": Metric(
        "histogram", "Time of a stage of an animation: decode, personalize, animate, encode.", ("stage",)
    ),
    "queue_seconds": Metric("histogram", "Time that the job of a batch waited which waited longest.", _OF_STUDENT),
    "job_wait_seconds": Metric("histogram", "Time that a recording waited for its batch.", _OF_STUDENT, _WAITS),
    "compute_seconds_total": Metric("counter", "Seconds in which a batch was computed.", _OF_STUDENT),
    "batch_seconds": Metric("histogram", "Time to compute a batch.", _OF_STUDENT),
    "batch_jobs": Metric("histogram", "Recordings of one batch.", _OF_STUDENT, _COUNTS),
    "waiting_jobs": Metric("gauge", "Recordings that wait for a batch.", _OF_STUDENT),
    "audio_seconds_total": Metric("counter", "Seconds of sound animated.", ("how",)),
    "rtf": Metric(
        "histogram", "Compute seconds of a batch per second of its sound.", _OF_STUDENT,
        (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0),
    ),
    "start_seconds_total": Metric(
        "counter", "Time that the start took: process (until loading began), bundle, warm_up.", ("part",)
    ),
    "streams_open": Metric("gauge", "Live streams that are open."),
    "stream_pass_seconds": Metric("histogram", "Time of a pass over the live streams.", _OF_STUDENT),
    "stream_pass_streams": Metric("histogram", "Live streams that a pass moved.", _OF_STUDENT, _COUNTS),
    "frame_lag_seconds": Metric(
        "histogram", "Time from the arrival of the last sound that a live frame needs until it goes out.", _OF_STUDENT
    ),
    "style_cache_total": Metric(
        "counter", "Embeddings asked for, by where they came from: memory, shared, joined, computed.", ("source",)
    ),
    "style_cache_problems_total": Metric(
        "counter", "Entries evicted or damaged, and failures of the shared cache.", ("what",)
    ),
}  # fmt: skip

CPU_SECONDS = Metric(
    "counter",
    "CPU time by what it was used for: batches, event_loop, streams, decoders (processes of their own), rest.",
    ("part",),
)
"""`cpu_seconds_total`, which only a server that exports its metrics itself can tell, whenever it is asked."""


@runtime_checkable
class Metrics(Protocol):
    """Where numbers go."""

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Adds to a counter."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        ...

    def set(self, name: str, value: float, **labels: str) -> None:
        """A gauge's value now."""
        ...


@contextlib.contextmanager
def timed(metrics: Metrics, name: str, **labels: str) -> Iterator[None]:
    """Observes how long the block took, whatever came of it."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        metrics.observe(name, time.perf_counter() - begin, **labels)


class Labelled:
    """Numbers that go elsewhere, with further labels.

    Args:
        metrics: where they go.
        labels: of each of them.
    """

    def __init__(self, metrics: Metrics, **labels: str) -> None:
        self._metrics, self._labels = metrics, labels

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Adds to a counter."""
        self._metrics.count(name, value, **self._labels, **labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        self._metrics.observe(name, value, **self._labels, **labels)

    def set(self, name: str, value: float, **labels: str) -> None:
        """A gauge's value now."""
        self._metrics.set(name, value, **self._labels, **labels)


class PrometheusMetrics:
    """Metrics in a registry of their own, for a server that exports them itself."""

    def __init__(self) -> None:
        import prometheus_client

        self._registry = prometheus_client.CollectorRegistry()
        classes = {"counter": prometheus_client.Counter, "gauge": prometheus_client.Gauge}
        self._metrics = {}
        for name, metric in METRICS.items():
            arguments = {"documentation": metric.meaning, "labelnames": metric.labels, "registry": self._registry}
            self._metrics[name] = (
                prometheus_client.Histogram(PREFIX + name, buckets=metric.buckets, **arguments)
                if metric.kind == "histogram"
                else classes[metric.kind](PREFIX + name, **arguments)
            )

    def _metric(self, name: str, labels: dict[str, str]):
        return self._metrics[name].labels(**labels) if labels else self._metrics[name]

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Adds to a counter."""
        self._metric(name, labels).inc(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        self._metric(name, labels).observe(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        """A gauge's value now."""
        self._metric(name, labels).set(value)

    def text(self, *, cpu_seconds: Mapping[str, float] | None = None) -> bytes:
        """Prometheus' text format.

        Args:
            cpu_seconds: CPU seconds so far, by what they were used for; see `process_times`.
        """
        import prometheus_client

        cpu = _CpuSeconds(cpu_seconds or {})
        return prometheus_client.generate_latest(self._registry) + prometheus_client.generate_latest(cpu)


class _CpuSeconds:
    """What the system has counted, as a registry: counters of the library can only be added to."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(PREFIX + "cpu_seconds", CPU_SECONDS.meaning, labels=CPU_SECONDS.labels)
        for part, seconds in self._seconds.items():
            family.add_metric([part], seconds)
        yield family
