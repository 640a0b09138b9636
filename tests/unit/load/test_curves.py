"""What endpoints tell of a level becomes batches, waits and shares; endpoints are started, measured and ended."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from diffusiontalker.load import CurvesConfig, Level, LoadConfig, LoadError, Percentiles, Point
from diffusiontalker.load.telemetry import Telemetry, parse_telemetry
from diffusiontalker.serving.metrics import PrometheusMetrics

LEVEL = Level(
    level=8, seconds=2.0, throughput=50.0, audio_s_per_s=150.0, errors={}, client_cpu_share=0.01, server_cpu_ms=12.0,
    latency=Percentiles(count=100, p50=100.0, p95=150.0, p99=200.0, max=210.0),
)  # fmt: skip
ROUTE = "/v1/animations"


def told() -> Telemetry:
    """20 recordings in 5 batches."""
    metrics = PrometheusMetrics()
    for _ in range(5):
        metrics.observe("batch_seconds", 0.3, student="one")
        metrics.count("compute_seconds_total", 0.3, student="one")
    for number in range(20):
        metrics.observe("job_wait_seconds", 0.0006 if number < 15 else 0.15, student="one")
        metrics.observe("request_seconds", 0.5, route=ROUTE)
        metrics.observe("stage_seconds", 0.02, stage="decode")
        metrics.observe("stage_seconds", 0.4, stage="animate")
        metrics.observe("stage_seconds", 0.03, stage="encode")
    metrics.count("requests_total", 20, route=ROUTE, code="200")
    text = metrics.text(cpu_seconds={"batches": 0.3, "event_loop": 0.06, "decoders": 0.04})
    return parse_telemetry(text.decode(), source="here")


def test_a_level_becomes_batches_waits_and_shares() -> None:
    point = Point(system="one", level=LEVEL, seconds=2.0, told=told())
    assert point.batch_size == 4.0
    assert point.batch_ms == pytest.approx(300.0)
    assert point.idle_share == pytest.approx(0.25)
    assert point.cpu_ms == pytest.approx({"batches": 15.0, "event_loop": 3.0, "decoders": 2.0})
    assert point.cpu_share_outside == pytest.approx(0.25)
    assert 0.5 <= point.wait_ms(0.5) <= 0.71
    assert 128.0 <= point.wait_ms(0.99) <= 182.0
    mean_wait_ms = (15 * 0.6 + 5 * 150.0) / 20
    assert point.stages_ms() == pytest.approx({
        "HTTP": 50.0,
        "decoding": 20.0,
        "waiting for a batch": mean_wait_ms,
        "batch": 400.0 - mean_wait_ms,
        "encoding": 30.0,
    })  # fmt: skip


def test_an_endpoint_that_says_nothing_of_its_cpu_time_has_no_share() -> None:
    text = PrometheusMetrics().text().decode()
    point = Point(system="one", level=LEVEL, seconds=2.0, told=parse_telemetry(text, source="here"))
    assert point.cpu_ms == {}
    assert point.cpu_share_outside is None
    assert point.batch_size == 0.0
    assert point.wait_ms(0.5) == 0.0


def test_every_bundle_is_served_in_every_way() -> None:
    bundles = {"small": Path("a"), "nano": Path("b")}
    config = CurvesConfig(load=LoadConfig(), bundles=bundles, with_ray=True)
    assert config.systems() == {
        "small, plain server": (Path("a"), False),
        "small, Ray Serve": (Path("a"), True),
        "nano, plain server": (Path("b"), False),
        "nano, Ray Serve": (Path("b"), True),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"load": LoadConfig(mode="open")}, "levels of a closed loop"),
        ({"load": LoadConfig(find_max=True)}, "levels of a closed loop"),
        ({"bundles": {}}, "0 bundles"),
        ({"rounds": 0}, "rounds 0"),
        ({"threads": -1}, "threads -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        CurvesConfig(**({"load": LoadConfig(), "bundles": {"one": Path("a")}} | changes))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--curves", "--against-plain"), "give one of them"),
        (("--curves", "--rounds", 2), "expected at least 3"),
        (("--curves", "--bundle", "nowhere"), "nowhere: does not exist"),
        (("--curves", "--mode", "streams"), "levels of a closed loop"),
        (("--page", "page.md"), "--page is for --curves"),
        (("--ray",), "are for --against-plain and --curves"),
        (("--rounds", 3), "are for --against-plain and --curves"),
    ],
)
def test_flags_that_do_not_go_together_are_named(flags: tuple, message: str, command: Callable) -> None:
    code, _, problem = command("bench", "serve", *flags)
    assert code == 2
    assert message in problem


@pytest.mark.slow
def test_curves_are_measured_written_and_compared(bundle_path: Path, tmp_path: Path, command: Callable) -> None:
    out, page = tmp_path / "out", tmp_path / "page.md"
    flags = ("--seconds", 0.4, "--warm-up", 0.1, "--duration", 0.5, "--threads", 1, "--rounds", 3)
    flags += ("--bundle", bundle_path, "--concurrency", 1, 8, "--out", out, "--page", page)
    code, _, progress = command("bench", "serve", "--curves", *flags)
    assert code == 0, progress
    assert progress.count("student, plain server") == 3
    content = json.loads((out / "serve.json").read_text())
    assert content["benchmark"] == "serve"
    rows = {(group["title"], row["name"]): row for group in content["groups"] for row in group["rows"]}
    for (title, name), row in rows.items():
        assert len(row["values"]) == 3, (title, name)
        assert all(value >= 0.0 for value in row["values"]), (title, name)
    one, eight = (rows["Batch size", f"student, plain server, {workers}"] for workers in ("1 worker", "8 workers"))
    assert one["values"] == [1.0] * 3
    assert all(1.0 < value <= 8.0 for value in eight["values"])
    for row in content["groups"][[group["title"] for group in content["groups"]].index("Outside the model")]["rows"]:
        assert all(0.0 < value < 100.0 for value in row["values"])
    parts = [row for (title, _), row in rows.items() if title.startswith("CPU time of an answer by part")]
    total = rows["CPU time of an answer", "student, plain server, 8 workers"]
    for number, told_ms in enumerate(total["values"]):
        assert sum(row["values"][number] for row in parts) == pytest.approx(told_ms, rel=0.4)
    start = {name: row["values"] for (title, name), row in rows.items() if title == "Start"}
    for number, ready_s in enumerate(start["student, plain server: ready"]):
        own = [values[number] for name, values in start.items() if re.search("imports|loading|warming", name)]
        assert len(own) == 3
        assert sum(own) <= ready_s + 0.2
    assert {"answers.png", "batch-size.png", "wait-for-a-batch.png", "page.md"} <= {path.name for path in out.iterdir()}
    assert "## Outside the model" in page.read_text()
    assert "## Start" in page.read_text()
    code, ratios, _ = command("bench", "serve", "--compare", out / "serve.json", out / "serve.json")
    assert code == 0
    assert "= 1.000" in ratios
    assert "Batch size" in ratios
    command_lines = [path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [words for words in command_lines if f"own\0--bundle\0{bundle_path}" in words]


def test_results_of_two_kinds_are_not_compared(tmp_path: Path, command: Callable) -> None:
    benchmark, load = tmp_path / "serve.json", tmp_path / "load.json"
    benchmark.write_text('{"kind": "diffusiontalker benchmark", "benchmark": "serve"}')
    load.write_text('{"kind": "diffusiontalker load"}')
    for pair in ((benchmark, load), (load, benchmark)):
        code, _, problem = command("bench", "serve", "--compare", *pair)
        assert code == 2
        assert "expected 'diffusiontalker load'" in problem
    code, _, problem = command("bench", "serve", "--compare", benchmark, benchmark)
    assert code == 2
    assert "measure again" in problem
