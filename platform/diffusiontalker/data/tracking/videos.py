"""`track_videos`: videos of speaking faces become a folder of recordings that `corpus import` takes.

Per video: a tracker sees every picture, the track is cut where the face was lost and put on a constant rate, the sound
is cut to it. A video that cannot be used is listed with the reason and the others go on; a finished one is not tracked
again.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.audio.waveform import encode_flac
from diffusiontalker.config import publish_file, sha256_of, to_plain
from diffusiontalker.data.clip import SPLITS, CorpusError, suggestion
from diffusiontalker.data.tracking.faces import FaceTracker
from diffusiontalker.data.tracking.records import (
    RECORDS_FOLDER,
    ClipRecord,
    Labels,
    VideoRecord,
    audio_name,
    motion_name,
    prepare,
    read_records,
    remove_clips,
    remove_record,
    write_manifest,
    write_record,
)
from diffusiontalker.data.tracking.timeline import FaceTrack, Take, frame_rate, takes
from diffusiontalker.data.tracking.video import VIDEO_SUFFIXES, Picture, VideoError, read_pictures, read_sound
from diffusiontalker.face import CHANNELS, write_motion
from diffusiontalker.face.arkit import CHANNEL_INDEX, canonical_name

_STEPS = 1000
"""Progress is counted in thousandths of a video."""
_SHOWN = 10
_LABELS = ("speaker", "emotion", "split")
"""Settings that can change without tracking again."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrackingConfig:
    """What makes a video usable, and how it is labelled."""

    speaker: str = ""
    """Who speaks in all videos; by default each video's folder is its speaker."""
    emotion: str = "neutral"
    """Emotion of all videos."""
    split: str = "train"
    """Split of all videos."""
    motion_fps: float = 0.0
    """Frame rate of the motion, in Hz; 0 means the video's own."""
    max_gap_s: float = 0.2
    """Longest time without a face that is interpolated, in seconds; a longer one ends a clip, and the next begins."""
    min_seconds: float = 1.0
    """Shorter clips are left out, in seconds."""
    min_found: float = 0.5
    """A video is rejected when a face is found in less than this share of its pictures."""

    def __post_init__(self) -> None:
        """Checks ranges."""
        if self.motion_fps != 0 and not 1 <= self.motion_fps <= 240:
            raise ValueError(f"motion_fps is {self.motion_fps:g}, expected 1 to 240 Hz, or 0 for the video's own")
        if self.max_gap_s < 0 or self.min_seconds <= 0:
            raise ValueError("max_gap_s must not be negative, and min_seconds must be positive")
        if not 0 < self.min_found <= 1:
            raise ValueError(f"min_found is {self.min_found:g}, expected more than 0 and at most 1")
        if not self.emotion.strip():
            raise ValueError("emotion is empty; name one, such as neutral")
        if self.split not in SPLITS:
            raise ValueError(f"unknown split '{self.split}'{suggestion(self.split, SPLITS)}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrackingReport:
    """What was made of every video."""

    out: Path
    """The folder."""
    videos: tuple[VideoRecord, ...]
    """All videos asked for, in order."""
    num_kept: int
    """How many of them were finished before."""

    @property
    def rejected(self) -> tuple[VideoRecord, ...]:
        """Videos without a clip."""
        return tuple(video for video in self.videos if video.reason)

    def text(self) -> str:
        """A summary for people: counts, then up to ten rejections and warnings."""
        clips = [clip for video in self.videos for clip in video.clips]
        filled, found = (sum(getattr(video, name) for video in self.videos) for name in ("num_filled", "num_found"))
        lines = [
            f"{len(self.videos)} videos ({self.num_kept} finished before): {len(clips)} clips, "
            f"{sum(clip.seconds for clip in clips) / 60:.1f} min; rejected {len(self.rejected)}; "
            f"a face in {found} pictures, {filled} without one interpolated"
        ]
        lines += _listed([f"rejected {video.reason}" for video in self.rejected])
        lines += _listed([
            f"warning {video.video}: several faces in {video.num_several} of {video.num_pictures} pictures; the "
            "largest was followed"
            for video in self.videos
            if video.num_several
        ])  # fmt: skip
        return "\n".join(lines)


def list_videos(paths: Sequence[Path]) -> list[Path]:
    """The videos given, those of folders and their subfolders included, each once.

    Raises:
        CorpusError: when there is no path, one does not exist, or a folder holds no video.
    """
    if not paths:
        raise CorpusError("no video was given; give files or folders")
    videos: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()
            )
            if not inside:
                raise CorpusError(
                    f"{path}: no video in it or in its subfolders; expected mp4, mov, mkv, webm, avi, mpg"
                )
            videos += inside
        elif path.is_file():
            videos.append(path)
        else:
            raise CorpusError(f"{path}: there is no such file; check the path")
    return list(dict.fromkeys(videos))


