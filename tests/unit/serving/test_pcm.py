import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.serving.errors import ServingError
from diffusiontalker.serving.pcm import PcmDecoder


def decode_all(decoder: PcmDecoder, *pieces: bytes) -> np.ndarray:
    return np.concatenate([*(decoder.decode(piece) for piece in pieces), decoder.finish()])


def noise(num_samples: int, *, dtype: str, channels: int = 1) -> np.ndarray:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (num_samples, channels))
    return (samples * 32768 if dtype == "<i2" else samples).astype(dtype)


def test_16_khz_mono_comes_out_as_it_is_at_once():
    samples = np.array([0, 1, -1, 16384, 32767, -32768], "<i2")
    decoder = PcmDecoder(sample_rate_hz=16_000)
    np.testing.assert_array_equal(decoder.decode(samples.tobytes()), samples / np.float32(32768))
    assert len(decoder.finish()) == 0


def test_floats_are_taken_as_they_are_and_clipped_to_full_scale():
    samples = np.array([0.25, -1.0, 1.5, -7.9], "<f4")
    decoder = PcmDecoder(sample_rate_hz=16_000, sample_format="float32")
    np.testing.assert_array_equal(decode_all(decoder, samples.tobytes()), np.float32([0.25, -1.0, 1.0, -1.0]))


@pytest.mark.parametrize(("sample_format", "dtype"), [("int16", "<i2"), ("float32", "<f4")])
def test_channels_are_averaged(sample_format, dtype):
    blocks = noise(100, dtype=dtype, channels=3)
    decoder = PcmDecoder(sample_rate_hz=16_000, num_channels=3, sample_format=sample_format)
    expected = blocks.astype(np.float64).mean(axis=1) / (32768 if sample_format == "int16" else 1)
    np.testing.assert_allclose(decode_all(decoder, blocks.tobytes()), expected, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 4_800), max_size=8).map(sorted),
    sample_format=st.sampled_from(["int16", "float32"]),
)
def test_the_result_does_not_depend_on_how_the_bytes_were_cut(rate_hz, cuts, sample_format):
    data = noise(600, dtype={"int16": "<i2", "float32": "<f4"}[sample_format], channels=2).tobytes()
    kind = {"sample_rate_hz": rate_hz, "num_channels": 2, "sample_format": sample_format}
    bounds = [0, *cuts, len(data)]
    pieces = [data[start:stop] for start, stop in itertools.pairwise(bounds)]
    np.testing.assert_array_equal(decode_all(PcmDecoder(**kind), *pieces), decode_all(PcmDecoder(**kind), data))


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 144_000])
def test_any_rate_becomes_16_khz_as_in_one_go(rate_hz):
    samples = noise(rate_hz // 2, dtype="<i2")[:, 0]
    decoder = PcmDecoder(sample_rate_hz=rate_hz)
    result = decode_all(decoder, *(samples[start : start + 777].tobytes() for start in range(0, len(samples), 777)))
    expected = soxr.resample(samples.astype(np.float32) / 32768, rate_hz, 16_000)
    assert result.dtype == np.float32
    assert len(result) == 8_000
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert decoder.seconds == 0.5


def test_sound_leaves_the_resampler_while_more_is_still_to_come():
    decoder = PcmDecoder(sample_rate_hz=48_000)
    num_out = sum(len(decoder.decode(bytes(960))) for _ in range(100))  # 100 pieces of 10 ms
    assert 0.9 * 16_000 < num_out <= 16_000


def test_a_stream_that_ends_within_a_sample_is_an_error():
    decoder = PcmDecoder(sample_rate_hz=16_000, num_channels=2)
    decoder.decode(bytes(7))
    with pytest.raises(ServingError, match="3 bytes of an unfinished sample, expected a multiple of 4") as caught:
        decoder.finish()
    assert caught.value.code == "bad_audio"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 8.01])
def test_samples_that_are_no_sound_are_refused_with_their_place(bad):
    samples = np.zeros(1_600, "<f4")
    samples[800] = bad
    decoder = PcmDecoder(sample_rate_hz=16_000, sample_format="float32")
    decoder.decode(bytes(4 * 16_000))
    with pytest.raises(ServingError, match=r"^1 samples are NaN.* the first at 1\.050 s") as caught:
        decoder.decode(samples.tobytes())
    assert caught.value.code == "bad_audio"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"sample_rate_hz": 7_999}, "sample rate 7999 Hz, allowed are 8000 to 192000 Hz"),
        ({"sample_rate_hz": 192_001}, "sample rate 192001 Hz"),
        ({"sample_rate_hz": 8_000, "min_rate_hz": 16_000, "max_rate_hz": 144_000}, "allowed are 16000 to 144000 Hz"),
        ({"sample_rate_hz": 16_000, "num_channels": 0}, "0 channels, allowed are 1 to 8"),
        ({"sample_rate_hz": 16_000, "num_channels": 9}, "9 channels"),
    ],
)
def test_encodings_outside_the_limits_are_refused(kind, message):
    with pytest.raises(ServingError, match=message) as caught:
        PcmDecoder(**kind)
    assert caught.value.code == "unsupported_format"


def test_limits_are_inclusive():
    for rate_hz in (8_000, 192_000):
        assert PcmDecoder(sample_rate_hz=rate_hz, num_channels=8).block_bytes == 16
