"""The one sink of training numbers: a JSON-lines file and TensorBoard, written by the main rank only."""

import json
import time
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Telemetry(Protocol):
    """Where the loop sends its numbers."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Takes named numbers of a step."""
        ...

    def close(self) -> None:
        """Flushes and closes."""
        ...


class NoTelemetry:
    """Drops everything: other ranks, tests."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class FileTelemetry:
    """Appends to `metrics.jsonl` and TensorBoard event files in a folder.

    Each line is `{"step": int, "wall_time_s": float, "train/loss": float, ...}`. After a resume, steps since the last
    checkpoint appear twice; the later line counts.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._stream = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: dict[str, float]) -> None:
        """Writes one line and one scalar per value."""
        self._stream.write(json.dumps({"step": step, "wall_time_s": round(time.time(), 3)} | values) + "\n")
        self._stream.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes both files."""
        self._stream.close()
        self._board.close()
