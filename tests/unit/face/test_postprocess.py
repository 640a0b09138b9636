import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffusiontalker.face import MotionError, postprocess

coefficients_arrays = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(-2, 3, width=32)
)


@settings(deadline=None, max_examples=40)
@given(coefficients_arrays)
def test_without_smoothing_it_clamps_and_leaves_the_input_alone(coefficients):
    before = coefficients.copy()
    result = postprocess(coefficients)
    np.testing.assert_array_equal(result, np.clip(before, 0, 1))
    np.testing.assert_array_equal(coefficients, before)


@settings(deadline=None, max_examples=40)
@given(coefficients_arrays, st.floats(0.005, 0.2))
def test_smoothing_stays_in_range_and_commutes_with_turning_time_round(coefficients, smoothing_s):
    smoothed = postprocess(coefficients, smoothing_s=smoothing_s, fps=30.0)
    backwards = postprocess(coefficients[::-1].copy(), smoothing_s=smoothing_s, fps=30.0)
    assert smoothed.min() >= 0
    assert smoothed.max() <= 1
    np.testing.assert_allclose(smoothed, backwards[::-1], atol=1e-5)


def test_smoothing_keeps_a_constant_and_spreads_a_pulse_by_the_width_asked_for():
    np.testing.assert_allclose(postprocess(np.full((20, 2), 0.4), smoothing_s=0.05, fps=25.0), 0.4, atol=1e-6)
    pulse = np.zeros((201, 1))
    pulse[100] = 1.0
    spread = postprocess(pulse, smoothing_s=0.1, fps=100.0)[:, 0]
    frames = np.arange(201) - 100
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert (spread * frames).sum() == pytest.approx(0.0, abs=1e-4)
    assert np.sqrt((spread * frames**2).sum()) == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"smoothing_s": -0.1, "fps": 25.0}, "-0.1 s"), ({"smoothing_s": 0.1}, "pass fps=clip.fps")],
)
def test_impossible_smoothing_is_refused(arguments, message):
    with pytest.raises(MotionError, match=message):
        postprocess(np.zeros((3, 1)), **arguments)
