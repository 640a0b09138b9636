"""Every engine computes what the reference does: float32 within rounding, rougher arithmetic within a stated bound."""

import copy
import dataclasses
import math
import pickle
import typing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tiny_student import tiny_bundle

from diffusiontalker.cli import verb
from diffusiontalker.inference import Bundle, BundleError, EngineName, Style, animate, animate_batch
from diffusiontalker.inference.engines import Networks, networks_of
from diffusiontalker.inference.engines.talker_graphs import moving_graph
from diffusiontalker.inference.stream_memory import encoder_shapes, step_shapes
from diffusiontalker.models import LogMelEncoder, Talker

ROUNDING = 1e-5
AHEAD = [(None, None), (1, 1), (0, 0), (4, 1)]


def sound(seconds: float, *, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds)).astype(np.float32)


def lively(ahead: tuple[int | None, int | None] = (None, None), *, prediction: str = "clean") -> Bundle:
    bundle = tiny_bundle(ahead=ahead, dilations=(1, 2, 4))
    old = bundle.talker
    diffusion = dataclasses.replace(old.config.diffusion, prediction=prediction)
    talker = Talker(
        dataclasses.replace(old.config, diffusion=diffusion), speakers=old.speakers, emotions=old.emotions,
        channel_names=old.channel_names, motion_fps=old.motion_fps,
    ).eval()  # fmt: skip
    talker.load_state_dict(old.state_dict())
    return dataclasses.replace(bundle, talker=talker, digest="", file_bytes=0)


def both(talker: Talker) -> tuple[Networks, Networks]:
    return networks_of(talker, "torch"), networks_of(talker, "onnx")


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=ROUNDING, rtol=ROUNDING)


@pytest.mark.parametrize("ahead", AHEAD)
@torch.inference_mode()
def test_features_and_steps_of_padded_recordings_are_those_of_the_reference(ahead):
    talker = lively(ahead).talker
    torch_, onnx = both(talker)
    waveforms, lengths = torch.from_numpy(np.stack([sound(0.5), sound(0.5, seed=1)])), torch.tensor([8000, 5000])
    waveforms[1, 5000:] = 0.0
    features = torch_.encode(waveforms, lengths)
    assert_same(features, onnx.encode(waveforms, lengths))
    assert not features[1, -1].any()
    frames, generator = 12, torch.Generator().manual_seed(0)
    noisy = torch.randn(2, frames, 52, generator=generator)
    mask = (torch.arange(frames)[None, :] < torch.tensor([12, 7])[:, None])[..., None].float()
    personalized = torch.randn(2, talker.config.personalizer.personalized_dim, generator=generator)
    inputs = (noisy, torch.tensor([1.0, 0.5]), features[:, :frames], personalized, mask)
    assert_same(torch_.denoise(*inputs), onnx.denoise(*inputs))


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("frames", [1, 2, 7])
@torch.inference_mode()
def test_passes_over_streams_are_those_of_the_reference(ahead, frames):
    talker = lively(ahead).talker
    encoder = talker.encoder
    assert isinstance(encoder, LogMelEncoder)
    torch_, onnx = both(talker)
    generator = torch.Generator().manual_seed(frames)
    mask = torch.ones(2, frames, 1)
    mask[1, frames // 2 :] = 0.0
    rows = torch.randn(2, sum(map(math.prod, encoder_shapes(encoder))), generator=generator)
    mels = torch.randn(2, 2 * frames, 80, generator=generator)
    for one, other in zip(torch_.hear(mels, mask, rows), onnx.hear(mels, mask, rows), strict=True):
        assert_same(one, other)
    personalized = torch.randn(2, talker.config.personalizer.personalized_dim, generator=generator)
    for num_steps in (1, 2, 3):
        rows = torch.randn(2, num_steps * sum(map(math.prod, step_shapes(talker))), generator=generator)
        noisy = torch.randn(2, frames, 52, generator=generator)
        features = torch.randn(2, frames, encoder.feature_dim, generator=generator)
        moved = []
        for networks in (torch_, onnx):
            styles = torch.stack([networks.style(one, num_steps=num_steps) for one in personalized])
            moved.append(networks.move(noisy, features, mask, styles, rows, num_steps=num_steps))
        for one, other in zip(*moved, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("prediction", ["clean", "noise", "velocity"])
@torch.inference_mode()
def test_every_prediction_type_steps_alike_in_streams(prediction):
    talker = lively((4, 1), prediction=prediction).talker
    rows = torch.zeros(1, 2 * sum(map(math.prod, step_shapes(talker))))
    noisy, features = torch.randn(1, 5, 52), torch.randn(1, 5, talker.encoder.feature_dim)
    personalized = torch.randn(talker.config.personalizer.personalized_dim)
    one, other = (
        networks.move(
            noisy, features, torch.ones(1, 5, 1), networks.style(personalized, num_steps=2)[None], rows, num_steps=2
        )[0]
        for networks in both(talker)
    )
    # An output of noise is divided by an alpha of 1e-4 at the start, and so is the rounding.
    torch.testing.assert_close(one, other, atol=ROUNDING, rtol=1e-3 if prediction == "noise" else ROUNDING)


def test_whole_animations_are_those_of_the_reference_beyond_one_window_too():
    bundle = lively()
    waveform = sound(23.0)
    exact = animate(dataclasses.replace(bundle, engine="torch"), waveform).coefficients
    np.testing.assert_allclose(animate(bundle, waveform).coefficients, exact, atol=ROUNDING)


def test_guidance_is_computed_in_every_engine():
    bundle = lively()
    exact = animate(dataclasses.replace(bundle, engine="torch"), sound(0.5), guidance_scale=2.0).coefficients
    guided = animate(bundle, sound(0.5), guidance_scale=2.0).coefficients
    np.testing.assert_allclose(guided, exact, atol=ROUNDING)
    assert np.abs(guided - animate(bundle, sound(0.5)).coefficients).max() > 1e-3


@pytest.mark.parametrize(("engine", "bound"), [("torch-bfloat16", 0.02), ("onnx-int8", 0.02)])
def test_rougher_arithmetic_stays_near_the_reference_and_is_not_it(engine, bound):
    bundle = lively()
    exact = animate(dataclasses.replace(bundle, engine="torch"), sound(1.0)).coefficients
    rough = animate(dataclasses.replace(bundle, engine=engine), sound(1.0)).coefficients
    assert 1e-5 < np.abs(rough - exact).max() < bound


def test_in_8_bits_too_nobody_depends_on_who_is_computed_along():
    bundle = dataclasses.replace(lively(), engine="onnx-int8")
    waveforms = [sound(0.4), 5.0 * sound(0.7, seed=1)]
    together = animate_batch(bundle, waveforms, seeds=[0, 0], styles=[Style(voice="anna")] * 2)
    for clip, waveform in zip(together, waveforms, strict=True):
        alone = animate(bundle, waveform, voice="anna").coefficients
        np.testing.assert_allclose(clip.coefficients, alone, atol=ROUNDING)


def test_copies_and_pickles_animate_alike_with_weights_of_their_own():
    bundle = lively()
    animation = animate(bundle, sound(0.3)).coefficients
    for again in (copy.deepcopy(bundle), pickle.loads(pickle.dumps(bundle))):
        np.testing.assert_array_equal(animate(again, sound(0.3)).coefficients, animation)
    changed = copy.deepcopy(bundle)
    torch.nn.init.zeros_(changed.talker.denoiser.motion_out.weight)
    assert np.abs(animate(changed, sound(0.3)).coefficients - animation).max() > 1e-3
    np.testing.assert_array_equal(animate(bundle, sound(0.3)).coefficients, animation)


def test_many_threads_may_animate_with_one_bundle():
    bundle = lively()
    waveforms = [sound(0.2 + 0.05 * number, seed=number) for number in range(8)]
    expected = [animate(bundle, waveform).coefficients for waveform in waveforms]
    fresh = dataclasses.replace(bundle)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda waveform: animate(fresh, waveform).coefficients, waveforms))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=ROUNDING)