def track_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    tracker: FaceTracker,
    config: TrackingConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrackingReport:
    """Tracks videos into a folder with `manifest.csv`, `audio/*.flac` (16 kHz) and `motion/*.csv`.

    A video's clips are called `<speaker>_<file name>`, with `~1`, `~2` ... where the face was lost for long in between.
    `videos/<name>.json` says what was made of each. A video that is there already, tracked with the same tracker and
    settings, is not tracked again; it gets the labels of this call. Several processes may track different videos into
    one folder at a time: whichever ends last lists the clips of all.

    Args:
        videos: files.
        out: a new folder, or one that this function made: what it holds stays.
        tracker: who finds the face.
        config: settings.
        progress: called with (done, total), in thousandths of a video.

    Raises:
        ArtefactError: when `out` is something else or cannot be written.
        CorpusError: when two videos would have clips of one name, or not a single video of the folder can be used.
    """
    config = config or TrackingConfig()
    planned = _named(videos, config)
    prepare(out)
    records = read_records(out)
    done, num_kept = [], 0
    for number, (name, (path, labels)) in enumerate(planned.items()):

        def tell(share: float, number: int = number) -> None:
            if progress:
                progress(round(_STEPS * (number + share)), _STEPS * len(planned))

        video = _Video(path=path, name=name, labels=labels, out=out, tracker=tracker, config=config)
        before = records.get(name)
        record = video.record(before, tell=tell)
        num_kept += before is not None and (record.sha256, record.settings) == (before.sha256, before.settings)
        if record.settings:  # else the name belongs to another video
            records[name] = record
            write_record(out, name, record)
            write_manifest(out, records.values())
            remove_clips(out, set(before.clips if before else ()) - set(record.clips))
        done.append(record)
        tell(1.0)
    records = read_records(out)  # once more: another process may have added some
    write_manifest(out, records.values())
    report = TrackingReport(out=out, videos=tuple(done), num_kept=num_kept)
    if not any(record.clips for record in records.values()):
        raise CorpusError(f"{out}: not a single video could be used\n{report.text()}")
    return report


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Video:
    path: Path
    name: str
    labels: Labels
    out: Path
    tracker: FaceTracker
    config: TrackingConfig

    def record(self, before: VideoRecord | None, *, tell: Callable[[float], None]) -> VideoRecord:
        deciding = {name: value for name, value in to_plain(self.config).items() if name not in _LABELS}
        settings = f"{self.tracker.identity}; {json.dumps(deciding, sort_keys=True)}"
        known = VideoRecord(video=self.path.name, sha256=sha256_of(self.path), settings=settings, labels=self.labels)
        if before is not None and before.clips and before.sha256 != known.sha256:
            return dataclasses.replace(known, settings="", reason=(
                f"{self.path}: its clips would be called '{self.name}', but in {self.out} those of another "
                f"{before.video} are; rename it, give another --speaker, or, to replace the other, remove "
                f"{self.out}/{RECORDS_FOLDER}/{self.name}.json"
            ))  # fmt: skip
        if before is not None and (before.sha256, before.settings) == (known.sha256, settings):
            return dataclasses.replace(before, labels=self.labels)
        remove_record(self.out, self.name)
        try:
            return self._tracked(known, tell=tell)
        except VideoError as error:
            return dataclasses.replace(known, reason=str(error))

    def _tracked(self, known: VideoRecord, *, tell: Callable[[float], None]) -> VideoRecord:
        sound = read_sound(self.path)  # first: it is quick, and a video without sound is of no use
        track, num_several = follow(
            self.path, self.tracker, tell=lambda time_s: tell(min(1.0, (time_s - sound.start_s) / sound.seconds))
        )
        known = dataclasses.replace(
            known, num_pictures=len(track.times_s), num_found=int(track.is_found.sum()), num_several=num_several
        )
        share = known.num_found / known.num_pictures
        if share < self.config.min_found:
            return dataclasses.replace(known, reason=(
                f"{self.path}: a face was found in {known.num_found} of {known.num_pictures} pictures ({share:.0%}), "
                f"at least {self.config.min_found:.0%} are needed; use a video that shows it, or lower --min-found"
            ))  # fmt: skip
        fps = self.config.motion_fps or frame_rate(track.times_s)
        found = takes(track, sound, fps=fps, max_gap_s=self.config.max_gap_s, min_seconds=self.config.min_seconds)
        if not found:
            return dataclasses.replace(known, reason=(
                f"{self.path}: no stretch of {self.config.min_seconds:g} s shows a face without losing it for more "
                f"than {self.config.max_gap_s:g} s; use a longer video, or relax --min-seconds or --max-gap-s"
            ))  # fmt: skip
        names = [self.name] if len(found) == 1 else [f"{self.name}~{number}" for number in range(1, len(found) + 1)]
        clips = tuple(_write(take, name, out=self.out) for take, name in zip(found, names, strict=True))
        return dataclasses.replace(known, clips=clips, num_filled=sum(take.num_filled for take in found))


