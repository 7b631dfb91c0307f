"""What imported files have to fit, and what they become: the clips of a split, and rows of finite
float32 in the order of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Dataset, Split, Video
from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ImportedRows:
    """The rows of one split, in the order of its clips and their frames.

    Attributes:
        x: [N, D] float32, finite.
        video: [N] int32, the clip's index in `dataset.videos(split)`.
        frame: [N] int32, from 0.
        box: [N, 4] float32 pixels x0, y0, x1, y1, or None.
        windows: whether a row scores a window centred at its frame (frame-centric); otherwise it is
            an object.
        columns: the features' names, where the file names them.
        note: what is to be said of their files; of the training split for all.
        shape: of what a row holds in C order, as `Features.shape`; None: it is a vector.
    """

    x: Floats
    video: NDArray[np.int32]
    frame: NDArray[np.int32]
    box: Floats | None
    windows: bool
    columns: tuple[str, ...] = ()
    note: str = ""
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Layout:
    """What a file does not say of itself; each format looks at some of these.

    Attributes:
        crops: what becomes of [rows, crops, D]: their average, or a row each, of the same frame.
        crop: the number of the only crop that is taken: its file's, its place from 0 in an array;
            None: all.
        snippet: frames that a row of a clip's array covers; 0: the rows share the clip's frames
            equally; None: 16.
        window: frames of the overlapping windows that the rows of a clip's array are; None: they do
            not overlap.
        stride: frames from one window's first to the next one's.
        window_frame: which frame of its window a row scores; the centre is frame `window // 2` of
            it.
        rows: whether a table's rows are objects or windows; None: objects where it has boxes,
            windows where not.
        suffix: what stands between a clip's name and a file's extension, for example `_i3d`.
        columns: a table's features, by name or pattern; none: all columns.
        train_stride, missing, ratio, starts: of windows of poses, as
            `sequences.options.SequenceOptions`, whose window and stride stand above; None: its
            own.
    """

    crops: Literal["average", "keep"] = "average"
    crop: int | None = None
    snippet: int | None = None
    window: int | None = None
    stride: int = 1
    window_frame: Literal["first", "centre", "last"] = "centre"
    rows: Literal["objects", "windows"] | None = None
    suffix: str = ""
    columns: tuple[str, ...] = ()
    train_stride: int | None = None
    missing: int | None = None
    ratio: float | None = None
    starts: Literal["whole", "released"] | None = None


@dataclass(frozen=True)
class Clips:
    """The clips of one split of a data set: the manifest that a file is checked against.

    Attributes:
        dataset: its name.
        split: which split.
        videos: its clips in order.
        elsewhere: names of the other splits' clips, passed over in files that hold them too; empty
            where they share names.
        totals: frames of all clips of each imported split.
    """

    dataset: str
    split: Split
    videos: tuple[Video, ...]
    elsewhere: frozenset[str]
    totals: dict[Split, int]

    @classmethod
    def of(cls, dataset: Dataset, split: Split, splits: Iterable[Split] = SPLITS) -> Clips:
        """The clips of one of the `splits` that are imported.

        Raises:
            BadInput: if the data set is not on this machine.
        """
        videos = {each: dataset.videos(each) for each in splits}
        names = {each: [_plain(video.name) for video in own] for each, own in videos.items()}
        other = frozenset(
            name for each, of_split in names.items() if each != split for name in of_split
        )
        return cls(
            dataset.name,
            split,
            videos[split],
            other if other.isdisjoint(names[split]) else frozenset(),
            {each: sum(video.frames for video in own) for each, own in videos.items()},
        )

    def match(self, found: Iterable[str], path: Path, what: str) -> dict[int, str]:
        """Clip -> the name in `found` that is its own.

        Args:
            found: names in the file or the folder, those of the other split's clips among them.
            path: for messages.
            what: what bears the name, for messages (`file`, `array`, `row`).

        Raises:
            BadInput: naming the first clip that is missing and what belongs to none.
        """
        names = _by_plain(found, path, what)
        own = {_plain(video.name): number for number, video in enumerate(self.videos)}
        matched = match_names(names, [*own, *sorted(self.elsewhere - own.keys())])
        of = {own[clip]: names[name] for name, clip in matched.partner.items() if clip in own}
        lone = next((video for number, video in enumerate(self.videos) if number not in of), None)
        if lone is not None:
            near = next(
                (name for name in matched.extra if name.startswith(_plain(lone.name))), None
            )
            hint = f"; {len(names)} names are there"
            if matched.extra:
                hint = (
                    f"; {abbreviate(matched.extra)} belong to no clip, expected names like"
                    f" {abbreviate([_plain(lone.name)])}"
                )
            if near and what == "file":
                hint = f" but {near}; --suffix says what follows the clip's name"
            raise BadInput(f"{path}: no {what} for {self.describe(lone)}{hint}")
        if matched.extra:
            told = f"{path}: {what} {names[matched.extra[0]]} belongs to no clip of {self.dataset}"
            raise BadInput(f"{told} ({len(self.videos)} {self.split} clips); take it out")
        return of

    @property
    def names(self) -> frozenset[str]:
        """The names of the clips of all imported splits, without their folders."""
        return self.elsewhere.union(_plain(video.name) for video in self.videos)

    def describe(self, video: Video) -> str:
        """The clip in a message."""
        return f"{self.split} clip {video.name} of {self.dataset}"


def numbers(values: Any, where: str) -> NDArray[Any]:
    """The array `values`.

    Raises:
        BadInput: unless it holds real numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise BadInput(f"{where}: values of type {array.dtype}, expected real numbers")
    return array


