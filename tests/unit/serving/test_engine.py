"""The engine: what is computed together is what each would be alone; a wrong request is nobody else's problem."""

import asyncio
import dataclasses

import numpy as np
import pytest
import torch
from decoding_pools import refusal
from in_loop import in_loop
from serving_app import TOLERANCE
from sounds import speech
from tiny_student import tiny_bundle

from diffusiontalker.face import MotionError
from diffusiontalker.inference import Bundle, animate, embed, make_voice
from diffusiontalker.serving.engine import Engine, EngineConfig
from diffusiontalker.serving.metrics import Labelled, PrometheusMetrics
from diffusiontalker.serving.service import SamplingRequest
from diffusiontalker.serving.style_entry import StylePair

BUNDLE = tiny_bundle()


def engine_of(bundle: Bundle = BUNDLE, **config) -> Engine:
    return Engine(bundle, EngineConfig(**config), metrics=Labelled(PrometheusMetrics(), student="tiny"))


def pair_of(seed: int) -> StylePair:
    return StylePair(*embed(BUNDLE, speech(2.0, seed=seed)))


def voice_of(pair: StylePair | tuple, bundle: Bundle = BUNDLE):
    return make_voice(name="v", identity=pair[0], emotion=pair[1], bundle_digest=bundle.digest, provenance={})


def number(engine: Engine, name: str) -> float:
    lines = engine._metrics._metrics.text().decode().splitlines()
    return next(
        float(line.split()[-1]) for line in lines if line.startswith(f'diffusiontalker_{name}{{student="tiny"}}')
    )


def requests() -> list[tuple[np.ndarray, dict, dict]]:
    """Waveform, style and sampling of requests that differ in everything that may differ."""
    voices = (None, "anna", "Ben", pair_of(1), pair_of(2))
    emotions = (None, "happy", None, "sad", "neutral")
    made = []
    for index, seconds in enumerate((1.0, 0.1, 2.345, 0.4, 3.21, 0.7, 1.0, 22.0, 0.0001, 1.9, 0.3, 5.0)):
        style = {"voice": voices[index % 5], "emotion": emotions[(index * 2) % 5], "emotion_intensity": index / 6}
        sampling = {"num_steps": (None, 2, 5)[index % 3], "temperature": (None, 0.0, 0.5, 2.0)[index % 4]}
        made.append((speech(seconds, seed=index), style, sampling | {"seed": index * 7 - 20}))
    return made


def offline(waveform: np.ndarray, style: dict, sampling: dict) -> np.ndarray:
    voice = style["voice"]
    voice = voice_of(voice) if isinstance(voice, tuple) else voice
    return animate(BUNDLE, waveform, **(style | {"voice": voice}), **sampling).coefficients


@in_loop
async def test_batched_is_single_is_offline():
    for max_batch_frames in (1, 300, 100_000):
        engine = engine_of(max_batch_frames=max_batch_frames)
        clips = await asyncio.gather(
            *(engine.animate(waveform, **style, sampling=SamplingRequest(**sampling))
              for waveform, style, sampling in requests())
        )  # fmt: skip
        for clip, request in zip(clips, requests(), strict=True):
            expected = offline(*request)
            assert clip.coefficients.shape == expected.shape
            np.testing.assert_allclose(clip.coefficients, expected, atol=TOLERANCE)
        num_batches = number(engine, "batch_seconds_count")
        assert number(engine, "batch_jobs_sum") == len(clips)
        assert num_batches == len(clips) if max_batch_frames == 1 else num_batches < len(clips)
        assert max_batch_frames != 100_000 or num_batches == 2, "one of each number of steps"
        await engine.close()


WRONG = {
    "emotion": ({"emotion": "hapy"}, {}, "invalid_parameter", "perhaps you meant 'happy'"),
    "speaker": ({"voice": "nobody"}, {}, "unknown_voice", "nobody"),
    "intensity": ({"emotion": "sad", "emotion_intensity": 2.5}, {}, "invalid_parameter", "emotion_intensity is 2.5"),
    "no steps": ({}, {"num_steps": 0}, "invalid_parameter", "num_steps is 0"),
    "too many steps": ({}, {"num_steps": 65}, "invalid_parameter", "1 to 64"),
    "temperature": ({}, {"temperature": float("nan")}, "invalid_parameter", "temperature is nan"),
}


@pytest.mark.parametrize("what", WRONG)
@in_loop
async def test_a_wrong_request_is_refused_before_it_waits(what):
    style, sampling, code, message = WRONG[what]
    engine = engine_of()
    request = SamplingRequest(**sampling)
    for refused in (
        await refusal(engine.animate(speech(), **style, sampling=request)),
        await refusal(engine.open_stream(**style, sampling=request)),
    ):
        assert refused.code == code
        assert message in refused.message
    assert engine.is_idle
    await engine.close()


