"""Archives of named arrays (.npz), opened in one place: never unpickled, never larger than is
plausible, and told in our words.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.files.npy import fill, read_header

Arrays = dict[str, NDArray[Any]]
SUFFIX = ".npy"
# bytes that all arrays together may take, and how often the file's own size where that is more:
# labels and names are compressed a thousand times, numbers are not
PLAUSIBLE, MOST_TIMES = 256 << 20, 20
# a zip file's last record without a comment, as numpy writes it: signature, number of members,
# length and beginning of the directory
_END, _FULL = struct.Struct("<4s6xHII2x"), 0xFFFFFFFF
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of an .npz file by name, each read, and its checksum verified, on access.

    Raises:
        ValueError: if it is no .npz file, is damaged or cut off, would take much more memory than
            it has bytes, or on access to an array that is damaged or of objects; the message is for
            the caller's line.
        OSError: if it cannot be opened.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("not an npz file, or cut off")
        yield _Archive(file, path.stat().st_size)


def load_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file; never unpickles.

    Raises:
        BadInput: if the file is damaged.
    """
    try:
        with open_npz(path) as archive:
            return dict(archive.items())
    except (ValueError, OSError) as error:
        raise BadInput(f"{path}: damaged ({error}); remove it and run again") from error


def is_readable(path: Path) -> bool:
    """Whether an .npz file is there and not damaged."""
    try:
        load_arrays(path)
    except BadInput:
        return False
    return True


def pick(
    arrays: Mapping[str, NDArray[Any]], name: str, dimensions: int, kinds: str = "fiub"
) -> NDArray[Any]:
    """One of the arrays, if it has so many dimensions and values of such kinds.

    Args:
        arrays: of `open_npz`.
        name: which.
        dimensions: of the array.
        kinds: numpy's letters; by default numbers and truth values.

    Raises:
        ValueError: if there is none or it is another; the message is for the caller's line.
    """
    if name not in arrays:
        raise ValueError(f"no array {name}, found {', '.join(list(arrays)[:12]) or 'none'}")
    array = arrays[name]
    if array.ndim != dimensions or array.dtype.kind not in kinds:
        what = "texts" if "U" in kinds else "whole numbers" if "f" not in kinds else "numbers"
        raise ValueError(
            f"{name} is {array.dtype} of shape {list(array.shape)}; expected {what} in {dimensions}"
            f" dimension{'s' if dimensions > 1 else ''}"
        )
    return array


class _Archive(Mapping[str, NDArray[Any]]):
    """The arrays in an open file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            self._members = self._list(size)
        except Exception as error:
            _refuse(error)

    def _list(self, size: int) -> dict[str, zipfile.ZipInfo]:
        """The members by the names of their arrays, all headers checked."""
        members: dict[str, zipfile.ZipInfo] = {}
        self._check_end(size)
        for member in self._zip.infolist():
            if member.compress_type not in _METHODS:
                raise ValueError(f"compressed by method {member.compress_type}; expected deflate")
            self._zip.open(member).close()  # refuses names that differ, passwords, other versions
            name = member.filename.removesuffix(SUFFIX)
            if name == member.filename:
                continue
            if name in members:
                raise ValueError(f"two arrays named {name[:80]}")
            members[name] = member
        total = sum(member.file_size for member in members.values())
        if total > max(PLAUSIBLE, MOST_TIMES * size):
            raise ValueError(f"{total} bytes of arrays in a file of {size}, which is not plausible")
        return members

    def _check_end(self, size: int) -> None:
        """Compare the directory with what the end of the file says of it, which zipfile does not: a
        damaged length hides an array, or all.
        """
        file = self._zip.fp
        assert file is not None
        file.seek(-_END.size, 2)
        signature, count, length, start = _END.unpack(file.read(_END.size))
        if signature != b"PK\5\6":
            raise ValueError("not an npz file, cut off, or with something behind its end")
        if _FULL in (count << 16 | 0xFFFF, length, start):  # said elsewhere in a larger file
            return
        if count != len(self._zip.infolist()) or start + length + _END.size != size:
            raise ValueError("a damaged directory")

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        try:
            with self._zip.open(member) as file:
                header = read_header(file)  # type: ignore[arg-type]  # a stream of bytes
                return fill(header, file.read())
        except Exception as error:
            _refuse(error, f"{name[:80]}: ")

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _refuse(error: Exception, where: str = "") -> NoReturn:
    """What zipfile, zlib and struct raise on damaged bytes, a dozen kinds, as one."""
    told = " ".join(str(error).split())[:200] or type(error).__name__
    raise ValueError(f"{where}{told}") from error
