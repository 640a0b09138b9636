"""Videos become recordings that the importer takes; what cannot be used is said, and nothing is done twice."""

import csv
import importlib.util
import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from loudness import loudness_db

if importlib.util.find_spec("av") is None:
    pytest.skip("PyAV is not installed (extra 'track')", allow_module_level=True)

from videos import SquareTracker, picture, tone, write_video

from diffusiontalker.audio.waveform import read_waveform
from diffusiontalker.config import ArtefactError
from diffusiontalker.data import Corpus, CorpusError, ImportConfig, import_corpus
from diffusiontalker.data.tracking import TrackingConfig, list_videos, track_videos
from diffusiontalker.face import read_motion

SECONDS = 2.0
LEVELS = np.round(255 * (0.5 + 0.5 * np.sin(np.arange(50) / 3) * np.sin(np.arange(50) / 11))) / 255


def loudness(times):
    return np.interp(times, np.arange(len(LEVELS)) / 25, LEVELS)


def write(path: Path, levels=LEVELS, *, num_faces: int = 1, **options) -> Path:
    images = [picture(level, num_faces=num_faces) for level in levels]
    return write_video(path, images, **({"sound": tone(loudness, seconds=SECONDS)} | options))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def jaw(out: Path, clip_id: str) -> np.ndarray:
    return read_motion(out / f"motion/{clip_id}.csv").column("jawOpen")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_video_becomes_a_clip(tmp_path: Path) -> None:
    video, out = write(tmp_path / "anna" / "first take.mkv"), tmp_path / "out"
    report = track_videos([video], out, tracker=SquareTracker())
    assert rows(out) == [{
        "clip_id": "anna_first_take", "audio": "audio/anna_first_take.flac", "motion": "motion/anna_first_take.csv",
        "speaker": "anna", "emotion": "neutral", "fps": "25", "split": "train",
    }]  # fmt: skip
    motion = read_motion(out / "motion/anna_first_take.csv", fps=25)
    assert motion.channel_names == ("eyeBlinkLeft", "jawOpen")
    np.testing.assert_allclose(motion.column("jawOpen"), LEVELS, atol=1e-6)
    assert (motion.column("eyeBlinkLeft") == 0.25).all()
    assert len(read_waveform(out / "audio/anna_first_take.flac")) == 32_000
    text = report.text()
    assert text == (
        "1 videos (0 finished before): 1 clips, 0.0 min; rejected 0; a face in 50 pictures, 0 without one interpolated"
    )


def test_what_was_tracked_is_imported_and_keeps_time(tmp_path: Path) -> None:
    def slow(times):
        return np.interp(times, np.arange(50) / 20, LEVELS)

    videos = [
        write(tmp_path / "anna" / "take.mkv"),
        write(tmp_path / "ben" / "0.mp4", LEVELS[::-1], codecs=("libx264", "aac"), pixels="yuv420p",
              sound=tone(lambda times: loudness(1.96 - times), seconds=2.0)),
        write(tmp_path / "ben" / "1.webm", codecs=("libvpx-vp9", "libopus"), pixels="yuv420p", fps=20,
              sound=tone(slow, seconds=2.5)),
    ]  # fmt: skip
    out = tmp_path / "out"
    track_videos(videos, out, tracker=SquareTracker(), config=TrackingConfig(emotion="happy", split="test"))
    report = import_corpus(out, tmp_path / "corpus", config=ImportConfig(strict=True))
    assert set(report.accepted) == {"anna_take", "ben_0", "ben_1"}
    corpus = Corpus.open(tmp_path / "corpus")
    assert (corpus.info.speakers, corpus.info.emotions) == (("anna", "ben"), ("happy",))
    assert "tongueOut" in corpus.info.missing_channels
    for clip in corpus.clips():
        heard = loudness_db(clip.waveform, num_frames=clip.num_frames, motion_fps=clip.motion.fps)[3:-3]
        seen = clip.motion.column("jawOpen")
        fits = {lag: np.corrcoef(heard, np.roll(seen, -lag)[3:-3])[0, 1] for lag in range(-3, 4)}
        assert abs(max(fits, key=lambda lag: fits[lag])) <= 1
        assert max(fits.values()) > 0.8


