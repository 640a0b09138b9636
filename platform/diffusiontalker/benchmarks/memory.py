"""`bench training`: memory of trainings, each in a fresh process; what a sample more of a batch adds."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from diffusiontalker.benchmarks.results import BenchmarkError, Group, Row
from diffusiontalker.config import to_plain
from diffusiontalker.training import TrainingConfig

_PROGRAM = Path(__file__).parent / "programs" / "train_once.py"
_LIMIT_S = 900.0
_STEPS = 2
"""Of each process; the second finds the optimizer's state allocated."""


def memory_group(trainings: Mapping[str, TrainingConfig], corpus_uri: str) -> Group:
    """Peaks of a batch and of half of it, and the slope between them. One process each: peaks hardly differ.

    Raises:
        BenchmarkError: when a process fails.
    """
    rows = []
    for name, training in trainings.items():
        sizes = (max(1, training.batch_size // 2), training.batch_size)
        peaks = [peak_mb(training, corpus_uri, batch_size=size) for size in sizes]
        rows += [
            Row(name=f"{name}: batch {size}", unit="MB", values=(peak,))
            for size, peak in zip(sizes, peaks, strict=True)
        ]
        slope = (peaks[1] - peaks[0]) / max(1, sizes[1] - sizes[0])
        rows.append(Row(name=f"{name}: a sample", unit="MB", values=(slope,)))
    about = "Peak of a process that takes two steps on one thread; the corpus is in it. A sample: by the difference."
    return Group(title="Memory", about=about, rows=tuple(rows))


def peak_mb(training: TrainingConfig, corpus_uri: str, *, batch_size: int) -> float:
    """Peak memory of a process that trains for two steps.

    Raises:
        BenchmarkError: when the process fails; it ends in what that said.
    """
    training = dataclasses.replace(training, batch_size=batch_size, num_steps=_STEPS, checkpoint_every=1000)
    command = [sys.executable, _PROGRAM, "--corpus", corpus_uri]
    try:
        completed = subprocess.run(
            command, input=json.dumps(to_plain(training)), capture_output=True, text=True, timeout=_LIMIT_S,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"a process that trains ended with code {error.returncode}:\n{error.stderr}") from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"a process that trains took more than {_LIMIT_S:g} s; is the machine busy?") from None
    return float(json.loads(completed.stdout.splitlines()[-1])["peak_mb"])
