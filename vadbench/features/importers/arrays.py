"""The arrays of .npy, .npz and .mat files and the numbers of .txt files, never with objects; what
the libraries raise becomes one line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.importers.clips import numbers
from vadbench.files import mat, npy
from vadbench.files.npz import open_npz


def read_npy(path: Path) -> NDArray[Any]:
    """The array of numbers in an .npy file.

    Raises:
        BadInput: if the file cannot be read or holds objects.
    """
    return numbers(_attempt(path, lambda: npy.read_npy(path)), str(path))


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The named arrays of an .npz file.

    Raises:
        BadInput: if the file cannot be read or holds objects.
    """

    def read() -> dict[str, NDArray[Any]]:
        with open_npz(path) as arrays:
            return dict(arrays.items())

    found: dict[str, NDArray[Any]] = _attempt(path, read)
    return found


def read_txt(path: Path) -> NDArray[np.float64]:
    """The numbers [lines, D] of a text file, apart by white space.

    Raises:
        BadInput: if the file cannot be read, or its lines differ in length.
    """

    def read() -> NDArray[np.float64]:
        if not path.read_bytes().strip():
            raise ValueError("an empty file")
        return np.loadtxt(path, ndmin=2)

    found: NDArray[np.float64] = _attempt(path, read)
    return found


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """The named variables of a MATLAB file of version 4 to 7 (`vadbench.files.mat`).

    Raises:
        BadInput: if the file cannot be read, or is of version 7.3.
    """
    try:
        found: dict[str, NDArray[Any]] = _attempt(path, lambda: mat.read_mat(path))
    except mat.NewerMat as error:
        raise BadInput(f"{path}: a MATLAB 7.3 file; save it again with `save -v7`") from error
    return found


def _attempt(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except mat.NewerMat:
        raise
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"{path}: cannot be read as {path.suffix[1:]} ({told[:200]}); get it anew"
        ) from error
