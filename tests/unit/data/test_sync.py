"""Lags and drifts of known size, put into spoken and real faces, are found and taken back.

Stated errors: 30 ms for the lag of a sentence of synthetic speech, 60 ms for one of 12 s of a real, noisily tracked
face, and 80 ms for the ends of a minute of it that drifts. A face shifted and corrected is compared with itself.
"""

import csv
import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import read_waveform, write_wav
from diffusiontalker.data import CorpusError, ImportConfig, checked_clip, import_corpus, list_clips, speak
from diffusiontalker.data.importers.sync_summary import summarize_sync, sync_warnings
from diffusiontalker.data.sync import CLEAR, SyncEstimate, correction, estimate_sync, in_time
from diffusiontalker.face import MotionClip, read_motion, write_motion

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps all day.",
    "We were away a year ago, but nobody ever asked us where we had been.",
)
LAGS_S = (-0.3, -0.08, 0.0, 0.08, 0.3)


@pytest.fixture(scope="module", params=TEXTS, ids=("fox", "year"))
def spoken(request):
    """A sentence whose face is exactly in time."""
    return speak(request.param, motion_fps=60.0)


@pytest.fixture(scope="module")
def grid(real_data):
    """Real clips of one speaker, of 3 s each, and their faces at 25 fps."""
    root = real_data / "grid_faces"
    with (root / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["speaker"] == "s1" and row["frames"] == "75"]
    return [(read_waveform(root / row["audio"]), read_motion(root / row["motion"], fps=25.0)) for row in rows[:80]]


def joined(clips):
    """Clips one after the other, as one recording."""
    waveforms = [np.pad(waveform, (0, 3 * SAMPLE_RATE_HZ - len(waveform))) for waveform, _ in clips]
    motion = dataclasses.replace(clips[0][1], coefficients=np.concatenate([motion.coefficients for _, motion in clips]))
    return np.concatenate(waveforms), motion


def _fours(clips):
    return [clips[first : first + 4] for first in range(0, len(clips), 4)]


def late(motion, start_s, end_s=None):
    """The motion delayed by so many seconds at its start and at its end; as long as before."""
    times_s = np.arange(motion.num_frames) / motion.fps
    delayed_s = times_s - np.linspace(start_s, start_s if end_s is None else end_s, motion.num_frames)
    columns = [np.interp(delayed_s, times_s, column) for column in motion.coefficients.T]
    return dataclasses.replace(motion, coefficients=np.stack(columns, axis=1))


def test_an_exact_face_of_synthetic_speech_is_in_time(spoken):
    estimate = estimate_sync(spoken.waveform, spoken.motion)
    assert estimate.is_clear
    assert abs(estimate.lag_s) < 0.03
    assert estimate.drift_s == 0.0
    assert estimate.start_lag_s is None


@pytest.mark.parametrize("lag_s", LAGS_S)
def test_a_known_lag_of_synthetic_speech_is_found(lag_s, spoken):
    estimate = estimate_sync(spoken.waveform, late(spoken.motion, lag_s))
    assert estimate.confidence > CLEAR
    assert estimate.lag_s == pytest.approx(lag_s, abs=0.03)


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 60.0, 120.0])
def test_the_lag_does_not_depend_on_the_rate_of_the_motion(fps, spoken):
    motion = late(spoken.motion, 0.1).resampled(fps)
    assert estimate_sync(spoken.waveform, motion).lag_s == pytest.approx(0.1, abs=0.03)


def test_a_known_lag_of_real_faces_is_found(grid):
    errors = []
    for clips, lag_s in zip(_fours(grid), itertools.cycle(LAGS_S), strict=False):
        waveform, motion = joined(clips)
        before, after = estimate_sync(waveform, motion), estimate_sync(waveform, late(motion, lag_s))
        if before.is_clear and after.is_clear:
            errors.append(after.lag_s - before.lag_s - lag_s)
    assert len(errors) >= 10
    assert np.abs(errors).max() < 0.06
    assert np.median(np.abs(errors)) < 0.02


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 0.3), (-0.2, 0.2), (0.25, -0.1), (0.0, 0.0)])
def test_a_known_drift_of_a_real_minute_is_found_and_followed_back(start_s, end_s, grid):
    for first in (0, 20, 40):
        waveform, motion = joined(grid[first : first + 20])
        drifting = late(motion, start_s, end_s)
        estimate = estimate_sync(waveform, drifting)
        assert estimate.is_clear
        assert estimate.start_lag_s == pytest.approx(start_s, abs=0.08)
        assert estimate.end_lag_s == pytest.approx(end_s, abs=0.08)
        assert estimate.drift_s == pytest.approx(end_s - start_s, abs=0.12)
        left = estimate_sync(
            *in_time(waveform, drifting, start_lag_s=estimate.start_lag_s, end_lag_s=estimate.end_lag_s)
        )
        assert max(abs(left.start_lag_s), abs(left.end_lag_s)) < 0.06


