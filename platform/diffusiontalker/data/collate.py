"""Windows to padded tensors.

speech      (batch, samples) or (batch, speech_frames, features), zero beyond each window
lengths     (batch,)  samples or speech frames inside
reference, reference_lengths   the same for the personalizer's crop
taught, taught_lengths         a teacher's (batch, speech_frames, features) of the windows; None without a teacher
motion      (batch, frames, channels), zero beyond each window
frames      (batch,)  motion frames inside
speaker, emotion   (batch,) indices, -1: unknown
is_recorded (batch,) bool: the motion was recorded, not made up by a teacher
seeds       (batch,)  one per window
path        (batch, frames, states, channels) a teacher's ready-made way from clean to noise; None: it is asked anew
taught_embeddings   (batch, 2, 2, embedding) a teacher's identity and emotion of window and reference; None likewise
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffusiontalker.data.windows import Window


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Padded windows; the shapes are drawn in the module's docstring."""

    speech: Tensor
    lengths: Tensor
    reference: Tensor
    reference_lengths: Tensor
    taught: Tensor | None
    taught_lengths: Tensor | None
    motion: Tensor
    frames: Tensor
    speaker: Tensor
    emotion: Tensor
    is_recorded: Tensor
    seeds: Tensor
    path: Tensor | None = None
    taught_embeddings: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device; the seeds stay on the CPU."""
        tensors = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        moved = {name: tensor if tensor is None else tensor.to(device) for name, tensor in tensors.items()}
        return dataclasses.replace(self, **(moved | {"seeds": self.seeds}))


def collate(windows: Sequence[Window]) -> Batch:
    """Stacks windows of different lengths."""
    speech, lengths = _padded([window.speech for window in windows])
    reference, reference_lengths = _padded([window.reference for window in windows])
    taught, taught_lengths = _padded_if_made([window.taught for window in windows])
    path, _ = _padded_if_made([window.path for window in windows])
    embeddings, _ = _padded_if_made([window.taught_embeddings for window in windows])
    motion, frames = _padded([window.motion for window in windows])
    return Batch(
        speech=speech,
        lengths=lengths,
        reference=reference,
        reference_lengths=reference_lengths,
        taught=taught,
        taught_lengths=taught_lengths,
        motion=motion,
        frames=frames,
        speaker=torch.tensor([window.speaker for window in windows]),
        emotion=torch.tensor([window.emotion for window in windows]),
        is_recorded=torch.tensor([window.is_recorded for window in windows]),
        seeds=torch.tensor([window.seed for window in windows]),
        path=path,
        taught_embeddings=embeddings,
    )


def _padded_if_made(arrays: Sequence[np.ndarray | None]) -> tuple[Tensor | None, Tensor | None]:
    made = [array for array in arrays if array is not None]
    return _padded(made) if made else (None, None)


def _padded(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    lengths = [len(array) for array in arrays]
    stacked = np.zeros((len(arrays), max(lengths), *arrays[0].shape[1:]), dtype=np.float32)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(stacked), torch.tensor(lengths)
