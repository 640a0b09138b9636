"""Features of a frozen speech encoder: computed once per clip of a corpus, kept block by block.

A kept block lies at `<root>/<encoder>-<corpus>/<block>.safetensors`, both named by what they hold, so that features are
never taken for those of another encoder or of other recordings. Whoever needs a block that is not there makes it.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import safetensors
import safetensors.numpy
import torch
from torch import nn

from diffusiontalker.audio import SAMPLE_RATE_HZ, timebase
from diffusiontalker.config import to_plain
from diffusiontalker.data import Block, Clip, CorpusInfo
from diffusiontalker.models import SpeechEncoder, SpeechEncoderConfig
from diffusiontalker.storage import StorageError, joined, open_filesystem, read_bytes, write_file

_FORMAT = 1
_NAMES_OF_ORIGIN = {"transformers_version", "torch_dtype", "dtype", "architectures"}
"""Parts of a pretrained model's configuration that change with who saved it, and nothing else."""


class FeatureStore:
    """What one frozen encoder makes of the clips of one corpus.

    Args:
        encoder: the encoder, on the device where it shall compute.
        root: folder or URL that keeps features; None: nothing is kept.
        digest: what identifies the encoder, see `encoder_digest`; not needed without a root.
        corpus: the corpus.
    """

    def __init__(
        self, encoder: SpeechEncoder, *, root: str | None, digest: str = "", corpus: CorpusInfo | None = None
    ) -> None:
        self._encoder, self._folder = encoder, None
        if root is not None:
            assert digest
            assert corpus is not None
            self._filesystem, path = open_filesystem(root)
            self._folder = joined(path, f"{digest[:16]}-{corpus.digest[:16]}")

    def of_block(self, block: Block, clips: Sequence[Clip]) -> dict[str, np.ndarray]:
        """(speech_frames, features) float16 by clip id: read where they are kept, else computed and kept.

        Raises:
            StorageError: when they cannot be read or written.
        """
        ids = {clip.clip_id for clip in clips}
        kept = self._read(block)
        if kept is not None and kept.keys() == ids:
            return kept
        features = {clip.clip_id: encoded(self._encoder, clip.waveform) for clip in clips}
        if self._folder is not None:
            write_file(self._filesystem, self._path(block), safetensors.numpy.save(features))
        return features

    def has(self, block: Block) -> bool:
        """Whether a block is kept already.

        Raises:
            StorageError: when it cannot be looked for.
        """
        if self._folder is None:
            return False
        try:
            return self._filesystem.get_file_info(self._path(block)).is_file
        except OSError as error:
            raise self._unusable(error) from None

    def _path(self, block: Block) -> str:
        assert self._folder is not None
        return joined(self._folder, f"{block.name}.safetensors")

    def _read(self, block: Block) -> dict[str, np.ndarray] | None:
        """What is kept of a block; None when there is nothing, or nothing whole."""
        if self._folder is None:
            return None
        try:
            return safetensors.numpy.load(read_bytes(self._filesystem, self._path(block)))
        except (FileNotFoundError, safetensors.SafetensorError):
            return None
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self._folder}: features cannot be kept there ({error}); give another feature_cache, or mend its rights"
        )


def encoder_digest(encoder: SpeechEncoder, config: SpeechEncoderConfig) -> str:
    """SHA-256 of an encoder's weights and of its configuration, wherever it was loaded from."""
    assert isinstance(encoder, nn.Module)
    architecture = {
        name: value
        for name, value in (getattr(encoder, "architecture", None) or {}).items()
        if not name.startswith("_") and name not in _NAMES_OF_ORIGIN
    }
    plain = to_plain(config) | {"checkpoint": None, "architecture": architecture, "format": _FORMAT}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def silence_features(encoder: SpeechEncoder, *, seconds: float) -> np.ndarray:
    """(speech_frames, features) float16 of digital silence, a little longer than asked for."""
    return encoded(encoder, np.zeros(round((seconds + 0.1) * SAMPLE_RATE_HZ), dtype=np.float32))


@torch.no_grad()
def encoded(encoder: SpeechEncoder, waveform: np.ndarray) -> np.ndarray:
    """(speech_frames, features) float16 of one whole waveform."""
    device = _device(encoder)
    samples = torch.from_numpy(waveform).to(device)
    features = encoder(samples[None], torch.tensor([len(samples)], device=device))
    return features[0, : timebase.speech_frames(len(samples))].to(torch.float16).cpu().numpy()


def _device(encoder: SpeechEncoder) -> torch.device:
    assert isinstance(encoder, nn.Module)
    return next(encoder.parameters()).device
