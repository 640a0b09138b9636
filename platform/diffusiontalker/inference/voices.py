"""Voices: enrolled pairs of embeddings with a name, kept as one small JSON file each.

A voice belongs to the bundle that computed its embeddings. Knows nothing about audio: `enrollment` does.
"""

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusiontalker.config import ConfigError, from_plain, publish_file

FORMAT = "diffusiontalker-voice"
VERSION = 1

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What `check_voice_id` allows."""
_MAX_NAME = 200
_MIN_LENGTH = 1e-3


class VoiceError(ValueError):
    """A voice that cannot be made, stored, found or used; the message names the voice or its file."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Voice:
    """An enrolled speaker.

    Raises:
        VoiceError: for an id that is no safe file name, an empty name, or embeddings that are not finite unit vectors.
    """

    voice_id: str
    """Address: 1 to 64 of a-z, 0-9, '-' and '_', not beginning with '-' or '_'."""
    name: str
    """Free text for people."""
    identity: np.ndarray
    """(embedding,) float32, unit length."""
    emotion: np.ndarray
    """(embedding,) float32, unit length."""
    bundle_digest: str
    """Digest of the bundle whose personalizer computed the embeddings."""
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Where it comes from: references, versions; plain data."""

    def __post_init__(self) -> None:
        """Checks everything."""
        check_voice_id(self.voice_id)
        if not self.name.strip() or len(self.name) > _MAX_NAME or not self.name.isprintable():
            raise VoiceError(
                f"voice '{self.voice_id}': name {self.name!r} is not usable; expected 1 to {_MAX_NAME} printable "
                "characters"
            )
        for field in ("identity", "emotion"):
            vector = np.asarray(getattr(self, field), dtype=np.float32)
            if vector.ndim != 1 or not np.isfinite(vector).all() or abs(np.linalg.norm(vector) - 1.0) > _MIN_LENGTH:
                raise VoiceError(
                    f"voice '{self.voice_id}': {field} embedding of shape {vector.shape} is no unit vector of finite "
                    "numbers; enroll the voice again"
                )
            object.__setattr__(self, field, vector)

    def check_bundle(self, digest: str) -> None:
        """Refuses a bundle other than the one the voice was enrolled with: its embeddings mean nothing there.

        Raises:
            VoiceError: when the digests differ.
        """
        if digest != self.bundle_digest:
            raise VoiceError(
                f"voice '{self.name}' was enrolled with bundle {self.bundle_digest[:12]}, but this bundle is "
                f"{digest[:12]}; enroll it again with this bundle"
            )


def check_voice_id(voice_id: str) -> None:
    """Refuses every id that is not a plain file name on every system.

    Raises:
        VoiceError: names the id and what is allowed.
    """
    if not ID_PATTERN.fullmatch(voice_id):
        raise VoiceError(
            f"voice id {voice_id!r} is not allowed; use 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or "
            "a digit"
        )


def make_voice(
    *, name: str, identity: np.ndarray, emotion: np.ndarray, bundle_digest: str, provenance: dict[str, Any]
) -> Voice:
    """A voice from embeddings of any length, with an id made of its name and its content.

    Args:
        name: free text.
        identity: (embedding,), scaled to unit length here.
        emotion: (embedding,), scaled to unit length here.
        bundle_digest: the bundle that computed the embeddings.
        provenance: plain data.

    Raises:
        VoiceError: when an embedding is (almost) zero, or the name is empty.
    """
    identity, emotion = _unit(identity, name=name), _unit(emotion, name=name)
    content = b"".join((name.encode(), bundle_digest.encode(), identity.tobytes(), emotion.tobytes()))
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "voice"
    return Voice(
        voice_id=f"{slug}-{hashlib.sha256(content).hexdigest()[:8]}",
        name=name,
        identity=identity,
        emotion=emotion,
        bundle_digest=bundle_digest,
        provenance=provenance,
    )


def blend(voices: Sequence[Voice], *, weights: Sequence[float], name: str) -> Voice:
    """A voice between voices: the weighted mean of their embeddings, scaled back to unit length.

    Raises:
        VoiceError: without voices, with weights that do not fit or are negative, with voices of different bundles, or
            when the voices cancel out.
    """
    if not voices or len(voices) != len(weights):
        raise VoiceError(f"blend '{name}': {len(voices)} voices and {len(weights)} weights; give one weight per voice")
    shares = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise VoiceError(f"blend '{name}': weights are {list(weights)}, expected numbers from 0 up, not all of them 0")
    for voice in voices[1:]:
        voice.check_bundle(voices[0].bundle_digest)
    shares /= shares.sum()
    return make_voice(
        name=name,
        identity=shares @ np.stack([voice.identity for voice in voices]),
        emotion=shares @ np.stack([voice.emotion for voice in voices]),
        bundle_digest=voices[0].bundle_digest,
        provenance={"blend": {voice.voice_id: float(share) for voice, share in zip(voices, shares, strict=True)}},
    )


def write_voice(voice: Voice, path: Path, *, overwrite: bool = False) -> None:
    """Writes a voice as JSON, atomically.

    Raises:
        ArtefactError: when `path` exists (unless `overwrite`) or cannot be written.
    """
    with publish_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(voice_to_json(voice))


def read_voice(path: Path) -> Voice:
    """Reads a voice file.

    Raises:
        VoiceError: when the file is missing, damaged, or no voice of this version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise VoiceError(f"{path}: no such voice file; make one with 'diffusiontalker enroll'") from None
    except OSError as error:
        raise VoiceError(f"{path}: cannot be read as a voice ({error}); enroll the voice again") from None
    return voice_from_json(content, source=str(path))


def voice_to_json(voice: Voice) -> bytes:
    """A voice as the UTF-8 JSON of its file."""
    plain = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(voice)}
    plain |= {"identity": voice.identity.tolist(), "emotion": voice.emotion.tolist()}
    return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()


def voice_from_json(content: bytes, *, source: str) -> Voice:
    """The voice that `voice_to_json` wrote.

    Args:
        content: UTF-8 JSON.
        source: what messages call it.

    Raises:
        VoiceError: when it is damaged, or no voice of this version.
    """
    try:
        plain = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise VoiceError(f"{source}: cannot be read as a voice ({error}); enroll the voice again") from None
    if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT or plain.pop("version", None) != VERSION:
        raise VoiceError(f"{source}: not a {FORMAT} of version {VERSION}; make one with 'diffusiontalker enroll'")
    try:
        stored = from_plain(_StoredVoice, plain, source=source)
        return Voice(
            voice_id=stored.voice_id,
            name=stored.name,
            identity=np.array(stored.identity, dtype=np.float32),
            emotion=np.array(stored.emotion, dtype=np.float32),
            bundle_digest=stored.bundle_digest,
            provenance=stored.provenance,
        )
    except ConfigError as error:
        raise VoiceError(f"{error}; enroll the voice again") from None
    except VoiceError as error:
        raise VoiceError(f"{source}: {error}") from None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _StoredVoice:
    """A voice as its file holds it."""

    voice_id: str
    name: str
    identity: tuple[float, ...]
    emotion: tuple[float, ...]
    bundle_digest: str
    provenance: dict[str, Any]


def _unit(vector: np.ndarray, *, name: str) -> np.ndarray:
    vector = np.asarray(vector, dtype=np.float64)
    length = np.linalg.norm(vector)
    if not np.isfinite(length) or length < _MIN_LENGTH:
        raise VoiceError(f"voice '{name}': the references cancel out or are not finite; use fewer or other references")
    return (vector / length).astype(np.float32)
