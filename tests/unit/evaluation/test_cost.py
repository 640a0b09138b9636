import dataclasses

import pytest
import tiny

from diffusiontalker.evaluation import cost_of
from diffusiontalker.inference import Bundle, SamplingConfig, save_bundle
from diffusiontalker.training import build_talker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    corpus = tiny.tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")
    return Bundle(
        talker=build_talker(tiny.tiny_training(), corpus).eval(),
        sampling=SamplingConfig(num_steps=2), precision="float16",
    )  # fmt: skip


def test_bytes_are_those_of_the_files(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "bundle")
    needed = ("config.json", "model.safetensors", "prototypes.safetensors", "statistics.json")
    assert cost_of(bundle, repeats=1).file_bytes == sum((tmp_path / "bundle" / name).stat().st_size for name in needed)


def test_operations_grow_with_the_diffusion_steps_alone(bundle):
    """Two steps more cost twice what one more costs: the encoder runs once, the denoiser in every step."""
    one, two, four = (
        cost_of(
            dataclasses.replace(bundle, sampling=SamplingConfig(num_steps=steps), digest="", file_bytes=0), repeats=1
        )
        for steps in (1, 2, 4)
    )
    step = two.operations_per_s - one.operations_per_s
    assert step > 0
    assert four.operations_per_s - two.operations_per_s == pytest.approx(2 * step)
    assert one.parameters == four.parameters == bundle.parameters


def test_a_dense_layer_counts_two_operations_per_weight_and_frame(bundle):
    talker = bundle.talker
    frames, width = 25.0, talker.config.denoiser.width
    one_more = cost_of(
        dataclasses.replace(bundle, sampling=SamplingConfig(num_steps=2), digest="", file_bytes=0), repeats=1
    ).operations_per_s - cost_of(
        dataclasses.replace(bundle, sampling=SamplingConfig(num_steps=1), digest="", file_bytes=0), repeats=1
    ).operations_per_s  # fmt: skip
    per_frame = sum(
        parameter.numel()
        for name, parameter in talker.denoiser.named_parameters()
        if parameter.ndim == 2 and ("conv" in name or "out.weight" in name or name in _FRAME_WISE)
    )
    assert one_more == pytest.approx(2 * per_frame * frames, rel=0.05), width


_FRAME_WISE = ("motion_in.weight", "speech_in.weight", "motion_out.weight")
