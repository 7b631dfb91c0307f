"""CUHK Avenue, as released: 16 training and 21 test videos before a campus building, 360 x 640 RGB,
with pixel masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe, report
from vadbench.datasets.derived_tracks import derive_tracks
from vadbench.datasets.label_sets import LabelSet
from vadbench.datasets.masks import mark
from vadbench.datasets.matching import match_names
from vadbench.datasets.other_labels import (
    labels_folder,
    read_flat_labels,
    read_interval_labels,
)
from vadbench.datasets.paths import find_path
from vadbench.datasets.published_tracks import SOURCE, published_tracks, regions_folder
from vadbench.datasets.subsets import AVENUE_HR
from vadbench.datasets.tracked_lengths import tracked_lengths, tracks_path
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput
from vadbench.files.mat import read_mat

FOLDERS = ("Avenue Dataset", "Avenue_Dataset/Avenue Dataset", "Avenue_Dataset", ".")
MASKS = "ground_truth_demo/testing_label_mask"
VARIABLE = "volLabel"
OTHER_FILES = ("frame_labels_avenue.npy", "avenue.mat")


class Avenue(Dataset):
    """CUHK Avenue: walking is normal; running, throwing things, loitering, walking the wrong way
    are not.

    What is read: `training_videos/01.avi`, `testing_videos/01.avi`, in a folder `Avenue Dataset` as
    the archive unpacks it, and `ground_truth_demo/testing_label_mask/1_label.mat` beside or inside
    that folder (MATLAB v5: `volLabel`, a cell with a mask a frame).

    Without videos on disk everything that works on person tracks still runs, with the masks and
    `$VADBENCH_DATA/tracks/avenue/deepsort_train.npz` (and `_test.npz`): training videos then have
    the length of their tracks, as `tracked_lengths` says.

    A frame is anomalous where its released mask is not empty: 3712 of 15324, the labels of AccI-VAD
    and HF2VAD too. Another set circulates, with ano_pred and MNAD: 3867 anomalous frames, 441
    labels differ. Numbers on one do not compare with numbers on the other; ours is named
    `masks-not-empty`, the other one is the label set `mnad-interval`, read from
    `$VADBENCH_DATA/labels/avenue/frame_labels_avenue.npy` (MNAD) or `avenue.mat` (ano_pred).
    Label set `hr` leaves out the frames whose anomaly is not of people.

    Attributes:
        train_clips: training videos of the release; how long each is, is counted by decoding.
        train_frames: frames of all of them.
        test_frames: frames of each test video.
        anomalous: test frames whose mask is not empty.
        other_anomalous: anomalous frames of the other label set.
    """

    name = "avenue"
    version = 2
    title = "CUHK Avenue"
    revision = "2013"
    citation = "C. Lu, J. Shi, J. Jia: Abnormal Event Detection at 150 FPS in MATLAB. ICCV 2013."
    licence = "none stated in the archive; for research, cite the paper"
    how_to_get = (
        "download Avenue_Dataset.zip and ground_truth_demo.zip from the Avenue Dataset page"
        " (cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html) and unpack both into the"
        " folder that $VADBENCH_DATA names"
    )
    archives = (
        "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/Avenue_Dataset.zip",
        "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/ground_truth_demo.zip",
    )
    smoothing = 3.0
    fps = 25.0

    train_clips: ClassVar[int] = 16
    train_frames: ClassVar[int] = 15328
    test_frames: ClassVar[tuple[int, ...]] = (
        *(1439, 1211, 923, 947, 1007, 1283, 605, 36, 1175, 841, 472),
        *(1271, 549, 507, 1001, 740, 426, 294, 248, 273, 76),
    )
    size: ClassVar[tuple[int, int]] = (360, 640)
    anomalous: ClassVar[int] = 3712
    other_anomalous: ClassVar[int] = 3867

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._labels: Labels | None = None

    @property
    def track_source(self) -> str:  # type: ignore[override]
        """`published` where such files are in place (`vadbench.datasets.published_tracks`), else
        `derived from the masks`.
        """
        return SOURCE if regions_folder(self.root, self.name).is_dir() else "derived from the masks"

    @property
    def folder(self) -> Path:
        """The folder with training_videos and testing_videos.

        Raises:
            BadInput: if there is none.
        """
        found = self._find_folder()
        if found is None:
            raise BadInput(f"{self.root / FOLDERS[0]}: {self.title} is not there; {self._remedy}")
        return found

    def _find_folder(self) -> Path | None:
        for name in FOLDERS:
            if any(
                (self.root / name / f"{kind}_videos").is_dir() for kind in ("training", "testing")
            ):
                return self.root / name
        return None

    def _is_tracked(self) -> bool:
        """Whether there are person tracks and no videos."""
        return self._find_folder() is None and tracks_path(self.root, self.name).is_file()

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split, 01 to 16 or 01 to 21.

        Training videos are counted by decoding on first use, some 15 seconds for all.

        Raises:
            BadInput: naming the first video that is missing, too many, or (in training) cannot be
                decoded.
        """
        if self._is_tracked():
            return self._tracked(split)
        paths = self._paths(split)
        frames = (
            frame_counts(paths.values(), self.name)
            if split == "train"
            else [self.test_frames[int(name) - 1] for name in paths]
        )
        return tuple(Video(name, split, count) for name, count in zip(paths, frames, strict=True))

    def _tracked(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split where there are person tracks alone."""
        lengths = {f"{number:02d}": frames for number, frames in enumerate(self.test_frames, 1)}
        if split == "train":
            path = tracks_path(self.root, self.name)
            lengths = tracked_lengths(path, f"{path}: not there; {self._remedy}")
            expected = [f"{number:02d}" for number in range(1, self.train_clips + 1)]
            partner = match_names(lengths, expected).partner
            if len(partner) != len(lengths) or set(partner.values()) != set(expected):
                raise BadInput(
                    f"{path}: tracks of videos {', '.join(lengths)[:80]}; expected 01 to"
                    f" {expected[-1]}"
                )
            lengths = {partner[name]: frames for name, frames in lengths.items()}
        return tuple(
            Video(name, split, frames)
            for name, frames in sorted(lengths.items())
            if self.wants(split, name)
        )

    @property
    def total(self) -> int:
        """Videos of the release."""
        return self.train_clips + len(self.test_frames)

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split whose files are here."""
        if self._is_tracked():
            return [video.name for video in self._tracked(split)]
        return [f"{number:02d}" for number in sorted(self._numbered(split))]

    def path(self, video: Video) -> Path:
        """The clip's video.

        Raises:
            BadInput: if it is not on this machine.
        """
        if self._is_tracked():
            raise BadInput(
                f"{self.root / FOLDERS[0]}: no videos; only streams on tracks do without;"
                f" {self._remedy}"
            )
        return self._paths(video.split)[video.name]

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [360, 640, 3], RGB.

        Raises:
            BadInput: while iterating, naming the video that is damaged or of another size.
        """
        path = self.path(video)
        for frame in iterate_video(path):
            if frame.shape[:2] != self.size:
                raise BadInput(
                    f"{path}: frames of {frame.shape[:2]} pixels, the release has {self.size};"
                    f" {self._remedy}"
                )
            yield frame

    def labels(self) -> Labels:
        """Frame labels: 1 where the released mask is not empty.

        All masks are read, once an instance.

        Raises:
            BadInput: naming a label file that is missing, damaged, or of another length or size
                than its video.
        """
        if self._labels is None:
            every = (f"{number:02d}" for number in range(1, len(self.test_frames) + 1))
            names = [name for name in every if self.wants("test", name)]
            marked = {
                name: np.array([mask.any() for mask in self._masks(name)], np.uint8)
                for name in names
            }
            self._labels = Labels(
                "masks-not-empty", f"{MASKS}/*_label.mat, {VARIABLE} not empty", marked
            )
        return self._labels

    def label_sets(self) -> tuple[LabelSet, ...]:
        """The human-related subset, and the labels of ano_pred and MNAD."""
        other = LabelSet(
            "mnad-interval",
            f"labels of ano_pred (CVPR 2018) and MNAD, {self._other_labels.name}",
            read=self._read_other,
            paths=(self._other_labels,),
        )
        return AVENUE_HR, other

    @property
    def _other_labels(self) -> Path:
        """The file of the other labels; the first of its names where none is there."""
        paths = [labels_folder(self.root, self.name) / name for name in OTHER_FILES]
        return next((path for path in paths if path.is_file()), paths[0])

    def _read_other(self) -> dict[str, NDArray[np.uint8]]:
        path = self._other_labels
        lengths = {f"{number:02d}": frames for number, frames in enumerate(self.test_frames, 1)}
        read = read_interval_labels if path.suffix == ".mat" else read_flat_labels
        labels = read(path, lengths)
        count = sum(int(values.sum()) for values in labels.values())
        if count != self.other_anomalous:
            raise BadInput(
                f"{path}: {count} anomalous frames, those of ano_pred and MNAD have"
                f" {self.other_anomalous}; these are other labels"
            )
        return labels

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [360, 640], non-zero = anomalous; None for training videos.

        The masks of one video are in memory (230 kB a frame).

        Raises:
            BadInput: while iterating, as `labels`.
        """
        return None if video.split == "train" else self._masks(video.name)

    def tracks(self) -> pd.DataFrame:
        """Anomalous regions: published, else derived from the masks; `track_source` says which.

        Raises:
            BadInput: as `labels`, or as `published_tracks`.
        """
        videos = self.videos("test")
        published = published_tracks(self)
        return (
            derive_tracks({video.name: self._masks(video.name) for video in videos})
            if published is None
            else published
        )

    def truth_paths(self) -> tuple[Path, ...]:
        """The data set, or the masks alone, and the published tracks."""
        return (self._find_folder() or self._mask_folder(), regions_folder(self.root, self.name))

    def check(self) -> list[Check]:
        """Counts, every frame decoded, and the masks; reads all of it.

        Raises:
            BadInput: if videos or label files are missing or damaged such that they cannot be
                counted; other damage is a line of the answer.
        """
        labels = self.labels()
        train, test = (
            (self.train_clips, self.train_frames),
            (len(self.test_frames), sum(self.test_frames)),
        )
        totals: dict[Split, tuple[int, int]] = {"train": train, "test": test}
        checks = []
        for split, (clips, frames) in totals.items():
            videos = self.videos(split)
            checks.append(Check(f"{split} videos", str(clips), str(len(videos))))
            if self._is_tracked():
                checks.append(
                    observe(f"{split} frames", lambda: "no videos here: streams on tracks only")
                )
                continue
            wanted = f"{frames} frames, {self.size[0]} x {self.size[1]} RGB"
            checks.append(
                Check(
                    f"{split} frames decoded",
                    wanted,
                    report(lambda videos=videos: decode_all(self, videos)),  # type: ignore[misc]
                )
            )
        checks.append(
            Check("test frames with a mask", str(sum(self.test_frames)), str(len(labels.flat())))
        )
        checks.append(
            Check(
                f"anomalous frames ({labels.name})",
                str(self.anomalous),
                str(int(labels.flat().sum())),
            )
        )
        return [
            *checks,
            observe("region tracks", lambda: f"{len(self.tracks())} regions, {self.track_source}"),
        ]

    @property
    def _remedy(self) -> str:
        return f"`vadbench data fetch {self.name}`, or {self.how_to_get} (now {self.root})"

    def _paths(self, split: Split) -> dict[str, Path]:
        """Two-digit name -> file of every video of the split, by the number in the file's name."""
        numbered, clips = self._numbered(split), self._count_clips(split)
        wanted = [one for one in range(1, clips + 1) if self.wants(split, f"{one:02d}")]
        for number in wanted:
            if number not in numbered:
                missing = self.folder / f"{split}ing_videos" / f"{number:02d}.avi"
                raise BadInput(
                    f"{missing}: video {number} of {clips} is missing; {self._remedy};"
                    f" {self.partly_hint}"
                )
        return {f"{number:02d}": numbered[number] for number in wanted}

    def _count_clips(self, split: Split) -> int:
        return self.train_clips if split == "train" else len(self.test_frames)

    def _numbered(self, split: Split) -> dict[int, Path]:
        """Number -> file of every video of the split that is here."""
        clips = self._count_clips(split)
        folder = self.folder / f"{split}ing_videos"
        numbered: dict[int, Path] = {}
        for stem, path in video_paths(folder).items():
            if not stem.isdecimal() or not 1 <= int(stem) <= clips:
                raise BadInput(
                    f"{path}: no video of the release, which has 01 to {clips:02d}; move the file"
                    " elsewhere"
                )
            if int(stem) in numbered:
                raise BadInput(
                    f"{path}: video {stem} is also {numbered[int(stem)].name}; expected one file a"
                    " video, remove one"
                )
            numbered[int(stem)] = path
        return numbered

    def _masks(self, name: str) -> Iterator[NDArray[np.uint8]]:
        """The masks of test video `name`, each [H, W]."""
        path, expected = (
            find_path(self._mask_folder(), f"{int(name)}_label.mat"),
            self.test_frames[int(name) - 1],
        )
        # a byte a pixel; twice that leaves room for what is beside the masks
        cells = _cells(path, 2 * expected * self.size[0] * self.size[1])
        if len(cells) != expected:
            raise BadInput(
                f"{path}: masks of {len(cells)} frames, the release has {expected}; {self._remedy}"
            )
        for frame, mask in enumerate(cells):
            if not isinstance(mask, np.ndarray) or mask.shape != self.size:
                found = mask.shape if isinstance(mask, np.ndarray) else type(mask).__name__
                raise BadInput(
                    f"{path}: the mask of frame {frame} is {found}, expected numbers {self.size};"
                    f" {self._remedy}"
                )
            yield mark(mask, f"{path}: frame {frame}")

    def _mask_folder(self) -> Path:
        folder = self._find_folder()
        own = [self.root / name for name in FOLDERS] if folder is None else [folder, folder.parent]
        places = [*own, self.root]
        found = next((place / MASKS for place in places if (place / MASKS).is_dir()), None)
        if found is None:
            raise BadInput(
                f"{self.root / MASKS}: the masks are missing, no labels without them;"
                f" {self._remedy}"
            )
        return found


def _cells(path: Path, most: int) -> NDArray[Any]:
    """[T] object array: what is in the cells of `volLabel`, which take up to `most` bytes.

    Raises:
        BadInput: if the file is missing, no MATLAB v5 file, or has no such variable.
    """
    remedy = "unpack ground_truth_demo.zip again"
    try:
        variables = read_mat(path, most)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: the masks of this test video are missing; {remedy}") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
    except ValueError as error:
        raise BadInput(
            f"{path}: cut off, damaged or no MATLAB v5 file ({error}); {remedy}"
        ) from error
    cells = variables.get(VARIABLE)
    if cells is None or cells.dtype != object:
        raise BadInput(f"{path}: no cell array {VARIABLE}; expected a mask a frame in it, {remedy}")
    return np.asarray(cells).ravel()
