"""What computes a talker's networks: one protocol, PyTorch and ONNX Runtime behind it."""

from diffusiontalker.inference.engines.networks import EngineName, Networks, check_engine, networks_of

__all__ = ["EngineName", "Networks", "check_engine", "networks_of"]