def test_variable_rates_are_put_on_a_constant_one_by_presentation_time(tmp_path: Path) -> None:
    kept = np.delete(np.arange(60), [5, 6, 17, 30, 31, 44])
    times = [Fraction(int(number), 30) for number in kept]
    levels = [round(255 * number / 60) / 255 for number in kept]
    sound = tone(np.ones_like, seconds=2.0)
    video = write(tmp_path / "phone.mp4", levels, times=times, fps=30, codecs=("libx264", "aac"), pixels="yuv420p",
                  sound=sound)  # fmt: skip
    track_videos([video], tmp_path / "out", tracker=SquareTracker(), config=TrackingConfig(speaker="ben"))
    assert rows(tmp_path / "out")[0]["fps"] == "30"
    np.testing.assert_allclose(jaw(tmp_path / "out", "ben_phone"), np.arange(60) / 60, atol=0.02)
    track_videos(
        [video], tmp_path / "slow", tracker=SquareTracker(), config=TrackingConfig(speaker="ben", motion_fps=12)
    )
    np.testing.assert_allclose(jaw(tmp_path / "slow", "ben_phone"), np.arange(24) / 24, atol=0.02)


def test_lost_faces_are_interpolated_or_end_a_clip(tmp_path: Path) -> None:
    levels = [*LEVELS] * 2
    levels[10] = levels[11] = None
    levels[40:55] = [None] * 15
    video, out = write(tmp_path / "a" / "v.mkv", levels, sound=tone(np.ones_like, seconds=4.0)), tmp_path / "out"
    report = track_videos([video], out, tracker=SquareTracker())
    assert [row["clip_id"] for row in rows(out)] == ["a_v~1", "a_v~2"]
    assert "a face in 83 pictures, 2 without one interpolated" in report.text()
    np.testing.assert_allclose(jaw(out, "a_v~2"), levels[55:], atol=1e-6)
    bridge = np.interp([10, 11], [9, 12], [levels[9], levels[12]])
    np.testing.assert_allclose(jaw(out, "a_v~1"), [*levels[:10], *bridge, *levels[12:40]], atol=1e-6)
    again = track_videos([video], out, tracker=SquareTracker(), config=TrackingConfig(max_gap_s=1.0))
    assert again.num_kept == 0
    assert {path.name for folder in ("audio", "motion") for path in (out / folder).iterdir()} == {"a_v.flac", "a_v.csv"}


def test_videos_that_cannot_be_used_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = write(tmp_path / "a" / "good.mkv")
    faceless = write(tmp_path / "a" / "faceless.mkv", [*LEVELS[:20], *[None] * 30])
    flickering = write(tmp_path / "a" / "flickering.mkv", [None if i % 20 > 11 else 0.5 for i in range(50)])
    silent = write(tmp_path / "a" / "silent.mkv", sound=None)
    broken = tmp_path / "a" / "broken.mp4"
    broken.write_bytes(b"nothing")
    crowd = write(tmp_path / "a" / "crowd.mkv", num_faces=2)
    out = tmp_path / "out"
    videos = [broken, faceless, flickering, silent, crowd, good]
    report = track_videos(videos, out, tracker=SquareTracker())
    reasons = {record.video: record.reason for record in report.rejected}
    assert set(reasons) == {"broken.mp4", "faceless.mkv", "flickering.mkv", "silent.mkv"}
    assert "cannot be read as a video" in reasons["broken.mp4"]
    assert "a face was found in 20 of 50 pictures (40%), at least 50% are needed" in reasons["faceless.mkv"]
    assert "no stretch of 1 s shows a face without losing it for more than 0.2 s" in reasons["flickering.mkv"]
    assert "has no sound" in reasons["silent.mkv"]
    assert [row["clip_id"] for row in rows(out)] == ["a_crowd", "a_good"]
    text = report.text()
    assert all(reason in text for reason in reasons.values())
    assert "warning crowd.mkv: several faces in 50 of 50 pictures; the largest was followed" in text
    with pytest.raises(CorpusError, match=r"not a single video could be used\n.*rejected 1; .*\n  rejected .*silent"):
        track_videos([silent], tmp_path / "none", tracker=SquareTracker())
    assert not (tmp_path / "none" / "manifest.csv").exists()


