"""Corpora: paired speech and motion, imported or synthesized, stored as Parquet shards, read as a stream.

Knows nothing about models or losses. What happens to a clip on its way into a batch lives in `windows` and `collate`.
"""

from diffusiontalker.data.clip import SPLITS, Clip, CorpusError
from diffusiontalker.data.collate import Batch, collate
from diffusiontalker.data.corpus import Corpus, CorpusInfo
from diffusiontalker.data.corpus_writer import CorpusWriter, write_corpus
from diffusiontalker.data.normalize import channel_statistics
from diffusiontalker.data.synthetic import EMOTIONS, SPEAKER_NAMES, SyntheticCorpusConfig, speak, synthesize_corpus
from diffusiontalker.data.windows import Window, WindowConfig, WindowSource

__all__ = [
    "EMOTIONS",
    "SPEAKER_NAMES",
    "SPLITS",
    "Batch",
    "Clip",
    "Corpus",
    "CorpusError",
    "CorpusInfo",
    "CorpusWriter",
    "SyntheticCorpusConfig",
    "Window",
    "WindowConfig",
    "WindowSource",
    "channel_statistics",
    "collate",
    "speak",
    "synthesize_corpus",
    "write_corpus",
]
