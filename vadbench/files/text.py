"""Text files that people edit or download: UTF-8, with or without a byte order mark."""

from __future__ import annotations

from pathlib import Path

from vadbench.errors import BadInput

# as Notepad's "Unicode" and PowerShell's redirection write them
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_text(path: Path) -> str:
    """What a file says, without a byte order mark.

    Raises:
        BadInput: if it is not UTF-8, naming the line with the first byte that is not.
        OSError: if it cannot be read, for the caller's line.
    """
    data = path.read_bytes()
    if data[:2] in _MARKS:
        raise BadInput(f"{path}: written as {_MARKS[data[:2]]}; expected UTF-8, save it so")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}: line {line} holds the byte 0x{error.object[error.start]:02x}, which is not"
            " UTF-8; save it as UTF-8"
        ) from error
