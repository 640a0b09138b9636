"""Metrics of endpoints are read as they are exported, by a plain server and by Ray's agents, and subtracted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.load import LoadError
from diffusiontalker.load.processes import free_port
from diffusiontalker.load.telemetry import Telemetry, parse_telemetry, read_telemetry
from diffusiontalker.serving.metrics import METRICS, PrometheusMetrics

BUCKETS = METRICS["job_wait_seconds"].buckets


def told(metrics: PrometheusMetrics) -> Telemetry:
    return parse_telemetry(metrics.text(cpu_seconds={"batches": 2.0, "rest": 0.5}).decode(), source="here")


def waits(seconds: list[float]) -> Telemetry:
    metrics = PrometheusMetrics()
    for value in seconds:
        metrics.observe("job_wait_seconds", value, student="one")
    return told(metrics)


def test_totals_are_over_the_series_that_are_asked_for() -> None:
    metrics = PrometheusMetrics()
    metrics.count("requests_total", 3, route="/v1/animations", code="200")
    metrics.count("requests_total", 1, route="/v1/animations", code="429")
    metrics.count("requests_total", 5, route="/ready", code="200")
    found = told(metrics)
    assert found.total("requests_total", route="/v1/animations") == 4
    assert found.total("requests_total") == 9
    assert found.total("nothing_total") == 0
    assert found.by("requests_total", "code") == {"200": 8, "429": 1}
    assert found.by("cpu_seconds_total", "part") == {"batches": 2.0, "rest": 0.5}


def test_what_was_added_is_the_difference() -> None:
    metrics = PrometheusMetrics()
    metrics.count("compute_seconds_total", 1.0, student="one")
    before = told(metrics)
    metrics.count("compute_seconds_total", 0.25, student="one")
    metrics.count("compute_seconds_total", 0.5, student="two")
    assert told(metrics).since(before).total("compute_seconds_total") == pytest.approx(0.75)


@given(st.lists(st.floats(0.0006, 10.0), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
@settings(max_examples=40, deadline=None)
def test_a_percentile_lies_in_the_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    found = waits(seconds).percentile("job_wait_seconds", share)
    true = np.percentile(seconds, 100 * share, method="inverted_cdf")
    place = next(number for number, bound in enumerate(BUCKETS) if true <= bound)
    assert found is not None
    assert (BUCKETS[place - 1] if place else 0.0) <= found + 1e-9
    assert found <= BUCKETS[place] + 1e-9


def test_percentiles_of_nothing_and_of_what_is_beyond_all_buckets() -> None:
    assert waits([]).percentile("job_wait_seconds", 0.5) is None
    assert Telemetry({}).percentile("job_wait_seconds", 0.5) is None
    assert waits([1e6]).percentile("job_wait_seconds", 0.5) == BUCKETS[-1]


def test_what_an_agent_of_ray_exports_is_read_too() -> None:
    text = (
        "# HELP ray_diffusiontalker_compute_seconds_total .\n# TYPE ray_diffusiontalker_compute_seconds_total counter\n"
        'ray_diffusiontalker_compute_seconds_total{WorkerId="a",deployment="Talker",student="one"} 1.5\n'
        'ray_diffusiontalker_compute_seconds_total{WorkerId="b",deployment="Talker",student="one"} 2.5\n'
        'ray_other{le="+Inf" broken\n'
    )
    assert parse_telemetry(text, source="here").total("compute_seconds_total", student="one") == 4.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "here: tells nothing of an endpoint"),
        ("go_threads 3\n", "expected metrics called diffusiontalker_"),
        ('diffusiontalker_x{part="a"} three\n', "here: is not in the format of Prometheus"),
        ('diffusiontalker_x{part="a" 3\n', "here: is not in the format of Prometheus"),
    ],
)
def test_pages_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse_telemetry(text, source="here")


def test_a_page_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(LoadError, match="metrics cannot be read"):
        read_telemetry(f"http://127.0.0.1:{free_port()}/metrics")
    with pytest.raises(LoadError, match="metrics cannot be read"):
        read_telemetry(f"{url}/nowhere")
    assert read_telemetry(f"{url}/metrics").by("start_seconds_total", "part").keys() == {"process", "bundle", "warm_up"}
