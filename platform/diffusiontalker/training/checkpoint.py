"""The full training state in one file, written atomically, read with `weights_only=True` and loaded strictly."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffusiontalker.config import publish_file

FILE_NAME = "training_state.pt"


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
    with publish_file(path, overwrite=True) as temporary:
        torch.save({field.name: getattr(state, field.name) for field in dataclasses.fields(state)}, temporary)
    return path


def load_state(folder: Path, *, run_digest: str) -> TrainingState:
    """Reads a state.

    Raises:
        CheckpointError: when it is missing, damaged, or was written under another config.
    """
    path = folder / FILE_NAME
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
        state = TrainingState(**raw)
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no {FILE_NAME}; give the folder of a checkpoint") from None
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
