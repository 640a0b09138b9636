"""What computes a talker's networks: PyTorch or ONNX Runtime, in which arithmetic. The choice, and its protocol."""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from diffusiontalker.inference.bundle_files import BundleError
from diffusiontalker.models import Talker

EngineName = Literal["auto", "torch", "torch-bfloat16", "onnx", "onnx-int8"]
"""What animates.

- `torch`: float32 in PyTorch, the reference; on CPUs and GPUs.
- `torch-bfloat16`: products in bfloat16, for hardware that has them.
- `onnx`: float32 in ONNX Runtime on CPUs; its results are those of `torch` within rounding.
- `onnx-int8`: whole recordings in 8-bit products, the fastest on CPUs and not quite the same; streams as with `onnx`.
- `auto`: `onnx` on CPUs, `torch` elsewhere.
"""


@runtime_checkable
class Networks(Protocol):
    """The networks of one talker, in one engine. Thread-safe."""

    is_serial: bool
    """Whether a call computes in the thread that makes it alone; otherwise on CPUs in as many as torch has."""

    def encode(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """Speech features: what the speech encoder computes."""
        ...

    def denoise(self, noisy: Tensor, time: Tensor, features: Tensor, personalized: Tensor, mask: Tensor) -> Tensor:
        """The network output of a step: what the denoiser computes."""
        ...

    def hear(self, mels: Tensor, mask: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The next features of streams, and of each the row to remember: `LogMelEncoder.advance`."""
        ...

    def style(self, personalized: Tensor, *, num_steps: int) -> Tensor:
        """(size,) -> what `move` wants to know of a stream's style, computed once for it."""
        ...

    def move(
        self, noisy: Tensor, features: Tensor, mask: Tensor, styles: Tensor, rows: Tensor, *, num_steps: int
    ) -> tuple[Tensor, Tensor]:
        """The next normalized motion of streams through all diffusion steps, and the rows to remember.

        Each step is late by what the denoiser looks ahead.
        """
        ...


def check_engine(engine: EngineName, device: torch.device | str) -> None:
    """Refuses an engine that a device does not have.

    Raises:
        BundleError: says which it has.
    """
    if engine.startswith("onnx") and torch.device(device).type != "cpu":
        raise BundleError(f"engine '{engine}' computes on CPUs, not on {device}; take 'torch' or 'torch-bfloat16'")


def networks_of(talker: Talker, engine: EngineName) -> Networks:
    """The networks of a talker in an engine; weights are taken as they are at first use.

    Raises:
        BundleError: for an engine that the talker's device does not have.
    """
    device = talker.statistics.mean.device
    check_engine(engine, device)
    if engine == "auto":
        engine = "onnx" if device.type == "cpu" else "torch"
    if engine in ("onnx", "onnx-int8"):
        from diffusiontalker.inference.engines.onnx_networks import OnnxNetworks

        return OnnxNetworks(talker, arithmetic="int8" if engine == "onnx-int8" else "float32")
    from diffusiontalker.inference.engines.torch_networks import TorchNetworks

    return TorchNetworks(talker, precision="bfloat16" if engine == "torch-bfloat16" else "float32")
