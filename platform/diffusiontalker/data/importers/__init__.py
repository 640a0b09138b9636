"""Recordings of other people in, one corpus out: a module per format, one import for all of them.

A format lists `ClipSource`s; `checked_clip` makes each ready for the corpus, in any process; `Intake` takes them in
order and writes. Knows nothing about models.
"""

from diffusiontalker.data.importers.checked import CheckedClip, RejectedClip, checked_clip, checked_or_rejected
from diffusiontalker.data.importers.config import ImportConfig
from diffusiontalker.data.importers.formats import CORPUS_FORMATS, CorpusFormat, list_clips
from diffusiontalker.data.importers.intake import ImportReport, Intake, import_corpus, open_intake
from diffusiontalker.data.importers.source import ClipList, ClipSource

__all__ = [
    "CORPUS_FORMATS",
    "CheckedClip",
    "ClipList",
    "ClipSource",
    "CorpusFormat",
    "ImportConfig",
    "ImportReport",
    "Intake",
    "RejectedClip",
    "checked_clip",
    "checked_or_rejected",
    "import_corpus",
    "list_clips",
    "open_intake",
]
