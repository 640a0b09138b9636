import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusiontalker.evaluation import metrics


def test_peak_squared_error_is_the_worst_point_of_each_frame():
    truth = np.zeros((2, 3, 3))
    predicted = truth.copy()
    predicted[0, 1] = [0.003, 0.004, 0.0]
    predicted[0, 2] = [0.001, 0.0, 0.0]
    predicted[1, 0] = [0.0, 0.0, 0.002]
    np.testing.assert_allclose(metrics.peak_squared_error(predicted, truth), [25e-6, 4e-6])


def test_dynamics_of_a_sine_is_the_standard_deviation_of_its_square():
    """sin^2 = (1 - cos 2t) / 2 has the standard deviation 1 / sqrt 8."""
    phase = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    displacement = np.zeros((1000, 2, 3))
    displacement[:, 0, 1] = 0.01 * np.sin(phase)
    assert metrics.dynamics(displacement) == pytest.approx(1e-4 / np.sqrt(8) / 2)


def test_dynamics_of_a_still_face_is_zero():
    assert metrics.dynamics(np.full((10, 4, 3), 0.3)) == pytest.approx(0.0, abs=1e-12)


def test_mean_absolute_error_is_per_channel():
    truth = np.array([[0.0, 0.5], [1.0, 0.5]])
    predicted = truth + np.array([[0.1, -0.2], [0.3, 0.0]])
    np.testing.assert_allclose(metrics.mean_absolute_error(predicted, truth), [0.2, 0.1])


def test_pooled_correlation_is_numpys_over_the_concatenation():
    generator = np.random.default_rng(0)
    predicted = [generator.normal(size=(frames, 3)) for frames in (5, 40, 11)]
    truth = [0.5 * x + generator.normal(size=x.shape) for x in predicted]
    x, y = np.concatenate(predicted), np.concatenate(truth)
    expected = [np.corrcoef(x[:, channel], y[:, channel])[0, 1] for channel in range(3)]
    np.testing.assert_allclose(metrics.pooled_correlation(predicted, truth), expected)


def test_the_mean_of_known_leaves_out_what_is_undefined():
    values = np.array([[1.0, np.nan], [-0.5, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(metrics.mean_of_known(values), [0.25, np.nan])


def test_correlation_with_a_constant_does_not_exist():
    assert np.isnan(metrics.pooled_correlation([np.ones((4, 1))], [np.arange(4.0)[:, None]])).all()


def test_jitter_of_a_cubic_is_its_third_derivative():
    seconds = np.arange(50) / 25.0
    cubic = (0.7 * seconds**3 - seconds**2)[:, None]
    assert metrics.jitter(cubic, fps=25.0) == pytest.approx(6 * 0.7, rel=1e-6)
    assert metrics.jitter((seconds**2)[:, None], fps=25.0) == pytest.approx(0.0, abs=1e-6)


def test_diversity_squared_is_half_the_mean_squared_difference_of_pairs():
    samples = np.random.default_rng(1).normal(size=(5, 1, 1))
    pairs = [(a - b) ** 2 for i, a in enumerate(samples.ravel()) for b in samples.ravel()[i + 1 :]]
    assert metrics.diversity(samples) == pytest.approx(np.sqrt(np.mean(pairs) / 2))
    assert metrics.diversity(samples[:1]) == 0.0


def test_silence_is_found_where_the_sound_stops_and_short_pauses_are_none():
    waveform = np.random.default_rng(0).normal(scale=0.1, size=32_000).astype(np.float32)
    waveform[16_000:24_000] *= 1e-3  # half a second
    waveform[4_000:5_000] *= 1e-3  # 60 ms
    silent = metrics.silent_frames(waveform, num_frames=50, fps=25.0)
    assert silent[26:37].all()
    assert not silent[:24].any()
    assert not silent[39:].any()


def test_digital_silence_is_silent_throughout():
    assert metrics.silent_frames(np.zeros(16_000, dtype=np.float32), num_frames=25, fps=25.0).all()


def test_lips_are_closed_when_mouth_close_makes_up_for_the_jaw():
    jaw, close = np.array([0.02, 0.3, 0.3]), np.array([0.0, 0.28, 0.0])
    assert metrics.lips_closed(jaw, close).tolist() == [True, True, False]


def test_equal_error_rate_of_separated_and_of_equal_scores():
    assert metrics.equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0.0
    assert metrics.equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1.0
    assert metrics.equal_error_rate(np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.1, 0.3, 0.5, 0.7])) == 0.5


def test_equal_error_rate_of_two_gaussians_is_the_overlap():
    """Unit variances, means 2 apart: both errors are the tail beyond 1, 0.1587."""
    generator = np.random.default_rng(0)
    genuine, impostor = generator.normal(2, 1, 40_000), generator.normal(0, 1, 40_000)
    assert metrics.equal_error_rate(genuine, impostor) == pytest.approx(0.1587, abs=0.005)


def test_equal_error_rate_refuses_an_empty_side():
    with pytest.raises(ValueError, match="0 impostor pairs"):
        metrics.equal_error_rate(np.array([1.0]), np.array([]))


def test_verification_scores_are_cosines_of_all_pairs():
    embeddings = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    genuine, impostor = metrics.verification_scores(embeddings, ["a", "a", "b"])
    np.testing.assert_allclose(genuine, [1.0])
    np.testing.assert_allclose(impostor, [0.0, 0.0])


def test_nearest_prototype_goes_by_angle():
    prototypes = np.array([[10.0, 0.0], [0.0, 1.0]])
    embeddings = np.array([[1.0, 0.1], [0.2, 0.9], [0.6, 0.5]])
    accuracy = metrics.nearest_prototype_accuracy(embeddings, ["x", "y", "y"], prototypes=prototypes, names=["x", "y"])
    assert accuracy == pytest.approx(2 / 3)


def test_nearest_prototype_names_labels_without_one():
    with pytest.raises(ValueError, match=r"\['z'\] have no prototype"):
        metrics.nearest_prototype_accuracy(np.eye(2), ["x", "z"], prototypes=np.eye(2), names=["x", "y"])


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 2.0), st.floats(-1.0, 1.0))
def test_correlation_does_not_change_with_scale_and_offset(seed: int, scale: float, offset: float):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, 20, 2))
    plain = metrics.pooled_correlation([x], [y])
    np.testing.assert_allclose(metrics.pooled_correlation([scale * x + offset], [y]), plain, atol=1e-9)
