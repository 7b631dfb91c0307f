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
from vadbench.datasets.masks import mark
from vadbench.datasets.paths import find_path
from vadbench.datasets.published_tracks import SOURCE, published_tracks, regions_folder
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput
from vadbench.files.mat import read_mat

FOLDERS = ("Avenue Dataset", "Avenue_Dataset/Avenue Dataset", "Avenue_Dataset", ".")
MASKS = "ground_truth_demo/testing_label_mask"
VARIABLE = "volLabel"


class Avenue(Dataset):
    """CUHK Avenue: walking is normal; running, throwing things, loitering, walking the wrong way
    are not.

    What is read: `training_videos/01.avi`, `testing_videos/01.avi`, in a folder `Avenue Dataset` as
    the archive unpacks it, and `ground_truth_demo/testing_label_mask/1_label.mat` beside or inside
    that folder (MATLAB v5: `volLabel`, a cell with a mask a frame).

    A frame is anomalous where its released mask is not empty: 3712 of 15324, the labels of AccI-VAD
    and HF2VAD too. Another set circulates, with ano_pred and MNAD: 3867 anomalous frames, 441
    labels differ. Numbers on one do not compare with numbers on the other;
    ours is named `masks-not-empty`.

    Attributes:
        train_clips: training videos of the release; how long each is, is counted by decoding.
        train_frames: frames of all of them.
        test_frames: frames of each test video.
        anomalous: test frames whose mask is not empty.
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
        for name in FOLDERS:
            if any(
                (self.root / name / f"{kind}_videos").is_dir() for kind in ("training", "testing")
            ):
                return self.root / name
        raise BadInput(f"{self.root / FOLDERS[0]}: {self.title} is not there; {self._remedy}")

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split, 01 to 16 or 01 to 21.

        Training videos are counted by decoding on first use, some 15 seconds for all.

        Raises:
            BadInput: naming the first video that is missing, too many, or (in training) cannot be
                decoded.
        """
        paths = self._paths(split)
        frames = frame_counts(paths.values(), self.name) if split == "train" else self.test_frames
        return tuple(Video(name, split, count) for name, count in zip(paths, frames, strict=True))

    def path(self, video: Video) -> Path:
        """The clip's video."""
        return self._paths(video.split)[video.name]

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [360, 640, 3], RGB.

        Raises:
            BadInput: while iterating, naming the video that is damaged or of another size.
        """
        path = self._paths(video.split)[video.name]
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
            names = (f"{number:02d}" for number in range(1, len(self.test_frames) + 1))
            marked = {
                name: np.array([mask.any() for mask in self._masks(name)], np.uint8)
                for name in names
            }
            self._labels = Labels(
                "masks-not-empty", f"{MASKS}/*_label.mat, {VARIABLE} not empty", marked
            )
        return self._labels

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
        """The data set, and the published tracks."""
        return (self.folder, regions_folder(self.root, self.name))

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
        clips = self.train_clips if split == "train" else len(self.test_frames)
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
        for number in range(1, clips + 1):
            if number not in numbered:
                raise BadInput(
                    f"{folder / f'{number:02d}.avi'}: video {number} of {clips} is missing;"
                    f" {self._remedy}"
                )
        return {f"{number:02d}": path for number, path in sorted(numbered.items())}

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
        places = (self.folder, self.folder.parent, self.root)
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