def test_finished_videos_are_not_tracked_again(tmp_path: Path) -> None:
    videos = [write(tmp_path / "a" / f"{name}.mkv", np.roll(LEVELS, name)) for name in (1, 2, 3)]
    out, tracker = tmp_path / "out", SquareTracker(fails_at=70)
    with pytest.raises(KeyboardInterrupt):
        track_videos(videos, out, tracker=tracker)
    assert [row["clip_id"] for row in rows(out)] == ["a_1"]
    first, tracker = files(out), SquareTracker()
    report = track_videos(videos, out, tracker=tracker)
    assert (tracker.num_videos, report.num_kept) == (2, 1)
    assert {name: content for name, content in files(out).items() if "a_1" in name} == {
        name: content for name, content in first.items() if "a_1" in name
    }
    track_videos(videos, tmp_path / "at_once", tracker=SquareTracker())
    assert files(out) == files(tmp_path / "at_once")
    tracker = SquareTracker()
    moved = shutil.copytree(tmp_path / "a", tmp_path / "elsewhere" / "a")
    report = track_videos(list_videos([moved]), out, tracker=tracker)
    assert (tracker.num_videos, report.num_kept) == (0, 3)
    assert files(out) == files(tmp_path / "at_once")


def test_a_rejected_video_is_tracked_again_only_once_it_is_another_file(tmp_path: Path) -> None:
    good, video, out = write(tmp_path / "a" / "good.mkv"), tmp_path / "a" / "v.mkv", tmp_path / "out"
    video.write_bytes(b"broken")
    for num_kept in (0, 2):
        report = track_videos([good, video], out, tracker=SquareTracker())
        assert (len(report.rejected), report.num_kept) == (1, num_kept)
    write(video, LEVELS[::-1])
    report = track_videos([good, video], out, tracker=SquareTracker())
    assert (len(report.rejected), report.num_kept) == (0, 1)
    assert [row["clip_id"] for row in rows(out)] == ["a_good", "a_v"]


def test_other_labels_need_no_tracking_but_other_settings_do(tmp_path: Path) -> None:
    video, out, tracker = write(tmp_path / "a" / "v.mkv"), tmp_path / "out", SquareTracker()
    track_videos([video], out, tracker=tracker)
    track_videos([video], out, tracker=tracker, config=TrackingConfig(emotion="sad", split="validation"))
    assert tracker.num_videos == 1
    assert (rows(out)[0]["emotion"], rows(out)[0]["split"]) == ("sad", "validation")
    track_videos([video], out, tracker=tracker, config=TrackingConfig(motion_fps=30))
    assert (tracker.num_videos, rows(out)[0]["fps"]) == (2, "30")
    track_videos([video], out, tracker=SquareTracker(identity="better squares"), config=TrackingConfig(motion_fps=30))
    assert json.loads((out / "videos/a_v.json").read_text())["settings"].startswith("better squares; ")


def test_folders_of_several_speakers_and_emotions_gather_in_one(tmp_path: Path) -> None:
    happy, sad = write(tmp_path / "happy" / "1.mkv"), write(tmp_path / "sad" / "1.mkv", LEVELS[::-1])
    out = tmp_path / "out"
    for video in (happy, sad):
        name = video.parent.name
        track_videos([video], out, tracker=SquareTracker(), config=TrackingConfig(speaker=f"ann_{name}", emotion=name))
    assert [(row["speaker"], row["emotion"]) for row in rows(out)] == [("ann_happy", "happy"), ("ann_sad", "sad")]