def test_real_faces_are_late_by_less_than_a_frame(grid):
    lags = [estimate_sync(*joined(clips)) for clips in _fours(grid)]
    clear = [estimate.lag_s for estimate in lags if estimate.is_clear]
    assert len(clear) >= 10
    assert 0.0 < np.median(clear) < 0.04


def test_measured_against_the_time_a_frame_is_shown_the_lag_of_real_faces_is_one_frame(grid):
    """Against the sound from frame to frame, not around the frame, faces are half a frame later: the known 40 ms."""
    reach, curves = 4, []
    for waveform, motion in grid:
        power = np.add.reduceat(np.square(waveform), np.arange(0, len(waveform), SAMPLE_RATE_HZ // 25))
        loudness, jaw = np.log(power + 1e-6)[:74], motion.column("jawOpen")[:74]
        curves.append([np.corrcoef(loudness[reach:-reach], np.roll(jaw, -lag)[reach:-reach])[0, 1]
                       for lag in range(-reach, reach + 1)])  # fmt: skip
    assert np.argmax(np.mean(curves, axis=0)) - reach == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clip: (clip.waveform[: SAMPLE_RATE_HZ // 2], clip.motion),
        lambda clip: (clip.waveform, clip.motion.with_channels(("browInnerUp",))),
        lambda clip: (clip.waveform, dataclasses.replace(clip.motion, coefficients=0 * clip.motion.coefficients)),
        lambda clip: (clip.waveform, dataclasses.replace(clip.motion, coefficients=clip.motion.coefficients[:0])),
    ],
    ids=["too short", "no jaw", "still", "empty"],
)
def test_what_cannot_be_told_is_none(spoil, spoken):
    assert estimate_sync(*spoil(spoken)) is None


@pytest.mark.parametrize("seconds", [3, 10, 60, 300])
def test_noise_says_nothing_clear(seconds):
    generator = np.random.default_rng(0)
    waveform = (0.1 * generator.standard_normal(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    motion = MotionClip(coefficients=generator.random((30 * seconds, 1)), fps=30.0, channel_names=("jawOpen",))
    assert not estimate_sync(waveform, motion).is_clear


def ramp(frames, fps):
    """A channel that tells the time, and a sound that does."""
    times_s = np.arange(frames) / fps
    samples_s = np.arange(round(frames / fps * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return samples_s.astype(np.float32), MotionClip(coefficients=times_s[:, None], fps=fps, channel_names=("jawOpen",))


@settings(max_examples=50, deadline=None)
@given(
    lag_s=st.floats(-0.5, 0.5),
    frames=st.integers(50, 200),
    fps=st.sampled_from([24.0, 25.0, 29.97, 30.0, 60.0]),
)
def test_every_frame_is_the_one_that_was_late_and_sound_without_a_face_is_cut(lag_s, frames, fps):
    waveform, motion = ramp(frames, fps)
    sound, face = in_time(waveform, motion, start_lag_s=lag_s, end_lag_s=lag_s)
    first_s = float(sound[0])
    shown_s = first_s + np.arange(face.num_frames) / fps + lag_s
    np.testing.assert_allclose(face.coefficients[:, 0], np.clip(shown_s, 0.0, (frames - 1) / fps), atol=1e-4)
    assert first_s == pytest.approx(max(0.0, -lag_s), abs=1e-4)
    assert len(sound) / SAMPLE_RATE_HZ == pytest.approx(face.duration_s, abs=1.01 / fps)
    assert face.duration_s == pytest.approx(frames / fps - abs(lag_s), abs=1.01 / fps)


def test_a_changing_lag_is_followed_evenly():
    waveform, motion = ramp(101, 10.0)
    sound, face = in_time(waveform, motion, start_lag_s=0.0, end_lag_s=0.5)
    times_s = np.arange(face.num_frames) / 10
    np.testing.assert_allclose(face.coefficients[:, 0], np.minimum(times_s + 0.05 * times_s, 10.0), atol=1e-4)
    assert (sound[0], len(sound) / SAMPLE_RATE_HZ) == (0.0, pytest.approx(face.duration_s, abs=0.1))


def test_a_face_of_another_length_stays_one():
    waveform, motion = ramp(100, 25.0)
    sound, face = in_time(np.tile(waveform, 2), motion, start_lag_s=0.2, end_lag_s=0.2)
    assert len(sound) / SAMPLE_RATE_HZ == pytest.approx(7.8)
    assert face.duration_s == pytest.approx(3.8)


ESTIMATE = SyncEstimate(lag_s=0.2, confidence=0.5, start_lag_s=0.05, end_lag_s=0.35)


@pytest.mark.parametrize(
    ("changes", "follows_drift", "expected"),
    [
        ({}, False, (0.2, 0.2)),
        ({}, True, (0.05, 0.35)),
        ({"start_lag_s": None, "end_lag_s": None}, True, (0.2, 0.2)),
        ({"start_lag_s": 0.17, "end_lag_s": 0.23}, True, (0.2, 0.2)),
        ({"confidence": CLEAR - 0.01}, True, None),
        ({"lag_s": 0.02}, False, None),
        ({"lag_s": 0.0, "start_lag_s": -0.1, "end_lag_s": 0.1}, True, (-0.1, 0.1)),
    ],
)
def test_only_what_is_clear_and_noticeable_is_corrected(changes, follows_drift, expected):
    got = correction(dataclasses.replace(ESTIMATE, **changes), follows_drift=follows_drift)
    assert got == (None if expected is None else pytest.approx(expected))
    assert correction(None, follows_drift=follows_drift) is None


@pytest.fixture
def folder(tmp_path):
    """A folder corpus of spoken sentences, their faces late by known times."""

    def make(*clips):
        root = tmp_path / "recordings"
        root.mkdir()
        rows = []
        for number, (waveform, motion) in enumerate(clips):
            write_wav(waveform, root / f"c{number}.wav")
            write_motion(motion, root / f"c{number}.csv")
            rows.append(f"c{number},c{number}.wav,c{number}.csv,ada,neutral,{motion.fps:g},train")
        (root / "manifest.csv").write_text("\n".join(["clip_id,audio,motion,speaker,emotion,fps,split", *rows]) + "\n")
        return root

    return make


def sentences():
    return [speak(text, voice=voice, motion_fps=60.0) for text in TEXTS for voice in ("clara", "derek")]


def test_an_import_tells_the_lag_and_the_clips_that_stand_apart(folder, tmp_path):
    clips = sentences()
    source = folder(*((clip.waveform, late(clip.motion, 0.2 if number else -0.1)) for number, clip in enumerate(clips)))
    report = import_corpus(source, tmp_path / "corpus", config=ImportConfig(motion_fps=60.0, max_drift_s=0.5))
    assert report.sync.median_lag_s == pytest.approx(0.2, abs=0.03)
    assert (report.sync.num_clips, report.sync.num_clear) == (4, 4)
    assert "sound and face: the face is late by 2" in report.text()
    assert "--face-lag-s 0.2" in report.text()
    (warning,) = report.warnings
    assert "1 clip stand apart from the others (+2" in warning
    assert "c0 (-" in warning


@pytest.mark.parametrize(("choice", "is_corrected"), [({"correct_sync": "offset"}, True), ({"face_lag_s": 0.2}, False)])
def test_a_corrected_import_has_the_faces_that_were_recorded(choice, is_corrected, folder, tmp_path):
    clips = sentences()
    source = folder(*((clip.waveform, late(clip.motion, 0.2)) for clip in clips))
    config = ImportConfig(motion_fps=60.0, strict=True, **choice)
    for listed, clip in zip(list_clips(source).clips, clips, strict=True):
        checked = checked_clip(listed, config=config)
        assert checked.is_corrected == is_corrected
        again = estimate_sync(checked.clip.waveform, checked.clip.motion)
        assert abs(again.lag_s) < 0.03
        jaw = checked.clip.motion.column("jawOpen")
        assert np.abs(jaw - clip.motion.column("jawOpen")[: len(jaw)]).mean() < 0.03
        assert checked.clip.seconds == pytest.approx(clip.seconds - 0.2, abs=0.05)
    report = import_corpus(source, tmp_path / "corpus", config=config)
    assert report.sync.num_corrected == (len(clips) if is_corrected else 0)
    assert ("4 clips corrected" in report.text()) == is_corrected


@pytest.mark.parametrize("lag_s", [9.0, -9.0])
def test_a_clip_shorter_than_the_lag_is_refused(lag_s, folder):
    clip = sentences()[0]
    source = folder((clip.waveform, clip.motion))
    with pytest.raises(
        CorpusError, match=rf"lasts \d\.\d\d s, so that nothing is left .* by {lag_s:g} s; give another"
    ):
        checked_clip(list_clips(source).clips[0], config=ImportConfig(face_lag_s=lag_s))


def test_a_drifting_recording_is_warned_of_and_corrected_on_demand(grid, folder, tmp_path):
    waveform, motion = joined(grid[:20])
    source = folder((waveform, late(motion, 0.0, 0.3)))
    report = import_corpus(source, tmp_path / "plain")
    (warning,) = (warning for warning in report.warnings if "drift apart from start to end" in warning)
    assert "c0 (" in warning
    assert "correct them with --correct-sync drift" in warning
    checked = checked_clip(list_clips(source).clips[0], config=ImportConfig(correct_sync="drift"))
    assert checked.is_corrected
    left = estimate_sync(checked.clip.waveform, checked.clip.motion)
    assert max(abs(left.start_lag_s), abs(left.end_lag_s)) < 0.06


def test_a_corpus_that_tells_nothing_says_so():
    estimates = {"a": dataclasses.replace(ESTIMATE, confidence=0.0)}
    summary = summarize_sync(estimates, num_corrected=0)
    assert summary.text() == "sound and face: of 1 clip none tells clearly how they stand"
    assert not list(sync_warnings(estimates, summary=summary))
    assert summarize_sync({}, num_corrected=0) is None
