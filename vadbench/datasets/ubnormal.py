"""UBnormal, as released: rendered videos of 29 scenes, 186 normal ones for training and 211 for
test, every object annotated by pixel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe
from vadbench.datasets.derived_tracks import COLUMNS, components
from vadbench.datasets.events import Event
from vadbench.datasets.geometry import check_size
from vadbench.datasets.label_sets import LabelSet
from vadbench.datasets.masks import read_ids
from vadbench.datasets.other_labels import labels_folder, read_kept
from vadbench.datasets.paths import find_path
from vadbench.datasets.published_tracks import SOURCE, published_tracks, regions_folder
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput
from vadbench.files.text import read_text

NAME = re.compile(r"(normal|abnormal)_scene_(\d+)_scenario\w+")
LISTS: dict[Split, tuple[str, ...]] = {
    "train": ("normal_training_video_names.txt",),
    "test": ("normal_test_video_names.txt", "abnormal_test_video_names.txt"),
}
Track = tuple[int, int, int]  # id of the object, its first and last frame


class UBnormal(Dataset):
    """UBnormal in the one-class setting: the normal training videos are trained on, all test videos
    are tested.

    The abnormal training videos and the validation split are for supervised methods and are not
    read.

    What is read under `$VADBENCH_DATA/UBnormal`, with N the scene in a video's name:

    - `Scene<N>/<video>.mp4`; frames are counted by decoding. - the split lists
    `{normal_training,normal_test,abnormal_test}_video_names.txt`, there or in `scripts/`: they are
    not in the archive but in the authors' repository.
    - for abnormal videos `Scene<N>/<video>_annotations/<video>_tracks.txt`, a line `id, first,
      last` for each anomalous object, frames from 0 and inclusive: the frame labels, as the
      authors' script writes them. An interval that ends after its video is cut, one that begins
      there refused. Where there is a `<video>_new_tracks.txt` of the same form, regions are made
      of its intervals, as the authors' region script does; frame labels and masks never are.
    - `<video>_annotations/<video>_<frame, four digits>_gt.png`, whose pixels hold the id of the
      object they show: masks and regions of the objects in `_tracks.txt`. Only the images of
      anomalous frames are opened; one that is missing or has other than one channel is refused.

    How many test frames there are is stated in two ways (89,908 in the authors' script, 92,640
    labels in others' code), so none is checked.

    Attributes:
        counts: videos of each split.
        scenes: scenes of all videos together.
    """

    name = "ubnormal"
    version = 2
    title = "UBnormal"
    revision = "2022"
    citation = (
        "A. Acsintoae et al.: UBnormal: New Benchmark for Supervised Open-Set Video Anomaly"
        " Detection. CVPR 2022."
    )
    licence = "CC BY-NC-ND 4.0"
    how_to_get = (
        "download UBnormal.zip by the link in github.com/lilygeorgescu/UBnormal, unpack it into the"
        " folder that $VADBENCH_DATA names, and copy scripts/*_video_names.txt of that repository"
        " into its UBnormal folder"
    )
    smoothing = 15.0
    fps = 30.0

    counts: ClassVar[dict[Split, int]] = {"train": 186, "test": 211}
    scenes: ClassVar[int] = 29

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listed: dict[Split, tuple[Video, ...]] = {}

    @property
    def folder(self) -> Path:
        """The folder with Scene1 … Scene29."""
        return self.root / "UBnormal"

    @property
    def track_source(self) -> str:  # type: ignore[override]
        """`published` where such files are in place (`vadbench.datasets.published_tracks`), else
        made of the release's object masks.
        """
        return (
            SOURCE
            if regions_folder(self.root, self.name).is_dir()
            else "object masks: the largest component of each anomalous object"
        )

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split in the order of their names; counted by decoding on first use,
        minutes for all.

        Raises:
            BadInput: naming the first list or video that is missing.
        """
        if split not in self._listed:
            names = self._names(split)
            frames = frame_counts([self._path(name) for name in names], self.name)
            self._listed[split] = tuple(
                Video(name, split, count, scene_of(name))
                for name, count in zip(names, frames, strict=True)
            )
        return self._listed[split]

    def path(self, video: Video) -> Path:
        """The clip's video."""
        return self._path(video.name)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [H, W, 3], RGB; the videos are 720 high and differ in width.

        Raises:
            BadInput: while iterating, naming the file that is missing or damaged.
        """
        return iterate_video(self._path(video.name))

    def labels(self) -> Labels:
        """Frame labels from the intervals of the anomalous objects.

        Raises:
            BadInput: naming the file that is missing, damaged, or has an interval outside its
                video.
        """
        clips, cut = {}, 0
        for video in self.videos("test"):
            clips[video.name] = np.zeros(video.frames, np.uint8)
            for _, first, last in self._anomalous(video):
                clips[video.name][first : last + 1] = 1
                cut += last >= video.frames
        source = "*_tracks.txt, frames from 0, inclusive" + (
            f"; {cut} intervals cut at the end of their video" if cut else ""
        )
        return Labels("official", source, clips)

    def label_sets(self) -> tuple[LabelSet, ...]:
        """The human-related subset, from masks in `$VADBENCH_DATA/labels/ubnormal/hr`.

        `<video>.npy` a test video, true = measured: Flaborea et al. (ICCV 2023) publish them under
        names of their own, and no list of the frames is known.
        """
        folder = labels_folder(self.root, self.name) / "hr"
        return (
            LabelSet(
                "hr",
                f"human-related subset, masks in {folder.relative_to(self.root)}",
                keep=lambda name, frames: read_kept(folder / f"{name}.npy", frames),
                paths=(folder,),
            ),
        )

    def events(self) -> list[Event]:
        """Every anomalous object in its interval; of what kind the release does not say.

        Raises:
            BadInput: as `labels`.
        """
        return [
            Event(video.name, first, min(last, video.frames - 1))
            for video in self.videos("test")
            for _, first, last in self._anomalous(video)
        ]

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [H, W], non-zero = anomalous; None for training videos.

        Raises:
            BadInput: while iterating, naming the image that is missing, damaged or has other than
                one channel.
        """
        return None if video.split == "train" else self._masks(video)

    def tracks(self) -> pd.DataFrame:
        """Anomalous regions: published, else in each frame of a track the box of its object's
        largest component, none where it is hidden.

        Raises:
            BadInput: as `labels` and `masks`.
        """
        published = published_tracks(self)
        if published is not None:
            return published
        rows = [
            (video.name, track, frame, *box)
            for video in self.videos("test")
            for track, (number, first, last) in enumerate(self._anomalous(video, "_new_tracks"))
            for frame in range(first, min(last + 1, video.frames))
            for box in _largest(
                components((self._objects(video, frame) == number).astype(np.uint8), least_area=1)
            )
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def truth_paths(self) -> tuple[Path, ...]:
        """The data set, whose masks lie beside the videos, and the published tracks."""
        return (self.folder, regions_folder(self.root, self.name))

    def check(self) -> list[Check]:
        """Counts, every frame and every mask of an anomalous frame decoded, labels read; reads all
        of it.

        Raises:
            BadInput: if lists or videos are missing (`videos`); damage within a video is a line of
                the answer.
        """
        checks = []
        for split in SPLITS:
            checks.append(
                Check(f"{split} videos", str(self.counts[split]), str(len(self.videos(split))))
            )
        found = {video.scene for split in SPLITS for video in self.videos(split)}
        checks.append(Check("scenes", str(self.scenes), str(len(found))))
        for split in SPLITS:
            checks.append(
                observe(
                    f"{split} frames decoded",
                    lambda split=split: decode_all(self, self.videos(split)),  # type: ignore[misc]
                )
            )
        checks.append(
            observe(
                "test frames labelled",
                lambda: (
                    f"{len(self.labels().flat())}, {self.labels().flat().sum()} of them anomalous"
                ),
            )
        )
        return [
            *checks,
            observe(
                "masks read",
                lambda: (
                    f"{sum(self._count_masks(video) for video in self.videos('test'))} not empty"
                ),
            ),
        ]

    @property
    def _remedy(self) -> str:
        return f"{self.how_to_get} (now {self.root})"

    def _names(self, split: Split) -> list[str]:
        names = [name for file in LISTS[split] for name in self._list(file)]
        if len(names) != self.counts[split] or len(set(names)) != len(names):
            raise BadInput(
                f"{self.folder}: {len(set(names))} {split} videos in {', '.join(LISTS[split])}, the"
                f" release has {self.counts[split]}"
            )
        return sorted(name for name in names if self.wants(split, name))

    @property
    def total(self) -> int:
        """Videos of the release."""
        return sum(self.counts.values())

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split's lists whose files are here."""
        return [name for name in self._names(split) if self._find(name) is not None]

    def _list(self, file: str) -> list[str]:
        path = next(
            (
                path
                for path in (self.folder / file, self.folder / "scripts" / file)
                if path.is_file()
            ),
            None,
        )
        if path is None:
            raise BadInput(f"{self.folder / file}: the list of videos is missing; {self._remedy}")
        names = read_text(path).split()
        for name in names:
            found = NAME.fullmatch(name)
            if found is None or found[1] != file.partition("_")[0]:
                raise BadInput(
                    f"{path}: {name!r} is no name of this list; expected names as"
                    f" {file.partition('_')[0]}_scene_1_scenario_2"
                )
        return names

    def _path(self, name: str) -> Path:
        found = self._find(name)
        if found is None:
            path = find_path(self.folder, f"Scene{scene_of(name)}") / f"{name}.mp4"
            raise BadInput(f"{path}: not there; {self._remedy}; {self.partly_hint}")
        return found

    def _find(self, name: str) -> Path | None:
        folder = find_path(self.folder, f"Scene{scene_of(name)}")
        path = find_path(folder, f"{name}.mp4")
        if path.is_file():
            return path
        return video_paths(folder).get(name) if folder.is_dir() else None

    def _annotations(self, name: str) -> Path:
        return find_path(self.folder, f"Scene{scene_of(name)}/{name}_annotations")

    def _anomalous(self, video: Video, preferred: str = "") -> list[Track]:
        """The anomalous objects of a test video, none in a normal one; of the preferred file where
        there is one.
        """
        if video.name.startswith("normal"):
            return []
        folder = self._annotations(video.name)
        path = find_path(folder, f"{video.name}_tracks.txt")
        if preferred and (folder / f"{video.name}{preferred}.txt").is_file():
            path = folder / f"{video.name}{preferred}.txt"
        if not path.is_file():
            raise BadInput(
                f"{path}: the anomalous objects of {video.name} are missing; {self._remedy}"
            )
        tracks = []
        for number, line in enumerate(read_text(path).splitlines(), 1):
            if not line.strip():
                continue
            track = _track(line)
            if (
                track is None
                or not 0 <= track[1] <= track[2]
                or track[1] >= video.frames
                or track[0] < 1
            ):
                raise BadInput(
                    f"{path}: line {number} is {line.strip()[:60]!r}, expected id, first, last in"
                    f" frames 0 to {video.frames - 1}"
                )
            tracks.append(track)
        if not tracks:
            raise BadInput(
                f"{path}: names no anomalous object, expected one or more; {self._remedy}"
            )
        return tracks

    def _objects(self, video: Video, frame: int) -> NDArray[Any]:
        """[H, W] ids of the objects that the pixels show."""
        path = find_path(self._annotations(video.name), f"{video.name}_{frame:04d}_gt.png")
        ids = read_ids(path)
        check_size(
            (ids.shape[0], ids.shape[1]),
            self.frame_size(video),
            f"{path}: a mask",
            f"video {video.name}",
        )
        return ids

    def _masks(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        tracks = self._anomalous(video)
        empty = np.zeros(self.frame_size(video), np.uint8)
        for frame in range(video.frames):
            numbers = [number for number, first, last in tracks if first <= frame <= last]
            if not numbers:
                yield empty
                continue
            yield np.isin(self._objects(video, frame), numbers).astype(np.uint8)

    def _count_masks(self, video: Video) -> int:
        return sum(bool(mask.any()) for mask in self._masks(video))


def scene_of(name: str) -> str:
    """The scene in a video's name: `normal_scene_18_scenario_4` -> `18`."""
    found = NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name}: no name of UBnormal; expected names as normal_scene_18_scenario_4")
    return found[2]


def _track(line: str) -> Track | None:
    """`id, first, last` of a line, None where it says something else; numbers may be written as
    1.0, and what follows is passed over.
    """
    try:
        values = [float(word) for word in line.split(",")[:3]]
    except ValueError:
        return None
    if len(values) < 3 or not all(value.is_integer() for value in values):
        return None
    return int(values[0]), int(values[1]), int(values[2])


def _largest(boxes: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """The box of the largest area among boxes [K, 4] with inclusive corners, in a list that is
    empty where there are none.
    """
    if not len(boxes):
        return []
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    return [tuple(boxes[int(areas.argmax())].tolist())]