def test_processes_that_share_a_folder_list_the_clips_of_all(tmp_path: Path) -> None:
    videos = [write(tmp_path / "a" / f"{name}.mkv", np.roll(LEVELS, name)) for name in (1, 2)]
    out = tmp_path / "out"

    class Sharing(SquareTracker):
        """While it tracks, somebody else tracks another video."""

        def track(self, pictures):
            track_videos(videos[1:], out, tracker=SquareTracker())
            return super().track(pictures)

    track_videos(videos[:1], out, tracker=Sharing())
    assert [row["clip_id"] for row in rows(out)] == ["a_1", "a_2"]


def test_names_that_would_collide_are_refused_and_nothing_is_replaced(tmp_path: Path) -> None:
    first, second = write(tmp_path / "x" / "a" / "1.mkv"), write(tmp_path / "y" / "a" / "1.mkv", LEVELS[::-1])
    out = tmp_path / "out"
    with pytest.raises(CorpusError, match=r"would both become clip 'a_1'; rename one"):
        track_videos([first, second], out, tracker=SquareTracker())
    assert not out.exists()
    track_videos([first], out, tracker=SquareTracker())
    before = files(out)
    report = track_videos([second], out, tracker=SquareTracker())
    assert "its clips would be called 'a_1', but in" in report.text()
    assert files(out) == before


def test_only_new_folders_and_those_of_earlier_runs_are_written_to(tmp_path: Path) -> None:
    video = write(tmp_path / "a" / "v.mkv")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "manifest.csv").write_text("mine")
    for out in (tmp_path / "precious", video):
        with pytest.raises(ArtefactError, match="is no folder of tracked videos"):
            track_videos([video], out, tracker=SquareTracker())
    with pytest.raises(ArtefactError, match="cannot be written"):
        track_videos([video], video / "out", tracker=SquareTracker())
    out = tmp_path / "out"
    track_videos([video], out, tracker=SquareTracker())
    for damage in ("{", '{"video": 3}', "[]"):
        (out / "videos/a_v.json").write_text(damage)
        with pytest.raises(CorpusError, match=r"a_v\.json: cannot be read .*remove it"):
            track_videos([video], out, tracker=SquareTracker())


def test_videos_are_found_in_folders(tmp_path: Path) -> None:
    inside = [tmp_path / "a" / "2.MOV", tmp_path / "a" / "b" / "1.mp4"]
    for path in [*inside, tmp_path / "a" / "notes.txt"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert list_videos([tmp_path / "a", inside[1]]) == inside
    with pytest.raises(CorpusError, match=r"gone\.mp4: there is no such file"):
        list_videos([tmp_path / "gone.mp4"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="empty: no video in it"):
        list_videos([tmp_path / "empty"])
    with pytest.raises(CorpusError, match="no video was given"):
        list_videos([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"motion_fps": 0.5}, "motion_fps is 0.5"),
        ({"motion_fps": 300}, "motion_fps is 300"),
        ({"max_gap_s": -1}, "max_gap_s must not be negative"),
        ({"min_seconds": 0}, "min_seconds must be positive"),
        ({"min_found": 0}, "min_found is 0"),
        ({"min_found": 1.1}, "min_found is 1.1"),
        ({"emotion": " "}, "emotion is empty"),
        ({"split": "training"}, "unknown split 'training'; perhaps you meant 'train'"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrackingConfig(**settings)


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    videos = [write(tmp_path / "a" / f"{name}.mkv", np.roll(LEVELS, name)) for name in (1, 2)]
    seen = []
    track_videos(videos, tmp_path / "out", tracker=SquareTracker(), progress=lambda *told: seen.append(told))
    assert seen == sorted(seen)
    assert len(seen) > 50
    assert seen[-1] == (2000, 2000)
