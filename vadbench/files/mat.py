"""MATLAB files of version 4 to 7 (.mat): arrays of numbers, and cells of these, behind bounds
checks of our own.

A file of version 5 to 7 is a header of 128 bytes and elements, a variable each: a tag (type and
length) and so many bytes, padded to 8; of a compressed element, a zlib stream of one element. An
array is an element of elements: flags, dimensions, name and values, column by column; a cell's
values are arrays. Source: MAT-File Format (The MathWorks).

One damaged byte leads scipy's reader beyond its buffer, where the process dies.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.files.npz import MOST_TIMES, PLAUSIBLE

DEEPEST = 16  # cells in cells
MOST_DIMENSIONS = 16
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_CELL, _CHAR, _NUMBERS = 1, 4, range(6, 16)  # classes of arrays
_COMPLEX = 0x0800
# version 4: types of values, and the byte orders that its first number may say
_TYPES_4 = ("f8", "f4", "i4", "i2", "u2", "u1")


class NewerMat(ValueError):
    """A file of version 7.3, which is HDF5."""


def read_mat(path: Path, most: int = 0) -> dict[str, NDArray[Any]]:
    """The variables of a file by name.

    Numbers are arrays of at least two dimensions in the type that they are stored in; cells arrays
    of objects, likewise each; of texts there is an empty array of texts, of all else an empty one
    of no type.

    Args:
        path: the file.
        most: bytes that the values may take, if that is more than is plausible of any file.

    Raises:
        ValueError: if it is none, is damaged or cut off; the message is for the caller's line.
        NewerMat: if it is of version 7.3.
        OSError: if it cannot be read.
    """
    data = memoryview(path.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]))
    version = bytes(data[124:126])[:: 1 if order == ">" else -1]
    if bytes(data[:4]) == b"\x89HDF" or (order and version == b"\2\0"):
        raise NewerMat("a file of version 7.3")
    if order:
        budget = max(most, PLAUSIBLE, MOST_TIMES * len(data))
        return dict(_Reader(order, budget).variables(data[128:]))
    return _read_4(data)


@dataclass
class _Reader:
    """Reads elements of one byte order.

    Attributes:
        order: `<` or `>`.
        budget: bytes that may still be decompressed.
    """

    order: str
    budget: int

    def variables(self, data: memoryview) -> Iterator[tuple[str, NDArray[Any]]]:
        """The named arrays, one after the other."""
        while len(data):
            kind, body, data = self.element(data, padded=False)
            if kind == _COMPRESSED:
                kind, body, _ = self.element(self.decompress(body), padded=False)
            if kind != _MATRIX:
                raise ValueError(f"an element of type {kind}; expected an array")
            name, array = self.matrix(body)
            if name:  # what belongs to functions has none
                yield name, array

    def decompress(self, body: memoryview) -> memoryview:
        """The element in a zlib stream, whole and with its checksum."""
        inflate = zlib.decompressobj()
        try:
            found = inflate.decompress(body, self.budget + 1)
        except zlib.error as error:
            raise ValueError(f"damaged ({error})") from error
        self.budget -= len(found)
        if self.budget < 0:
            raise ValueError("it would take much more memory than the file has bytes")
        if not inflate.eof:
            raise ValueError("cut off")
        return memoryview(found)

    def element(
        self, data: memoryview, *, padded: bool = True
    ) -> tuple[int, memoryview, memoryview]:
        """The type and the bytes of the first element, and what follows it."""
        if len(data) < 8:
            raise ValueError("cut off")
        kind, length = struct.unpack(f"{self.order}II", data[:8])
        if kind >> 16:  # a small one: the length beside the type, up to 4 bytes in place of it
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise ValueError(f"a small element of {length} bytes")
            return kind, data[4 : 4 + length], data[8:]
        if length > len(data) - 8:
            raise ValueError(f"an element of {length} bytes where {len(data) - 8} are left")
        end = 8 + length
        return kind, data[8:end], data[end + (-length % 8 if padded else 0) :]

    def matrix(self, data: memoryview, depth: int = 0) -> tuple[str, NDArray[Any]]:
        """The name and the values of an array."""
        if not len(data):  # an empty cell
            return "", np.empty((0, 0))
        (flags, _), rest = self.numbers(data, "u4", 2)
        kind, body, rest = self.element(rest)
        if _TYPES.get(kind) not in ("i4", "u4") or len(body) % 4:
            raise ValueError("dimensions that are no numbers")
        shape = tuple(int(side) for side in np.frombuffer(body, f"{self.order}i4"))
        if not 2 <= len(shape) <= MOST_DIMENSIONS or min(shape) < 0:
            raise ValueError(f"an array of dimensions {list(shape[:MOST_DIMENSIONS])}")
        kind, body, rest = self.element(rest)
        if kind not in (1, 2, 16):
            raise ValueError("a name that is no text")
        name = bytes(body).decode("latin-1")
        of_class = flags & 0xFF
        if of_class == _CELL:
            return name, self.cells(rest, shape, depth)
        if of_class not in _NUMBERS or flags & _COMPLEX:
            return name, np.empty((0, 0), "U1" if of_class == _CHAR else "V1")
        return name, self.values(rest, shape)

    def numbers(
        self, data: memoryview, kind: str, count: int
    ) -> tuple[tuple[int, ...], memoryview]:
        """So many whole numbers in an element of their own, and what follows it."""
        stored, body, rest = self.element(data)
        if _TYPES.get(stored) != kind or len(body) != 4 * count:
            raise ValueError("an array without its flags")
        return struct.unpack(f"{self.order}{count}I", body), rest

    def values(self, data: memoryview, shape: tuple[int, ...]) -> NDArray[Any]:
        """The numbers of an array, which are all of its rest."""
        kind, body, _ = self.element(data)
        if kind not in _TYPES:
            raise ValueError(f"values of type {kind}")
        dtype = np.dtype(f"{self.order}{_TYPES[kind]}")
        if math.prod(shape) * dtype.itemsize != len(body):
            raise ValueError(
                f"{len(body)} bytes of values where {dtype} of shape {list(shape)} takes"
                f" {math.prod(shape) * dtype.itemsize}"
            )
        return np.frombuffer(body, dtype).reshape(shape, order="F")

    def cells(self, data: memoryview, shape: tuple[int, ...], depth: int) -> NDArray[Any]:
        """The arrays in a cell."""
        if depth == DEEPEST:
            raise ValueError(f"cells more than {DEEPEST} deep")
        count = math.prod(shape)
        if count > len(data) // 8:  # none takes less
            raise ValueError(f"a cell of shape {list(shape)} in {len(data)} bytes")
        found = np.empty(count, object)
        for number in range(count):
            kind, body, data = self.element(data)
            if kind != _MATRIX:
                raise ValueError(f"a cell that holds an element of type {kind}")
            _, found[number] = self.matrix(body, depth + 1)
        return found.reshape(shape, order="F")


def _read_4(data: memoryview) -> dict[str, NDArray[Any]]:
    """The variables of a file of version 4: a header of five numbers, a name, and the values."""
    found: dict[str, NDArray[Any]] = {}
    while len(data):
        if len(data) < 20:
            raise ValueError("cut off, or not a MATLAB file")
        first = int.from_bytes(data[:4], "little")
        order = "<" if first < 5000 else ">"
        kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", data[:20])
        machine, zero, stored, form = (kind // 10**place % 10 for place in (3, 2, 1, 0))
        if kind < 0 or machine != (order == ">") or zero or stored >= len(_TYPES_4) or form > 2:
            raise ValueError("not a MATLAB file")
        dtype = np.dtype(order + _TYPES_4[stored])
        values = 20 + length
        end = values + rows * columns * dtype.itemsize * (2 if imaginary else 1)
        if min(rows, columns) < 0 or length < 1 or imaginary not in (0, 1) or end > len(data):
            raise ValueError("cut off, or not a MATLAB file")
        name = bytes(data[20:values]).rstrip(b"\0").decode("latin-1")
        if form or imaginary:
            found[name] = np.empty((0, 0), "U1" if form == 1 else "V1")
        else:
            flat = np.frombuffer(data[values:end], dtype)
            found[name] = flat.reshape((rows, columns), order="F")
        data = data[end:]
    if not found:
        raise ValueError("an empty file")
    return found
