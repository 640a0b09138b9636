"""What computes a talker's networks: one protocol, PyTorch and ONNX Runtime behind it."""

from diffusiontalker.inference.engines.networks import EngineName, Networks, networks_of

__all__ = ["EngineName", "Networks", "networks_of"]
