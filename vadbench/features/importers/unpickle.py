"""Object arrays from pickles of strangers: numbers are read, nothing is called.

A pickle names functions and calls them. This reader knows the three names that a pickled numpy
array needs and answers with stand-ins of its own, so that neither a stranger's choice of function
nor numpy's own unpickling ever runs; every other name is refused.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

_NUMBER = re.compile(r"f[248]|[iu][1248]")  # floats and integers; objects are O or O8
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    MemoryError,
    OverflowError,
    RecursionError,
)


def read_entries(path: Path) -> list[NDArray[Any]]:
    """The entries of an .npy file that holds a numpy object array, each an array of numbers; an
    empty list becomes an empty array.

    An array [T, n, D] of plain numbers, which `numpy.save` writes where all T entries have the same
    shape, is taken apart likewise.

    Raises:
        BadInput: if the file is broken, asks for anything but numpy arrays (naming it), or holds
            anything but arrays of numbers.
    """
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) not in ((1, 0), (2, 0)):
                raise ValueError("an .npy version without object arrays")
            file.seek(0)
            return _entries(file, path)
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (*_BROKEN, OSError) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"{path}: not a readable .npy of one array a frame ({told}); get it anew"
        ) from error


def _entries(file: IO[bytes], path: Path) -> list[NDArray[Any]]:
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    _, _, dtype = header(file)
    if not dtype.hasobject:
        file.seek(0)
        return list(np.lib.format.read_array(file, allow_pickle=False))
    found = _Unpickler(file, path).load()
    if not isinstance(found, _Array) or not isinstance(found.value, list):
        raise BadInput(f"{path}: not an object array, expected one of an array a frame")
    entries = [_entry(value, number, path) for number, value in enumerate(found.value)]
    # the same bytes named again and again: a small file, a huge array
    if sum(entry.nbytes for entry in entries) > path.stat().st_size:
        raise BadInput(
            f"{path}: holds the same array many times, more numbers than the file has room for; get"
            " it anew"
        )
    return entries


def _entry(value: Any, number: int, path: Path) -> NDArray[Any]:
    if isinstance(value, _Array) and isinstance(value.value, np.ndarray):
        return value.value
    if isinstance(value, list) and not value:
        return np.empty((0, 0), np.float32)
    kind = "an object array" if isinstance(value, _Array) else f"a {type(value).__name__}"
    raise BadInput(
        f"{path}: entry {number} (from 0) is {kind}, expected an array of numbers [objects,"
        " features]"
    )


class _Type:
    """Stands in for numpy.dtype: remembers a code such as f8 and its byte order."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])


class _Array:
    """Stands in for a numpy array that is made empty and then given its state: shape, type and
    bytes (or, of objects, a list).
    """

    value: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if kind.code in ("O", "O8"):
            # a list, else refused; not copied: a small file may name one list often
            self.value = data
        elif _NUMBER.fullmatch(kind.code) and len(shape) <= 3 and kind.order in "<>|=":
            flat = np.frombuffer(data, np.dtype(kind.order.replace("|", "=") + kind.code))
            # refuses a shape that does not fit
            self.value = flat.reshape(shape, order="F" if fortran else "C")
        else:
            raise ValueError(f"an array of type {kind.code}, shape {shape}")


_KNOWN: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy.ndarray": "ndarray",  # an argument of the above; a text cannot be called
    "numpy.dtype": _Type,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"
        if asked not in _KNOWN:
            raise BadInput(
                f"{self._path}: its pickle asks for {asked}; only arrays of numbers are read,"
                " nothing was run; do not trust this file"
            )
        return _KNOWN[asked]
