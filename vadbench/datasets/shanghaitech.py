"""ShanghaiTech Campus, as released: 330 training videos and 107 test clips of 13 scenes, 480 x 856,
with frame and pixel masks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import Check, Dataset, Labels, Resplit, Split, Video
from vadbench.datasets.checks import decode_all, observe, report
from vadbench.datasets.derived_tracks import derive_tracks
from vadbench.datasets.folders import count_frames, iterate_clip
from vadbench.datasets.label_sets import LabelSet
from vadbench.datasets.masks import mark
from vadbench.datasets.matching import match_names
from vadbench.datasets.paths import find_path
from vadbench.datasets.published_tracks import SOURCE, published_tracks, regions_folder
from vadbench.datasets.subsets import SHANGHAITECH_HR, SHANGHAITECH_SCENES
from vadbench.datasets.tracked_lengths import tracked_lengths, tracks_path
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput
from vadbench.files.npy import map_npy
from vadbench.files.npz import open_npz
from vadbench.files.text import read_text

FRAMES = "testing/frames"
FRAME_MASKS = "testing/test_frame_mask"
PIXEL_MASKS = "testing/test_pixel_mask"
PACKED_MASKS = "test_frame_mask.npz"
TRAIN_NAME = re.compile(r"\d\d_\d{3}")
TEST_NAME = re.compile(r"\d\d_\d{4}")
LISTED_NAME = re.compile(r"(?<!\d)\d\d_\d{3,4}(?!\d)")


class ShanghaiTech(Dataset):
    """ShanghaiTech Campus: walking is normal; vehicles, chasing, brawling and the like are not.

    A scene is the first two digits of a name.

    What is read under `$VADBENCH_DATA/shanghaitech`: `training/videos/SS_VVV.avi`,
    `testing/frames/SS_VVVV/NNN.jpg`, frame labels `testing/test_frame_mask/SS_VVVV.npy` (or
    `test_frame_mask.npz` with an array a clip), and where there are any, pixel masks
    `testing/test_pixel_mask/SS_VVVV.npy`.

    Without videos on disk everything that works on person tracks still runs: test clips then take
    their lengths from the labels, training videos from
    `$VADBENCH_DATA/tracks/shanghaitech/deepsort_train.npz` (last tracked frame + 1, so frames after
    the last person's are not counted; training frames without persons have no row either way).
    `read` then says that there are no frames.

    Attributes:
        counts: videos of each split.
        scenes: scenes of each split.
        train_frames, test_frames, anomalous: frames of the release, and those labelled anomalous.
        zhong: list of the re-split of Zhong et al. -> how many of its videos were released for
            training (normal; the smaller numbers are those of Tur et al.) and for test (anomalous).
    """

    name = "shanghaitech"
    version = 2
    title = "ShanghaiTech Campus"
    revision = "2018"
    citation = (
        "W. Luo, W. Liu, S. Gao: A Revisit of Sparse Coding Based Anomaly Detection in Stacked RNN"
        " Framework. ICCV 2017. W. Liu, W. Luo, D. Lian, S. Gao: Future Frame Prediction for"
        " Anomaly Detection - A New Baseline. CVPR 2018."
    )
    licence = "none stated in the archive; for research, cite the papers"
    how_to_get = (
        "download shanghaitech.tar.gz from the ShanghaiTech Campus page"
        " (svip-lab.github.io/dataset/campus_dataset.html) and unpack it into the folder that"
        " $VADBENCH_DATA names"
    )
    smoothing = 7.0
    fps = 24.0
    streams = ("tracks",)
    boxes = "tracks.deepsort"

    counts: ClassVar[dict[Split, int]] = {"train": 330, "test": 107}
    scenes: ClassVar[dict[Split, int]] = {"train": 13, "test": 12}
    size: ClassVar[tuple[int, int]] = (480, 856)
    train_frames: ClassVar[int] = 274515
    test_frames: ClassVar[int] = 40791
    anomalous: ClassVar[int] = 17326
    zhong: ClassVar[dict[Split, tuple[tuple[int, ...], int]]] = {
        "train": ((174, 175), 63),
        "test": ((154, 155), 44),
    }

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listed: dict[Split, tuple[Video, ...]] = {}

    @property
    def folder(self) -> Path:
        """The folder with training and testing, or with the packed labels alone."""
        return self.root / "shanghaitech"

    @property
    def person_tracks(self) -> Path:
        """The DeepSORT tracks of the training videos, which give lengths where there are no
        videos.
        """
        return tracks_path(self.root, self.name)

    @property
    def track_source(self) -> str | None:  # type: ignore[override]
        """`published` where `vadbench.datasets.published_tracks` has files, `derived from the
        masks` where pixel masks are, else None.
        """
        if regions_folder(self.root, self.name).is_dir():
            return SOURCE
        return "derived from the masks" if (self.folder / PIXEL_MASKS).is_dir() else None

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split in the order of their names.

        Training videos are counted by decoding on first use, minutes for all.

        Raises:
            BadInput: naming what is missing: videos, labels, or a clip whose frames and labels
                differ in number.
        """
        if split not in self._listed:
            lengths = self._train_lengths() if split == "train" else self._test_lengths()
            if self.only is None and len(lengths) != self.counts[split]:
                raise BadInput(
                    f"{self.folder}: {len(lengths)} {split} videos, the release has"
                    f" {self.counts[split]}; {self._remedy}; {self.partly_hint}"
                )
            self._listed[split] = tuple(
                Video(name, split, frames, name[:2])
                for name, frames in sorted(lengths.items())
                if self.wants(split, name)
            )
        return self._listed[split]

    @property
    def total(self) -> int:
        """Videos of the release."""
        return sum(self.counts.values())

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split that are here: training videos, else those with person tracks;
        test clips with labels, and with frames where there are any.
        """
        if split == "train":
            return sorted(self._training() or self._tracked_lengths())
        masks, _ = self._frame_masks()
        frames = self.folder / FRAMES
        return [
            name
            for name in sorted(masks)
            if not frames.is_dir() or find_path(frames, name).is_dir()
        ]

    def path(self, video: Video) -> Path:
        """The training clip's video, the test clip's folder of images.

        Raises:
            BadInput: if it is not on this machine.
        """
        if video.split == "train":
            path = self._training().get(video.name)
            if path is None:
                missing = self.folder / "training" / "videos" / f"{video.name}.avi"
                raise BadInput(
                    f"{missing}: not there; only streams on tracks do without; {self._remedy}"
                )
            return path
        path = find_path(self.folder / FRAMES, video.name)
        if not path.is_dir():
            raise BadInput(
                f"{path}: not there; only streams on tracks do without frames; {self._remedy}"
            )
        return path

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [480, 856, 3], RGB.

        Raises:
            BadInput: while iterating, if there are no frames on this machine, or naming the file
                that is damaged or of another size.
        """
        path = self.path(video)
        frames = iterate_video(path) if video.split == "train" else iterate_clip(path)
        for frame in frames:
            if frame.shape[:2] != self.size:
                raise BadInput(
                    f"{path}: frames of shape {frame.shape}, the release has {self.size};"
                    f" {self._remedy}"
                )
            yield frame

    def labels(self) -> Labels:
        """The official frame labels.

        Raises:
            BadInput: naming a label file that is missing, damaged, or of another length than its
                clip.
        """
        arrays, source = self._frame_masks()
        return Labels(
            "official", source, {video.name: arrays[video.name] for video in self.videos("test")}
        )

    def label_sets(self) -> tuple[LabelSet, ...]:
        """The human-related subset, and the scene-dependent relabelling with its split."""
        return SHANGHAITECH_HR, SHANGHAITECH_SCENES

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [480, 856], non-zero = anomalous; None for training videos and where there
        is no `test_pixel_mask`.

        Raises:
            BadInput: while iterating, if the clip's file is missing, damaged or of another shape.
        """
        if video.split == "train" or not (self.folder / PIXEL_MASKS).is_dir():
            return None
        return self._pixel_masks(video)

    def tracks(self) -> pd.DataFrame | None:
        """Anomalous regions: published, else derived from the pixel masks, else None;
        `track_source` says which.

        Raises:
            BadInput: on published tracks or masks that do not fit the videos.
        """
        published = published_tracks(self)
        if published is not None:
            return published
        clips = {
            video.name: masks
            for video in self.videos("test")
            if (masks := self.masks(video)) is not None
        }
        return derive_tracks(clips) if clips else None

    def truth_paths(self) -> tuple[Path, ...]:
        """The test split with its labels and masks, the re-split, and the published tracks."""
        return (
            self.folder / "testing",
            self.folder / "resplit",
            regions_folder(self.root, self.name),
        )

    def resplit(self) -> Resplit | None:
        """The re-split of Zhong et al. (CVPR 2019) that Tur et al.
        (ICIP 2023) train on without labels, where its lists are in place.

        The lists are `shanghaitech/resplit/train.txt` and `test.txt`, a video a line (`01_001` was
        released for training, `01_0014` for test; what else is in a line is passed over). Lists of
        other lengths are another split, named `list-<8 hex>` by their hash. Without lists None:
        tables then say `every-second-test-video`.

        Raises:
            BadInput: if only one list is there, or a list names no video, one twice, or one that
                does not exist.
        """
        paths = {split: self.folder / "resplit" / f"{split}.txt" for split in self.counts}
        if not any(path.is_file() for path in paths.values()):
            return None
        train, test = (self._list(path) for path in paths.values())
        both = sorted(set(train) & set(test))
        if both:
            raise BadInput(
                f"{paths['test']}: {both[0]} is in train.txt too; expected every video in one list"
            )
        split = Resplit("zhong-2019", train, test)
        known = self._is_zhong(train, "train") and self._is_zhong(test, "test")
        return split if known else replace(split, name=f"list-{split.document['sha256'][:8]}")

    def _is_zhong(self, listed: tuple[str, ...], part: Split) -> bool:
        """Whether a list has as many videos of each released split as that of Zhong et al."""
        normal, anomalous = self.zhong[part]
        released = Counter(video.partition("/")[0] for video in listed)
        return released["train"] in normal and released["test"] == anomalous

    def check(self) -> list[Check]:
        """Counts, labels, and every frame and mask that is there; reads all of it.

        Raises:
            BadInput: if videos or labels are missing (`videos`, `labels`); damage within a video is
                a line of the answer.
        """
        labels, checks = self.labels(), []
        for split, expected in self.counts.items():
            videos = self.videos(split)
            checks.append(Check(f"{split} videos", str(expected), str(len(videos))))
            checks.append(
                Check(
                    f"{split} scenes",
                    str(self.scenes[split]),
                    str(len({video.scene for video in videos})),
                )
            )
        checks.append(Check("test frames labelled", str(self.test_frames), str(len(labels.flat()))))
        checks.append(
            Check(
                f"anomalous frames ({labels.source})",
                str(self.anomalous),
                str(int(labels.flat().sum())),
            )
        )
        return [
            *checks,
            *self._footage_checks(),
            *self._mask_checks(),
            observe("region tracks", lambda: self.track_source or "none"),
        ]

    def _footage_checks(self) -> list[Check]:
        totals: dict[Split, int] = {"train": self.train_frames, "test": self.test_frames}
        present = {"train": bool(self._training()), "test": (self.folder / FRAMES).is_dir()}
        checks = []
        for split, total in totals.items():
            if not present[split]:
                checks.append(
                    observe(f"{split} frames", lambda: "no videos here: streams on tracks only")
                )
                continue
            wanted = f"{total} frames, {self.size[0]} x {self.size[1]} RGB"
            checks.append(
                Check(
                    f"{split} frames decoded",
                    wanted,
                    report(lambda split=split: decode_all(self, self.videos(split))),  # type: ignore[misc]
                )
            )
        return checks

    def _mask_checks(self) -> list[Check]:
        if not (self.folder / PIXEL_MASKS).is_dir():
            return []
        return [
            Check(
                "pixel masks",
                f"{self.test_frames} masks",
                report(lambda: f"{self._count_masks()} masks"),
            )
        ]

    def _count_masks(self) -> int:
        return sum(1 for video in self.videos("test") for _ in self.masks(video) or ())

    @property
    def _remedy(self) -> str:
        return f"{self.how_to_get} (now {self.root})"

    def _training(self) -> dict[str, Path]:
        folder = self.folder / "training" / "videos"
        return video_paths(folder) if folder.is_dir() else {}

    def _train_lengths(self) -> dict[str, int]:
        paths = self._training()
        if not paths:
            return self._tracked_lengths()
        for name, path in paths.items():
            if not TRAIN_NAME.fullmatch(name):
                raise BadInput(f"{path}: expected names as 01_001.avi; move the file elsewhere")
        if self.only is not None:
            paths = {name: path for name, path in paths.items() if self.wants("train", name)}
        elif len(paths) != self.counts["train"]:  # before minutes of counting
            raise BadInput(
                f"{self.folder / 'training/videos'}: {len(paths)} videos, the release has"
                f" {self.counts['train']}; {self._remedy}; {self.partly_hint}"
            )
        return dict(zip(paths, frame_counts(paths.values(), self.name), strict=True))

    def _tracked_lengths(self) -> dict[str, int]:
        path = self.person_tracks
        missing = (
            f"{self.folder / 'training/videos'}: no training videos, and no {path} to take their"
            f" lengths from; {self._remedy}"
        )
        return tracked_lengths(path, missing)

    def _test_lengths(self) -> dict[str, int]:
        masks, source = self._frame_masks()
        masks = {name: labels for name, labels in masks.items() if self.wants("test", name)}
        frames = self.folder / FRAMES
        if frames.is_dir():
            for name, labels in masks.items():
                found = count_frames(find_path(frames, name))
                if found != len(labels):
                    raise BadInput(
                        f"{frames / name}: {found} frames, {len(labels)} labels in {source};"
                        f" {self._remedy}"
                    )
            clips = [path.name for path in frames.iterdir() if TEST_NAME.fullmatch(path.name)]
            clips = [name for name in clips if self.wants("test", name)]
            unlabelled = sorted(match_names(clips, masks).extra)
            if unlabelled:
                raise BadInput(
                    f"{self.folder / FRAME_MASKS / unlabelled[0]}.npy: the labels of"
                    f" {unlabelled[0]} are missing; {self._remedy}"
                )
        return {name: len(labels) for name, labels in masks.items()}

    def _frame_masks(self) -> tuple[dict[str, NDArray[np.uint8]], str]:
        """Clip -> [T] uint8 labels, and what they were read from."""
        folder, packed = self.folder / FRAME_MASKS, self.folder / PACKED_MASKS
        if folder.is_dir():
            paths = [
                path
                for path in sorted(folder.iterdir())
                if path.suffix.lower() == ".npy" and not path.name.startswith(".")
            ]
            called = self._match_clips([path.stem for path in paths])
            return {
                called[path.stem]: _binary(_open_array(path), path, called[path.stem])
                for path in paths
            }, f"{FRAME_MASKS}/*.npy"
        if not packed.is_file():
            raise BadInput(
                f"{folder}: the frame labels are missing (as is {PACKED_MASKS}); {self._remedy}"
            )
        with _open_arrays(packed) as arrays:
            called = self._match_clips(list(arrays))
            return {
                called[name]: _binary(values, packed, called[name])
                for name, values in arrays.items()
            }, PACKED_MASKS

    def _match_clips(self, labelled: list[str]) -> dict[str, str]:
        """Name of labels -> their clip's: the folder of frames that is spelt like it, where there
        are frames, else as it is.
        """
        frames = self.folder / FRAMES
        clips = (
            [path.name for path in frames.iterdir() if TEST_NAME.fullmatch(path.name)]
            if frames.is_dir()
            else []
        )
        partner = match_names(labelled, clips).partner
        return {name: partner.get(name, name) for name in labelled}

    def _pixel_masks(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        path = find_path(self.folder / PIXEL_MASKS, f"{video.name}.npy")
        masks = _open_array(path)
        expected = (video.frames, *self.size)
        if masks.shape != expected:
            raise BadInput(
                f"{path}: {masks.dtype} of shape {masks.shape}, expected whole numbers of shape"
                f" {expected}; {self._remedy}"
            )
        for frame, mask in enumerate(masks):
            yield mark(np.asarray(mask), f"{path}: frame {frame}")

    def _list(self, path: Path) -> tuple[str, ...]:
        if not path.is_file():
            raise BadInput(
                f"{path}: not there, but the other list of the re-split is; expected both, or"
                " neither"
            )
        names = [
            found[0] for line in read_text(path).splitlines() if (found := LISTED_NAME.search(line))
        ]
        listed = [f"{'train' if TRAIN_NAME.fullmatch(name) else 'test'}/{name}" for name in names]
        known = {f"{split}/{video.name}" for split in self.counts for video in self.videos(split)}
        for place, name in enumerate(listed):
            if name not in known:
                raise BadInput(
                    f"{path}: {name.partition('/')[2]} is no video of the release; expected names"
                    " as 01_001 or 01_0014"
                )
            if name in listed[:place]:
                raise BadInput(
                    f"{path}: {name.partition('/')[2]} is listed twice; expected every video once"
                )
        if not listed:
            raise BadInput(f"{path}: names no video; expected a line a video, as 01_001 or 01_0014")
        return tuple(listed)


def _open_array(path: Path) -> NDArray[Any]:
    """The array of a file, memory-mapped.

    Raises:
        BadInput: if it cannot be read.
    """
    with _told(path):
        return map_npy(path)


@contextmanager
def _open_arrays(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of an archive.

    Raises:
        BadInput: if it cannot be read, or one in the block is damaged.
    """
    with _told(path), open_npz(path) as arrays:
        yield arrays


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path}: not there; unpack the data set again") from error
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cut off or not a NumPy file ({error}); unpack the data set again"
        ) from error


def _binary(values: NDArray[Any], path: Path, name: str) -> NDArray[np.uint8]:
    """[T] uint8 of frame labels."""
    if not TEST_NAME.fullmatch(name):
        raise BadInput(f"{path}: {name} is no clip's name; expected names as 01_0014")
    if values.ndim != 1 or not len(values) or not np.isin(values, (0, 1)).all():
        raise BadInput(
            f"{path}: labels of {name} are {values.dtype} of shape {values.shape}; expected 0 or 1"
            " for each frame, at least one"
        )
    return np.asarray(values, np.uint8)
