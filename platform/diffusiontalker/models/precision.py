"""In which arithmetic networks are computed."""

import functools
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass; auto: bfloat16 where the hardware multiplies it (GPUs, recent CPUs)."""
    is_native = device.type == "cuda" or _cpu_has_bfloat16()
    use_bfloat16 = precision == "bfloat16" or (precision == "auto" and is_native)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bfloat16)


@functools.cache
def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; without that it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
