"""Windows on disk: one raw float16 file per array field, memory-mapped, so that many trainings read the same ones.

Arrays of different lengths stand one after another; `index.npz` says where each begins. Written once, published whole.
"""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from diffusiontalker.config import publish_directory
from diffusiontalker.data.order import shuffled_index
from diffusiontalker.data.windows import Window

_ARRAYS = ("speech", "taught", "motion", "reference", "path", "taught_embeddings")
_NUMBERS = ("speaker", "emotion", "is_recorded", "seed")
_MANIFEST, _INDEX = "windows.json", "index.npz"


class WindowStore:
    """Windows that `write_windows` left in a folder; takes the place of a `WindowSource`.

    Raises:
        FileNotFoundError: when the folder holds no finished store.
    """

    def __init__(self, folder: Path) -> None:
        shapes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["shapes"]
        with np.load(folder / _INDEX) as index:
            self._numbers = {name: index[name] for name in _NUMBERS}
            self._ends = {name: np.concatenate([[0], np.cumsum(index[f"{name}_lengths"])]) for name in shapes}
        self._rows = {
            name: np.memmap(folder / f"{name}.f16", dtype=np.float16, mode="r").reshape(-1, *shape)
            for name, shape in shapes.items()
        }

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._numbers["seed"])

    def at(self, position: int, *, seed: int) -> Window:
        """The window at a position of the endless row of shuffled epochs."""
        return self.window(shuffled_index(position, length=len(self), seed=seed))

    def window(self, index: int, *, seed: int = 0) -> Window:
        """The window at `index`; it was drawn when it was written, so `seed` changes nothing."""
        arrays: dict[str, np.ndarray | None] = dict.fromkeys(_ARRAYS)
        for name, rows in self._rows.items():
            begin, end = self._ends[name][index : index + 2]
            arrays[name] = rows[begin:end].astype(np.float32)
        return Window(**arrays, **{name: values[index].item() for name, values in self._numbers.items()})  # pyright: ignore[reportArgumentType]


def write_windows(folder: Path, windows: Iterable[Window]) -> None:
    """Writes windows that all have the same fields; `folder` appears when it is whole.

    Raises:
        ArtefactError: when `folder` exists or cannot be written.
    """
    lengths: dict[str, list[int]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    numbers: dict[str, list[int | bool]] = {name: [] for name in _NUMBERS}
    with publish_directory(folder) as temporary:
        with contextlib.ExitStack() as stack:
            streams = {}
            for window in windows:
                for name in _ARRAYS:
                    array = getattr(window, name)
                    if array is None:
                        continue
                    if name not in streams:
                        streams[name] = stack.enter_context((temporary / f"{name}.f16").open("wb"))
                        shapes[name] = array.shape[1:]
                    array.astype(np.float16).tofile(streams[name])
                    lengths.setdefault(f"{name}_lengths", []).append(len(array))
                for name in _NUMBERS:
                    numbers[name].append(getattr(window, name))
        columns = {name: np.asarray(values) for name, values in (lengths | numbers).items()}
        np.savez(temporary / _INDEX, allow_pickle=False, **columns)
        (temporary / _MANIFEST).write_text(json.dumps({"shapes": shapes}) + "\n", encoding="utf-8")
