"""Archives of named arrays (.npz), opened in one place: never unpickled, and told in our words."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

Arrays = dict[str, NDArray[Any]]


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of an .npz file by name, each read on access.

    Raises:
        ValueError: if it is no .npz file or is cut off, or on access to an array of objects; the
            message is for the caller's line.
        OSError, zipfile.BadZipFile, zlib.error: if it cannot be read or is damaged inside.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("not an npz file, or cut off")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except ValueError as error:
        if "allow_pickle" in str(error):  # numpy's advice would be to unpickle
            raise ValueError("it holds objects; expected arrays of numbers or texts") from error
        raise


def load_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file; never unpickles.

    Raises:
        BadInput: if the file is damaged.
    """
    try:
        with open_npz(path) as archive:
            return dict(archive.items())
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise BadInput(f"{path}: damaged ({error}); remove it and run again") from error
