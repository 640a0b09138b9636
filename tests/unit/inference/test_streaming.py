"""However a stream is cut into pieces, and whoever else streams, its frames are those of the whole recording."""

import dataclasses

import numpy as np
import pytest
from tiny_student import tiny_bundle

from diffusiontalker.inference import (
    AnimationError,
    Bundle,
    SamplingConfig,
    StreamingTalker,
    animate,
    make_voice,
)

TOLERANCE = 2e-5


def bundle_of(*, ahead: tuple[int | None, int | None] = (None, None), **options) -> Bundle:
    """A lively bundle of three channels; `ahead` are the look-aheads of encoder and denoiser."""
    return tiny_bundle(
        ahead=ahead, dilations=(1, 2, 4), channel_names=("jawOpen", "smile", "brow"), mean=0.0, scale=1.0, **options
    )


def noise(samples: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


def voice_of(bundle: Bundle, *, seed: int = 0):
    generator = np.random.default_rng(seed)
    identity, emotion = generator.standard_normal((2, 8))
    return make_voice(name="v", identity=identity, emotion=emotion, bundle_digest=bundle.digest, provenance={})


def streamed(talker: StreamingTalker, waveforms, voices, *, cuts, **options) -> list[np.ndarray]:
    """All waveforms at the same time, in pieces of the lengths that `cuts` gives."""
    streams = [
        talker.open(identity=voice.identity, emotion=voice.emotion, seed=number, **options)
        for number, voice in enumerate(voices)
    ]
    parts = {stream: [] for stream in streams}
    fed = dict.fromkeys(streams, 0)
    while not all(map(talker.is_done, streams)):
        for stream, waveform in zip(streams, waveforms, strict=True):
            if not stream.is_finished:
                piece = waveform[fed[stream] : fed[stream] + next(cuts)]
                talker.feed(stream, piece)
                fed[stream] += len(piece)
                if fed[stream] == len(waveform):
                    talker.finish(stream)
        for pieces in passes(talker):
            for piece in pieces:
                assert piece.first_frame == sum(map(len, parts[piece.stream]))
                parts[piece.stream].append(piece.coefficients)
    for stream in streams:
        talker.close(stream)
    return [np.concatenate(parts[stream]) for stream in streams]


def passes(talker: StreamingTalker):
    """The frames of every pass until nothing moves."""
    while True:
        moved, pieces = talker.advance()
        if not moved:
            return
        yield pieces


def any_cuts(*, most: int = 4000, seed: int = 0):
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(0, most))


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0, 29.97])
@pytest.mark.parametrize("ahead", [(None, None), (2, 1), (0, 0)])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_pieces_of_many_streams_equal_one_shot(fps, ahead, steps):
    bundle = bundle_of(fps=fps, ahead=ahead, steps=steps)
    waveforms = [noise(samples, seed=samples) for samples in (1, 319, 8000, 16_001, 33_333)]
    voices = [voice_of(bundle, seed=number) for number in range(len(waveforms))]
    talker = StreamingTalker(bundle, max_streams=len(waveforms))
    for number, frames in enumerate(streamed(talker, waveforms, voices, cuts=any_cuts())):
        whole = animate(bundle, waveforms[number], voice=voices[number], seed=number)
        assert frames.shape == whole.coefficients.shape
        np.testing.assert_allclose(frames, whole.coefficients, atol=TOLERANCE)


def test_a_place_is_as_new_for_the_next_stream():
    bundle = bundle_of()
    talker = StreamingTalker(bundle, max_streams=1)
    voice = voice_of(bundle)
    for seed in range(3):
        waveform = noise(12_345, seed=seed)
        (frames,) = streamed(talker, [waveform], [voice], cuts=any_cuts(seed=seed))
        np.testing.assert_allclose(frames, animate(bundle, waveform, voice=voice).coefficients, atol=TOLERANCE)


@pytest.mark.parametrize(("fps", "ahead", "steps"), [(25.0, (2, 1), 2), (30.0, (1, 0), 1), (60.0, (None, None), 2)])
def test_a_frame_comes_out_with_its_look_ahead_and_not_before(fps, ahead, steps):
    talker = StreamingTalker(bundle_of(fps=fps, ahead=ahead, steps=steps))
    voice = voice_of(talker.bundle)
    stream = talker.open(identity=voice.identity, emotion=voice.emotion)
    hop, late = 80, []
    for end in range(hop, 5 * 16_000, hop):
        talker.feed(stream, np.zeros(hop, dtype=np.float32))
        for pieces in passes(talker):
            for piece in pieces:
                late += [end / 16_000 - (piece.first_frame + row) / fps for row in range(len(piece.coefficients))]
    stated = talker.look_ahead_s()
    assert stated - 0.001 <= max(late) <= stated + hop / 16_000
    assert len(late) > 3 * fps


def test_a_stream_holds_no_more_after_a_minute_than_after_a_second():
    bundle = bundle_of(ahead=(2, 1))
    talker = StreamingTalker(bundle)
    voice = voice_of(bundle)
    stream = talker.open(identity=voice.identity, emotion=voice.emotion)
    held = []
    for _ in range(60):
        talker.feed(stream, noise(16_000))
        for _ in passes(talker):
            pass
        held.append(len(stream.samples) + sum(part.numel() for part in stream.features))
    assert max(held[1:]) <= held[0]


def test_one_that_is_far_behind_does_not_keep_the_others():
    bundle = bundle_of(ahead=(0, 0))
    talker = StreamingTalker(bundle)
    voice = voice_of(bundle)
    behind, live = (talker.open(identity=voice.identity, emotion=voice.emotion) for _ in range(2))
    talker.feed(behind, noise(160_000))
    talker.feed(live, noise(3200))
    _, first = talker.advance()
    assert {piece.stream for piece in first} == {behind, live}
    assert all(len(piece.coefficients) <= 25 for piece in first)


def test_what_cannot_stream_is_refused():
    bundle = bundle_of()
    guided = dataclasses.replace(bundle, sampling=SamplingConfig(num_steps=2, guidance_scale=2.0), digest="")
    with pytest.raises(AnimationError, match="guidance 2"):
        StreamingTalker(guided)
    talker = StreamingTalker(bundle, max_streams=1)
    embeddings = {"identity": voice_of(bundle).identity, "emotion": voice_of(bundle).emotion}
    with pytest.raises(AnimationError, match="num_steps is 0"):
        talker.open(**embeddings, num_steps=0)
    with pytest.raises(AnimationError, match="temperature is -1"):
        talker.open(**embeddings, temperature=-1.0)
    stream = talker.open(**embeddings)
    with pytest.raises(AnimationError, match="1 streams are open"):
        talker.open(**embeddings)
    talker.close(stream)
    talker.close(stream)
    talker.open(**embeddings)


def test_a_stream_without_sound_has_no_frames():
    talker = StreamingTalker(bundle_of())
    voice = voice_of(talker.bundle)
    stream = talker.open(identity=voice.identity, emotion=voice.emotion)
    talker.finish(stream)
    assert list(passes(talker)) == [[]]
    assert talker.is_done(stream)
