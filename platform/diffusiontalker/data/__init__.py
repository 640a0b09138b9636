"""Corpora: paired speech and motion, imported or synthesized, stored as Parquet shards, read as a stream.

Knows nothing about models or losses. Only `data.collate`, which makes batches, needs torch: imports do without.
"""

from diffusiontalker.data.clip import SPLITS, Clip, CorpusError
from diffusiontalker.data.corpus import TEACHER_GENERATOR, Block, Corpus, CorpusInfo, MissingCorpusError
from diffusiontalker.data.corpus_writer import CorpusWriter, discard_unfinished_corpus, write_corpus
from diffusiontalker.data.importers import (
    CORPUS_FORMATS,
    CheckedClip,
    ClipList,
    ClipSource,
    CorpusFormat,
    ImportConfig,
    ImportReport,
    Intake,
    RejectedClip,
    checked_clip,
    checked_or_rejected,
    import_corpus,
    list_clips,
    open_intake,
)
from diffusiontalker.data.inspect import CorpusSummary, inspect_corpus
from diffusiontalker.data.normalize import MIN_SCALE, channel_statistics
from diffusiontalker.data.order import mixed
from diffusiontalker.data.recordings import LIST_COLUMNS, Recording, list_recordings, motion_names
from diffusiontalker.data.speech_folder import (
    SpeechFolder,
    SpeechPiece,
    cut_at_quiet,
)
from diffusiontalker.data.streamed_windows import ReadingConfig, StreamedWindows
from diffusiontalker.data.synthetic import EMOTIONS, SPEAKER_NAMES, SyntheticCorpusConfig, speak, synthesize_corpus
from diffusiontalker.data.window_store import WindowStore, write_windows
from diffusiontalker.data.windows import SILENCE, Window, WindowConfig, WindowSource

__all__ = [
    "CORPUS_FORMATS",
    "EMOTIONS",
    "LIST_COLUMNS",
    "MIN_SCALE",
    "SILENCE",
    "SPEAKER_NAMES",
    "SPLITS",
    "TEACHER_GENERATOR",
    "Block",
    "CheckedClip",
    "Clip",
    "ClipList",
    "ClipSource",
    "Corpus",
    "CorpusError",
    "CorpusFormat",
    "CorpusInfo",
    "CorpusSummary",
    "CorpusWriter",
    "ImportConfig",
    "ImportReport",
    "Intake",
    "MissingCorpusError",
    "ReadingConfig",
    "Recording",
    "RejectedClip",
    "SpeechFolder",
    "SpeechPiece",
    "StreamedWindows",
    "SyntheticCorpusConfig",
    "Window",
    "WindowConfig",
    "WindowSource",
    "WindowStore",
    "channel_statistics",
    "checked_clip",
    "checked_or_rejected",
    "cut_at_quiet",
    "discard_unfinished_corpus",
    "import_corpus",
    "inspect_corpus",
    "list_clips",
    "list_recordings",
    "mixed",
    "motion_names",
    "open_intake",
    "speak",
    "synthesize_corpus",
    "write_corpus",
    "write_windows",
]
