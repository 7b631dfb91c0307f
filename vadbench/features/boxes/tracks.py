"""Objects as a file of person tracks says: boxes that know which track they belong to."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.matching import match_names
from vadbench.datasets.part import base_of
from vadbench.errors import BadInput
from vadbench.features.boxes.file import LabelledFile, are_counts, check_fit
from vadbench.features.boxes.provider import Floats, NeededFile, Objects
from vadbench.files.npz import open_npz, pick

if TYPE_CHECKING:
    from vadbench.datasets.base import Split
    from vadbench.features.footage import Footage

NPZ = {
    "frame": "Frame_Number",
    "track": "Person_ID",
    "x0": "BB_tl_0",
    "y0": "BB_tl_1",
    "x1": "BB_br_0",
    "y1": "BB_br_1",
}
Table = dict[str, NDArray[Any]]  # columns video (name), frame, track, x0, y0, x1, y1


class TracksFile(LabelledFile):
    """Boxes from `<data>/tracks/<data set>/<label>_<split>.npz` or `.csv`; frames count from 0, the
    ends of boxes are exclusive.

    npz: `rows` [N, C], `columns` (C names, among them those of `NPZ`: other columns, labels among
    them, are never read), `video` names and `count` rows a video. csv: columns video, frame, track,
    x0, y0, x1, y1.
    """

    name: ClassVar[str] = "tracks"
    version: ClassVar[int] = 1

    def path(self, split: Split) -> Path:
        """The split's file: the npz, or the csv where only that is there."""
        stem = self.dataset.root / "tracks" / base_of(self.dataset.name) / f"{self.label}_{split}"
        npz, csv = stem.with_name(f"{stem.name}.npz"), stem.with_name(f"{stem.name}.csv")
        return csv if csv.is_file() and not npz.is_file() else npz

    def files(self) -> tuple[NeededFile, ...]:
        """Both splits' files."""
        what = (
            "no such track file; put it there (npz with rows, columns, video and count, or csv with"
            " video, frame, track, x0, y0, x1, y1)"
        )
        return tuple(NeededFile(self.path(split), what) for split in ("train", "test"))

    def objects(self, footage: Footage) -> Objects:
        """The tracked boxes of this clip; of its frames only the size is looked at, where they are
        there.

        Raises:
            BadInput: if the file is damaged or does not fit the clip.
        """
        video = footage.video
        if video.split == "unlabelled":
            raise BadInput(
                f"{self.path(video.split)}: tracks of unlabelled videos are not read; name a stream"
                " and boxes that need frames alone"
            )
        clips = self._train if video.split == "train" else self._test
        if video.name not in clips:
            return Objects([np.zeros((0, 4), np.float32)] * video.frames, np.zeros(0, np.int64))
        frame, track, box = clips[video.name]
        if frame[0] < 0 or frame[-1] >= video.frames:
            wrong = frame[0] if frame[0] < 0 else frame[-1]
            raise BadInput(
                f"{self.path(video.split)}: a box in frame {wrong} of video {video.name}, which has"
                f" frames 0 to {video.frames - 1}"
            )
        check_fit(box, frame, self.dataset, video, self.path(video.split))
        return Objects(np.split(box, np.searchsorted(frame, np.arange(1, video.frames))), track)

    @cached_property
    def _train(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        return self._clips("train")

    @cached_property
    def _test(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        return self._clips("test")

    def _clips(
        self, split: Split
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        """Clip -> frame, track and box of its rows, by frame."""
        path = self.path(split)
        clips = {
            name: _by_frame(path, name, columns) for name, columns in read_tracks(path).items()
        }
        matched = match_names(clips, [video.name for video in self.dataset.videos(split)])
        if self.dataset.only is not None:  # the file is of the whole data set
            clips = {name: own for name, own in clips.items() if name in matched.partner}
        elif matched.extra:
            raise BadInput(
                f"{path}: names of its videos and {self.dataset.name}'s {split} videos differ"
                f" ({matched.lone}); expected the latter"
            )
        return {matched.partner[name]: columns for name, columns in clips.items()}


def read_tracks(path: Path) -> dict[str, Table]:
    """Video -> columns frame, track, x0, y0, x1, y1 of a track file.

    Raises:
        BadInput: on a file that cannot be read, or lacks a column.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_npz(path)


def _by_frame(
    path: Path, name: str, columns: Table
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    order = np.argsort(columns["frame"], kind="stable")
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is no float32 is not finite, and refused below
        box = np.stack([columns[corner][order] for corner in ("x0", "y0", "x1", "y1")], 1).astype(
            np.float32
        )
    for column in ("frame", "track"):
        values = columns[column]
        odd = ~((np.abs(values) < 1 << 31) & (values == np.floor(values)))
        if odd.any():
            row = int(np.argmax(odd))
            raise BadInput(
                f"{path}: video {name}, row {row}: {column} {values[row]}; expected a whole number"
            )
    frame, track = (
        columns["frame"][order].astype(np.int64),
        columns["track"][order].astype(np.int64),
    )
    bad = ~np.isfinite(box).all(1) | (box[:, 2:] <= box[:, :2]).any(1)
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInput(
            f"{path}: video {name}, frame {frame[row]}, track {track[row]}: box"
            f" {box[row].tolist()}; expected finite x0 < x1, y0 < y1"
        )
    twice = np.unique(np.stack([track, frame]), axis=1).shape[1] < len(frame)
    if twice:
        raise BadInput(f"{path}: video {name}: a track has two boxes in one frame; expected one")
    return frame, track, box


def _read_npz(path: Path) -> dict[str, Table]:
    try:
        with open_npz(path) as arrays:
            rows, count = pick(arrays, "rows", 2), pick(arrays, "count", 1)
            names = pick(arrays, "columns", 1, "U")
            videos = pick(arrays, "video", 1, "Uiu")
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())
        raise BadInput(
            f"{path}: not a readable track file (npz with rows, columns, video and count): {told};"
            " get it anew"
        ) from error
    place = {str(name): index for index, name in enumerate(names)}
    absent = [name for name in NPZ.values() if name not in place]
    if absent or len(place) != len(names) or rows.shape[1] != len(names):
        raise BadInput(
            f"{path}: rows {list(rows.shape)} with columns {', '.join(map(str, names))}; expected"
            f" [N, {len(names)}] with {', '.join(NPZ.values())}, each once"
        )
    if len(np.unique(videos)) != len(videos):
        raise BadInput(f"{path}: a video is named twice; expected each once, get the file anew")
    if len(videos) != len(count) or not are_counts(count) or count.sum() != len(rows):
        raise BadInput(
            f"{path}: count adds up to {count.sum()} rows of {len(videos)} videos, rows has"
            f" {len(rows)}; get the file anew"
        )
    count = count.astype(np.int64)
    ends = np.cumsum(count)
    spans = {
        str(video): slice(end - number, end)
        for video, end, number in zip(videos, ends, count, strict=True)
        if number
    }
    return {
        video: {name: rows[span, place[column]] for name, column in NPZ.items()}
        for video, span in spans.items()
    }


def _read_csv(path: Path) -> dict[str, Table]:
    import pandas as pd

    wanted = ["video", *NPZ]
    try:
        table = pd.read_csv(
            path,
            usecols=wanted,
            dtype={"video": str, **dict.fromkeys(NPZ, np.float64)},
            keep_default_na=False,
            na_values={column: ["", "nan", "NaN"] for column in NPZ},
        )
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise BadInput(
            f"{path}: not a csv with columns {', '.join(wanted)}: {' '.join(str(error).split())}"
        ) from error
    return {
        str(video): {name: part[name].to_numpy() for name in NPZ}
        for video, part in table.groupby("video", sort=False)
    }
