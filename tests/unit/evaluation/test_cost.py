import dataclasses

import pytest
import tiny
import torch

from diffusiontalker.evaluation import look_ahead_s, one_core_speeds, operations_per_s
from diffusiontalker.inference import Bundle, SamplingConfig, StreamingTalker
from diffusiontalker.training import build_talker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    corpus = tiny.tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")
    return Bundle(
        talker=build_talker(tiny.tiny_training(), corpus).eval(),
        sampling=SamplingConfig(num_steps=2), precision="float16",
    )  # fmt: skip


def in_steps(bundle: Bundle, steps: int) -> Bundle:
    return dataclasses.replace(bundle, sampling=SamplingConfig(num_steps=steps), digest="", file_bytes=0)


def test_operations_grow_with_the_diffusion_steps_alone(bundle):
    """Two steps more cost twice what one more costs: the encoder runs once, the denoiser in every step."""
    one, two, four = (operations_per_s(in_steps(bundle, steps)) for steps in (1, 2, 4))
    assert two > one
    assert four - two == pytest.approx(2 * (two - one))


def test_a_dense_layer_counts_two_operations_per_weight_and_frame(bundle):
    """The denoiser's products over frames at 25 fps; what runs once per clip is next to nothing."""
    one_more_step = operations_per_s(in_steps(bundle, 2)) - operations_per_s(in_steps(bundle, 1))
    weights = sum(
        parameter.numel()
        for name, parameter in bundle.talker.denoiser.named_parameters()
        if parameter.ndim == 2 and name.split(".")[-2] in ("conv", "out", "motion_in", "speech_in", "motion_out")
    )
    assert one_more_step == pytest.approx(2 * weights * 25.0, rel=0.05)


def test_speeds_are_measured_on_one_thread_and_the_threads_given_back(bundle):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        speeds = one_core_speeds({"a": bundle, "b": in_steps(bundle, 4)}, repeats=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert set(speeds) == {"a", "b"}
    assert all(rtf > 0 for rtf in speeds.values())


def test_a_look_ahead_is_what_streams_of_the_bundle_wait_for(bundle):
    """It grows by the denoiser's reach in motion frames, at 25 fps, with every step."""
    one, two = (look_ahead_s(in_steps(bundle, steps)) for steps in (1, 2))
    assert one is not None
    assert two is not None
    assert two == pytest.approx(StreamingTalker(bundle).look_ahead_s(2))
    assert two - one == pytest.approx(bundle.talker.denoiser.context.right / 25.0)


def test_what_cannot_stream_has_no_look_ahead(bundle):
    guided = dataclasses.replace(bundle, sampling=SamplingConfig(guidance_scale=2.0), digest="", file_bytes=0)
    assert look_ahead_s(guided) is None