def follow(
    path: Path, tracker: FaceTracker, *, tell: Callable[[float], None] = lambda _: None
) -> tuple[FaceTrack, int]:
    """What a tracker sees in a video, and in how many pictures it saw several faces.

    Raises:
        VideoError: when the video cannot be read.
    """
    times_s: list[float] = []

    def noted(picture: Picture) -> Picture:
        times_s.append(picture.time_s)
        tell(picture.time_s)
        return picture

    rows: list[np.ndarray] = []
    is_found: list[bool] = []
    seen = np.zeros(len(CHANNELS), dtype=bool)
    num_several = 0
    for face in tracker.track(noted(picture) for picture in read_pictures(path)):
        row = np.zeros(len(CHANNELS), dtype=np.float32)
        for name, weight in face.coefficients.items() if face else ():
            channel = canonical_name(name)
            if channel is not None:
                row[CHANNEL_INDEX[channel]] = weight
                seen[CHANNEL_INDEX[channel]] = True
        rows.append(row)
        is_found.append(face is not None)
        num_several += face is not None and face.num_faces > 1
    if len(rows) != len(times_s):
        raise RuntimeError(f"{path}: the tracker gave {len(rows)} results for {len(times_s)} pictures")
    track = FaceTrack(
        times_s=np.array(times_s),
        is_found=np.array(is_found),
        coefficients=np.stack(rows)[:, seen],
        channel_names=tuple(name for name, is_seen in zip(CHANNELS, seen, strict=True) if is_seen),
    )
    return track, num_several


def _write(take: Take, name: str, *, out: Path) -> ClipRecord:
    with publish_file(out / audio_name(name), overwrite=True) as temporary:
        temporary.write_bytes(encode_flac(take.waveform))
    write_motion(take.motion, out / motion_name(name), overwrite=True)
    return ClipRecord(
        clip_id=name, fps=take.motion.fps, seconds=len(take.waveform) / SAMPLE_RATE_HZ, start_s=take.start_s
    )


def _named(videos: Sequence[Path], config: TrackingConfig) -> dict[str, tuple[Path, Labels]]:
    planned: dict[str, tuple[Path, Labels]] = {}
    for path in videos:
        speaker = config.speaker or path.resolve().parent.name
        name = re.sub(r"[^\w.-]+", "_", f"{speaker}_{path.stem}")
        if name in planned:
            raise CorpusError(
                f"{path} and {planned[name][0]} would both become clip '{name}'; rename one, or track them with "
                "different --speaker"
            )
        planned[name] = (path, Labels(speaker=speaker, emotion=config.emotion, split=config.split))
    return planned


def _listed(lines: list[str]) -> list[str]:
    more = [f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [*(f"  {line}" for line in lines[:_SHOWN]), *more]
