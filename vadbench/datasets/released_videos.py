"""What data sets have in common that are released as video files with frame labels: each in a file
of its own names the files, and the labels of a test video.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts
from vadbench.errors import BadInput
from vadbench.files.npy import load_npy
from vadbench.files.npz import open_npz


class ReleasedVideos(Dataset):
    """Video files of two splits, and labels of each test video.

    A test video and its labels have to be of one length, but for `most_cut` frames: then both are
    cut to the shorter, and the labels' source says of how many videos. Nothing is ever padded.

    Attributes:
        counts: videos of each split.
        scenes: scenes of each split; None where videos say of none.
        test_frames, anomalous: frames of the test videos, and those labelled anomalous, as stated
            by others; None: stated nowhere.
        most_cut: frames by which a video and its labels may differ.
        labelled: what the labels are read from, for messages.
    """

    counts: ClassVar[dict[Split, int]]
    scenes: ClassVar[dict[Split, int] | None] = None
    test_frames: ClassVar[int | None] = None
    anomalous: ClassVar[int | None] = None
    most_cut: ClassVar[int] = 0
    labelled: ClassVar[str]

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listed: dict[Split, tuple[Video, ...]] = {}

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder of the release."""

    @abstractmethod
    def files(self, split: Split) -> dict[str, Path]:
        """The videos of a split that are here, name -> file, in their order.

        Raises:
            BadInput: on a file that is no video of the release, or a folder that is missing.
        """

    @abstractmethod
    def labels_of(self, name: str, frames: int) -> NDArray[np.uint8]:
        """[T] the labels of a test video that decodes to so many frames.

        Raises:
            BadInput: if they are missing or damaged.
        """

    def scene_of(self, name: str) -> str:
        """The scene of a video: one for all."""
        return "0"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split; counted by decoding on first use.

        Raises:
            BadInput: naming what is missing, or a test video and labels of other lengths.
        """
        if split not in self._listed:
            files = self._require(split)
            counts = frame_counts(files.values(), self.name)
            self._listed[split] = tuple(
                Video(name, split, self._fit(split, name, path, frames), self.scene_of(name))
                for (name, path), frames in zip(files.items(), counts, strict=True)
            )
        return self._listed[split]

    @property
    def total(self) -> int:
        """Videos of the release."""
        return sum(self.counts.values())

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split whose files are here."""
        return list(self.files(split))

    def path(self, video: Video) -> Path:
        """The clip's video.

        Raises:
            BadInput: if it is not on this machine.
        """
        files = self.files(video.split)
        if video.name not in files:
            raise BadInput(
                f"{self.folder}: {video.split} video {video.name} is missing; {self.remedy}"
            )
        return files[video.name]

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [H, W, 3], RGB.

        Raises:
            BadInput: while iterating, naming the file that is missing or damaged.
        """
        return islice(iterate_video(self.path(video)), video.frames)

    def labels(self) -> Labels:
        """The official frame labels.

        Raises:
            BadInput: naming labels that are missing, damaged or of another length.
        """
        clips, cut = {}, 0
        for video in self.videos("test"):
            labels = self.labels_of(video.name, video.frames)
            cut += len(labels) > video.frames or self._decoded(video) > video.frames
            clips[video.name] = labels[: video.frames]
        shorter = f"; {cut} videos cut to the shorter of frames and labels" if cut else ""
        return Labels("official", f"{self.labelled}{shorter}", clips)

    def truth_paths(self) -> tuple[Path, ...]:
        """The data set: labels lie beside the videos."""
        return (self.folder,)

    def check(self) -> list[Check]:
        """Counts, labels and every frame decoded; reads all of it.

        Raises:
            BadInput: if videos or labels are missing; damage within a video is a line of the
                answer.
        """
        labels, checks = self.labels(), []
        for split in SPLITS:
            videos = self.videos(split)
            checks.append(Check(f"{split} videos", str(self.counts[split]), str(len(videos))))
            if self.scenes is not None:
                found = str(len({video.scene for video in videos}))
                checks.append(Check(f"{split} scenes", str(self.scenes[split]), found))
            checks.append(
                observe(f"{split} frames decoded", lambda videos=videos: decode_all(self, videos))  # type: ignore[misc]
            )
        flat = labels.flat()
        found_frames, found_anomalous = str(len(flat)), str(int(flat.sum()))
        expected = found_frames if self.test_frames is None else str(self.test_frames)
        checks.append(Check(f"test frames labelled ({labels.source})", expected, found_frames))
        expected = found_anomalous if self.anomalous is None else str(self.anomalous)
        checks.append(Check("anomalous frames", expected, found_anomalous))
        return checks

    @property
    def remedy(self) -> str:
        """What helps where something is missing."""
        return f"{self.how_to_get} (now {self.root})"

    def _require(self, split: Split) -> dict[str, Path]:
        """The files of all videos of a split that have to be here."""
        files = self.files(split)
        if self.only is not None:
            for name in sorted(self.only):
                if name.startswith(f"{split}/") and name.partition("/")[2] not in files:
                    raise BadInput(f"{self.folder}: video {name} is missing; {self.remedy}")
            return {name: path for name, path in files.items() if self.wants(split, name)}
        if len(files) != self.counts[split]:
            raise BadInput(
                f"{self.folder}: {len(files)} {split} videos, the release has"
                f" {self.counts[split]}; {self.remedy}; {self.partly_hint}"
            )
        return files

    def _fit(self, split: Split, name: str, path: Path, frames: int) -> int:
        """The length of a video, of a test video the shorter of its own and its labels'."""
        if split != "test":
            return frames
        labelled = len(self.labels_of(name, frames))
        if abs(labelled - frames) > self.most_cut:
            within = f" within {self.most_cut}" if self.most_cut else ""
            raise BadInput(
                f"{path}: decodes to {frames} frames, {labelled} labels in {self.labelled};"
                f" expected as many{within}; get both again"
            )
        return min(labelled, frames)

    def _decoded(self, video: Video) -> int:
        (frames,) = frame_counts([self.path(video)], self.name)
        return frames


def binary(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """[T] uint8 of frame labels, 1 = anomalous.

    Args:
        values: 0 or 1 a frame, at least one.
        what: the file, and the place in it, for the message.

    Raises:
        BadInput: on anything else.
    """
    if (
        values.ndim != 1
        or not len(values)
        or values.dtype.kind not in "biuf"
        or not np.isin(values, (0, 1)).all()
    ):
        raise BadInput(
            f"{what}: {values.dtype} of shape {values.shape}; expected 0 or 1 for each frame, at"
            " least one"
        )
    return np.asarray(values, np.uint8)


def load_labels(path: Path, remedy: str) -> NDArray[np.uint8]:
    """[T] labels of an npy.

    Raises:
        BadInput: if it is missing, damaged, or holds something else.
    """
    return binary(np.asarray(load_npy(path, remedy)), str(path))


@contextmanager
def open_labels(path: Path, remedy: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of an npz.

    Raises:
        BadInput: if it is missing or damaged.
    """
    if not path.is_file():
        raise BadInput(f"{path}: the labels are missing; {remedy}")
    try:
        with open_npz(path) as arrays:
            yield arrays
    except BadInput:  # of what is in it
        raise
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cut off or not a NumPy file ({error}); {remedy}") from error


def find_folder(root: Path, names: tuple[str, ...], missing: str) -> Path:
    """The first of these folders that is there.

    Raises:
        BadInput: if none is.
    """
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise BadInput(f"{root / names[0]}: not there; {missing}")
    return found
