"""`corpus track`."""

import dataclasses
from pathlib import Path

from tyro.conf import Positional

from diffusiontalker.cli.verb import Verb, flags, progress, say
from diffusiontalker.config import from_plain


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackVideos(Verb):
    """Turns videos of speaking faces into recordings: finds the face in every picture, keeps the sound.

    Needs the extra packages of "pip install 'diffusiontalker[track]'" and MediaPipe's model face_landmarker.task, which
    you download once. What comes out is a folder for "diffusiontalker corpus import". Run it again with the same --out
    to add videos or to go on after an interruption: finished videos are not tracked again. To use more cores run it for
    different videos at the same time, with the same --out.

    Examples:
        diffusiontalker corpus track interviews/anna --model face_landmarker.task --out recordings/tracked
        diffusiontalker corpus track a.mp4 b.mov --speaker ben --emotion happy --model face_landmarker.task --out mine
        diffusiontalker corpus import recordings/tracked --out corpora/tracked --motion-fps 30
    """

    videos: Positional[tuple[Path, ...]]
    """Videos, or folders that are searched for them: mp4, mov, mkv, webm, avi, mpg, wmv."""
    model: Path
    """MediaPipe's face_landmarker.task."""
    out: Path
    """Folder for audio, motion and manifest.csv: a new one, or one of an earlier run."""
    speaker: str = ""
    """Who speaks in all these videos; by default the name of each video's folder."""
    emotion: str = "neutral"
    """Emotion of all these videos."""
    split: str = "train"
    """Split of all these videos: train, validation, test or test_unseen_speaker."""
    motion_fps: float = 0.0
    """Frame rate of the motion, in Hz; 0 means each video's own."""
    max_gap_s: float = 0.2
    """Longest time without a face that is interpolated, in seconds; a longer one ends a clip, and the next begins."""
    min_seconds: float = 1.0
    """Shorter clips are left out, in seconds."""
    min_found: float = 0.5
    """A video is rejected when a face is found in less than this share of its pictures."""

    def run(self) -> None:
        """Tracks video by video and prints what happened to each."""
        from diffusiontalker.data.tracking import MediaPipeTracker, TrackingConfig, list_videos, track_videos

        config = from_plain(TrackingConfig, flags(self, TrackingConfig), source="flags")
        videos = list_videos(self.videos)
        tracker = MediaPipeTracker(self.model)
        with progress(f"tracking {len(videos)} videos") as report_progress:
            report = track_videos(videos, self.out, tracker=tracker, config=config, progress=report_progress)
        say(report.text())
        say(f"wrote {self.out}; make a corpus of it with 'diffusiontalker corpus import {self.out} --out CORPUS'")
