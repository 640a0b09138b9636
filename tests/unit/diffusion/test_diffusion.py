import math

import numpy as np
import pytest
import torch

from diffusiontalker.diffusion import (
    add_noise,
    alpha_sigma,
    frame_noise,
    prediction_target,
    sample_ddim,
    signal_to_noise,
    time_grid,
    to_clean,
)
from diffusiontalker.diffusion.noise import philox


def _randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_schedule_is_variance_preserving_and_reaches_pure_noise():
    time = torch.linspace(0, 1, 11)
    alpha, sigma = alpha_sigma(time)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(11, 1, 1))
    assert alpha[-1] < 1e-6
    assert signal_to_noise(torch.tensor([0.5])).item() == pytest.approx(1.0)


@pytest.mark.parametrize("prediction", ["clean", "noise", "velocity"])
def test_every_prediction_type_leads_back_to_the_clean_motion(prediction):
    clean, noise, time = _randn(3, 5, 4), _randn(3, 5, 4, seed=1), torch.tensor([0.1, 0.5, 0.9])
    noisy = add_noise(clean, noise, time)
    target = prediction_target(clean, noise, time, prediction=prediction)
    torch.testing.assert_close(to_clean(target, noisy, time, prediction=prediction), clean, atol=1e-5, rtol=1e-4)


def test_grids_are_nested_and_exact():
    assert time_grid(1) == [1.0, 0.0]
    assert time_grid(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    for steps in (1, 2, 4, 8):
        assert set(time_grid(steps)) <= set(time_grid(2 * steps))
    with pytest.raises(ValueError, match="at least 1"):
        time_grid(0)


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_ddim_with_a_known_clean_motion_ends_there(steps):
    clean = _randn(2, 7, 3)
    torch.testing.assert_close(sample_ddim(lambda z, t: clean, _randn(2, 7, 3, seed=1), num_steps=steps), clean)


def test_ddim_carries_gaussian_noise_to_the_gaussian_data():
    """Closed form: for x ~ N(m, s^2) the optimal denoiser is linear and the ODE maps noise e to m + s e."""
    mean, spread = 0.3, 0.4

    def optimal(noisy, time):
        alpha, sigma = alpha_sigma(time)
        return mean + spread**2 * alpha / (spread**2 * alpha**2 + sigma**2) * (noisy - alpha * mean)

    noise = _randn(1, 200, 2)
    for steps, tolerance in ((16, 0.06), (512, 0.002)):  # first order: 32 times the steps, a 32nd of the error
        result = sample_ddim(optimal, noise, num_steps=steps)
        assert ((result - mean - spread * noise).abs() <= tolerance * noise.abs() + 1e-4).all()


def test_philox_gives_the_published_answers():
    """Known-answer vectors of the Random123 distribution (philox4x32, 10 rounds)."""
    zero, full = np.zeros(1, np.uint64), np.full(1, 0xFFFFFFFF, np.uint64)
    assert [int(word[0]) for word in philox((zero,) * 4, key=(0, 0))] == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]
    assert [int(word[0]) for word in philox((full,) * 4, key=(0xFFFFFFFF,) * 2)] == [
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD,
    ]  # fmt: skip


def test_noise_belongs_to_seed_and_frame_alone():
    batch = frame_noise([5, 2**64 + 7, -1], num_frames=60, channels=52)
    torch.testing.assert_close(batch[1], frame_noise([7], num_frames=60, channels=52)[0], rtol=0, atol=0)
    window = frame_noise([5], num_frames=10, channels=52, first_frame=40)[0]
    assert torch.equal(batch[0, 40:50], window)
    assert not torch.equal(batch[0], batch[2])


def test_noise_is_standard_normal_and_uncorrelated():
    noise = frame_noise([3], num_frames=4000, channels=50)[0]
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert abs((noise**4).mean() - 3) < 0.1
    assert (torch.corrcoef(noise.T) - torch.eye(50)).abs().max() < 5 / math.sqrt(4000)
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.01
