import math

import pytest
import torch

from diffusiontalker.diffusion import add_noise, alpha_sigma, ddim_step, signal_to_noise
from diffusiontalker.losses import (
    distillation_loss,
    embedding_alignment_loss,
    enhancer_loss,
    feature_alignment_loss,
    progressive_target,
    truncated_snr_weight,
)


def _two_steps(predict, noisy, time, steps):
    middle, landing = time - 0.5 / steps, time - 1.0 / steps
    halfway = ddim_step(noisy, predict(noisy, time), time, middle)
    return ddim_step(halfway, predict(halfway, middle), middle, landing), landing


@pytest.mark.parametrize("time", [1.0, 0.75, 0.25])
def test_one_student_step_to_the_target_lands_where_the_teacher_landed(time):
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(3, 5, 2, generator=generator, dtype=torch.float64)
    time = torch.full((3,), time, dtype=torch.float64)
    landed, landing = _two_steps(lambda z, t: torch.tanh(z) + t[:, None, None], noisy, time, 4)
    target = progressive_target(noisy, landed, time, landing)
    torch.testing.assert_close(ddim_step(noisy, target, time, landing), landed)


def test_the_target_of_a_perfect_teacher_is_the_clean_motion():
    clean, noise = torch.full((1, 4, 2), 0.3, dtype=torch.float64), torch.ones(1, 4, 2, dtype=torch.float64)
    time = torch.tensor([0.5], dtype=torch.float64)
    noisy = add_noise(clean, noise, time)
    landed, landing = _two_steps(lambda z, t: clean, noisy, time, 2)
    torch.testing.assert_close(progressive_target(noisy, landed, time, landing), clean)


def test_the_target_of_a_linear_denoiser_has_the_closed_form():
    # For clean = c z the two steps multiply z by known factors; at t'' = 0 the target is where the teacher ends.
    factor, time = 0.4, torch.tensor([1.0], dtype=torch.float64)
    noisy = torch.ones(1, 2, 1, dtype=torch.float64)
    landed, landing = _two_steps(lambda z, t: factor * z, noisy, time, 1)
    alpha, sigma = (math.cos(math.pi / 4), math.sin(math.pi / 4))
    halfway = alpha * factor + sigma
    assert landed[0, 0, 0].item() == pytest.approx(factor * halfway)
    assert progressive_target(noisy, landed, time, landing)[0, 0, 0].item() == pytest.approx(factor * halfway)


def test_snr_weight_never_falls_below_one():
    time = torch.tensor([0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    weight = truncated_snr_weight(time).flatten()
    assert weight[0].item() == pytest.approx(signal_to_noise(time)[0].item())
    assert weight[1].item() == pytest.approx(1.0)
    assert weight[2:].tolist() == [1.0, 1.0]


def test_weighted_motion_error_equals_the_noise_error_where_the_weight_is_the_snr():
    clean, other = torch.zeros(1, 3, 2, dtype=torch.float64), torch.full((1, 3, 2), 0.1, dtype=torch.float64)
    time, noisy = torch.tensor([0.25], dtype=torch.float64), torch.ones(1, 3, 2, dtype=torch.float64)
    alpha, sigma = alpha_sigma(time)
    noise_error = ((noisy - alpha * clean) / sigma - (noisy - alpha * other) / sigma).square().mean()
    loss = distillation_loss(clean, other, truncated_snr_weight(time), torch.ones(1, 3, 1, dtype=torch.float64))
    assert loss.item() == pytest.approx(noise_error.item())


def test_feature_alignment_is_zero_up_to_scale_and_offset_of_a_frame_and_two_when_unrelated():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 6, 400, generator=generator)
    mask = torch.ones(2, 6, 1)
    assert feature_alignment_loss(3.0 * features + 1.0, features, mask).item() == pytest.approx(0.0, abs=1e-6)
    unrelated = torch.randn(2, 6, 400, generator=generator)
    assert feature_alignment_loss(unrelated, features, mask).item() == pytest.approx(2.0, abs=0.1)
    mask[:, 3:] = 0.0
    unrelated[:, :3] = features[:, :3]
    assert feature_alignment_loss(unrelated, features, mask).item() == pytest.approx(0.0, abs=1e-6)


def test_embedding_alignment_is_one_minus_the_cosine():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert embedding_alignment_loss(first, second).item() == pytest.approx(0.5)


def test_enhancer_of_matching_codes_has_the_closed_form_and_wrong_pairs_cost_more():
    eye, labels = torch.eye(3), torch.arange(3)
    expected = math.log(1 + 2 * math.exp(-10))
    assert enhancer_loss(eye, eye, eye, labels).item() == pytest.approx(expected, rel=1e-3)
    assert enhancer_loss(eye, eye.roll(1, 0), eye, labels).item() == pytest.approx(expected + 5.0, rel=1e-3)


def test_examples_of_one_style_are_no_negatives_of_each_other():
    codes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    told_apart = enhancer_loss(codes, codes, codes, torch.tensor([0, 1, 2])).item()
    assert told_apart > 0.4
    assert enhancer_loss(codes, codes, codes, torch.tensor([0, 0, 2])).item() < 1e-3


def test_the_gradient_of_the_enhancer_reaches_the_student_motion():
    generator = torch.Generator().manual_seed(2)
    styles, student, teacher = (
        torch.nn.functional.normalize(torch.randn(4, 3, generator=generator), dim=-1) for _ in range(3)
    )
    student.requires_grad_()
    enhancer_loss(styles, student, teacher, torch.arange(4)).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
