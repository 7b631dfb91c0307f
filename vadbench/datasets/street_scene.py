"""Street Scene, as released: 46 training and 35 test clips of one street, with boxes and tracks of
what is anomalous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe
from vadbench.datasets.derived_tracks import COLUMNS, check_regions
from vadbench.datasets.events import Event, find_stretches
from vadbench.datasets.folders import image_paths, iterate_clip
from vadbench.datasets.released_videos import find_folder
from vadbench.errors import BadInput
from vadbench.files.text import read_text

FOLDERS = ("StreetScene", "Street Scene", "Street_Scene")
NUMBER = re.compile(r"(\d+)\D*$")
WANTED = "frame.jpg track cx cy w h"


class StreetScene(Dataset):
    """Street Scene: traffic, parking and walking are normal; jaywalking, loitering, cycling and
    driving where one should not, and the like are not.

    What is read under `$VADBENCH_DATA/StreetScene`: `Train/Train001/00001.jpg`,
    `Test/Test001/00001.jpg` and in each test clip a file `*_gt.txt`, a line a box: the picture's
    name, the track's number, the box's CENTRE, width and height in pixels. A frame is anomalous
    where it has a box. Corners are cx - w / 2 and cx + w / 2 - 1, cut at the frame's edge and
    rounded nowhere; codes that round them outwards measure boxes up to a pixel wider.

    How many frames there are is stated in two ways (203,257 and 202,545), so none is checked. What
    kind an event is of is not in the files. Frame AUC has no convention in the literature: RBDC and
    TBDC are its metrics.

    Attributes:
        counts: clips of each split.
        tracked: tracks of the test clips.
    """

    name = "street_scene"
    title = "Street Scene"
    revision = "2020"
    citation = (
        "B. Ramachandra, M. Jones: Street Scene: A New Dataset and Evaluation Protocol for Video"
        " Anomaly Detection. WACV 2020."
    )
    licence = "CC BY-SA 4.0"
    how_to_get = (
        "download the archive from Zenodo (record 10870472) and unpack it into the folder that"
        " $VADBENCH_DATA names"
    )
    size = (720, 1280)
    fps = 15.0
    track_source = "released"

    counts: ClassVar[dict[Split, int]] = {"train": 46, "test": 35}
    tracked: ClassVar[int] = 205

    @property
    def folder(self) -> Path:
        """The folder with Train and Test."""
        return find_folder(self.root, FOLDERS, self._remedy)

    @property
    def total(self) -> int:
        """Clips of the release."""
        return sum(self.counts.values())

    def names_here(self, split: Split) -> list[str]:
        """The clips of a split whose folders are here; other entries are passed over."""
        above = self.folder / split.title()
        pattern = re.compile(rf"{split.title()}\d{{3}}")
        entries = sorted(above.iterdir()) if above.is_dir() else []
        return [one.name for one in entries if pattern.fullmatch(one.name) and one.is_dir()]

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split, in the order of their names; nothing is decoded.

        Raises:
            BadInput: naming the first clip that is missing, or has no frame or a gap.
        """
        here = self.names_here(split)
        wanted = [name for name in here if self.wants(split, name)]
        lacking = sorted(self._chosen(split) - set(wanted))
        if lacking:
            raise BadInput(f"{self.folder / split.title() / lacking[0]}: not there; {self._remedy}")
        if self.only is None and len(here) != self.counts[split]:
            raise BadInput(
                f"{self.folder / split.title()}: {len(here)} clips, the release has"
                f" {self.counts[split]}; {self._remedy}; {self.partly_hint}"
            )
        return tuple(Video(name, split, len(self._pictures(split, name))) for name in wanted)

    def _chosen(self, split: Split) -> set[str]:
        names = (name.partition("/") for name in self.only or ())
        return {name for released, _, name in names if released == split}

    def path(self, video: Video) -> Path:
        """The clip's folder of pictures."""
        return self.folder / video.split.title() / video.name

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [720, 1280, 3], RGB.

        Raises:
            BadInput: while iterating, naming the picture that is damaged or of another size.
        """
        for frame in iterate_clip(self.path(video)):
            if frame.shape[:2] != self.size:
                raise BadInput(
                    f"{self.path(video)}: frames of shape {frame.shape}, the release has"
                    f" {self.size}; {self._remedy}"
                )
            yield frame

    def labels(self) -> Labels:
        """Frame labels: 1 where a frame has a box.

        Raises:
            BadInput: naming the file of boxes that is missing or damaged.
        """
        marked = {video.name: np.zeros(video.frames, np.uint8) for video in self.videos("test")}
        for name, frames in self.tracks().groupby("video")["frame"]:
            marked[str(name)][frames.to_numpy(np.int64)] = 1
        return Labels("official", "*_gt.txt, frames with a box", marked)

    def events(self) -> list[Event]:
        """Every stretch of frames in which a track has boxes.

        Raises:
            BadInput: as `labels`.
        """
        frames = {video.name: video.frames for video in self.videos("test")}
        events = []
        for (name, _), own in self.tracks().groupby(["video", "track"]):
            marked = np.zeros(frames[str(name)], np.uint8)
            marked[own["frame"].to_numpy(np.int64)] = 1
            events += [Event(str(name), *stretch) for stretch in find_stretches(marked)]
        return events

    def tracks(self) -> pd.DataFrame:
        """The released boxes, with inclusive corners.

        Raises:
            BadInput: as `labels`.
        """
        return self._tracks

    @cached_property
    def _tracks(self) -> pd.DataFrame:
        rows = [row for video in self.videos("test") for row in self._boxes(video)]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        check_regions(table, self, f"{self.folder}: *_gt.txt")
        return table

    def truth_paths(self) -> tuple[Path, ...]:
        """The test clips, beside whose pictures the boxes lie."""
        return (self.folder / "Test",)

    def check(self) -> list[Check]:
        """Counts, every picture decoded, boxes and tracks; reads all of it.

        Raises:
            BadInput: if clips or files of boxes are missing; damage within a clip is a line of the
                answer.
        """
        tracks, checks = self.tracks(), []
        for split in SPLITS:
            videos = self.videos(split)
            checks.append(Check(f"{split} clips", str(self.counts[split]), str(len(videos))))
            checks.append(
                observe(f"{split} frames decoded", lambda videos=videos: decode_all(self, videos))  # type: ignore[misc]
            )
        found = tracks.groupby(["video", "track"]).ngroups
        flat = self.labels().flat()
        return [
            *checks,
            Check("tracks", str(self.tracked), str(found)),
            observe("boxes", lambda: str(len(tracks))),
            observe("anomalous frames", lambda: f"{flat.sum()} of {len(flat)}"),
        ]

    @property
    def _remedy(self) -> str:
        return f"{self.how_to_get} (now {self.root})"

    def _pictures(self, split: Split, name: str) -> list[Path]:
        return image_paths(self.folder / split.title() / name)

    def _boxes(self, video: Video) -> Iterator[tuple[object, ...]]:
        """A row of `COLUMNS` for each line of the clip's file."""
        path = self._truth(video)
        pictures = self._pictures("test", video.name)
        places = {_number(one.name): place for place, one in enumerate(pictures)}
        seen: set[tuple[int, int]] = set()
        for number, line in enumerate(read_text(path).splitlines(), 1):
            words = line.replace(",", " ").split()
            if not words:
                continue
            where = f"{path}: line {number}"
            frame, track, box = _parse(words, where)
            if frame not in places:
                raise BadInput(f"{where}: {words[0]} is no picture of {video.name}; {self._remedy}")
            if (frame, track) in seen:
                raise BadInput(f"{where}: a second box of track {track} in {words[0]}")
            seen.add((frame, track))
            yield (video.name, track, places[frame], *self._corners(box, where))

    def _corners(self, box: tuple[float, ...], where: str) -> tuple[float, ...]:
        """x0, y0, x1, y1 (inclusive) of a centre with width and height, inside the frame."""
        (cx, cy, width, height), (rows, columns) = box, self.size
        x0, y0 = max(cx - width / 2, 0.0), max(cy - height / 2, 0.0)
        x1, y1 = min(cx + width / 2, columns) - 1, min(cy + height / 2, rows) - 1
        if x1 < x0 or y1 < y0:
            raise BadInput(
                f"{where}: a box of {width:g} x {height:g} pixels at {cx:g}, {cy:g}, none of it in"
                f" a frame of {columns} x {rows}"
            )
        return x0, y0, x1, y1

    def _truth(self, video: Video) -> Path:
        folder = self.path(video)
        found = [one for one in sorted(folder.glob("*_gt.txt")) if not one.name.startswith(".")]
        if len(found) != 1:
            missing = f"{folder / f'{video.name}_gt.txt'}: the boxes are missing"
            several = f"{folder}: {', '.join(one.name for one in found)}; expected one file"
            raise BadInput(f"{several if found else missing}; {self._remedy}")
        return found[0]


def _parse(words: list[str], where: str) -> tuple[int, int, tuple[float, ...]]:
    """Number of the picture, track, and cx, cy, w, h of a line."""
    try:
        name, track, *numbers = words
        box = tuple(map(float, numbers))
        frame, number = _number(name.replace("\\", "/").rpartition("/")[2]), float(track)
    except ValueError as error:
        raise BadInput(f"{where} is {' '.join(words)[:60]!r}; expected {WANTED}") from error
    if len(box) != 4 or not np.isfinite(box).all() or min(box[2:]) <= 0 or number % 1:
        raise BadInput(f"{where} is {' '.join(words)[:60]!r}; expected {WANTED}, w and h above 0")
    return frame, int(number), box


def _number(name: str) -> int:
    """The number of a picture, `00017.jpg` -> 17.

    Raises:
        ValueError: if it has none.
    """
    found = NUMBER.search(name.rpartition(".")[0] or name)
    if found is None:
        raise ValueError(name)
    return int(found[1])
