"""Masks: pictures and arrays in which what is not zero is anomalous, at any depth; what can be read
in two ways is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.folders import image_paths
from vadbench.datasets.geometry import Size, check_size
from vadbench.datasets.images import Picture, depth, read_picture
from vadbench.errors import BadInput
from vadbench.files.mat import NewerMat, read_mat

_SMUDGE = 32  # grey levels: a JPEG's compression leaves values below it around what is white


def read_mask(path: Path) -> NDArray[np.uint8]:
    """[H, W] 1 = anomalous, 0 = normal: where the value of any channel is not zero, whether 255, 1
    or an object's id.

    A palette's indices count, and have to say what its colours say; so does opacity where there is
    any.

    Raises:
        BadInput: as `read_picture` and `mark`; if colours contradict indices or opacity; on a JPEG
            with values that compression leaves.
    """
    picture = read_picture(path)
    coloured = mark(picture.pixels, str(path))
    coloured = coloured if coloured.ndim == 2 else coloured.max(axis=2)
    _check_palette(path, picture, coloured)
    if picture.lossy and ((picture.pixels > 0) & (picture.pixels < _SMUDGE)).any():
        raise BadInput(
            f"{path}: a JPEG, whose compression leaves values from 1 to {_SMUDGE - 1}; expected a"
            " lossless mask, write it as PNG"
        )
    return coloured if picture.alpha is None else _check_opacity(path, coloured, picture.alpha)


def read_ids(path: Path) -> NDArray[Any]:
    """[H, W] the ids of the objects that the pixels show, at the file's own depth.

    Raises:
        BadInput: as `read_picture`, or on other than one channel of whole numbers.
    """
    picture = read_picture(path)
    if picture.pixels.ndim != 2 or picture.alpha is not None:
        channels = (1 if picture.pixels.ndim == 2 else 3) + (picture.alpha is not None)
        raise BadInput(
            f"{path}: {channels} channels, expected one that holds the objects' ids; unpack the"
            " data set again"
        )
    mark(picture.pixels, str(path))
    return picture.pixels


def iterate_masks(folder: Path, size: Size, of: str) -> Iterator[NDArray[np.uint8]]:
    """The masks of a clip as `read_mask`, one a numbered image.

    Args:
        folder: the images.
        size: height and width of the clip's frames.
        of: what to call the clip in a message.

    Raises:
        BadInput: as `image_paths` and `read_mask`, or if a mask has another size.
    """
    for path in image_paths(folder):
        mask = read_mask(path)
        check_size((mask.shape[0], mask.shape[1]), size, f"{path}: a mask", of)
        yield mask


def iterate_mat_masks(path: Path, size: Size, frames: int, of: str) -> Iterator[NDArray[np.uint8]]:
    """The masks of a clip in a MATLAB file with one variable: a cell a frame, as Avenue's
    `volLabel`, or numbers [H, W, T].

    Args:
        path: the file, of version 4 to 7.
        size: height and width of the clip's frames.
        frames: of the clip.
        of: what to call the clip in a message.

    Raises:
        BadInput: while iterating, if the file is damaged, holds another number of variables or
            something else, or a mask has another size.
    """
    for frame, mask in enumerate(_read_mat_masks(path, size, frames)):
        where = f"{path}: frame {frame}"
        if not isinstance(mask, np.ndarray) or mask.ndim != 2:
            raise BadInput(f"{where}: no mask; expected numbers of {size[0]} x {size[1]} pixels")
        check_size((mask.shape[0], mask.shape[1]), size, f"{where}: a mask", of)
        yield mark(mask, where)


def _read_mat_masks(path: Path, size: Size, frames: int) -> Iterable[Any]:
    try:
        # 8 bytes a pixel, and room for what is beside the masks
        variables = read_mat(path, 2 * 8 * frames * size[0] * size[1])
    except NewerMat as error:
        raise BadInput(
            f"{path}: version 7.3, which is HDF5; expected version 4 to 7, save it with -v7"
        ) from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); expected a MATLAB file") from error
    if len(variables) != 1:
        names = ", ".join(variables) or "none"
        raise BadInput(f"{path}: variables {names}; expected one, with a mask a frame")
    ((name, values),) = variables.items()
    if values.dtype == object:
        return iter(values.ravel())
    if values.ndim == 2 and frames == 1:
        values = values[:, :, None]
    if values.ndim != 3 or values.dtype.kind not in "biuf":
        raise BadInput(
            f"{path}: {name} is {values.dtype} of shape {values.shape}; expected a cell a frame, or"
            f" numbers of shape {(*size, frames)}"
        )
    return iter(np.moveaxis(values, 2, 0))


def mark(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """1 where a value is not zero, of the same shape.

    Args:
        values: truth values or whole numbers from 0, of any type.
        where: the file, and the place in it, for the message.

    Raises:
        BadInput: on fractions, which may be probabilities, on negative numbers, and on what are no
            numbers.

    >>> mark(np.array([0, 255, 3]), "mask.png").tolist()
    [0, 1, 1]
    """
    if values.dtype.kind not in "buif":
        raise BadInput(
            f"{where}: values of type {values.dtype}; expected a mask of whole numbers, 0 = normal"
        )
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise BadInput(
            f"{where}: {depth(values)} with fractions; expected a mask of whole numbers, 0 ="
            " normal: apply a threshold and write 0 and 1"
        )
    if values.dtype.kind in "if" and (values < 0).any():
        raise BadInput(
            f"{where}: negative values, the least {values.min():g}; expected a mask of whole"
            " numbers from 0, 0 = normal"
        )
    return np.asarray(values != 0, np.uint8)


def _check_palette(path: Path, picture: Picture, coloured: NDArray[np.uint8]) -> None:
    if picture.indices is None:
        return
    unlike = (picture.indices != 0) != (coloured != 0)
    if unlike.any():
        index = int(picture.indices[unlike][0])
        told = "black" if index else "not black"
        raise BadInput(
            f"{path}: palette index {index} is {told}; expected black at 0 alone, write the mask as"
            " 8-bit grey, 0 = normal"
        )


def _check_opacity(
    path: Path, coloured: NDArray[np.uint8], alpha: NDArray[Any]
) -> NDArray[np.uint8]:
    """The mask of a picture with opacity: what is coloured, if all is opaque or exactly that is not
    transparent.
    """
    opaque = alpha == np.iinfo(alpha.dtype).max
    if opaque.all() or np.array_equal(coloured != 0, alpha != 0):
        return coloured
    raise BadInput(
        f"{path}: colour and opacity mark different pixels; expected a mask without an alpha"
        " channel, write it as 8-bit grey, 0 = normal"
    )
