import time

import pytest

from diffusiontalker.evaluation import measure_rtf, measure_side_by_side


def test_systems_take_turns_after_one_uncounted_run_each():
    calls: list[str] = []
    names = ["a", "b", "c"]
    measured = measure_side_by_side({n: lambda n=n: calls.append(n) for n in names}, audio_seconds=1.0, repeats=2)
    assert calls == names * 3
    assert list(measured) == names
    assert {latency.repeats for latency in measured.values()} == {2}


def test_the_uncounted_first_run_and_one_slow_round_do_not_change_the_median():
    durations_s = iter([0.2, 0.001, 0.2, 0.001])
    measured = measure_side_by_side({"a": lambda: time.sleep(next(durations_s))}, audio_seconds=2.0, repeats=3)["a"]
    assert measured.rtf < 0.05 < measured.rtf_max
    assert measured.rtf_min <= measured.rtf


def test_compute_seconds_are_divided_by_audio_seconds():
    assert measure_rtf(lambda: time.sleep(0.02), audio_seconds=0.1, repeats=1).rtf >= 0.2


@pytest.mark.parametrize(("seconds", "repeats"), [(0.0, 1), (1.0, 0)])
def test_nothing_to_time_is_refused(seconds: float, repeats: int):
    with pytest.raises(ValueError, match="expected more than 0 and at least 1"):
        measure_side_by_side({"a": lambda: None}, audio_seconds=seconds, repeats=repeats)
