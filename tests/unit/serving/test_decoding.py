"""Decoding uploads: what is good comes out the same, what is bad is named, and nothing takes long or much memory."""

import asyncio
import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from decoding_pools import limits_of, pool_of, refusal
from in_loop import in_loop
from sounds import RATE_HZ, encoded, tone, with_data_size, with_rate

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.serving.decoding import DecodingConfig
from diffusiontalker.serving.errors import ServingError

LIMITS = limits_of()


def silence(seconds: int, *, kind: str) -> bytes:
    """Written in pieces, as one hour of float samples would be 115 MB."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 8_000, 1, format=kind) as sound:
        for _ in range(seconds // 60):
            sound.write(np.zeros(60 * 8_000, dtype=np.float32))
    return buffer.getvalue()


WAV, FLAC = encoded(tone(1.5)), encoded(tone(1.5), kind="FLAC")
NAN = tone(1.5)
NAN[100] = np.nan
BAD_FILES = {
    "empty": (b"", "bad_audio", "empty (0 bytes)"),
    "one byte": (b"R", "unsupported_format", "expected wav, flac"),
    "text": (b"hello, this is no sound" * 9, "unsupported_format", "unknown format"),
    "aiff": (encoded(tone(1.5), kind="AIFF"), "unsupported_format", "unknown format"),
    "a page of html": (b"<!DOCTYPE html>" + bytes(1000), "unsupported_format", "unknown format"),
    "NaN": (encoded(NAN, subtype="FLOAT"), "bad_audio", "1 samples are NaN or infinite"),
    "infinite": (encoded(tone(1.5) + np.float32(np.inf), subtype="FLOAT"), "bad_audio", "NaN or infinite"),
    "declares 4 GB": (with_data_size(encoded(tone(0.0)), 0xFFFF_FFFF), "bad_audio", "holds no samples"),
    "declares 2 GB": (with_data_size(WAV, 0x7000_0000), "bad_audio", "cut off"),
    "1024 channels": (encoded(np.zeros((100, 1024), np.float32)), "bad_audio", "1024 channels, allowed are 1 to 8"),
    "rate of 2^31 - 1": (with_rate(WAV, 2**31 - 1), "bad_audio", "2147483647 Hz, allowed are 8000"),
    "odd byte count": (with_data_size(WAV, 47_999)[:-1], "bad_audio", "47999 bytes of samples"),
    "half": (FLAC[: len(FLAC) // 2], "bad_audio", "cut off"),
    "too short": (encoded(tone(0.5)), "bad_audio", "at least 1 s are needed"),
    "integers as floats": (encoded(tone(1.5) * 32768, subtype="FLOAT"), "bad_audio", "divide by full scale"),
}  # fmt: skip


@in_loop
async def test_what_comes_out_is_what_read_waveform_gives() -> None:
    async with pool_of() as pool:
        files = [
            encoded(tone(2.0, rate_hz=rate_hz), rate_hz=rate_hz, kind=kind)
            for rate_hz, kind in ((16_000, "WAV"), (44_100, "FLAC"), (48_000, "OGG"), (22_050, "MP3"))
        ]
        waveforms = await asyncio.gather(*(pool.decode(content, limits=LIMITS) for content in files * 2))
        for content, waveform in zip(files * 2, waveforms, strict=True):
            assert np.array_equal(waveform, read_waveform(content))
            assert waveform.dtype == np.float32
            assert waveform.flags.writeable
        assert (pool.counters.decoded, pool.counters.started) == (8, 2)


@in_loop
async def test_bad_files_are_named_and_told_apart_and_the_processes_live_on() -> None:
    async with pool_of(num_processes=1) as pool:
        for label, (content, code, message) in BAD_FILES.items():
            error = await refusal(pool.decode(content, name="reference 2", limits=LIMITS))
            assert error.code == code, label
            assert error.message.startswith("reference 2: "), label
            assert message in error.message, label
            assert "/" not in error.message.replace("and/or", ""), label
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        counters = pool.counters
        assert (counters.refused, counters.decoded, counters.started) == (len(BAD_FILES), 1, 1)


@pytest.mark.parametrize("kind", ["FLAC", "OGG"])
@in_loop
async def test_an_hour_of_silence_in_a_small_file_stops_at_the_limit(kind: str) -> None:
    bomb = silence(3600, kind=kind)
    assert len(bomb) < 1 << 20
    async with pool_of(num_processes=1) as pool:
        await pool.start()
        started_at = time.monotonic()
        error = await refusal(pool.decode(bomb, limits=LIMITS))
        assert time.monotonic() - started_at < 10.0
        assert error.code == "too_large"
        assert "longer than 300 s" in error.message
        status = Path(f"/proc/{pool.process_ids[0]}/status").read_text(encoding="ascii")
        peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak_kib < 200 << 10
        assert pool.counters.started == 1


@in_loop
async def test_more_bytes_than_allowed_are_refused_before_any_process_starts() -> None:
    async with pool_of() as pool:
        error = await refusal(pool.decode(WAV, limits=limits_of(max_bytes=1000)))
        assert (error.code, pool.counters.started) == ("too_large", 0)
        assert f"{len(WAV)} bytes, at most 1000 are allowed" in error.message


@in_loop
async def test_the_budget_of_memory_holds_and_its_end_is_a_clear_error() -> None:
    content = silence(300, kind="FLAC")
    async with pool_of(num_processes=1, memory_bytes=24 << 20) as pool:
        error = await refusal(pool.decode(content, limits=LIMITS))
        assert error.code == "too_large"
        assert "more than 24 MiB" in error.message
        assert len(await pool.decode(WAV, limits=LIMITS)) == len(tone(1.5))
        assert (pool.counters.started, pool.counters.crashed) == (2, 0)
        error = await refusal(pool.decode(bytes(48 << 20), limits=limits_of(max_bytes=1 << 30)))
        assert error.code == "too_large"  # Not even the upload fits.
    async with pool_of(num_processes=1) as pool:
        assert len(await pool.decode(content, limits=LIMITS)) == 300 * RATE_HZ


@in_loop
async def test_the_decoders_own_budget_of_time_is_an_error_like_others() -> None:
    async with pool_of(num_processes=1) as pool:
        error = await refusal(pool.decode(WAV, limits=limits_of(max_decode_seconds=1e-9)))
        assert error.code == "too_large"
        assert "decoding took longer" in error.message
        assert pool.counters.timed_out == 0


@in_loop
async def test_a_hundred_and_more_damaged_files_give_a_waveform_or_a_named_refusal() -> None:
    generator = np.random.default_rng(0)
    originals = [
        WAV,
        FLAC,
        encoded(tone(1.5), kind="OGG"),
        encoded(tone(1.5), kind="MP3"),
        encoded(tone(1.5), subtype="FLOAT"),
    ]
    files = []
    for original in originals:
        for _ in range(30):
            content = bytearray(original)
            where = generator.integers(0, len(content) if generator.random() < 0.5 else 128, generator.integers(1, 12))
            for position in where:
                content[position] = generator.integers(0, 256)
            cut = generator.integers(0, len(content)) if generator.random() < 0.3 else len(content)
            files.append(bytes(content[:cut]))
    started_at = time.monotonic()
    async with pool_of(num_processes=2, max_queued=len(files)) as pool:
        results = await asyncio.gather(
            *(pool.decode(content, limits=LIMITS) for content in files), return_exceptions=True
        )
        counters = pool.counters
        assert counters.crashed == counters.timed_out == 0
    assert time.monotonic() - started_at < 60.0
    for result in results:
        if isinstance(result, ServingError):
            assert result.code in ("bad_audio", "too_large", "unsupported_format")
        else:
            assert isinstance(result, np.ndarray)
            assert np.isfinite(result).all()
            assert np.abs(result).max() <= 1.0
    assert counters.decoded > 10
    assert counters.refused > 10


@pytest.mark.parametrize("settings", [{"num_processes": 0}, {"max_queued": -1}, {"memory_bytes": 1000}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least"):
        DecodingConfig(**settings)
