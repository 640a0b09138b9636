"""How a pair of embeddings is stored outside the process: a few kilobytes that prove themselves whole and ours.

Layout, little endian: 8 bytes `DTSTYLE` and the version; SHA-256 of the rest; the key (32 bytes); length of the
bundle's digest (2), of the identity (4) and of the emotion (4); the digest; both vectors as float32.
"""

import hashlib
import struct
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_MAGIC = b"DTSTYLE\x01"
_HEAD = struct.Struct("<32sHII")
_CHECKSUM_BYTES = 32
_UNIT_TOLERANCE = 1e-3


class EntryError(ValueError):
    """Bytes that are no entry for this key and bundle; the message says why."""


class StylePair(NamedTuple):
    """What the personalizer hears in a recording."""

    identity: np.ndarray
    """(embedding,) float32, unit length."""
    emotion: np.ndarray
    """(embedding,) float32, unit length."""

    def copied(self) -> "StylePair":
        """The same numbers in arrays of their own."""
        return StylePair(self.identity.copy(), self.emotion.copy())

    @property
    def nbytes(self) -> int:
        """Bytes of both vectors."""
        return self.identity.nbytes + self.emotion.nbytes


def checked_pair(identity: np.ndarray, emotion: np.ndarray) -> StylePair:
    """A pair of own float32 vectors.

    Raises:
        EntryError: when one is no vector of unit length.
    """
    pair = StylePair(*(np.array(vector, dtype=np.float32) for vector in (identity, emotion)))
    for name, vector in zip(pair._fields, pair, strict=True):
        if vector.ndim != 1 or not abs(float(np.linalg.norm(vector)) - 1.0) <= _UNIT_TOLERANCE:
            raise EntryError(f"{name} embedding of shape {vector.shape} is no unit vector")
    return pair


def style_key(waveform: Float[np.ndarray, " samples"], *, bundle_digest: str) -> str:
    """Hex SHA-256 that two recordings share when they have the same samples and are heard by the same bundle.

    Took 14 ms for 300 s of sound on one core; run it in a thread where that is too long.

    Args:
        waveform: (samples,) 16 kHz.
        bundle_digest: digest of the bundle whose personalizer listens.
    """
    samples = np.ascontiguousarray(waveform, dtype="<f4")
    hasher = hashlib.sha256(b"diffusiontalker style 1\0" + hashlib.sha256(bundle_digest.encode()).digest())
    hasher.update(samples.data)
    return hasher.hexdigest()


def encode_entry(pair: StylePair, *, key: str, bundle_digest: str) -> bytes:
    """The pair as bytes that `decode_entry` gives back for the same key and bundle only."""
    digest = bundle_digest.encode()
    head = _HEAD.pack(bytes.fromhex(key), len(digest), len(pair.identity), len(pair.emotion))
    body = head + digest + b"".join(vector.astype("<f4").tobytes() for vector in pair)
    return _MAGIC + hashlib.sha256(body).digest() + body


def decode_entry(content: bytes, *, key: str, bundle_digest: str) -> StylePair:
    """The pair that was stored for this key and bundle.

    Raises:
        EntryError: for anything else, whatever it is.
    """
    start = len(_MAGIC) + _CHECKSUM_BYTES
    body = content[start:]
    if content[: len(_MAGIC)] != _MAGIC:
        raise EntryError(f"begins with {content[: len(_MAGIC)]!r}, expected {_MAGIC!r}")
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != content[len(_MAGIC) : start]:
        raise EntryError(f"the checksum of its {len(content)} bytes is wrong")
    raw_key, digest_bytes, identity_dim, emotion_dim = _HEAD.unpack_from(body)
    vectors = body[_HEAD.size + digest_bytes :]
    if raw_key.hex() != key or body[_HEAD.size : _HEAD.size + digest_bytes] != bundle_digest.encode():
        raise EntryError("is an entry for another recording or bundle")
    if len(vectors) != 4 * (identity_dim + emotion_dim):
        raise EntryError(f"holds {len(vectors)} bytes of embeddings, declares {4 * (identity_dim + emotion_dim)}")
    numbers = np.frombuffer(vectors, dtype="<f4")
    return checked_pair(numbers[:identity_dim], numbers[identity_dim:])
