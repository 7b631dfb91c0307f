"""Whether a video file is shorter than it says itself: cut between two frames, it would decode
without an error.

AVI, MP4 and MOV, Matroska and WebM, and WMV state the length of their parts; MPEG program streams
state that of every packet, and transport streams consist of packets of one length. The parts are
walked from the beginning (a program stream's from its last pack), never their content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_BOXES = frozenset(
    b"ftyp styp moov moof mdat mfra free skip wide pnot udta uuid"
    b" sidx ssix prft emsg meta pdin".split()
)
# the identity of the header object, the file's first
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SEGMENT = 0x18538067
_CLUSTER = 0x1F43B675
# bytes at the end in which a program stream's last pack begins; packs are of some kilobytes
_TAIL = 1 << 18
_PACKET, _SYNC = 188, 0x47  # a transport stream's packets, and the byte that each begins with


def ends_early(path: Path) -> bool:
    """Whether a part of the file would end beyond the file; False of containers of other kinds, and
    where no length is stated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_PACKET + 1)
        file.seek(0)
        walk = _walk_of(head)
        return walk is not None and any(end > size for end in walk(file, size))


# an open file and its size to where each of its parts should end
Walk = Callable[[BinaryIO, int], Iterator[int]]


def _walk_of(head: bytes) -> Walk | None:
    if head[:4] == b"RIFF":
        return _riff
    if head[4:8] in _BOXES:
        return _iso
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _ebml
    if head[:16] == _ASF:
        return _asf
    if head[:4] == b"\0\0\x01\xba":
        return _program_stream
    return _transport_stream if len(head) > _PACKET and head[0] == head[_PACKET] == _SYNC else None


def _riff(file: BinaryIO, size: int) -> Iterator[int]:
    """AVI: chunks of an identity, a length and so many bytes, padded to even; lists that a
    recording left without a length are entered.
    """
    at, live = 0, False
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] in (b"RIFF", b"LIST") and length in (0, 0xFFFFFFFF):
            at, live = at + 12, True
        elif live or head[:4] == b"RIFF":
            at += 8 + length
            yield at
            at += length % 2
        else:
            return


def _iso(file: BinaryIO, size: int) -> Iterator[int]:
    """MP4, MOV: boxes of a length (0: to the end of the file; 1: in 64 bits behind it), a type and
    the rest.
    """
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        # what follows is none of the format's: a camera's own, or padding
        if head[4:8] not in _BOXES or length < 8:
            return
        at += length
        yield at


def _ebml(file: BinaryIO, size: int) -> Iterator[int]:
    """Matroska, WebM: elements of an identity, a length and so many bytes; those of unknown length
    (a live recording) are entered.
    """
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(12)
        identity, used = _ebml_number(head, mask=False)
        length, more = _ebml_number(head[used:], mask=True)
        if not used or not more:
            return
        at += used + more
        unknown = length == (1 << 7 * more) - 1
        if not unknown:
            at += length
            yield at
            if identity == _SEGMENT:
                return
        elif identity not in (_SEGMENT, _CLUSTER):
            return


def _ebml_number(data: bytes, *, mask: bool) -> tuple[int, int]:
    """A number of as many bytes as its first one's leading zeros say, and how many these are; 0
    bytes where there is none.
    """
    if not data or not data[0]:
        return 0, 0
    width = 9 - data[0].bit_length()
    value = int.from_bytes(data[:width], "big")
    return (value - (1 << 7 * width) if mask else value), width


def _asf(file: BinaryIO, size: int) -> Iterator[int]:
    """WMV: objects of an identity of 16 bytes, a length of 8 and the rest."""
    at = 0
    while at + 24 <= size:
        file.seek(at)
        length = int.from_bytes(file.read(24)[16:], "little")
        if length < 24:  # a live recording's, never filled in
            return
        at += length
        yield at


def _program_stream(file: BinaryIO, size: int) -> Iterator[int]:
    """MPEG program stream: from the last pack on, packets of a start code, a length of 2 bytes and
    the rest.
    """
    start = max(0, size - _TAIL)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"\0\0\x01\xba")
    if at < 0:
        return
    at += 14 + (tail[at + 13] & 7) if len(tail) > at + 13 and tail[at + 4] >> 6 == 1 else 12
    yield start + at
    while tail[at : at + 3] == b"\0\0\x01" and at + 6 <= len(tail) and tail[at + 3] > 0xB9:
        at += 6 + int.from_bytes(tail[at + 4 : at + 6], "big")
        yield start + at


def _transport_stream(file: BinaryIO, size: int) -> Iterator[int]:
    """MPEG transport stream: whole packets, if the last whole one begins as it should."""
    whole = size // _PACKET * _PACKET
    file.seek(whole - _PACKET)
    if file.read(1)[0] == _SYNC:
        yield whole + _PACKET * bool(size - whole)
