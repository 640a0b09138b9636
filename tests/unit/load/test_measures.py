"""Percentiles and lags against numbers worked out by hand."""

import dataclasses
import random
import time

import numpy as np
import pytest

from diffusiontalker.load.measures import Level, Percentiles, Tally, Window, frame_lags

CHUNK = 528
"""33 ms."""


def level(**changes) -> Level:
    settings = {
        "level": 1, "seconds": 1.0, "throughput": 1.0, "audio_s_per_s": 1.0, "errors": {}, "client_cpu_share": 0.1,
        "latency": Percentiles(count=1, p50=50.0, p95=80.0, p99=90.0, max=95.0),
    }  # fmt: skip
    return Level(**(settings | changes))


def test_percentiles_are_values_that_occurred() -> None:
    milliseconds = list(range(1, 1001))
    random.Random(0).shuffle(milliseconds)
    found = Percentiles.of([one / 1e3 for one in milliseconds])
    assert found == Percentiles(count=1000, p50=500.0, p95=950.0, p99=990.0, max=1000.0)


def test_percentiles_of_one_and_of_none() -> None:
    assert Percentiles.of([0.25]) == Percentiles(count=1, p50=250.0, p95=250.0, p99=250.0, max=250.0)
    assert Percentiles.of([]) is None


def test_a_slow_one_in_fifty_shows_in_the_99th_percentile_and_not_in_the_95th() -> None:
    found = Percentiles.of([0.01] * 98 + [1.0] * 2)
    assert (found.p95, found.p99) == (10.0, 1000.0)


def sends(count: int, *, begin: float = 100.0) -> list[tuple[int, float]]:
    """A chunk every 33 ms, the first when it has been spoken."""
    return [((number + 1) * CHUNK, begin + (number + 1) * 0.033) for number in range(count)]


def test_the_lag_counts_from_the_chunk_that_holds_the_last_sample_needed() -> None:
    # At 25 fps with 100 ms look-ahead frame 2 needs 0.18 s = 2880 samples, which the 6th chunk completes (3168).
    lags = frame_lags([(2, 1, 100.0 + 6 * 0.033 + 0.05)], sends(10), fps=25.0, look_ahead_s=0.1)
    np.testing.assert_allclose(lags, [0.05])


def test_lags_of_every_frame_in_closed_form() -> None:
    sent, fps, look_ahead_s, delay_s = sends(300), 30.0, 0.21, 0.017
    needed = [(frame / fps + look_ahead_s) * 16_000 for frame in range(200)]
    chunks = [int(np.ceil((one - 1.0) / CHUNK)) for one in needed]
    arrivals = [(frame, 1, 100.0 + chunk * 0.033 + delay_s) for frame, chunk in enumerate(chunks)]
    np.testing.assert_allclose(frame_lags(arrivals, sent, fps=fps, look_ahead_s=look_ahead_s), delay_s, atol=1e-9)
    together = [(frame, 4, arrivals[frame + 3][2]) for frame in range(0, 200, 4)]
    lags = frame_lags(together, sent, fps=fps, look_ahead_s=look_ahead_s).reshape(-1, 4)
    np.testing.assert_allclose(lags[:, 3], delay_s, atol=1e-9)
    assert (lags[:, 0] > lags[:, 3] + 0.06).all()


def test_frames_that_only_the_end_of_the_stream_brought_out_are_left_out() -> None:
    arrivals = [(frame, 1, 200.0) for frame in range(100)]
    lags = frame_lags(arrivals, sends(31), fps=25.0, look_ahead_s=0.1)
    heard_s = 31 * CHUNK / 16_000
    assert len(lags) == sum(frame / 25.0 + 0.1 <= heard_s for frame in range(100))


def test_frames_of_the_warm_up_are_left_out() -> None:
    arrivals = [(frame, 1, 101.0 + frame / 25.0) for frame in range(20)]
    everything = frame_lags(arrivals, sends(60), fps=25.0, look_ahead_s=0.1)
    later = frame_lags(arrivals, sends(60), fps=25.0, look_ahead_s=0.1, counted_from=100.5)
    assert 0 < len(later) < len(everything) == 20
    np.testing.assert_array_equal(later, everything[-len(later) :])


def test_a_stream_without_frames_has_no_lags() -> None:
    assert len(frame_lags([], sends(3), fps=25.0, look_ahead_s=0.1)) == 0
    assert len(frame_lags([(0, 1, 1.0)], [], fps=25.0, look_ahead_s=0.1)) == 0


def test_a_level_holds_when_everything_was_answered_in_time() -> None:
    assert level().holds(90.0)
    assert not level().holds(89.9)
    for problem in ({"errors": {"busy": 1}}, {"refused": 1}, {"lost": 1}, {"is_complete": False}, {"latency": None}):
        assert not level(**problem).holds(90.0)


def test_a_client_that_was_late_itself_is_told_from_a_slow_endpoint() -> None:
    late = Percentiles(count=1, p50=1.0, p95=5.0, p99=30.0, max=40.0)
    assert not level().is_client_late
    assert level(late=late).is_client_late
    assert level(client_cpu_share=0.95).is_client_late
    assert not level(late=dataclasses.replace(late, p99=5.0)).is_client_late
    assert level(late=late).would_hold(60.0)
    assert not level(late=late).would_hold(50.0)
    assert not level().would_hold(60.0)


def test_only_answers_within_the_window_make_throughput() -> None:
    tally = Tally(window=Window.starting(10.0, warm_up_s=2.0, counted_s=5.0))
    tally.ends += [11.0, 12.0, 14.0, 17.0, 17.5]
    tally.latencies += [0.1, 0.2]
    found = tally.level(4, clip_s=3.0, wall_s=10.0, client_cpu_s=0.5, server_cpu_s=2.0)
    assert (found.throughput, found.audio_s_per_s) == (pytest.approx(3 / 5), pytest.approx(9 / 5))
    assert (found.client_cpu_share, found.server_cpu_ms) == (0.05, 400.0)


def test_an_interrupted_level_counts_the_time_it_had() -> None:
    now = time.perf_counter()
    tally = Tally(window=Window(now - 3.0, now - 2.0, now + 100.0))
    tally.ends += [now - 2.5, now - 1.0, now - 0.5]
    found = tally.level(1, clip_s=3.0, wall_s=3.0, client_cpu_s=0.1, is_complete=False)
    assert found.seconds == pytest.approx(2.0, abs=0.1)
    assert found.throughput == pytest.approx(1.0, rel=0.05)
    assert not found.is_complete
