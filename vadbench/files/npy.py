"""Arrays in NumPy's own form (.npy, and the members of an .npz): read behind checks of our own, so
that a damaged file is told in one line and nothing is set aside that it has no bytes for.

`numpy.load` parses the header as Python, which ends in a dozen exceptions, and believes the shape
it says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

MAGIC = b"\x93NUMPY"
LONGEST = 10_000  # characters of a header; ours have some 120
MOST_DIMENSIONS = 16
_LAST_CHARACTER = 0x10FFFF
# numbers, truth values and texts; dates, records and what is none is no data of ours
_TYPE = re.compile(r"[<>|=]?(?:[fiubc]\d{1,2}|[SU]\d{1,9}|\?)")
_OBJECTS = re.compile(r"[<>|=]?O8?")
_ENTRY = re.compile(
    r"""\s*(?:'(?P<key>\w+)'|"(?P<name>\w+)")\s*:\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|True|False|\(\s*(?:\d{1,19}L?\s*(?:,\s*|(?=\))))*\))\s*(?:,|$)"""
)


@dataclass(frozen=True)
class Header:
    """What precedes the values of an array.

    Attributes:
        shape: of the array.
        fortran: whether the first index runs fastest.
        dtype: of the values; None: objects, which were pickled.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic] | None

    @property
    def nbytes(self) -> int:
        """How many bytes the values take."""
        return math.prod(self.shape) * (0 if self.dtype is None else self.dtype.itemsize)


def read_npy(path: Path) -> NDArray[np.generic]:
    """The array in an .npy file: numbers, truth values or texts.

    Raises:
        ValueError: if it is none, is damaged or cut off, or holds objects; the message is for the
            caller's line.
        OSError: if it cannot be read.
    """
    found = np.array(map_npy(path))
    _require_texts(found)
    return found


def map_npy(path: Path) -> NDArray[np.generic]:
    """As `read_npy`, memory-mapped where there is anything to map."""
    with path.open("rb") as file:
        header = read_header(file)
        offset = file.tell()
        _require_size(header, path.stat().st_size - offset)
        if not header.nbytes:
            return fill(header, b"")
        order = "F" if header.fortran else "C"
        return np.memmap(file, header.dtype, "r", offset, header.shape, order)  # type: ignore[call-overload, no-any-return]


def load_npy(path: Path, remedy: str) -> NDArray[np.generic]:
    """As `read_npy`, with what is wrong told in one line.

    Args:
        path: the file.
        remedy: what helps, for the message.

    Raises:
        BadInput: naming the file.
    """
    try:
        return read_npy(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
    except ValueError as error:
        raise BadInput(f"{path}: not an .npy of numbers ({error}); {remedy}") from error


def read_header(file: BinaryIO) -> Header:
    """The header of the array that begins here; the file is then at the values.

    Raises:
        ValueError: if it is none.
    """
    magic = file.read(8)
    if magic[:6] != MAGIC or len(magic) < 8:
        raise ValueError("not an .npy file, or cut off")
    if magic[6] not in (1, 2, 3) or magic[7]:
        raise ValueError(f"an .npy file of version {magic[6]}.{magic[7]}; expected 1.0 to 3.0")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    text = file.read(min(length, LONGEST))
    if len(text) != length:
        raise ValueError(f"a header of {length} characters, {len(text)} are there")
    return _parse(text.decode("utf-8" if magic[6] == 3 else "latin-1"))


def fill(header: Header, data: bytes | bytearray) -> NDArray[np.generic]:
    """The array of these values, which can be written to.

    Raises:
        ValueError: if they are more or fewer than the header says.
    """
    _require_size(header, len(data))
    flat = np.frombuffer(bytearray(data) if isinstance(data, bytes) else data, header.dtype)
    _require_texts(flat)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _require_texts(values: NDArray[np.generic]) -> None:
    """Refuse texts with a number that is no character's: to look at them ends in SystemError."""
    if values.dtype.kind == "U" and values.size and values.dtype.itemsize:
        codes = np.ascontiguousarray(values).view(f"{values.dtype.byteorder}u4")
        if codes.max() > _LAST_CHARACTER:
            raise ValueError("texts of what are no characters")


def _parse(text: str) -> Header:
    inside = re.fullmatch(r"\s*\{(.*)\}\s*", text, re.DOTALL)
    found: dict[str, str] = {}
    rest = inside[1].strip() if inside else ""
    while rest and (entry := _ENTRY.match(rest)):
        found[entry["key"] or entry["name"]] = entry["value"]
        rest = rest[entry.end() :].strip()
    if rest or found.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"a damaged header {text.strip()[:80]!r}")
    kind, order = found["descr"].strip("'\""), found["fortran_order"]
    if order not in ("True", "False") or not found["shape"].startswith("("):
        raise ValueError(f"a damaged header {text.strip()[:80]!r}")
    shape = tuple(int(number) for number in re.findall(r"\d+", found["shape"]))
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"an array of {len(shape)} dimensions")
    return Header(shape, order == "True", _type(kind))


def _type(kind: str) -> np.dtype[np.generic] | None:
    if _OBJECTS.fullmatch(kind):
        return None
    if _TYPE.fullmatch(kind):
        try:
            return np.dtype(kind)
        except (TypeError, ValueError, OverflowError):  # f3, i5, U999999999
            pass
    raise ValueError(f"values of type {kind[:40]!r}; expected numbers or texts")


def _require_size(header: Header, size: int) -> None:
    if header.dtype is None:
        raise ValueError("it holds objects; expected arrays of numbers or texts")
    if header.nbytes != size:
        raise ValueError(
            f"{size} bytes of values where {header.dtype} of shape {list(header.shape)} takes"
            f" {header.nbytes}; damaged or cut off"
        )
