"""Curves become tables: a row for every endpoint and level, floors, what is wanted, and no share that nobody told."""

from pathlib import Path

import pytest

from diffusiontalker.benchmarks import MachineRates
from diffusiontalker.benchmarks.results import Group
from diffusiontalker.benchmarks.serving import serving_groups
from diffusiontalker.load import Curves, CurvesConfig, Level, LoadConfig, Percentiles, Point, Start
from diffusiontalker.load.telemetry import Telemetry

RATES = MachineRates(
    float32_one_core=50.0, float32_all_cores=100.0, bfloat16_one_core=100.0, bfloat16_all_cores=200.0,
    copy_one_core=10.0,
)  # fmt: skip
OPERATIONS = {"small": 2e8}
"""2 ms on all cores."""


def telemetry(*, batches: float, tells_cpu: bool) -> Telemetry:
    values = {
        ("batch_seconds_count", frozenset()): batches,
        ("job_wait_seconds_count", frozenset()): 40.0,
        ("compute_seconds_total", frozenset()): 1.6,
        ("requests_total", frozenset({("route", "/v1/animations")})): 40.0,
        ("job_wait_seconds_bucket", frozenset({("le", "0.01")})): 40.0,
        ("job_wait_seconds_bucket", frozenset({("le", "+Inf")})): 40.0,
    }
    if tells_cpu:
        values |= {
            ("cpu_seconds_total", frozenset({("part", "batches")})): 3.0,
            ("cpu_seconds_total", frozenset({("part", "event_loop")})): 1.0,
        }
    return Telemetry(values)


def groups(*, with_ray: bool = True, levels: tuple[float, ...] = (1, 8)) -> dict[str, Group]:
    config = CurvesConfig(
        load=LoadConfig(levels=levels), bundles={"small": Path("a")}, rounds=3, with_ray=with_ray
    )  # fmt: skip
    starts, points = [], []
    for _ in range(3):
        for system, (_, is_on_ray) in config.systems().items():
            parts = {"process": 1.0, "bundle": 0.25, "warm_up": 0.5}
            starts.append(Start(system=system, ready_s=2.0, first_answer_s=0.125, parts=parts))
            for number in levels:
                level = Level(
                    level=number, seconds=2.0, throughput=20.0 * number, audio_s_per_s=60.0 * number, errors={},
                    latency=Percentiles(count=40, p50=10.0, p95=20.0, p99=30.0, max=40.0), client_cpu_share=0.01,
                    server_cpu_ms=12.0,
                )  # fmt: skip
                told = telemetry(batches=40.0 / number, tells_cpu=not is_on_ray)
                points.append(Point(system=system, level=level, seconds=2.0, told=told))
    found = serving_groups(Curves(config=config, starts=starts, points=points), OPERATIONS, RATES)
    return {group.title: group for group in found}


def test_batch_size_stands_over_workers_and_waits_over_batch_size() -> None:
    found = groups()
    size, wait = found["Batch size"].rows, found["Wait for a batch"].rows
    assert [(row.x, row.median) for row in size if row.series == "small, plain server"] == [(1, 1.0), (8, 8.0)]
    assert [row.x for row in wait if row.series == "small, Ray Serve, p99"] == [1.0, 8.0]
    assert [row.median for row in wait if row.series == "small, plain server, p50"] == pytest.approx([5.0, 5.0])
    assert {len(row.values) for row in size} == {3}


def test_answers_and_computing_stand_beside_the_products_of_a_recording() -> None:
    found = groups()
    assert {row.floor for row in found["Answers"].rows} == {500.0}
    floors = {row.series.rpartition(", ")[2]: row.floor for row in found["Computing"].rows}
    assert floors == {"a batch": None, "a recording": 2.0}


def test_less_than_a_third_is_wanted_outside_the_model_at_eight_workers_alone() -> None:
    rows = {row.name: row for row in groups()["Outside the model"].rows}
    assert rows["small, plain server, time, 8 workers"].median == pytest.approx(20.0)
    assert rows["small, plain server, CPU, 8 workers"].median == pytest.approx(25.0)
    assert rows["small, plain server, CPU, 8 workers"].holds is True
    assert {row.wanted for row in rows.values() if row.x == 8} == {30.0}
    assert {row.wanted for row in rows.values() if row.x == 1} == {None}
    assert not [name for name in rows if "Ray Serve, CPU" in name]


def test_parts_are_told_where_the_endpoint_tells_them() -> None:
    found = groups()
    cpu = found["CPU time of an answer by part, 8 workers"]
    assert {row.name: row.median for row in cpu.rows} == pytest.approx(
        {"small, plain server: batches": 75.0, "small, plain server: event_loop": 25.0}
    )
    assert "CPU time of an answer by part, 8 workers" not in groups(levels=(1, 4))
    assert "Latency by part, 8 workers" in groups(with_ray=False)


def test_starts_are_told_part_by_part() -> None:
    rows = {row.name: row.median for row in groups()["Start"].rows if "plain" in row.name}
    assert rows == {
        "small, plain server: Python and imports": 1.0,
        "small, plain server: loading the bundle": 0.25,
        "small, plain server: warming up": 0.5,
        "small, plain server: ready": 2.0,
        "small, plain server: first answer after that": 0.125,
    }
