"""An enrolled voice is the mean of its references, and animates like them."""

import numpy as np
import pytest

from diffusiontalker.inference import Bundle, VoiceError, animate, embed, enroll


def noise(seconds: float, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, round(16_000 * seconds)).astype(np.float32)


def test_one_reference_gives_its_own_embeddings(bundle: Bundle) -> None:
    reference = noise(1.5, seed=1)
    voice = enroll(bundle, [reference], name="Anna")
    identity, emotion = embed(bundle, reference)
    np.testing.assert_allclose(voice.identity, identity, atol=1e-6)
    np.testing.assert_allclose(voice.emotion, emotion, atol=1e-6)
    assert voice.bundle_digest == bundle.digest
    assert voice.provenance["references"] == 1
    assert voice.provenance["seconds"] == 1.5


def test_references_count_the_same_whatever_their_length_and_order(bundle: Bundle) -> None:
    short, long = noise(0.6, seed=1), noise(3.0, seed=2)
    voice = enroll(bundle, [short, long], name="Anna")
    mean = np.mean([embed(bundle, short)[0], embed(bundle, long)[0]], axis=0)
    np.testing.assert_allclose(voice.identity, mean / np.linalg.norm(mean), atol=1e-6)
    swapped = enroll(bundle, [long, short], name="Anna")
    np.testing.assert_allclose(swapped.identity, voice.identity, atol=1e-6)


def test_animating_with_the_voice_of_a_recording_equals_animating_the_recording(bundle: Bundle) -> None:
    waveform = noise(1.2, seed=3)
    voice = enroll(bundle, [waveform], name="Anna")
    own, enrolled = animate(bundle, waveform), animate(bundle, waveform, voice=voice)
    np.testing.assert_allclose(enrolled.coefficients, own.coefficients, atol=1e-5)


@pytest.mark.parametrize("seconds", [(), (0.5,), (0.3, 0.6)])
def test_too_little_sound_is_refused(bundle: Bundle, seconds: tuple[float, ...]) -> None:
    references = [noise(duration, seed=1) for duration in seconds]
    with pytest.raises(VoiceError, match="at least 1 s are needed; add recordings"):
        enroll(bundle, references, name="Anna")


def test_a_silent_reference_is_named(bundle: Bundle) -> None:
    with pytest.raises(VoiceError, match="reference 2 is digital silence"):
        enroll(bundle, [noise(1.5, seed=1), np.zeros(16_000, np.float32)], name="Anna")
