"""What is decided before a run: settings, arrival times, sound; and the search for the most that holds."""

import subprocess
import sys
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from in_loop import in_loop

from diffusiontalker.audio.waveform import read_waveform, write_wav
from diffusiontalker.load.schedule import poisson_arrivals, staggered_starts
from diffusiontalker.load.search import find_largest
from diffusiontalker.load.settings import LoadConfig, LoadError
from diffusiontalker.load.sound import CHUNK_SAMPLES, load_sound, made_up_speech


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:1", "http://127.9.9.9"]
)
def test_this_machine_may_be_loaded(url: str) -> None:
    assert LoadConfig(url=url).url == url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5:8000", "https://example.org", "http://127.0.0.1.example.org:8000", "http://0x7f000001:80"]
)
def test_other_machines_are_refused_unless_allowed(url: str) -> None:
    with pytest.raises(LoadError, match=r"is another machine.*--allow-remote"):
        LoadConfig(url=url)
    assert LoadConfig(url=url, allow_remote=True).url == url


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://[::1/"])
def test_what_is_no_url_is_named(url: str) -> None:
    with pytest.raises(LoadError, match="expected http://HOST:PORT"):
        LoadConfig(url=url)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": ()}, "at least one"),
        ({"levels": (0,)}, "above 0"),
        ({"levels": (1.5,)}, "whole numbers"),
        ({"duration_s": 0.0}, "duration_s is 0"),
        ({"warm_up_s": -1.0}, "warm_up_s is -1"),
        ({"mode": "streams", "voice": "reference"}, "enroll a voice first"),
    ],
)
def test_settings_that_make_no_run_are_named(changes: dict, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        LoadConfig(**changes)


def test_the_key_is_neither_shown_nor_stored() -> None:
    config = LoadConfig(key="dt_secret")
    assert "dt_secret" not in repr(config) + str(config.plain())


def test_arrivals_depend_on_the_seed_alone() -> None:
    first, again, other = (poisson_arrivals(20.0, seconds=50.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_arrivals_are_a_poisson_process() -> None:
    arrivals = poisson_arrivals(50.0, seconds=400.0, seed=0)
    gaps = np.diff(arrivals)
    assert (gaps >= 0).all()
    assert arrivals[0] >= 0
    assert arrivals[-1] < 400.0
    assert len(arrivals) == pytest.approx(20_000, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert (gaps > 0.04).mean() == pytest.approx(np.exp(-2.0), abs=0.01)


def test_streams_start_apart_and_out_of_step() -> None:
    starts = staggered_starts(30, over_s=0.99, chunk_s=0.033, seed=0)
    assert starts.min() >= 0
    assert starts.max() < 0.99 + 0.033
    phases = np.sort(starts % 0.033)
    assert np.diff(phases).max() < 0.012


@pytest.mark.parametrize("largest", [0, 1, 3, 7, 19, 64, 100, 200])
@pytest.mark.parametrize("first", [1, 4, 50])
@in_loop
async def test_the_search_finds_a_known_threshold(largest: int, first: int) -> None:
    tried = []

    async def holds(level: int) -> bool:
        tried.append(level)
        return level <= largest

    found = await find_largest(holds, first=first, most=200)
    assert found <= largest
    assert largest - found <= largest // 20
    assert len(tried) == len(set(tried)) <= 14
    assert max(tried) <= 200


def test_made_up_speech_is_always_the_same_and_within_full_scale() -> None:
    speech = made_up_speech(48_000)
    np.testing.assert_array_equal(speech, made_up_speech(48_000))
    assert 0.1 < np.abs(speech).max() <= 1.0


def test_sound_is_cut_into_clips_and_chunks_of_the_same_speech() -> None:
    sound = load_sound(None, seconds=0.5)
    assert len(set(sound.clips)) == len(sound.clips) == 32
    with wave.open(BytesIO(sound.clips[3])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 8_000)
    joined = b"".join(sound.chunks)
    assert {len(chunk) for chunk in sound.chunks} == {2 * CHUNK_SAMPLES}
    assert sound.clips[0].endswith(joined[:16_000])
    np.testing.assert_allclose(read_waveform(sound.clips[0]), made_up_speech(32 * 8_000)[:8_000], atol=1e-4)


def test_speech_of_a_folder_is_joined_before_it_is_cut(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for number, name in enumerate(("a.wav", "below/b.wav")):
        write_wav(np.full(12_000, 0.1 * (number + 1), dtype=np.float32), tmp_path / name)
    (tmp_path / "notes.txt").write_text("no speech")
    sound = load_sound(tmp_path, seconds=1.0)
    (clip,) = map(read_waveform, sound.clips)
    np.testing.assert_allclose(clip, [0.1] * 12_000 + [0.2] * 4_000, atol=1e-4)


def test_a_folder_without_enough_speech_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"0\.0 s of speech, expected at least one clip of 3 s"):
        load_sound(tmp_path, seconds=3.0)
    with pytest.raises(LoadError, match="is no folder"):
        load_sound(tmp_path / "gone", seconds=3.0)


def test_the_client_imports_neither_torch_nor_ray_nor_matplotlib() -> None:
    program = (
        "import sys, diffusiontalker.load; from diffusiontalker.load.sound import load_sound;"
        "load_sound(None, seconds=1.0); heavy = {'torch', 'ray', 'matplotlib', 'fastapi'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


def test_remote_hosts_are_bad_usage_on_the_command_line(command: Callable) -> None:
    code, out, err = command("bench", "serve", "--url", "http://192.0.2.1:8000")
    assert (code, out) == (2, "")
    assert "192.0.2.1 is another machine" in err
