"""Image files decoded strictly: whole, one picture, of a depth and kind that are read; anything
else is refused by name.

OpenCV decodes and turns a picture as its EXIF tag says; Pillow reads from the header what OpenCV
hides (palette, alpha, CMYK, pages).
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS_A_BYTE = 8 * 1040  # of one bit each, compressed as far as can be
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_REFUSED = frozenset({"CMYK", "LAB", "HSV"})  # colours whose way to RGB a profile would have to say
_WITH_ALPHA = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
# tags of TIFF: bits a sample; where the strips of pixels begin, and their lengths
_BITS, _STARTS, _COUNTS = 258, 273, 279
_WIDTH, _HEIGHT = 256, 257
MOST_PIXELS = 1 << 25  # of a frame: 8K video has as many


@dataclass(frozen=True)
class Picture:
    """What an image file holds.

    Attributes:
        pixels: [H, W] grey or [H, W, 3] RGB, in the file's own type, palettes as colours.
        alpha: [H, W] opacity, None where the file has none.
        indices: [H, W] into the palette, None where the file has none.
        lossy: whether it was compressed as JPEG, which changes values.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    indices: NDArray[np.uint8] | None
    lossy: bool


def read_image(path: Path) -> NDArray[np.uint8]:
    """One frame, [H, W] grey or [H, W, 3] RGB of 8 bits a channel, whole or not at all.

    Raises:
        BadInput: as `read_picture`, on another depth than 8 bits (how to scale it would be a
            guess), or on a pixel that is not opaque.
    """
    picture = read_picture(path)
    if picture.pixels.dtype != np.uint8:
        how = (
            f"`magick mogrify -depth 8 *{path.suffix}`; of 12-bit values `-evaluate multiply 16"
            " -depth 8`"
        )
        raise BadInput(
            f"{path}: a whole image of {depth(picture.pixels)} a channel; expected 8 bits, convert"
            f" all frames alike ({how})"
        )
    if picture.alpha is not None and (picture.alpha != 255).any():
        how = f"`magick mogrify -background black -alpha remove *{path.suffix}`"
        raise BadInput(
            f"{path}: has transparent pixels; expected an opaque frame, convert it ({how})"
        )
    return picture.pixels


def read_picture(path: Path) -> Picture:
    """What a file holds, at its own depth.

    Raises:
        BadInput: if the file cannot be read, is cut off, is no image, or holds several pictures or
            colours other than grey and RGB.
    """
    import cv2

    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        told = getattr(error, "strerror", None) or error
        raise BadInput(
            f"{path}: cannot be read ({told}); check the file and its permissions"
        ) from error
    whole = bool(data) and not _cut_off(data)
    if whole:
        _require_plausible(data, path)
    pixels = _decode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if whole else None
    if pixels is None:
        if whole and (kind := _other_kind(data)):
            raise BadInput(
                f"{path}: a whole image of a kind that is not read ({kind}); expected 8 bits a"
                " channel, convert it"
            )
        raise BadInput(
            f"{path}: truncated or not an image ({len(data)} bytes); unpack the data set again"
        )
    header = _header(data)
    if header.pages > 1:
        raise BadInput(
            f"{path}: holds {header.pages} pictures; expected one, write each to a file of its own"
        )
    if header.mode in _REFUSED:
        raise BadInput(
            f"{path}: {header.mode} colours; expected grey or RGB, convert it (`magick mogrify"
            " -colorspace sRGB`)"
        )
    alpha = _decode(data, cv2.IMREAD_UNCHANGED)[..., 3] if header.alpha else None  # type: ignore[index]
    return Picture(
        pixels if pixels.ndim == 2 else pixels[..., ::-1],
        alpha,
        header.indices,
        data.startswith(_JPEG),
    )


def depth(pixels: NDArray[Any]) -> str:
    """The type of a picture's values in words: `16 bits`, `32-bit floating point`."""
    bits = 8 * pixels.dtype.itemsize
    kinds = {"f": f"{bits}-bit floating point", "i": f"signed {bits} bits"}
    return kinds.get(pixels.dtype.kind, f"{bits} bits")