def finite(
    values: NDArray[Any],
    where: str,
    place: Callable[[int], str] = "row {}".format,
    columns: Sequence[str] = (),
) -> Floats:
    """The [N, D] numbers as float32.

    Raises:
        BadInput: naming the first row and column that is not finite (as float32), or an array that
            is not [N, D] with D of at least 1.
    """
    if values.ndim != 2 or not values.shape[1]:
        raise BadInput(
            f"{where}: an array of shape {list(values.shape)}, expected [rows, features]"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.asarray(values, np.float32)
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(at) for at in np.argwhere(bad)[0])
        which = columns[column] if columns else column
        raise BadInput(
            f"{where}: {place(row)}, column {which} is {values[row, column]}; features must be"
            " finite float32 numbers"
        )
    return x


def boxes(values: NDArray[Any], where: str, rows: int) -> Floats:
    """The boxes [N, 4] as float32.

    Raises:
        BadInput: unless there is one a row, finite, with x0 < x1 and y0 < y1, as corners have and
            widths and heights mostly have not.
    """
    if values.shape != (rows, 4):
        raise BadInput(
            f"{where}: boxes of shape {list(values.shape)}, expected [{rows}, 4], one a row"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        box = values.astype(np.float32)
    bad = ~np.isfinite(box).all(1) | (box[:, 2:] <= box[:, :2]).any(1)
    if bad.any():
        row = int(np.argmax(bad))
        told = f"{where}: box of row {row} is {box[row].tolist()}, expected finite x0 < x1, y0 < y1"
        raise BadInput(
            f"{told}: corners, in this order (of x, y, width, height: x, y, x + width, y + height)"
        )
    return box


def in_order(
    x: Floats,
    video: NDArray[Any],
    frame: NDArray[Any],
    box: Floats | None,
    windows: bool,
    columns: Sequence[str] = (),
) -> ImportedRows:
    """The rows sorted by clip and frame; those of one frame keep their order."""
    order = np.lexsort((frame, video))
    if (order != np.arange(len(order))).any():
        x, video, frame, box = (
            x[order],
            video[order],
            frame[order],
            None if box is None else box[order],
        )
    return ImportedRows(
        x, video.astype(np.int32), frame.astype(np.int32), box, windows, tuple(columns)
    )


def abbreviate(names: Sequence[str]) -> str:
    """The first names of a list, for a message."""
    more = f" and {len(names) - 3} others" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _by_plain(found: Iterable[str], path: Path, what: str) -> dict[str, str]:
    """Clip's name without its folder -> the name in the file."""
    names: dict[str, str] = {}
    for name in found:
        if _plain(name) in names:
            raise BadInput(
                f"{path}: two {what}s for clip {_plain(name)}: {names[_plain(name)]} and {name};"
                " take one out"
            )
        names[_plain(name)] = name
    return names


def _plain(name: str) -> str:
    """A clip's name without the folder of its category."""
    return name.rpartition("/")[2]
