"""What makes two corpora the same: the labels, sound and motion of their clips, whatever the order or the files."""

import hashlib
import json
from collections.abc import Mapping, Sequence


def clip_digest(*, speaker: str, emotion: str, split: str, num_frames: int, audio: bytes, motion: bytes) -> str:
    """SHA-256 of one clip: labels, FLAC bytes, float32 coefficients."""
    labels = json.dumps([speaker, emotion, split, num_frames])
    return hashlib.sha256(labels.encode() + audio + motion).hexdigest()


def corpus_digest(clip_digests: Mapping[str, str], *, motion_fps: float, channel_names: Sequence[str]) -> str:
    """SHA-256 of a corpus from the digests of its clips, by clip_id."""
    header = json.dumps([float(motion_fps), list(channel_names)])
    lines = (f"{clip_id} {clip_digests[clip_id]}" for clip_id in sorted(clip_digests))
    return hashlib.sha256("\n".join([header, *lines]).encode()).hexdigest()
