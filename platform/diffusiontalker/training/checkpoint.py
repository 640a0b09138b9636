"""The full training state in one file, written atomically, read with `weights_only=True` and loaded strictly.

Its SHA-256 stands beside it: a file that was cut off or changed in the store is found before it is used.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffusiontalker.config import publish_file, sha256_of

FILE_NAME = "training_state.pt"
SUM_NAME = "training_state.json"
"""Says `step` and `sha256` of the file."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or belongs to another run."""


@dataclasses.dataclass(kw_only=True, slots=True)
class TrainingState:
    """Everything the loop needs to go on as if it had never stopped.

    Random choices are functions of (seed, step), so the step is the whole random state.
    """

    step: int
    """Steps done."""
    run_digest: str
    """Digest of the resolved training config and the corpus, see `loop.run_digest`."""
    model: dict[str, Tensor]
    """Current weights of the objective: the talker's, and those of networks that only judge it."""
    ema: dict[str, Tensor]
    """Averaged weights of the talker."""
    optimizer: dict[str, Any]
    """Optimizer state."""


def save_state(state: TrainingState, folder: Path) -> Path:
    """Writes the state into `folder` and returns the file."""
    path = folder / FILE_NAME
    with publish_file(path, overwrite=True) as temporary, temporary.open("wb") as stream:
        # Into a stream: given a path, torch does not say that a disk is full.
        torch.save({field.name: getattr(state, field.name) for field in dataclasses.fields(state)}, stream)
    with publish_file(folder / SUM_NAME, overwrite=True) as temporary:
        temporary.write_text(json.dumps({"step": state.step, "sha256": sha256_of(path)}) + "\n", encoding="utf-8")
    return path


def require_whole(folder: Path) -> None:
    """Refuses a state that is not what was written.

    Raises:
        CheckpointError: when it is missing, cut off or changed.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no {FILE_NAME}; give the folder of a checkpoint")
    try:
        expected = json.loads((folder / SUM_NAME).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged ({SUM_NAME}: {error}); use an earlier checkpoint") from None
    if sha256_of(path) != expected:
        raise CheckpointError(f"{path} is damaged (its SHA-256 is not that of {SUM_NAME}); use an earlier checkpoint")


def load_state(folder: Path, *, run_digest: str) -> TrainingState:
    """Reads a state.

    Raises:
        CheckpointError: when it is missing, damaged, or was written under another config.
    """
    require_whole(folder)
    path = folder / FILE_NAME
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
        state = TrainingState(**raw)
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}: {error}); use an earlier checkpoint"
        ) from None
    if state.run_digest != run_digest:
        raise CheckpointError(
            f"{path} belongs to run {state.run_digest}, this is {run_digest} (training config and corpus); "
            "resume with the same ones, or start under another run name or storage_uri"
        )
    return state


def restore(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Loads weights strictly."""
    module.load_state_dict(weights, strict=True)
