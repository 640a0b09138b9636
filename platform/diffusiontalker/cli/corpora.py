"""`corpus import`, `corpus synthesize`, `corpus label` and `corpus inspect`."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from tyro.conf import Positional

from diffusiontalker.cli.verb import OptionalPath, UsageError, Verb, flags, progress, say, working
from diffusiontalker.config import ConfigError, from_plain, publish_directory, require_new

if TYPE_CHECKING:
    from diffusiontalker.data import Corpus, CorpusSummary

ConfigT = TypeVar("ConfigT")

_NUM_CLIPS = 3
_NUM_CURVES = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportCorpus(Verb):
    """Turns a folder of recordings into a corpus, checking every clip.

    What the folder holds is recognized, or named with --format. Clips that fail a check are listed and left out. The
    report tells whether the faces are late against their sound.

    Formats:
        folder   manifest.csv with the columns clip_id, audio, motion, speaker, emotion, fps, split; audio is wav, flac,
                 ogg or mp3, motion any file with ARKit names; paths are relative to the folder
        beat     1_wayne_0_1_1.wav and .json ...; emotions and splits are the official ones
        3d-etf   03-01-05-01-02-01-12.wav and .npy (RAVDESS), RD_Radio11_000.wav and .npy (HDTF); about a tenth of the
                 speakers are for validation, another tenth for the test, unless splits.csv (name, split) says otherwise
        vocaset  data_verts.npy, subj_seq_to_idx.pkl, raw_audio_fixed.pkl, templates.pkl; motion is how far every vertex
                 lies from the subject's head at rest, in metres; the split is the official one
        livelink a csv per take of Live Link Face and its sound, wav say, of the same name; a folder per performer; a
                 tenth of the takes each for validation and test, unless a splits.csv says otherwise; of a calibrated
                 take (_cal) its sound may be that of the plain one

    Examples:
        diffusiontalker corpus import recordings --out corpora/mine
        diffusiontalker corpus import recordings --out s3://bucket/mine --motion-fps 30 --strict
        diffusiontalker corpus import beat_english --format beat --out corpora/beat --licence "CC BY-NC 4.0"
        diffusiontalker corpus import 3D-ETF --format 3d-etf --out corpora/etf --motion-fps 30
        diffusiontalker corpus import vocaset --format vocaset --out corpora/vocaset --motion-fps 30 --max-drift-s 0.5
        diffusiontalker corpus import takes --format livelink --out corpora/takes --motion-fps 60 --correct-sync drift
    """

    source: Positional[Path]
    """Folder of recordings."""
    out: str
    """Where the corpus goes: a folder or URL that does not exist yet."""
    format: Literal["auto", "folder", "vocaset", "beat", "3d-etf", "livelink"] = "auto"
    """What the folder holds; auto looks."""
    motion_fps: float = 25.0
    """Frame rate of the corpus, in Hz; every motion is resampled to it. 25, 30 and 60 are usual."""
    max_drift_s: float = 0.05
    """Largest accepted difference in length between audio and motion, in seconds, beyond half a motion frame."""
    range_tolerance: float = 0.05
    """How far a coefficient may lie outside [0, 1]; within the tolerance it is clamped."""
    max_rejected_fraction: float = 0.2
    """The import fails when more than this share of the clips is rejected."""
    strict: bool = False
    """Fail when a single clip is rejected, or a recording is left out because its name is not one of the format."""
    correct_sync: Literal["none", "offset", "drift"] = "none"
    """Shift faces that are clearly late or early against their sound (offset), also where that changes (drift)."""
    face_lag_s: float = 0.0
    """By how many seconds the face is late in every clip, if you know; it is shifted back by that."""
    licence: str = ""
    """Licence of the recordings; every bundle trained on them states it."""
    credit: str = ""
    """Whom to credit for the recordings; every bundle trained on them does."""

    def run(self) -> None:
        """Imports and prints what happened to the clips."""
        from diffusiontalker.data import ImportConfig, import_corpus

        config = _config(self, ImportConfig)
        with progress(f"importing {self.source}") as report_progress:
            report = import_corpus(
                self.source, self.out, corpus_format=self.format, config=config, progress=report_progress
            )
        say(report.text())
        say(f"wrote {self.out}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesizeCorpus(Verb):
    """Makes a corpus out of nothing: a speech synthesizer speaks, its phonemes move a face. For trying things out.

    Examples:
        diffusiontalker corpus synthesize --out corpora/synthetic
        diffusiontalker corpus synthesize --out corpora/small --num-speakers 2 --sentences-per-speaker-emotion 4
    """

    out: str
    """Where the corpus goes: a folder or URL that does not exist yet."""
    num_speakers: int = 6
    """Speakers in all, at most 12."""
    num_unseen_speakers: int = 1
    """How many of them, the last ones, are only in split test_unseen_speaker."""
    emotions: tuple[str, ...] = ("neutral", "happy", "sad", "angry")
    """Emotions that every speaker plays; surprised exists too."""
    sentences_per_speaker_emotion: int = 10
    """Sentences of a speaker in one emotion, over train, validation and test."""
    motion_fps: float = 30.0
    """Frame rate of the motion, in Hz."""
    seed: int = 0
    """Decides sentences and prosody; the same seed gives the same corpus."""

    def run(self) -> None:
        """Synthesizes and prints how much there is."""
        from diffusiontalker.data import SyntheticCorpusConfig, synthesize_corpus

        config = _config(self, SyntheticCorpusConfig)
        with progress("synthesizing") as report_progress:
            info = synthesize_corpus(self.out, config, progress=report_progress)
        splits = ", ".join(f"{split} {count}" for split, count in info.splits.items())
        say(
            f"wrote {self.out}: {info.num_clips} clips, {info.seconds / 60:.1f} min at {info.motion_fps:g} fps "
            f"({splits}); {len(info.speakers)} speakers, emotions {', '.join(info.emotions)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelCorpus(Verb):
    """Makes a corpus of speech without faces: a trained talker, the teacher, animates it.

    A student that is distilled from the teacher learns from such a corpus too, and any clean speech will do: wav, flac,
    ogg or mp3, subfolders included. Keep one folder per speaker, as a folder counts as one. Long files are cut in
    pauses into pieces of up to 12 s; files shorter than 1 s are left out. Never measure a talker on this corpus: its
    faces are guesses.

    Examples:
        diffusiontalker corpus label audiobooks --bundle runs/teacher/bundle --out corpora/audiobooks
        diffusiontalker corpus label audiobooks --bundle runs/teacher/bundle --out corpora/second_take --seed 1
    """

    folder: Positional[Path]
    """Folder of audio files."""
    bundle: str
    """The trained talker that animates them: a folder or URL."""
    out: str
    """Where the corpus goes: a folder or URL that does not exist yet."""
    seed: int = 0
    """Another seed gives another take of every piece."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1 ..."""

    def run(self) -> None:
        """Animates piece by piece and prints how much there is."""
        from diffusiontalker.data import SpeechFolder
        from diffusiontalker.inference import load_bundle, pseudo_label

        recordings = SpeechFolder(path=self.folder)
        bundle = load_bundle(self.bundle, device=self.device)
        with progress(f"animating {self.folder}") as report_progress:
            info = pseudo_label(bundle, recordings, self.out, seed=self.seed, on_progress=report_progress)
        say(
            f"wrote {self.out}: {info.num_clips} pieces, {info.seconds / 60:.1f} min at {info.motion_fps:g} fps from "
            f"{len(recordings.files)} files; speakers {', '.join(info.speakers)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectCorpus(Verb):
    """Shows what is in a corpus: clips, speakers, emotions, and how much each channel moves.

    Examples:
        diffusiontalker corpus inspect corpora/mine
        diffusiontalker corpus inspect corpora/mine --plots corpora/mine_plots
    """

    corpus: Positional[str]
    """Corpus to look at: a folder or URL."""
    plots: OptionalPath = None
    """Folder to write pictures into, which does not exist yet; none by default. Not for corpora of vertices."""

    def run(self) -> None:
        """Reads every clip once and prints the summary."""
        if self.plots:
            require_new(self.plots, remedy="choose another --plots")
        from diffusiontalker.data import Corpus, inspect_corpus
        from diffusiontalker.face.arkit import is_arkit

        corpus = Corpus.open(self.corpus)
        if self.plots and not is_arkit(corpus.info.channel_names):
            raise UsageError(
                f"--plots: {self.corpus} has {len(corpus.info.channel_names)} channels of vertices, and pictures are "
                "drawn of ARKit channels only; leave --plots out"
            )
        with working(f"reading {self.corpus}"):
            summary = inspect_corpus(corpus)
        say(summary.text())
        if self.plots:
            _draw(corpus, summary, self.plots)
            say(f"wrote {self.plots}: corpus, channels and curves, each light and dark")


def _config(verb: Verb, config: type[ConfigT]) -> ConfigT:
    """The configuration that flags mean; what is wrong with it is told by their names."""
    values = flags(verb, config)
    try:
        return from_plain(config, values, source="flags")
    except ConfigError as error:
        message = str(error).removeprefix("flags: ")
        for name in sorted(values, key=len, reverse=True):
            if "_" in name:
                message = re.sub(rf"(?<![\w-]){name}\b", f"--{name.replace('_', '-')}", message)
        raise UsageError(message) from None


def _draw(corpus: "Corpus", summary: "CorpusSummary", folder: Path) -> None:
    """Who speaks how much, how every channel moves, and a few curves of the first clips."""
    from diffusiontalker.evaluation.plots import CurvePanel, draw_channel_bars, draw_corpus, draw_curves, render

    activity = {
        "standard deviation": {channel.name: channel.std for channel in summary.channels},
        "mean": {channel.name: channel.mean for channel in summary.channels},
    }
    most_active = sorted(summary.channels, key=lambda channel: -channel.std)[:_NUM_CURVES]
    panels = [
        CurvePanel(title=clip.clip_id, truth=clip.motion) for clip in itertools.islice(corpus.clips(), _NUM_CLIPS)
    ]
    pictures = {
        "corpus": render(lambda: draw_corpus(summary)),
        "channels": render(
            lambda: draw_channel_bars(activity, quantity="coefficient", missing=summary.info.missing_channels)
        ),
        "curves": render(lambda: draw_curves(panels, channels=[channel.name for channel in most_active])),
    }
    with publish_directory(folder) as temporary:
        for name, themes in pictures.items():
            for theme, content in themes.items():
                (temporary / f"{name}_{theme}.png").write_bytes(content)
