import math

import pytest
import torch

from diffusiontalker.losses import (
    dynamics_loss,
    moments_over_time,
    motion_velocity_loss,
    pair_contrast,
    prototype_contrast,
    reconstruction_loss,
)


def _mask(*lengths, frames):
    return (torch.arange(frames)[None] < torch.tensor(lengths)[:, None]).float()[..., None]


def test_reconstruction_ignores_padding():
    predicted, target, mask = torch.zeros(2, 4, 3), torch.ones(2, 4, 3), _mask(4, 2, frames=4)
    target[1, 2:] = 100.0
    assert reconstruction_loss(predicted, target, mask).item() == pytest.approx(1.0)
    assert reconstruction_loss(predicted, target, mask, count=torch.tensor(12.0)).item() == pytest.approx(0.5)


def test_velocity_loss_of_a_ramp_is_its_squared_slope():
    ramp = 0.5 * torch.arange(5.0)[None, :, None].expand(1, 5, 2)
    mask = _mask(5, frames=5)
    assert motion_velocity_loss(ramp, torch.zeros_like(ramp), mask, count=torch.tensor(4.0)).item() == pytest.approx(
        0.25
    )
    assert motion_velocity_loss(ramp + 3.0, ramp, mask).item() == pytest.approx(0.0, abs=1e-10)


def test_moments_of_a_sine_are_its_offset_and_its_amplitude_over_root_two_whatever_the_padding():
    wave = torch.sin(torch.arange(20) * (2 * math.pi / 20))
    motion = torch.full((2, 32, 1), 99.0)
    motion[0, :20, 0], motion[1, :20, 0] = 0.5 + 2.0 * wave, 0.25
    motion.requires_grad_()
    mean, deviation = moments_over_time(motion, _mask(20, 20, frames=32))
    torch.testing.assert_close(mean, torch.tensor([[0.5], [0.25]]))
    torch.testing.assert_close(deviation, torch.tensor([[math.sqrt(2.0)], [0.0]]), atol=4e-3, rtol=0)
    deviation.sum().backward()
    assert torch.isfinite(motion.grad).all()
    assert (motion.grad[:, 20:] == 0).all()


def test_dynamics_loss_of_a_motion_at_half_the_amplitude_is_a_quarter_of_the_variance_and_phase_is_free():
    time = torch.arange(40)[None, :, None] * (2 * math.pi / 40)
    mask = torch.ones(1, 40, 1)
    whole, half, shifted = 4.0 * torch.sin(time), 2.0 * torch.sin(time), 4.0 * torch.cos(time)
    whole, half, shifted = (moments_over_time(motion, mask)[1] for motion in (whole, half, shifted))
    assert dynamics_loss(half, whole).item() == pytest.approx(8.0 / 4.0, rel=1e-4)
    assert dynamics_loss(shifted, whole).item() == pytest.approx(0.0, abs=1e-9)


def test_prototype_contrast_of_orthogonal_classes_has_the_closed_form():
    eye = torch.eye(3)
    labels = torch.arange(3)
    expected = math.log(1 + 2 * math.exp(-2))
    assert prototype_contrast(eye, eye, labels, temperature=0.5).item() == pytest.approx(expected, rel=1e-5)
    wrong = prototype_contrast(eye, eye, labels.roll(1), temperature=0.5)
    assert wrong.item() == pytest.approx(expected + 2, rel=1e-5)


def test_prototype_contrast_with_several_clips_of_one_speaker_averages_them():
    embeddings, prototypes = torch.eye(2)[[0, 0, 1]], torch.eye(2)
    to_prototype = math.log(1 + math.exp(-1))
    first = math.log(2 + math.exp(-1))
    second = math.log(1 + 2 * math.exp(-1))
    expected = 0.5 * (to_prototype + 0.5 * (first + second))
    loss = prototype_contrast(embeddings, prototypes, torch.tensor([0, 0, 1]), temperature=1.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_pair_contrast_does_not_push_clips_of_one_label_apart():
    same = torch.eye(2)[[0, 0]]
    assert pair_contrast(same, same, torch.tensor([4, 4])).item() == pytest.approx(0.0)
    assert pair_contrast(same, same, torch.tensor([4, 5])).item() == pytest.approx(math.log(2), rel=1e-4)
