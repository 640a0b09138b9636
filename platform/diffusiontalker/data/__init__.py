"""Corpora: paired speech and motion, imported or synthesized, stored as Parquet shards, read as a stream.

Knows nothing about models or losses.
"""

from diffusiontalker.data.clip import SPLITS, Clip, CorpusError
from diffusiontalker.data.collate import Batch, collate
from diffusiontalker.data.corpus import TEACHER_GENERATOR, Corpus, CorpusInfo, MissingCorpusError
from diffusiontalker.data.corpus_writer import CorpusWriter, discard_unfinished_corpus, write_corpus
from diffusiontalker.data.folder_corpus import ImportConfig, ImportReport, import_folder_corpus
from diffusiontalker.data.inspect import CorpusSummary, inspect_corpus, loudness_db
from diffusiontalker.data.normalize import MIN_SCALE, channel_statistics
from diffusiontalker.data.recordings import LIST_COLUMNS, Recording, list_recordings, motion_names
from diffusiontalker.data.speech_folder import (
    SpeechFolder,
    SpeechPiece,
    cut_at_quiet,
)
from diffusiontalker.data.synthetic import EMOTIONS, SPEAKER_NAMES, SyntheticCorpusConfig, speak, synthesize_corpus
from diffusiontalker.data.window_store import WindowStore, write_windows
from diffusiontalker.data.windows import SILENCE, Window, WindowConfig, WindowSource

__all__ = [
    "EMOTIONS",
    "LIST_COLUMNS",
    "MIN_SCALE",
    "SILENCE",
    "SPEAKER_NAMES",
    "SPLITS",
    "TEACHER_GENERATOR",
    "Batch",
    "Clip",
    "Corpus",
    "CorpusError",
    "CorpusInfo",
    "CorpusSummary",
    "CorpusWriter",
    "ImportConfig",
    "ImportReport",
    "MissingCorpusError",
    "Recording",
    "SpeechFolder",
    "SpeechPiece",
    "SyntheticCorpusConfig",
    "Window",
    "WindowConfig",
    "WindowSource",
    "WindowStore",
    "channel_statistics",
    "collate",
    "cut_at_quiet",
    "discard_unfinished_corpus",
    "import_folder_corpus",
    "inspect_corpus",
    "list_recordings",
    "loudness_db",
    "motion_names",
    "speak",
    "synthesize_corpus",
    "write_corpus",
    "write_windows",
]