def test_a_bundle_keeps_its_digest_in_every_engine():
    bundle = lively()
    assert {dataclasses.replace(bundle, engine=engine).digest for engine in typing.get_args(EngineName)} == {
        bundle.digest
    }


@torch.inference_mode()
def test_networks_that_remember_nothing_stream_too():
    old = lively((0, 0)).talker
    config = dataclasses.replace(old.config, denoiser=dataclasses.replace(old.config.denoiser, kernel_size=1))
    talker = Talker(
        config, speakers=old.speakers, emotions=old.emotions, channel_names=old.channel_names, motion_fps=25.0
    ).eval()
    noisy, features = torch.randn(1, 3, 52), torch.randn(1, 3, talker.encoder.feature_dim)
    personalized = torch.randn(talker.config.personalizer.personalized_dim)
    one, other = (
        networks.move(
            noisy, features, torch.ones(1, 3, 1), networks.style(personalized, num_steps=2)[None], torch.zeros(1, 0),
            num_steps=2,
        )[0]
        for networks in both(talker)
    )  # fmt: skip
    assert_same(one, other)


def test_steps_of_a_stream_share_their_weights():
    talker = lively((4, 1)).talker
    one, four = (len(moving_graph(talker, num_steps=steps)) for steps in (1, 4))
    assert four < 2.5 * one


def test_the_engine_must_fit_the_device():
    talker = lively().talker.to("meta")
    with pytest.raises(BundleError, match="engine 'onnx' computes on CPUs, not on meta; take 'torch'"):
        networks_of(talker, "onnx")
    assert type(networks_of(talker, "auto")) is type(networks_of(talker, "torch"))


def test_the_command_line_knows_the_engines():
    assert typing.get_args(verb.EngineName) == typing.get_args(EngineName)
