"""Crops of a clip: an array [rows, crops, D], or a file or an array each, `<clip>__0` and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.importers.clips import Clips, Layout

CROP = re.compile(r"(?P<clip>.+)__(?P<crop>\d{1,2})")  # UR-DMU's, XD-Violence's, VadCLIP's
# a crop's number, or None for all of the clip -> where it was read, and its values
Crops = dict[int | None, tuple[str, NDArray[Any]]]


def match_crops(
    found: Iterable[str], path: Path, clips: Clips, what: str, suffix: str = ""
) -> dict[int, dict[int | None, str]]:
    """Clip -> the names of its crops by their numbers, in order; None -> the name of its one file
    or array where there are no crops.

    Raises:
        BadInput: if a clip has none, two of a kind, or lacks a crop that others have.
    """
    known, whole = clips.names, []
    crops: dict[str, dict[int, str]] = {}
    for name in found:
        parts = CROP.fullmatch(name)
        if parts and name.rpartition("/")[2] not in known:
            own = crops.setdefault(parts["clip"].removesuffix(suffix), {})
            if (twice := own.setdefault(int(parts["crop"]), name)) != name:
                raise BadInput(f"{path}: {twice} and {name} are one crop; take one out")
        else:
            whole.append(name)
    both = next((name for name in whole if name in crops), None)
    if both is not None:
        other = next(iter(crops[both].values()))
        raise BadInput(
            f"{path}: {what} {both}{suffix} beside {other}, a crop of the same clip; leave --suffix"
            " out (--crop 0 takes one crop), or take one out"
        )
    if not crops:
        return {number: {None: name} for number, name in clips.match(whole, path, what).items()}
    of = clips.match([*whole, *crops], path, what)
    ordered: dict[int, dict[int | None, str]] = {
        number: {None: name} for number, name in of.items()
    }
    for number, name in of.items():
        if name in crops:
            ordered[number] = {crop: crops[name][crop] for crop in sorted(crops[name])}
    _require_all_crops(ordered, of, path, clips, what)
    return ordered


def _require_all_crops(
    of: dict[int, dict[int | None, str]], named: dict[int, str], path: Path, clips: Clips, what: str
) -> None:
    """Refuse a clip that lacks a crop: its average would be another one."""
    known = sorted({crop for crops in of.values() for crop in crops if crop is not None})
    if not known:  # they are the other splits'
        return
    expected = range(min(known[0], 1), known[-1] + 1)
    for number, crops in of.items():
        missing = next((crop for crop in expected if crop not in crops), None)
        if missing is not None:
            told = (
                f"{path}: no {what} {named[number]}__{missing} for"
                f" {clips.describe(clips.videos[number])}"
            )
            raise BadInput(
                f"{told}, expected the crops {expected[0]} to {expected[-1]} of every clip"
            )


def join_crops(crops: Crops) -> tuple[NDArray[Any], str, int]:
    """A clip's array as it is, or [rows, crops, D] of its crops; where the first was read; the
    number of the first crop.

    Raises:
        BadInput: naming a crop that differs from the first in rows or features.
    """
    (first, (place, values)), *others = crops.items()
    if first is None:
        return values, place, 0
    for where, crop in crops.values():
        if crop.ndim != 2 or crop.shape != values.shape:
            beside = f" beside {list(values.shape)} in {place}" if others else ""
            raise BadInput(
                f"{where}: an array of shape {list(crop.shape)}{beside}; expected crops of equal"
                " [rows, features]"
            )
    return np.stack([crop for _, crop in crops.values()], 1), place, first


def choose_crops(values: NDArray[Any], where: str, layout: Layout, first: int) -> NDArray[Any]:
    """[rows, crops or 1, D] of an array [rows], [rows, D] or [rows, crops, D]: the one crop that is
    asked for, else their average or each.

    Args:
        values: as `join_crops` gives them.
        where: for messages.
        layout: what was asked for.
        first: the number of the first crop.

    Raises:
        BadInput: on an array of another shape; if there is no such crop.
    """
    if values.ndim not in (1, 2, 3) or not values.size:
        raise BadInput(
            f"{where}: an array of shape {list(values.shape)}, expected [rows, features] or [rows,"
            " crops, features]"
        )
    crops = values.shape[1] if values.ndim == 3 else 0
    if layout.crop is not None and not first <= layout.crop < first + crops:
        there = f"the crops {first} to {first + crops - 1}; name one, or" if crops else "no crops;"
        raise BadInput(f"{where}: has {there} leave --crop {layout.crop} out")
    if layout.crop is not None:
        return values[:, layout.crop - first][:, None]
    if not crops:
        return values.reshape(len(values), 1, -1)
    return values.mean(1, np.float64, keepdims=True) if layout.crops == "average" else values
