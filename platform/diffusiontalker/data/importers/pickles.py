"""Pickles of other people's corpora: containers, numbers, text and NumPy arrays are read, everything else is refused.

A pickle is a program. This reader knows only the few names that plain data needs, so that a file can neither run code
nor load a module.
"""

import io
import pickle
from pathlib import Path
from typing import Any

from diffusiontalker.data.clip import CorpusError

_ALLOWED = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
        ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
        ("numpy", "ndarray"), ("numpy", "dtype"),
        ("collections", "OrderedDict"),
        ("_codecs", "encode"),
    }
)  # fmt: skip
_PLAIN_BUILTINS = frozenset({"bytearray", "bytes", "complex", "frozenset", "set"})
_BUILTIN_MODULES = ("builtins", "__builtin__")


def read_pickle(path: Path) -> Any:
    """What a pickle holds, as Python 2 or 3 wrote it; text of Python 2 is read as Latin-1.

    Raises:
        CorpusError: when the file is missing, damaged, or names anything but plain data.
    """
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except FileNotFoundError:
        raise CorpusError(f"{path}: there is no such file; copy the whole corpus") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except _ForbiddenError as error:
        raise CorpusError(
            f"{path}: names {error}, expected nothing but containers, numbers, text and NumPy arrays; such a file may "
            "run programs, so it is not read; get the corpus from its authors again"
        ) from None
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise CorpusError(f"{path}: cannot be read as a pickle ({error}); copy the corpus again") from None


class _ForbiddenError(Exception):
    pass


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The few functions that build plain data."""
        is_plain = (module, name) in _ALLOWED or (module in _BUILTIN_MODULES and name in _PLAIN_BUILTINS)
        if not is_plain:
            raise _ForbiddenError(f"{module}.{name}")
        return super().find_class(module, name)
