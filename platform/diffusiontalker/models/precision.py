"""In which arithmetic networks are computed."""

import functools
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass; auto: bfloat16 where the hardware multiplies it (GPUs, recent CPUs)."""
    # A CPU that does not multiply it in hardware is slower with it than with float32.
    is_native = device.type == "cuda" or cpu_has("avx512_bf16", "amx_bf16", "bf16")
    use_bfloat16 = precision == "bfloat16" or (precision == "auto" and is_native)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bfloat16)


def cpu_has(*instructions: str) -> bool:
    """Whether this CPU has one of these sets of instructions, by their names in Linux."""
    return not _cpu_flags().isdisjoint(instructions)


@functools.cache
def _cpu_flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()