@in_loop
async def test_sound_without_samples_is_refused():
    engine = engine_of()
    for waveform in (np.zeros(0, dtype=np.float32), np.zeros((2, 100), dtype=np.float32)):
        assert (await refusal(engine.animate(waveform))).code == "bad_audio"
    await engine.close()


@in_loop
async def test_what_spoils_a_batch_fails_alone():
    engine = engine_of()
    spoilt = np.full(16_000, np.nan, dtype=np.float32)
    outcomes = await asyncio.gather(
        *(engine.animate(waveform) for waveform in (speech(seed=1), spoilt, speech(2.0, seed=2))),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], MotionError)
    for outcome, waveform in ((outcomes[0], speech(seed=1)), (outcomes[2], speech(2.0, seed=2))):
        np.testing.assert_allclose(outcome.coefficients, animate(BUNDLE, waveform).coefficients, atol=TOLERANCE)
    await engine.close()


@in_loop
async def test_a_stream_of_nobody_in_particular_speaks_as_the_unknown_speaker_neutrally():
    engine = engine_of()
    personalizer = BUNDLE.talker.personalizer
    with torch.inference_mode():
        unknown = torch.nn.functional.normalize(personalizer.unknown_identity, dim=-1).numpy()
        neutral = personalizer.prototypes()[1][0].numpy()
    waveform = speech(2.0)
    for style, expected in (
        ({}, {"voice": voice_of((unknown, neutral))}),
        ({"emotion": "sad"}, {"voice": voice_of((unknown, neutral)), "emotion": "sad"}),
        ({"voice": pair_of(3)}, {"voice": voice_of(pair_of(3))}),
        ({"voice": pair_of(3), "emotion": "happy"}, {"voice": voice_of(pair_of(3)), "emotion": "happy"}),
    ):
        stream = await engine.open_stream(**style, sampling=SamplingRequest(seed=5))
        await stream.feed(waveform)
        await stream.finish()
        frames = np.concatenate([piece.coefficients async for piece in stream])
        await stream.close()
        whole = animate(BUNDLE, waveform, seed=5, **expected).coefficients
        np.testing.assert_allclose(frames, whole, atol=TOLERANCE)
    await engine.close()


@in_loop
async def test_a_bundle_that_cannot_stream_still_animates():
    bundle = tiny_bundle(guidance=2.0)
    engine = engine_of(bundle)
    engine.warm_up()
    error = await refusal(engine.open_stream())
    assert error.code == "invalid_parameter"
    assert "guidance" in error.message
    clip = await engine.animate(speech())
    np.testing.assert_allclose(clip.coefficients, animate(bundle, speech()).coefficients, atol=TOLERANCE)
    await engine.close()


@in_loop
async def test_streams_may_not_hold_memory_for_any_number_of_steps():
    engine = engine_of(tiny_bundle(steps=12), max_stream_steps=4)
    for num_steps, is_allowed in ((1, True), (4, True), (None, True), (12, True), (5, False), (64, False)):
        opening = engine.open_stream(sampling=SamplingRequest(num_steps=num_steps))
        if is_allowed:
            await (await opening).close()
        else:
            assert "1 to 4, or 12" in (await refusal(opening)).message
    assert engine.is_idle
    await engine.close()


@in_loop
async def test_warming_up_leaves_nothing_open_and_changes_no_result():
    cold, warm = engine_of(), engine_of()
    warm.warm_up()
    assert warm.is_idle
    clips = [await engine.animate(speech(), sampling=SamplingRequest(seed=3)) for engine in (cold, warm)]
    assert np.array_equal(clips[0].coefficients, clips[1].coefficients)
    await asyncio.gather(cold.close(), warm.close())


@in_loop
async def test_after_warming_up_no_request_waits_for_networks_to_be_made_ready():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as in a replica of Ray, which reserves one CPU
        bundle = dataclasses.replace(tiny_bundle(), engine="onnx")
        engine = engine_of(bundle, threads=2)
        engine.warm_up()
        assert torch.get_num_threads() == 1
        ready = set(bundle.networks._sessions)
        await engine.animate(speech())
        stream = await engine.open_stream()
        await stream.feed(speech())
        await stream.finish()
        assert [piece async for piece in stream]
        await stream.close()
        assert set(bundle.networks._sessions) == ready
        await engine.close()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "wrong", [{"max_batch_frames": 0}, {"max_waiting_frames": 0}, {"max_streams": -1}, {"pass_ms": -1.0},
              {"threads": -1}, {"max_stream_steps": -1}]
)  # fmt: skip
def test_a_config_out_of_range_is_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is"):
        EngineConfig(**wrong)
