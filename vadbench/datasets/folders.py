"""Clips as folders of numbered images: listed in numeric order, checked for gaps, all of one
shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.images import read_image
from vadbench.errors import BadInput

SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def image_paths(folder: Path) -> list[Path]:
    """The images of a clip in the numeric order of the last number in their names; nothing is
    decoded.

    Hidden files (`.DS_Store`, `._001.tif`) and files that are no images (`Thumbs.db`) are passed
    over; suffixes in any case.

    Args:
        folder: one clip, its frames numbered without a gap from 0 or 1.

    Raises:
        BadInput: if the folder is missing or holds no image, an image without a number, two images
            of one number, or a gap.
    """
    numbered: dict[int, Path] = {}
    for path in _entries(folder):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        found = _LAST_NUMBER.search(path.stem)
        if found is None:
            raise BadInput(
                f"{path}: no number in the name of this image; expected names as 001.tif, move the"
                " file elsewhere"
            )
        number = int(found[1])
        if number in numbered:
            raise BadInput(
                f"{path}: frame {number} is also {numbered[number].name}; expected one image a"
                " frame, remove one"
            )
        numbered[number] = path
    if not numbered:
        raise BadInput(
            f"{folder}: empty clip; expected images numbered from 1"
            f" ({', '.join(sorted(SUFFIXES))}), unpack the data set again"
        )
    return _without_gaps(folder, numbered)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError as error:
        raise BadInput(
            f"{folder}: no such folder; expected a folder of numbered images, unpack the data set"
            " again"
        ) from error
    except OSError as error:  # a symlink loop, a file, no permission
        raise BadInput(
            f"{folder}: cannot be listed ({error.strerror}); expected a folder of numbered images,"
            " unpack the data set again"
        ) from error


def _without_gaps(folder: Path, numbered: dict[int, Path]) -> list[Path]:
    order = sorted(numbered)
    for expected, number in enumerate(order, start=min(order[0], 1)):
        if number != expected:
            raise BadInput(
                f"{folder}: frame {expected} is missing (the last is {numbered[order[-1]].name});"
                " unpack the data set again"
            )
    return [numbered[number] for number in order]


def count_frames(folder: Path) -> int:
    """How many frames a clip has, by listing it.

    Raises:
        BadInput: as `image_paths`.
    """
    return len(image_paths(folder))


def iterate_clip(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip, one after the other, all of one size.

    Raises:
        BadInput: as `image_paths` and `read_image`, or if a frame's shape differs from the first
            one's.
    """
    first: NDArray[np.uint8] | None = None
    for path in image_paths(folder):
        image = read_image(path)
        if first is None:
            first = image
        elif image.shape != first.shape:
            raise BadInput(
                f"{path}: shape {image.shape}, expected {first.shape} as the clip's first frame;"
                " unpack the data set again"
            )
        yield image
