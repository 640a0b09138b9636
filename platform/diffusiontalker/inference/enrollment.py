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
        VoiceError: without references, with less than `MIN_REFERENCE_S` of sound, with silence only, or without a name.
    """
    seconds = sum(len(waveform) for waveform in waveforms) / SAMPLE_RATE_HZ
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
    embeddings = [embed(bundle, waveform) for waveform in waveforms]
    identity, emotion = (np.mean([np.asarray(pair[head]) for pair in embeddings], axis=0) for head in (0, 1))
    provenance = {"references": len(waveforms), "seconds": round(seconds, 3), "diffusiontalker": __version__}
    return make_voice(name=name, identity=identity, emotion=emotion, bundle_digest=bundle.digest, provenance=provenance)
