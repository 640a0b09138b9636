"""Short runs on a real endpoint with a tiny student: every kind of load, searches, interruptions, files."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diffusiontalker.load import LoadConfig, LoadError, run_load
from diffusiontalker.load.processes import free_port

SHORT = {"seconds": 0.4, "warm_up_s": 0.1, "duration_s": 0.6, "stagger_s": 0.1, "timeout_s": 10.0}


def test_a_closed_loop_is_measured_and_written(url: str, tmp_path: Path, command: Callable) -> None:
    out = tmp_path / "load"
    flags = ("--seconds", 0.4, "--warm-up", 0.1, "--duration", 0.4)
    code, table, progress = command("bench", "serve", "--url", url, "--concurrency", 2, 1, *flags, "--out", out)
    assert code == 0, progress
    lines = table.splitlines()
    assert "workers" in lines[0]
    assert "latency (ms)" in lines[0]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert progress.count(" a second, p50 ") == 2
    content = json.loads((out / "load.json").read_text())
    assert [level["level"] for level in content["levels"]] == [2, 1]
    for level in content["levels"]:
        assert level["throughput"] > 0
        assert level["audio_s_per_s"] == pytest.approx(0.4 * level["throughput"], rel=0.01)
        latency = level["latency"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
        assert level["errors"] == {}
        assert 0 < level["client_cpu_share"] < 1
    assert content["settings"]["mode"] == "closed"
    assert content["endpoint"]["name"] == "tiny"
    assert content["machine"]["torch"]
    assert content["date"].endswith("+00:00")
    assert (out / "load.png").read_bytes().startswith(b"\x89PNG")
    assert command("bench", "serve", "--url", url, "--out", out)[0] == 2


def test_two_results_are_compared(url: str, tmp_path: Path, command: Callable) -> None:
    flags = ("--url", url, "--seconds", 0.4, "--warm-up", 0, "--duration", 0.3, "--concurrency", 1)
    for name in ("a", "b"):
        assert command("bench", "serve", *flags, "--out", tmp_path / name)[0] == 0
    path = tmp_path / "b" / "load.json"
    content = json.loads((tmp_path / "a" / "load.json").read_text())
    content["levels"][0]["throughput"] *= 2
    content["settings"]["motion_format"] = "csv"
    path.write_text(json.dumps(content))
    code, out, _ = command("bench", "serve", "--compare", tmp_path / "a" / "load.json", path)
    assert code == 0
    assert "= 2.00" in out
    assert "= 1.00" in out
    assert "beware: motion_format differs (npz and csv)" in out
    (tmp_path / "c.json").write_text("{}")
    code, _, problem = command("bench", "serve", "--compare", path, tmp_path / "c.json")
    assert code == 2
    assert "is of kind 'None'" in problem


def test_an_open_loop_sends_what_was_planned(url: str) -> None:
    result = run_load(LoadConfig(url=url, mode="open", levels=(30,), voice="reference", **SHORT))
    (level,) = result.levels
    assert level.errors == {}
    assert level.latency is not None
    assert level.late is not None
    assert level.latency.count == level.late.count
    assert 5 <= level.latency.count <= 30


def test_latencies_of_an_open_loop_count_from_the_planned_instant(slow_url: str) -> None:
    settings = {"seconds": 0.1, "warm_up_s": 0.0, "duration_s": 0.4, "timeout_s": 10.0}
    (calm,) = run_load(LoadConfig(url=slow_url, mode="open", levels=(8,), **settings)).levels
    (crowded,) = run_load(LoadConfig(url=slow_url, mode="open", levels=(100,), **settings)).levels
    assert calm.latency is not None
    assert crowded.latency is not None
    assert crowded.latency.p50 > 5 * calm.latency.p50


def test_live_streams_are_paced_in_real_time_and_every_frame_has_a_lag(url: str) -> None:
    result = run_load(LoadConfig(url=url, mode="streams", levels=(2,), **SHORT))
    (level,) = result.levels
    assert (level.errors, level.refused, level.lost) == ({}, 0, 0)
    assert level.latency is not None
    assert level.late is not None
    assert level.throughput == pytest.approx(2 * 25.0, rel=0.15)
    assert level.audio_s_per_s == pytest.approx(2.0, rel=0.15)
    assert level.latency.count == pytest.approx(2 * 25.0 * 0.6, abs=8)
    assert -40.0 < level.latency.p50 < 1_000.0
    assert level.late.count == pytest.approx(2 * 0.6 / 0.033, abs=4)


def test_streams_beyond_what_the_endpoint_takes_are_counted(url: str) -> None:
    (level,) = run_load(LoadConfig(url=url, mode="streams", levels=(5,), **SHORT)).levels
    assert (level.refused, level.lost, level.errors) == (2, 0, {"busy": 2})
    assert level.throughput == pytest.approx(3 * 25.0, rel=0.2)
    assert not level.holds(1e6)


def test_refusals_are_counted_by_code(url: str) -> None:
    closed = run_load(LoadConfig(url=url, levels=(1,), voice="nobody", **SHORT)).levels[0]
    assert set(closed.errors) == {"unknown_voice"}
    assert (closed.throughput, closed.latency) == (0.0, None)
    live = run_load(LoadConfig(url=url, mode="streams", levels=(1,), voice="nobody", **SHORT)).levels[0]
    assert (live.refused, live.errors) == (1, {"unknown_voice": 1})


def test_the_most_workers_within_a_target_are_found(slow_url: str) -> None:
    settings = {"seconds": 0.1, "warm_up_s": 0.05, "duration_s": 0.25, "timeout_s": 10.0}
    result = run_load(LoadConfig(url=slow_url, levels=(2,), find_max=True, target_ms=150.0, most=64, **settings))
    assert result.found is not None
    assert 1 <= result.found.largest <= 7  # n workers wait up to n times 20 ms
    assert result.found.limited_by == "endpoint"
    tried = {level.level: level.holds(150.0) for level in result.levels}
    assert tried[result.found.largest]
    assert not tried[result.found.largest + 1]


def test_nothing_larger_than_asked_for_is_tried(slow_url: str) -> None:
    settings = {"seconds": 0.1, "warm_up_s": 0.0, "duration_s": 0.2, "timeout_s": 10.0}
    result = run_load(LoadConfig(url=slow_url, levels=(1,), find_max=True, target_ms=5_000.0, most=4, **settings))
    assert result.found is not None
    assert (result.found.largest, result.found.limited_by) == (4, "most")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own answer to Ctrl-C, which processes that run tests in parallel ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_leaves_what_was_measured(url: str) -> None:
    timer = threading.Timer(0.8, lambda: os.kill(os.getpid(), signal.SIGINT))

    def level_begins() -> float:
        if not timer.ident:
            timer.start()
        return 0.0

    begin, settings = time.monotonic(), SHORT | {"duration_s": 30.0}
    result = run_load(LoadConfig(url=url, levels=(1, 2), **settings), server_cpu_s=level_begins)
    timer.join()
    assert time.monotonic() - begin < 15.0
    assert result.is_partial
    (level,) = result.levels
    assert not level.is_complete
    assert level.seconds < 15.0
    assert level.throughput > 0
    assert json.loads(json.dumps(result.plain()))["is_partial"] is True


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(LoadError, match="nothing answers"):
        run_load(LoadConfig(url=f"http://127.0.0.1:{free_port()}", **SHORT))
