"""Enrollment: reference recordings of one speaker in, a voice out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from diffusiontalker import __version__
from diffusiontalker.audio import SAMPLE_RATE_HZ
from diffusiontalker.inference.bundle import Bundle
from diffusiontalker.inference.pipeline import embed
from diffusiontalker.inference.voices import Voice, VoiceError, make_voice

MIN_REFERENCE_S = 1.0
"""Shortest total length of the references, in seconds: less holds too little of a voice."""


def enroll(bundle: Bundle, waveforms: Sequence[Float32[np.ndarray, "_"]], *, name: str) -> Voice:
    """A voice from reference recordings (16 kHz mono): the mean of their unit-length embeddings, scaled to unit length.

    Every reference counts the same, whatever its length.

    Raises:
        VoiceError: see `check_references`, or for an unusable name.
    """
    check_references(waveforms, name=name)
    embeddings = [embed(bundle, waveform) for waveform in waveforms]
    return voice_of_references(waveforms, embeddings, name=name, bundle_digest=bundle.digest)


def check_references(waveforms: Sequence[Float32[np.ndarray, "_"]], *, name: str) -> None:
    """Refuses recordings that no voice can be made from.

    Raises:
        VoiceError: without references, with less than `MIN_REFERENCE_S` of sound, or with digital silence.
    """
    seconds = _seconds(waveforms)
    if seconds < MIN_REFERENCE_S:
        raise VoiceError(
            f"voice '{name}': {len(waveforms)} references last {seconds:.2f} s in all, at least {MIN_REFERENCE_S:g} s "
            "are needed; add recordings of the same speaker"
        )
    for number, waveform in enumerate(waveforms, start=1):
        if not np.any(waveform):
            raise VoiceError(
                f"voice '{name}': reference {number} is digital silence; use a recording with speech in it"
            )


def voice_of_references(
    waveforms: Sequence[Float32[np.ndarray, "_"]],
    embeddings: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    name: str,
    bundle_digest: str,
) -> Voice:
    """The voice that `enroll` makes, when the embeddings of the references are there.

    Raises:
        VoiceError: for an unusable name, or embeddings that cancel out.
    """
    identity, emotion = (np.mean([np.asarray(pair[head]) for pair in embeddings], axis=0) for head in (0, 1))
    provenance = {
        "references": len(waveforms),
        "seconds": round(_seconds(waveforms), 3),
        "diffusiontalker": __version__,
    }
    return make_voice(name=name, identity=identity, emotion=emotion, bundle_digest=bundle_digest, provenance=provenance)


def _seconds(waveforms: Sequence[np.ndarray]) -> float:
    return sum(len(waveform) for waveform in waveforms) / SAMPLE_RATE_HZ
