"""From a trained talker to animation: bundles, one-shot animation, streams, enrolled voices."""

from diffusiontalker.inference.bulk import ORDERS, RESULTS, BulkAnimator, BulkOrder
from diffusiontalker.inference.bundle import Bundle, Precision, SamplingConfig, load_bundle, save_bundle
from diffusiontalker.inference.bundle_files import BundleError
from diffusiontalker.inference.engines import EngineName, check_engine
from diffusiontalker.inference.enrollment import check_references, enroll, voice_of_references
from diffusiontalker.inference.pipeline import (
    AnimationError,
    Style,
    animate,
    animate_batch,
    embed,
    embed_batch,
    resolve,
)
from diffusiontalker.inference.pseudo_labels import piece_seed, pseudo_label
from diffusiontalker.inference.streaming import Stream, StreamedFrames, StreamingTalker
from diffusiontalker.inference.voice_store import VoiceStore, find_voice
from diffusiontalker.inference.voices import Voice, VoiceError, blend, make_voice, read_voice, write_voice

__all__ = [
    "ORDERS",
    "RESULTS",
    "AnimationError",
    "BulkAnimator",
    "BulkOrder",
    "Bundle",
    "BundleError",
    "EngineName",
    "Precision",
    "SamplingConfig",
    "Stream",
    "StreamedFrames",
    "StreamingTalker",
    "Style",
    "Voice",
    "VoiceError",
    "VoiceStore",
    "animate",
    "animate_batch",
    "blend",
    "check_engine",
    "check_references",
    "embed",
    "embed_batch",
    "enroll",
    "find_voice",
    "load_bundle",
    "make_voice",
    "piece_seed",
    "pseudo_label",
    "read_voice",
    "resolve",
    "save_bundle",
    "voice_of_references",
    "write_voice",
]
