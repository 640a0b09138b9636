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
"""Says `step`, `sha256` and `bytes` of the file."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or belongs to another run."""


class UnfinishedCheckpointError(CheckpointError):
    """A checkpoint whose writer did not come to its end."""


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
        temporary.write_text(
            json.dumps({"step": state.step, "sha256": sha256_of(path), "bytes": path.stat().st_size}) + "\n",
            encoding="utf-8",
        )
    return path


def require_whole(folder: Path) -> None:
    """Refuses a state that is not what was written.

    Raises:
        UnfinishedCheckpointError: when a part is missing, or it was cut off.
        CheckpointError: when it was changed.
    """
    path = folder / FILE_NAME
    for name in (FILE_NAME, SUM_NAME):
        if not (folder / name).is_file():
            raise UnfinishedCheckpointError(f"{folder} holds no {name}; give the folder of a finished checkpoint")
    try:
        expected = json.loads((folder / SUM_NAME).read_text(encoding="utf-8"))
        digest, size = expected["sha256"], expected["bytes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnfinishedCheckpointError(f"{folder / SUM_NAME} is damaged ({error!r}); use another checkpoint") from None
    if path.stat().st_size < size:
        raise UnfinishedCheckpointError(f"{path} is damaged: {path.stat().st_size} of {size} bytes; use another one")
    if sha256_of(path) != digest:
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
