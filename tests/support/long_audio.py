"""Run as a program: animates noise of some length with an untrained talker; prints its peak memory and CPU time."""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from diffusiontalker.inference import Bundle, animate, windows
from diffusiontalker.models import Talker, TalkerConfig


def main(seconds: int, window_s: int) -> None:
    """Prints `<peak MB> <CPU seconds>` of one DDIM step over a recording of `seconds`."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    windows.WINDOW_S = window_s
    talker = Talker(TalkerConfig(), speakers=["a"], emotions=["b"], channel_names=["jawOpen"], motion_fps=25.0)
    bundle = Bundle(talker=talker.eval())
    waveform = np.random.default_rng(0).standard_normal(seconds * 16_000, dtype=np.float32)
    waveform *= 0.1
    started = time.process_time()
    animate(bundle, waveform, num_steps=1)
    # Not ru_maxrss: a child inherits that from the process that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak_mb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    print(peak_mb, time.process_time() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
