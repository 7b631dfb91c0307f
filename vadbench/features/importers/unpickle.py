"""Object arrays from pickles of strangers: numbers are read, nothing is called.

A pickle is a program of a stack machine, which names functions and calls them. This reader runs
none: it knows the few instructions that a pickled numpy array consists of, and answers the three
names in it with stand-ins of its own. Every length is compared with the file's before anything is
set aside, and no instruction makes more than one value, so neither time nor memory exceed a small
multiple of the file's size.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.files import npy

MOST_DIMENSIONS = 3
LONGEST_NAME = 200  # characters of a function's name, and of what a message says of a file
_NUMBER = re.compile(r"f[248]|[iu][1248]")  # floats and integers; objects are O or O8
_MARK = object()
_EMPTY = np.empty((0, 0), np.float32)
_SHORT = 64  # bytes that cost less copied than looked at
_MOST_LISTS = (
    1 << 22
)  # beside one in four bytes: a list takes 64 bytes of memory, and one of a file


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
            if npy.read_header(file).dtype is not None:
                array = npy.read_npy(path)
                if not array.ndim:
                    raise ValueError("a single number")
                return list(array)
            found = _Machine(file.read(), path).run()
        return _entries(found, path)
    except BadInput:
        raise
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())[:LONGEST_NAME]
        raise BadInput(
            f"{path}: not a readable .npy of one array a frame ({told}); get it anew"
        ) from error


def _entries(found: Any, path: Path) -> list[NDArray[Any]]:
    if not isinstance(found, _Array) or not isinstance(found.value, list):
        raise BadInput(f"{path}: not an object array, expected one of an array a frame")
    if found.shape != (len(found.value),):
        raise BadInput(
            f"{path}: {len(found.value)} entries in an array of shape {list(found.shape)}; get it"
            " anew"
        )
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
        return _EMPTY
    kind = "an object array" if isinstance(value, _Array) else f"a {type(value).__name__}"
    raise BadInput(
        f"{path}: entry {number} (from 0) is {kind}, expected an array of numbers [objects,"
        " features]"
    )


class _Name:
    """Stands in for a function or a class: which of `_KNOWN` it is."""

    __slots__ = ("of",)

    def __init__(self, of: str) -> None:
        self.of = of


class _Type:
    """Stands in for numpy.dtype: remembers a code such as f8 and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code = _text(code)
        self.order = "="

    def fill(self, state: Any) -> None:
        """Take up a state: version, byte order, and what structured types have."""
        if not isinstance(state, tuple) or len(state) < 2:
            raise ValueError("a type without its byte order")
        self.order = _text(state[1])


