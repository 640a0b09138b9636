"""A talker's networks in ONNX Runtime, on CPUs."""

import functools
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from diffusiontalker.audio import timebase
from diffusiontalker.audio.log_mel import log_mel
from diffusiontalker.diffusion import time_grid
from diffusiontalker.inference.engines.graph import Arithmetic
from diffusiontalker.inference.engines.talker_graphs import (
    denoiser_graph,
    encoder_graph,
    hearing_graph,
    modulation_graph,
    moving_graph,
)
from diffusiontalker.models import LogMelEncoder, Talker, frame_mask

_SILENT = 3
"""Log severity: errors only."""


class OnnxNetworks:
    """See `Networks`. A pretrained speech encoder stays in PyTorch.

    Args:
        talker: in eval mode, on the CPU.
        arithmetic: of whole recordings; streams, whose passes are short, are float32.
    """

    is_serial = True  # products of one clip are too small to share, and torch's threads would be in the way of others

    def __init__(self, talker: Talker, *, arithmetic: Arithmetic) -> None:
        self._talker = talker
        self._arithmetic: Arithmetic = arithmetic
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def __reduce__(self) -> tuple[Callable[..., "OnnxNetworks"], tuple[Talker, Arithmetic]]:
        """Copies and pickles begin anew: sessions can be neither."""
        return _anew, (self._talker, self._arithmetic)

    def encode(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """See `Networks`."""
        encoder = self._talker.encoder
        if not isinstance(encoder, LogMelEncoder):
            return encoder(waveforms, num_samples)
        frames = timebase.speech_frames(waveforms.shape[1])
        lengths = [timebase.speech_frames(length) for length in num_samples.tolist()]
        mask = frame_mask(torch.tensor(lengths), frames)[..., None].float()
        build = functools.partial(encoder_graph, encoder, arithmetic=self._arithmetic)
        return self._each("encoder", build, mels=log_mel(waveforms), mask=mask)

    def denoise(self, noisy: Tensor, time: Tensor, features: Tensor, personalized: Tensor, mask: Tensor) -> Tensor:
        """See `Networks`."""
        modulation = self._modulation(time, personalized)
        build = functools.partial(denoiser_graph, self._talker.denoiser, arithmetic=self._arithmetic)
        return self._each("denoiser", build, noisy=noisy, features=features, mask=mask, modulation=modulation)

    def hear(self, mels: Tensor, mask: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See `Networks`."""
        encoder = self._talker.encoder
        assert isinstance(encoder, LogMelEncoder)
        features, rows = self._run("hearing", lambda: hearing_graph(encoder), mels=mels, mask=mask, rows=rows)
        return features, rows

    def style(self, personalized: Tensor, *, num_steps: int) -> Tensor:
        """See `Networks`: the modulation of all steps."""
        times = torch.tensor(time_grid(num_steps)[:-1])
        return self._modulation(times, personalized.expand(num_steps, -1)).flatten()

    def move(
        self, noisy: Tensor, features: Tensor, mask: Tensor, styles: Tensor, rows: Tensor, *, num_steps: int
    ) -> tuple[Tensor, Tensor]:
        """See `Networks`."""
        inputs = {"noisy": noisy, "features": features, "mask": mask, "modulation": styles, "rows": rows}
        build = functools.partial(moving_graph, self._talker, num_steps=num_steps)
        motion, rows = self._run(f"moving-{num_steps}", build, **inputs)
        return motion, rows

    def _modulation(self, time: Tensor, personalized: Tensor) -> Tensor:
        build = functools.partial(modulation_graph, self._talker.denoiser)
        return self._run("modulation", build, time=time, personalized=personalized)[0]

    def _each(self, name: str, build: Callable[[], bytes], *, mask: Tensor, **inputs: Tensor) -> Tensor:
        """The only output; in int8 clip by clip without padding, as everything computed together shares one scale."""
        if self._arithmetic == "float32" or len(mask) == 1:
            return self._run(name, build, mask=mask, **inputs)[0]
        frames, outputs = mask.shape[1], []
        for clip, length in enumerate(mask.sum(dim=(1, 2)).int().tolist()):
            own = {
                label: _without_padding(tensor[clip : clip + 1], length=length, frames=frames)
                for label, tensor in {"mask": mask, **inputs}.items()
            }
            outputs.append(self._run(name, build, **own)[0][0] if length else mask.new_zeros(0, 1))
        padded = mask.new_zeros(len(mask), frames, max(output.shape[1] for output in outputs))
        for row, output in zip(padded, outputs, strict=True):
            row[: len(output)] = output
        return padded

    def _run(self, name: str, build: Callable[[], bytes], **inputs: Tensor) -> list[Tensor]:
        if name not in self._sessions:
            self._sessions[name] = _session(build())
        arrays = {label: np.ascontiguousarray(tensor.float().numpy()) for label, tensor in inputs.items()}
        return [torch.from_numpy(array) for array in self._sessions[name].run(None, arrays)]


def _anew(talker: Talker, arithmetic: Arithmetic) -> OnnxNetworks:
    return OnnxNetworks(talker, arithmetic=arithmetic)


def _without_padding(tensor: Tensor, *, length: int, frames: int) -> Tensor:
    """Of a tensor with so many frames, or twice as many, those of the clip; others as they are."""
    return tensor[:, : length * tensor.shape[1] // frames] if tensor.ndim == 3 else tensor


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
