"""Recordings as other people's corpora keep them, written from known sound and motion, without code of the platform."""

import csv
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from diffusiontalker.face import CHANNELS

BEAT_CHANNELS = tuple(name for name in reversed(CHANNELS) if name != "tongueOut")
"""51 channels in an order that is not ours."""
LIVELINK_CHANNELS = tuple(name[0].upper() + name[1:] for name in reversed(CHANNELS))
ROTATIONS = ("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw",
             "RightEyePitch", "RightEyeRoll")  # fmt: skip


def noise(seconds: float, *, seed: int, rate_hz: int = 16_000) -> np.ndarray:
    """(samples,) float32 of 16-bit values, so that 16-bit files give them back exactly."""
    generator = np.random.default_rng(seed)
    return (np.round(generator.standard_normal(round(seconds * rate_hz)) * 3000) / 32768).astype(np.float32)


def motion(frames: int, channels: int, *, seed: int) -> np.ndarray:
    """(frames, channels) float32 in [0, 1]."""
    return np.random.default_rng(seed).random((frames, channels)).astype(np.float32)


def write_sound(path: Path, waveform: np.ndarray, *, rate_hz: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, rate_hz, subtype="PCM_16")


def write_beat(folder: Path, stem: str, *, seconds: float = 1.0, seed: int = 0, fps: float = 60.0) -> np.ndarray:
    """A pair of BEAT; its (frames, 51) weights, in the order of `BEAT_CHANNELS`."""
    write_sound(folder / f"{stem}.wav", noise(seconds, seed=seed))
    weights = motion(round(seconds * fps), 51, seed=seed)
    write_beat_json(folder / f"{stem}.json", weights, fps=fps)
    return weights


def write_beat_json(
    path: Path, weights: np.ndarray, *, fps: float = 60.0, names: Sequence[str] = BEAT_CHANNELS
) -> None:
    frames = [
        {"weights": row.tolist(), "time": index / fps, "rotation": []}
        for index, row in enumerate(weights.astype(np.float64))
    ]
    path.write_text(json.dumps({"names": BEAT_CHANNELS, "frames": frames}))


def write_etf(folder: Path, stem: str, *, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """A pair of 3D-ETF; its (frames, 52) weights in our own order."""
    write_sound(folder / f"{stem}.wav", noise(seconds, seed=seed))
    weights = motion(round(seconds * 30), 52, seed=seed)
    np.save(folder / f"{stem}.npy", weights)
    return weights


def write_livelink(
    folder: Path, stem: str, *, seconds: float = 1.0, seed: int = 0, suffix: str = ".wav", fps: int = 60
) -> np.ndarray:
    """A take of Live Link Face; its (frames, 52) weights in the order of `LIVELINK_CHANNELS`."""
    write_sound(folder / f"{stem}{suffix}", noise(seconds, seed=seed))
    weights = motion(round(seconds * fps), 52, seed=seed)
    with (folder / f"{stem}.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Timecode", "BlendShapeCount", *LIVELINK_CHANNELS, *ROTATIONS])
        for index, row in enumerate(weights.tolist()):
            timecode = f"14:03:{7 + index // fps:02d}:{index % fps:02d}.{0:03d}"
            writer.writerow([timecode, 61, *row, *[0.1] * len(ROTATIONS)])
    return weights


TRAIN_SUBJECT, VALIDATION_SUBJECT, TEST_SUBJECT = (
    f"FaceTalk_{name}_TA" for name in ("170728_03272", "170811_03275", "170809_00138")
)


class Vocaset:
    """A small VOCASET: `sentences` (subject, sequence) of some vertices, written by `write`, spoilt before it."""

    def __init__(
        self,
        folder: Path,
        sentences: Sequence[tuple[str, str]],
        *,
        num_vertices: int = 7,
        seconds: float = 0.5,
        rate_hz: int = 22_000,
        seed: int = 0,
    ) -> None:
        generator = np.random.default_rng(seed)
        self.folder = folder
        self.index: dict = {}
        self.sounds: dict = {}
        self.templates = {
            subject: generator.normal(0.0, 0.05, (num_vertices, 3)).astype(np.float32)
            for subject in sorted({subject for subject, _ in sentences})
        }
        self.displacements: dict[tuple[str, str], np.ndarray] = {}
        frames, vertices, first_row = round(60 * seconds), [], 0
        for subject, sequence in sentences:
            moved = generator.normal(0.0, 0.002, (frames, num_vertices, 3)).astype(np.float32)
            self.displacements[subject, sequence] = moved
            vertices.append(self.templates[subject] + moved)
            rows = {frame: first_row + frame for frame in range(frames)}
            self.index.setdefault(subject, {})[sequence] = rows
            samples = (generator.standard_normal(round(rate_hz * seconds)) * 3000).astype(np.int16)
            self.sounds.setdefault(subject, {})[sequence] = {"audio": samples, "sample_rate": rate_hz}
            first_row += frames
        self.vertices = np.concatenate(vertices).astype(np.float32)

    def write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self.folder / "data_verts.npy", self.vertices)
        contents: Mapping[str, dict] = {
            "subj_seq_to_idx": self.index, "raw_audio_fixed": self.sounds, "templates": self.templates
        }  # fmt: skip
        for name, content in contents.items():
            (self.folder / f"{name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
        return self.folder
