"""`bench inference`: fresh processes. How soon a first animation is there, how much memory long recordings take."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffusiontalker.audio.waveform import write_wav
from diffusiontalker.benchmarks.results import BenchmarkError, Group, Row
from diffusiontalker.benchmarks.students import Student
from diffusiontalker.evaluation import noise
from diffusiontalker.inference import save_bundle

START_S = 3.0
"""Length of the first recording."""
_WANTED_START_S = 3.0
_WANTED_GROWTH = 1.2
_PROGRAM = Path(__file__).parent / "programs" / "animate_once.py"
"""Started by its path: as a module it would import this package, and torch with it, before its clock runs."""
_LIMIT_S = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one process took."""

    times: Mapping[str, float]
    """Stage -> seconds."""
    whole_s: float
    """From its start to its end."""
    peak_mb: float
    output_mb: float


def fresh_groups(students: Sequence[Student], *, memory_s: tuple[float, float], repeats: int) -> list[Group]:
    """Start and memory of students, each in a process of its own for every repeat; first one that is not counted.

    Raises:
        BenchmarkError: when a process fails.
    """
    with tempfile.TemporaryDirectory(prefix="diffusiontalker-") as folder:
        sounds = {}
        for seconds in (START_S, *memory_s):
            sounds[seconds] = Path(folder) / f"{seconds:g}.wav"
            write_wav(noise(seconds), sounds[seconds])
        runs: dict[tuple[str, float], list[Run]] = {(one.name, seconds): [] for one in students for seconds in sounds}
        for turn in range(1 + repeats):
            for number, one in enumerate(students):
                bundle = Path(folder) / str(number)
                if not bundle.exists():
                    save_bundle(one.bundle, bundle)
                for seconds, sound in sounds.items():
                    if turn or seconds == START_S:
                        run = animate_once(bundle, sound, engine=one.engine)
                        runs[one.name, seconds] += [run] if turn else []
    return [_start_group(students, runs), _memory_group(students, runs, memory_s)]


def _start_group(students: Sequence[Student], runs: Mapping[tuple[str, float], Sequence[Run]]) -> Group:
    rows = []
    for one in students:
        found = runs[one.name, START_S]
        rows += [
            Row(name=f"{one.name}: {stage}", unit="s", values=tuple(run.times[stage] for run in found))
            for stage in found[0].times
        ]
        whole = tuple(run.whole_s for run in found)
        rows.append(Row(name=f"{one.name}: the whole process", unit="s", values=whole, wanted=_WANTED_START_S))
    about = f"A process that imports, loads a bundle and animates {START_S:g} s on one thread; files are in the cache."
    return Group(title="Start", about=about, rows=tuple(rows))


def _memory_group(
    students: Sequence[Student], runs: Mapping[tuple[str, float], Sequence[Run]], memory_s: tuple[float, float]
) -> Group:
    rows = []
    for one in students:
        short, long = (runs[one.name, seconds] for seconds in memory_s)
        first = Row(name=f"{one.name}: {memory_s[0]:g} s", unit="MB", values=tuple(run.peak_mb for run in short))
        wanted = _WANTED_GROWTH * first.median + long[0].output_mb
        rows += [
            first,
            Row(
                name=f"{one.name}: {memory_s[1]:g} s",
                unit="MB",
                values=tuple(run.peak_mb for run in long),
                wanted=wanted,
            ),
        ]
    about = f"Peak of a process that animates one file. Wanted: {_WANTED_GROWTH} times the shorter's, plus its motion."
    return Group(title="Memory", about=about, rows=tuple(rows))


def animate_once(bundle: Path, sound: Path, *, engine: str) -> Run:
    """Animates a file in a fresh process, on one thread.

    Raises:
        BenchmarkError: when the process fails; it ends in what that said.
    """
    command = [sys.executable, _PROGRAM, "--bundle", bundle, "--sound", sound, "--engine", engine]
    begin = time.perf_counter()
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"a process that animates ended with code {error.returncode}:\n{error.stderr}") from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"a process that animates took more than {_LIMIT_S:g} s; is the machine busy?") from None
    whole_s = time.perf_counter() - begin
    said: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return Run(whole_s=whole_s, **said)