@dataclass(frozen=True)
class _Header:
    """What Pillow says of a file: its mode, number of pictures, whether it has opacity, and [H, W]
    indices of a palette.
    """

    mode: str = ""
    pages: int = 1
    alpha: bool = False
    indices: NDArray[np.uint8] | None = None


def _header(data: bytes) -> _Header:
    """Read with Pillow; an empty one where Pillow knows no such file."""
    from PIL import ImageOps

    try:
        with _open(data, "ignore") as image:
            # MPO: a phone's JPEG with a preview behind it
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            alpha = image.mode in _WITH_ALPHA or "transparency" in image.info
            indices = (
                np.asarray(ImageOps.exif_transpose(image))
                if image.mode == "P" and pages == 1
                else None
            )
            return _Header(image.mode, pages, alpha, indices)
    # whatever Pillow raises: what OpenCV has decoded and Pillow cannot is of none of the kinds
    # above
    except Exception:
        return _Header()


def _other_kind(data: bytes) -> str:
    """The bits and the mode of a TIFF that has all its pixels, though OpenCV cannot decode them;
    empty of all else.
    """
    try:
        with _open(data, "error") as image:
            tags = image.tag_v2
            ends = [
                start + count for start, count in zip(tags[_STARTS], tags[_COUNTS], strict=True)
            ]
            return (
                f"{tags.get(_BITS, (1,))[0]} bits, mode {image.mode}"
                if max(ends) <= len(data)
                else ""
            )
    except Exception:  # whatever Pillow raises on damaged bytes
        return ""


@contextmanager
def _open(data: bytes, warned: Literal["ignore", "error"]) -> Iterator[Any]:
    """The picture as Pillow opens it; its warnings of a damaged header are an error, or kept off
    the terminal.
    """
    from PIL import Image

    with warnings.catch_warnings(action=warned), Image.open(BytesIO(data)) as image:
        yield image


def _decode(data: bytes, flags: int) -> NDArray[Any] | None:
    import cv2

    with quiet_opencv():
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:  # a size or a kind that it does not decode
            return None
    return None if image is None else np.asarray(image)


def _require_plausible(data: bytes, path: Path) -> None:
    """Refuse a picture whose header says more pixels than any camera has, before they are set
    aside.
    """
    try:
        with _open(data, "ignore") as image:
            width, height = image.size
    except Exception:  # whatever Pillow raises on bytes that it does not know
        width, height = _tiff_size(data)
    if width * height > MOST_PIXELS:
        raise BadInput(
            f"{path}: says that it is {width} x {height} pixels, a frame has {MOST_PIXELS} at most;"
            " damaged, unpack the data set again"
        )


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Width and height in the first directory of a TIFF of a kind that Pillow does not know; 0 of
    all else.
    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return 0, 0
    at = int.from_bytes(data[4:8], order)
    sides = {}
    for entry in range(int.from_bytes(data[at : at + 2], order)):
        start = at + 2 + 12 * entry
        field = data[start : start + 12]
        wide = field[2:4] != (3).to_bytes(2, order)
        sides[int.from_bytes(field[:2], order)] = int.from_bytes(
            field[8 : 12 if wide else 10], order
        )
    return sides.get(_WIDTH, 0), sides.get(_HEIGHT, 0)


def _cut_off(data: bytes) -> bool:
    """Whether a PNG is not whole or a JPEG lacks its end: OpenCV 4 fills up such a JPEG with grey,
    and libpng writes to stderr.
    """
    if data.startswith(_PNG):
        return not _is_whole_png(data)
    return data.startswith(_JPEG) and _JPEG_END not in data[-64:]


def _is_whole_png(data: bytes) -> bool:
    """Whether every chunk has its checksum, the last is the end, and there is enough for the pixels
    that the header says.
    """
    at, held, size = len(_PNG), 0, 0
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if kind == b"IHDR":
            size = int.from_bytes(data[at + 8 : at + 12], "big") * int.from_bytes(
                data[at + 12 : at + 16], "big"
            )
        held += length if kind == b"IDAT" else 0
        if kind == b"IEND":
            return size <= held * _MOST_PIXELS_A_BYTE
        at = end + 4
    return False


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's own log of damaged files off the terminal: the error we raise names the
    file.
    """
    from cv2.utils import logging

    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
