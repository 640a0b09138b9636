"""What an endpoint tells of itself: its metrics in Prometheus' text format, read before and after, and the difference.

Understands a plain server's own page and that of a node's agent of Ray, which knows other labels and prefixes too.
"""

import bisect
import dataclasses
import math
from collections.abc import Mapping

import httpx

from diffusiontalker.load.settings import LoadError

_PREFIXES = ("ray_diffusiontalker_", "diffusiontalker_")
_LEAST_S = 1e-9


@dataclasses.dataclass(frozen=True, slots=True)
class Telemetry:
    """Metrics of one instant, or what was added between two."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    """(name without prefix, labels) -> value."""

    def total(self, name: str, **labels: str) -> float:
        """Sum of all series with these labels; 0 where there is none.

        Args:
            name: as exported, such as `batch_seconds_count`.
            labels: what a series must have.
        """
        wanted = set(labels.items())
        return sum(value for (found, having), value in self.values.items() if found == name and wanted <= having)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Value of the label -> sum of the series that have it."""
        found: dict[str, float] = {}
        for (series, labels), value in self.values.items():
            place = dict(labels).get(label)
            if series == name and place is not None:
                found[place] = found.get(place, 0.0) + value
        return found

    def percentile(self, name: str, share: float) -> float | None:
        """Of a histogram, with values taken as spread evenly within their bucket; None when it is empty.

        Args:
            name: without `_bucket`.
            share: such as 0.99.
        """
        buckets = sorted((float(bound), count) for bound, count in self.by(f"{name}_bucket", "le").items())
        if not buckets or not buckets[-1][1]:
            return None
        rank = share * buckets[-1][1]
        place = bisect.bisect_left(buckets, rank, key=lambda bucket: bucket[1])
        (low, below) = buckets[place - 1] if place else (0.0, 0.0)
        high, count = buckets[place]
        return low if math.isinf(high) else low + (high - low) * (rank - below) / max(count - below, _LEAST_S)

    def since(self, before: "Telemetry") -> "Telemetry":
        """What was added."""
        return Telemetry({series: value - before.values.get(series, 0.0) for series, value in self.values.items()})


def read_telemetry(url: str) -> Telemetry:
    """All metrics of ours on a page.

    Args:
        url: address of the page.

    Raises:
        LoadError: when it does not answer, or with something else.
    """
    try:
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            answer = client.get(url).raise_for_status()
    except httpx.HTTPError as error:
        raise LoadError(f"{url}: the endpoint's metrics cannot be read ({error})") from None
    return parse_telemetry(answer.text, source=url)


def parse_telemetry(text: str, *, source: str) -> Telemetry:
    """All metrics of ours in a text.

    Args:
        text: in Prometheus' format.
        source: what messages call it.

    Raises:
        LoadError: when it is no such text, or holds none of our metrics.
    """
    from prometheus_client.parser import text_string_to_metric_families

    # Ray's agents tell of hundreds of metrics, whose reading would take longer than what is measured.
    lines = [line for line in text.splitlines() if line.startswith(_PREFIXES)]
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    try:
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            for sample in family.samples:
                prefix = next(prefix for prefix in _PREFIXES if sample.name.startswith(prefix))
                values[sample.name.removeprefix(prefix), frozenset(sample.labels.items())] = sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise LoadError(f"{source}: is not in the format of Prometheus ({error})") from None
    if not values:
        raise LoadError(f"{source}: tells nothing of an endpoint; expected metrics called {_PREFIXES[1]}...")
    return Telemetry(values)
