"""Tables of boxes as the region metrics take them: checked columns, videos and tracks as integer
codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput

MOST = 1 << 31  # no frame has a pixel, and no video a frame, of this number


@dataclass(frozen=True)
class BoxTable:
    """Boxes of one table, N rows.

    Attributes:
        name: what messages call the table.
        video: [N] names or numbers.
        frame: [N] int64, from 0.
        x0, y0, x1, y1: [N] float64 inclusive pixels.
        track: [N] names or numbers, unique within a video; None for detections.
    """

    name: str
    video: NDArray[Any]
    frame: NDArray[np.int64]
    x0: NDArray[np.float64]
    y0: NDArray[np.float64]
    x1: NDArray[np.float64]
    y1: NDArray[np.float64]
    track: NDArray[Any] | None = None

    def require_frames_below(self, lengths: NDArray[np.int64]) -> None:
        """Refuse a row whose frame is not below the [N] length of its video.

        Raises:
            BadInput: naming the first such row.
        """
        late = self.frame >= lengths
        if late.any():
            row = int(np.argmax(late))
            where = (
                f"frame {self.frame[row]} of video {self.video[row]}, which has {lengths[row]}"
                " frames"
            )
            raise BadInput(
                f"{self.name}: row {row} is in {where}; frames are numbered from 0 (subtract 1 from"
                " MERL's)"
            )

    def require_total(self, frames: int) -> None:
        """Refuse a row whose frame number reaches the number of frames of all videos together.

        Raises:
            BadInput: naming the highest frame.
        """
        highest = int(self.frame.max(initial=-1))
        if highest >= frames:
            raise BadInput(
                f"{self.name}: a row is in frame {highest}, n_frames is {frames}; expected the"
                " frames of all test videos together"
            )


def read_boxes(columns: Mapping[str, Any], name: str) -> BoxTable:
    """The boxes in a data frame or a mapping of columns; with tracks if the table is the
    `ground_truth`.

    Raises:
        BadInput: naming the table, the row and what is wrong with it.
    """
    needed = ["video", "frame", "x0", "y0", "x1", "y1"] + (
        ["track"] if name == "ground_truth" else ["score"]
    )
    missing = [column for column in needed if column not in columns]
    if missing:
        raise BadInput(
            f"{name}: no column {', '.join(missing)}; expected the columns {', '.join(needed)}"
        )
    lengths = {column: len(columns[column]) for column in needed}
    if len(set(lengths.values())) > 1:
        raise BadInput(f"{name}: columns of different length {lengths}; expected one value a row")
    x0, y0, x1, y1 = (_numbers(columns, column, name) for column in ("x0", "y0", "x1", "y1"))
    for column, values in (("x0", x0), ("y0", y0), ("x1", x1), ("y1", y1)):
        _refuse(~(np.abs(values) < MOST), values, name, column, "finite pixels")
    _refuse(
        x1 <= x0 - 1, x1, name, "x1", "x1 >= x0: corners, of a width x0 + width"
    )  # an inclusive width of 0 or less; rounding may leave x1 a little below x0
    _refuse(y1 <= y0 - 1, y1, name, "y1", "y1 >= y0: corners, of a height y0 + height")
    frame = _numbers(columns, "frame", name)
    _refuse(
        ~(frame < MOST) | (frame < 0) | (frame != np.floor(frame)),
        frame,
        name,
        "frame",
        "a whole number from 0",
    )
    track = np.asarray(columns["track"]) if name == "ground_truth" else None
    return BoxTable(
        name, np.asarray(columns["video"]), frame.astype(np.int64), x0, y0, x1, y1, track
    )


def read_scores(columns: Mapping[str, Any]) -> NDArray[np.float64]:
    """[N] detection scores; infinite ones only rank.

    Raises:
        BadInput: on NaN.
    """
    scores = _numbers(columns, "score", "detections")
    _refuse(np.isnan(scores), scores, "detections", "score", "a number (or +-inf)")
    return scores


def video_codes(
    tables: Sequence[BoxTable], videos: Sequence[Any] | None = None
) -> list[NDArray[np.int64]]:
    """For each table the [N] codes of its videos: their index in `videos`, or in order of
    appearance over all tables.

    Raises:
        BadInput: if a video is not among `videos`, or names in one table meet numbers in another
            (they would never match).
    """
    columns = [table.video for table in tables]
    numeric = {table.name: table.video.dtype.kind in "biuf" for table in tables if len(table.video)}
    if len(set(numeric.values())) > 1:
        raise BadInput(
            f"video: numbers in {next(n for n in numeric if numeric[n])}, names in"
            f" {next(n for n in numeric if not numeric[n])}; use one"
        )
    if videos is not None:
        columns = [_array(videos), *columns]
    codes = np.split(_factorize(columns), np.cumsum([len(column) for column in columns])[:-1])
    if videos is None:
        return codes
    for table, code in zip(tables, codes[1:], strict=True):
        unknown = code >= len(videos)
        if unknown.any():
            row = int(np.argmax(unknown))
            raise BadInput(
                f"{table.name}: row {row} is of video {table.video[row]}, not one of the"
                f" {len(videos)} test videos ({videos[0]}, ...)"
            )
    return codes[1:]


def track_codes(
    truth: BoxTable, video: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[G] index of each region's track, and [T] each track's video code; a track is a (video,
    track) pair.

    Raises:
        BadInput: if a track has two boxes in one frame.
    """
    if truth.track is None or not len(truth.track):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    named = _factorize([truth.track])
    code = _factorize([video * (int(named.max()) + 1) + named])
    track_video = np.empty(int(code.max()) + 1, np.int64)
    track_video[code] = video
    order = np.lexsort((truth.frame, code))
    again = (code[order][1:] == code[order][:-1]) & (
        truth.frame[order][1:] == truth.frame[order][:-1]
    )
    if again.any():
        row = int(order[1:][again][0])
        where = f"track {truth.track[row]} of video {truth.video[row]} in frame {truth.frame[row]}"
        raise BadInput(
            f"ground_truth: row {row} is a second box of {where}; expected one box a track and"
            " frame"
        )
    return code, track_video


def _factorize(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Codes in order of appearance of all columns' values, by hashing (sorting millions of names
    takes seconds).
    """
    import pandas as pd

    filled = [column for column in columns if len(column)]
    if not filled:
        return np.zeros(0, np.int64)
    same = len({column.dtype.kind for column in filled}) == 1
    codes = pd.factorize(
        np.concatenate(filled if same else [column.astype(object) for column in filled])
    )[0]
    if (codes < 0).any():
        raise BadInput(
            "video or track: a missing value (NaN or None) among the names; expected a name or"
            " number in every row"
        )
    return codes.astype(np.int64)


def _array(values: Sequence[Any]) -> NDArray[Any]:
    return (
        np.asarray(list(values))
        if len({type(value) for value in values}) <= 1
        else np.asarray(list(values), object)
    )


def _numbers(columns: Mapping[str, Any], column: str, name: str) -> NDArray[np.float64]:
    try:
        values = np.asarray(columns[column], np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{name}: column {column} holds something other than numbers ({error})"
        ) from error
    if values.ndim != 1:
        raise BadInput(
            f"{name}: column {column} has shape {values.shape}; expected one number a row"
        )
    return values


def _refuse(
    bad: NDArray[np.bool_], values: NDArray[np.float64], name: str, column: str, expected: str
) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInput(f"{name}: row {row} has {column} {values[row]}; expected {expected}")
