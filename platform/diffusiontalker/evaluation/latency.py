"""How long prediction takes: compute seconds over audio seconds, measured, never derived."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch

from diffusiontalker.audio import timebase
from diffusiontalker.data import Clip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Real-time factors of one system; below 1 is faster than real time."""

    rtf: float
    """Median over repeats."""
    rtf_min: float
    rtf_max: float
    audio_seconds: float
    """Length of the audio, given in one piece (batch 1)."""
    repeats: int
    """Timed runs, after one that is not counted."""
    threads: int
    """CPU threads PyTorch may use."""
    device: str
    """What computed: `cpu`, or the GPU's name."""


def measure_rtf(
    predict: Callable[[], object], *, audio_seconds: float, repeats: int = 3, device: torch.device | str = "cpu"
) -> Latency:
    """Times `predict` after one warm-up run; work queued on a GPU is waited for.

    Args:
        predict: the work.
        audio_seconds: how much audio it covers, in seconds.
        repeats: timed runs.
        device: where it computes.

    Raises:
        ValueError: when there is nothing to time.
    """
    measured = measure_side_by_side(
        {"it": predict}, audio_seconds=audio_seconds, repeats=repeats, devices={"it": torch.device(device)}
    )
    return measured["it"]


def measure_side_by_side(
    predicts: Mapping[str, Callable[[], object]],
    *,
    audio_seconds: float,
    repeats: int = 5,
    devices: Mapping[str, torch.device] | None = None,
) -> dict[str, Latency]:
    """Times several systems in turns, so that a noisy machine hits all of them alike.

    Each runs once uncounted; then come `repeats` rounds in which each runs once, in the order given. Work queued on a
    GPU is waited for.

    Args:
        predicts: name -> the work, from waveform to coefficients.
        audio_seconds: how much audio each covers, in seconds.
        repeats: timed rounds.
        devices: name -> where it computes; the CPU for names that are absent.

    Raises:
        ValueError: when there is nothing to time.
    """
    if audio_seconds <= 0 or repeats < 1:
        raise ValueError(
            f"rtf: got {audio_seconds} s of audio and {repeats} repeats, expected more than 0 and at least 1"
        )
    places = {name: (devices or {}).get(name, torch.device("cpu")) for name in predicts}
    measured = seconds_in_turns(predicts, repeats=repeats, devices=places)
    return {
        name: Latency(
            rtf=statistics.median(seconds) / audio_seconds,
            rtf_min=min(seconds) / audio_seconds,
            rtf_max=max(seconds) / audio_seconds,
            audio_seconds=audio_seconds,
            repeats=repeats,
            threads=torch.get_num_threads(),
            device=_device_name(places[name]),
        )
        for name, seconds in measured.items()
    }


def seconds_in_turns(
    works: Mapping[str, Callable[[], object]], *, repeats: int, devices: Mapping[str, torch.device] | None = None
) -> dict[str, list[float]]:
    """Seconds of every repeat of several works, in turns: each once uncounted, then `repeats` rounds of all.

    Args:
        works: name -> the work.
        repeats: timed rounds.
        devices: name -> where it computes; the CPU for names that are absent.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for is_counted in (False, *[True] * repeats):
        for name, work in works.items():
            taken = _timed(work, (devices or {}).get(name, torch.device("cpu")))
            if is_counted:
                seconds[name].append(taken)
    return seconds


def joined_clip(clips: Iterable[Clip], *, seconds: float) -> Clip:
    """One long clip with a still face: clips one after another, repeated as often as needed."""
    clips = list(clips)
    wanted = round(seconds * timebase.SAMPLE_RATE_HZ)
    pieces, length = [], 0
    for clip in itertools.cycle(clips):
        if length >= wanted:
            break
        pieces.append(clip.waveform)
        length += len(clip.waveform)
    frames = timebase.motion_frames(wanted, motion_fps=clips[0].motion.fps)
    still = np.zeros((frames, len(clips[0].motion.channel_names)), dtype=np.float32)
    motion = dataclasses.replace(clips[0].motion, coefficients=still)
    return dataclasses.replace(clips[0], clip_id="joined", waveform=np.concatenate(pieces)[:wanted], motion=motion)


def _timed(predict: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    predict()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
