"""Video files are read as they are shown: upright, square, in time, with their sound."""

import contextlib
import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("av") is None:
    pytest.skip("PyAV is not installed (extra 'track')", allow_module_level=True)

from videos import SIZE, SquareTracker, picture, tone, write_video

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.data.tracking import VideoError, read_pictures, read_sound

LEVELS = 0.5 + 0.5 * np.sin(np.arange(50) / 3)
FILES = {
    "mkv": ("ffv1", "pcm_s16le", "bgr0", 48_000),
    "mp4": ("libx264", "aac", "yuv420p", 48_000),
    "mov": ("libx264", "aac", "yuv420p", 44_100),
    "webm": ("libvpx-vp9", "libopus", "yuv420p", 48_000),
    "avi": ("mpeg4", "pcm_s16le", "yuv420p", 44_100),
    "mpg": ("mpeg1video", "mp2", "yuv420p", 44_100),
    "ts": ("libx264", "aac", "yuv420p", 48_000),
    "flv": ("flv1", "libmp3lame", "yuv420p", 44_100),
}


def loudness(times):
    return np.interp(times, np.arange(50) / 25, LEVELS)


def write(path, images=None, **options):
    """Two seconds of a jaw that moves, and its sound, as the suffix asks for."""
    video, audio, pixels, rate_hz = FILES[path.suffix[1:]]
    options = {"sound": tone(loudness, seconds=2.0, rate_hz=rate_hz), "rate_hz": rate_hz, "pixels": pixels} | options
    images = [picture(level) for level in LEVELS] if images is None else images
    return write_video(path, images, codecs=(video, audio), **options)


def all_pictures(path):
    return list(read_pictures(path))


def jaw(pictures):
    return np.array([face.coefficients["jawOpen"] for face in SquareTracker().track(pictures)])


@pytest.mark.parametrize("suffix", FILES)
def test_pictures_and_sound_of_every_container_are_in_time(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"video.{suffix}")
    pictures, sound = list(read_pictures(path)), read_sound(path)
    times = np.array([shown.time_s for shown in pictures])
    np.testing.assert_allclose(times - times[0], np.arange(50) / 25, atol=0.002)
    np.testing.assert_allclose(jaw(pictures), LEVELS, atol=0.03)
    assert sound.waveform.dtype == np.float32
    assert sound.seconds == pytest.approx(2.0, abs=0.06)
    assert sound.end_s == sound.start_s + sound.seconds
    # The tone is as loud as the jaw is open: their lag is below the 2 ms steps that are tried, or a codec's 10 ms.
    power = np.sqrt(np.convolve(sound.waveform.astype(float) ** 2, np.ones(320) / 320, "same"))
    heard_s = sound.start_s + np.arange(len(power)) / SAMPLE_RATE_HZ
    steps_s = np.arange(-0.1, 0.1, 0.002)
    fits = [np.corrcoef(np.interp(times[3:-3] + step, heard_s, power), LEVELS[3:-3])[0, 1] for step in steps_s]
    assert max(fits) > 0.99
    assert abs(steps_s[int(np.argmax(fits))]) <= 0.03


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_videos_are_turned_upright(tmp_path: Path, rotation: int) -> None:
    """A phone held upright stores lying pictures and says by how much a player must turn them."""
    lying = np.rot90(picture(0.8)[:, : SIZE - 16], k=-rotation // 90)
    path = write(tmp_path / "phone.mp4", [lying] * 5, rotation=rotation)
    shown = next(read_pictures(path))
    assert shown.image.shape == (SIZE, SIZE - 16, 3)
    assert jaw([shown])[0] == pytest.approx(0.8, abs=0.02)


def test_pixels_become_square(tmp_path: Path) -> None:
    path = write(tmp_path / "anamorphic.mp4", [picture(0.5)] * 3, pixel_aspect=Fraction(3, 2))
    assert next(read_pictures(path)).image.shape == (SIZE, SIZE * 3 // 2, 3)


def test_sound_that_begins_late_or_pauses_keeps_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "late.mkv", sound=tone(np.ones_like, seconds=1.0), sound_start_s=0.5)
    sound = read_sound(path)
    assert sound.start_s == pytest.approx(0.5, abs=0.002)
    assert sound.end_s == pytest.approx(1.5, abs=0.002)


def test_every_rate_and_number_of_channels_becomes_16_khz_mono(tmp_path: Path) -> None:
    for rate_hz in (8_000, 22_050, 96_000):
        sound = tone(np.ones_like, seconds=0.5, rate_hz=rate_hz)
        waveform = read_sound(write(tmp_path / f"{rate_hz}.mkv", sound=sound, rate_hz=rate_hz)).waveform
        assert len(waveform) == pytest.approx(8_000, abs=2)
        spectrum = np.abs(np.fft.rfft(waveform))
        assert np.argmax(spectrum) * SAMPLE_RATE_HZ / len(waveform) == pytest.approx(440, abs=2.1)


def test_files_that_are_no_videos_are_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        next(read_pictures(tmp_path / "gone.mp4"))
    for content in (b"", b"no video at all", b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", b"ffconcat version 1.0\nfile x\n"):
        path = tmp_path / "bad.mp4"
        path.write_bytes(content)
        for read in (all_pictures, read_sound):
            with pytest.raises(VideoError, match=r"bad\.mp4: cannot be read as a video .*; expected a whole mp4, mov"):
                read(path)


def test_a_video_without_sound_and_a_sound_without_pictures_are_refused(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.mkv", sound=None)
    with pytest.raises(VideoError, match=r"silent\.mkv: has no sound"):
        read_sound(silent)
    audio_only = tmp_path / "sound.mkv"
    import av

    with av.open(str(audio_only), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"sound\.mkv: holds no pictures"):
        next(read_pictures(audio_only))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mpg", "avi"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_cut_off_videos_are_refused_or_read_as_far_as_they_go(tmp_path: Path, suffix: str, share: float) -> None:
    whole = write(tmp_path / f"whole.{suffix}", [picture(level) for level in LEVELS] * 3)
    torn = tmp_path / f"torn.{suffix}"
    torn.write_bytes(whole.read_bytes()[: round(share * whole.stat().st_size)])
    if suffix == "mpg":  # a stream that may begin and end anywhere: nothing tells that it is cut
        assert len(list(read_pictures(torn))) < 140
        return
    with pytest.raises(VideoError, match=rf"torn\.{suffix}: .*(cut off|cannot be read|cannot be decoded|no pictures?)"):
        list(read_pictures(torn))


def test_damaged_bytes_never_fail_in_other_ways(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4").read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.mp4"
    for _ in range(40):
        content = bytearray(whole)
        for place in generator.integers(0, len(content), 30):
            content[place] = generator.integers(0, 256)
        path.write_bytes(content)
        for read in (all_pictures, read_sound):
            with contextlib.suppress(VideoError):
                read(path)