class _Array:
    """Stands in for a numpy array that is made empty and then given its state: shape, type and
    bytes (or, of objects, a list).
    """

    __slots__ = ("shape", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.shape: tuple[int, ...] = ()

    def fill(self, state: Any) -> None:
        """Take up a state: version, shape, type, whether columns come first, and values."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array without its state")
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or not _is_shape(shape):
            raise ValueError("an array without its type or shape")
        self.shape = shape
        if kind.code in ("O", "O8"):
            # a list, else refused; not copied: a small file may name one list often
            self.value = data if isinstance(data, list) else None
            return
        if not _NUMBER.fullmatch(kind.code) or kind.order not in "<>|=" or not kind.order:
            raise ValueError(f"an array of type {kind.code[:LONGEST_NAME]}")
        dtype = np.dtype(kind.order.replace("|", "=") + kind.code)
        size = len(data) if isinstance(data, (bytes, memoryview)) else -1
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"an array of type {dtype}, shape {list(shape)} in {size} bytes")
        flat = np.frombuffer(data, dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


_KNOWN = {
    "numpy.core.multiarray._reconstruct": "array",
    "numpy._core.multiarray._reconstruct": "array",
    "numpy.ndarray": "class",  # an argument of the above
    "numpy.dtype": "type",
}


@dataclass
class _Machine:
    """Reads the instructions of a pickle.

    Attributes:
        data: the pickle.
        path: the file, for messages.
        at: the next instruction.
        stack: what the instructions have left.
        memo: values in the order in which they were numbered, to be named again.
        lists: how many were made.
    """

    data: bytes
    path: Path
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: list[Any] = field(default_factory=list)
    lists: int = 0

    def run(self) -> Any:
        """The value that the pickle ends with."""
        view = memoryview(self.data)
        while True:
            code = self.take(view, 1)[0]
            if code == _STOP:
                return self.pop()
            if (read := _PUSHED.get(code)) is not None:
                self.stack.append(read(self, view))
            elif (act := _ACTS.get(code)) is not None:
                act(self, view)
            else:
                raise ValueError(f"instruction {code} of a pickle, which no array has")

    def take(self, view: memoryview, size: int) -> memoryview:
        """The next bytes."""
        found = view[self.at : self.at + size]
        if len(found) != size:
            raise ValueError("cut off")
        self.at += size
        return found

    def number(self, view: memoryview, form: str) -> Any:
        """The next number of a form of `struct`."""
        return struct.unpack(form, self.take(view, struct.calcsize(form)))[0]

    def chunk(self, view: memoryview, form: str) -> bytes | memoryview:
        """The bytes whose length comes first."""
        found = self.take(view, self.number(view, form))
        return found if len(found) > _SHORT else bytes(found)

    def new_list(self, values: list[Any]) -> list[Any]:
        """A list, if there are not too many."""
        self.lists += 1
        if self.lists > _MOST_LISTS + len(self.data) // 4:
            raise ValueError(f"more than {_MOST_LISTS} lists")
        return values

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + LONGEST_NAME + 1)
        if end < 0:
            raise ValueError(f"a name of more than {LONGEST_NAME} characters")
        found = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found

    def pop(self) -> Any:
        """The last value."""
        if not self.stack:
            raise ValueError("a pickle that takes what is not there")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """The values since the last mark."""
        at = len(self.stack) - 1
        while at >= 0 and self.stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise ValueError("a pickle without its mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def tuple_of(self, count: int) -> tuple[Any, ...]:
        """The last values."""
        if len(self.stack) < count:
            raise ValueError("a pickle that takes what is not there")
        found = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return found

    def recall(self, number: int) -> Any:
        """A value that was numbered."""
        if number >= len(self.memo):
            raise ValueError("a pickle that names what is not there")
        return self.memo[number]

    def keep(self, number: int) -> None:
        """Number the last value."""
        if not self.stack or number > len(self.memo):
            raise ValueError("a pickle that numbers what is not there")
        self.memo[number : number + 1] = self.stack[-1:]

    def named(self, module: Any, name: Any) -> _Name:
        """The stand-in of a function or a class."""
        asked = f"{_text(module)[:LONGEST_NAME]}.{_text(name)[:LONGEST_NAME]}"
        if asked not in _KNOWN:
            raise BadInput(
                f"{self.path}: its pickle asks for {asked[:LONGEST_NAME]}; only arrays of numbers"
                " are read, nothing was run; do not trust this file"
            )
        return _Name(_KNOWN[asked])

    def call(self) -> _Array | _Type:
        """What calling a stand-in gives."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise ValueError("a pickle that calls what is no function")
        if function.of == "array":
            return _Array()
        if function.of == "type" and arguments:
            return _Type(arguments[0])
        raise ValueError("a pickle that calls what is no function")

    def fill(self) -> None:
        """Give the last value but one its state."""
        state = self.pop()
        if not self.stack or not isinstance(self.stack[-1], (_Array, _Type)):
            raise ValueError("a pickle that gives a state to what has none")
        self.stack[-1].fill(state)

    def extend(self, values: list[Any]) -> None:
        """Add values to the list before them."""
        if not self.stack or not isinstance(self.stack[-1], list):
            raise ValueError("a pickle that adds to what is no list")
        self.stack[-1].extend(values)


Read = Callable[[_Machine, memoryview], Any]
_STOP = ord(".")
# instructions that leave a value, by their code
_PUSHED: dict[int, Read] = {
    ord("("): lambda machine, view: _MARK,
    ord("N"): lambda machine, view: None,
    0x88: lambda machine, view: True,
    0x89: lambda machine, view: False,
    ord("K"): lambda machine, view: machine.number(view, "B"),
    ord("M"): lambda machine, view: machine.number(view, "<H"),
    ord("J"): lambda machine, view: machine.number(view, "<i"),
    0x8A: lambda machine, view: int.from_bytes(machine.chunk(view, "B"), "little", signed=True),
    ord("G"): lambda machine, view: machine.number(view, ">d"),
    # bytes; Python 2's texts, which hold an array's bytes, among them
    ord("U"): lambda machine, view: machine.chunk(view, "B"),
    ord("T"): lambda machine, view: machine.chunk(view, "<I"),
    ord("C"): lambda machine, view: machine.chunk(view, "B"),
    ord("B"): lambda machine, view: machine.chunk(view, "<I"),
    0x8E: lambda machine, view: machine.chunk(view, "<Q"),
    0x8C: lambda machine, view: bytes(machine.chunk(view, "B")).decode("utf-8", "replace"),
    ord("X"): lambda machine, view: bytes(machine.chunk(view, "<I")).decode("utf-8", "replace"),
    0x8D: lambda machine, view: bytes(machine.chunk(view, "<Q")).decode("utf-8", "replace"),
    ord("]"): lambda machine, view: machine.new_list([]),
    ord("l"): lambda machine, view: machine.new_list(machine.since_mark()),
    ord(")"): lambda machine, view: (),
    ord("t"): lambda machine, view: tuple(machine.since_mark()),
    0x85: lambda machine, view: machine.tuple_of(1),
    0x86: lambda machine, view: machine.tuple_of(2),
    0x87: lambda machine, view: machine.tuple_of(3),
    ord("h"): lambda machine, view: machine.recall(machine.number(view, "B")),
    ord("j"): lambda machine, view: machine.recall(machine.number(view, "<I")),
    ord("c"): lambda machine, view: machine.named(machine.line(), machine.line()),
    0x93: lambda machine, view: machine.named(*machine.tuple_of(2)),
    ord("R"): lambda machine, view: machine.call(),
}
# instructions that leave none
_ACTS: dict[int, Read] = {
    0x80: lambda machine, view: machine.take(view, 1),  # the protocol
    0x95: lambda machine, view: machine.take(view, 8),  # a frame's length
    ord("q"): lambda machine, view: machine.keep(machine.number(view, "B")),
    ord("r"): lambda machine, view: machine.keep(machine.number(view, "<I")),
    0x94: lambda machine, view: machine.keep(len(machine.memo)),
    ord("a"): lambda machine, view: machine.extend([machine.pop()]),
    ord("e"): lambda machine, view: machine.extend(machine.since_mark()),
    ord("b"): lambda machine, view: machine.fill(),
    ord("0"): lambda machine, view: machine.pop(),
}


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MOST_DIMENSIONS
        and all(type(side) is int and 0 <= side < 1 << 48 for side in shape)
    )


def _text(value: Any) -> str:
    """A short text, which Python 2 wrote as bytes."""
    if isinstance(value, (bytes, memoryview)):
        return bytes(value[: LONGEST_NAME + 1]).decode("latin-1")
    if not isinstance(value, str):
        raise ValueError("a name that is no text")
    return value
