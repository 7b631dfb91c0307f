"""UCF-Crime, as released: surveillance videos of many cameras, 800 normal ones for training and 290 for test, with temporal annotations."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decoded, seen, told
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput

ANNOTATIONS = ("Temporal_Anomaly_Annotation.txt", "Temporal_Anomaly_Annotation_for_Testing_Videos.txt")
TRAIN_LISTS = ("Anomaly_Train.txt", "Anomaly_Detection_splits/Anomaly_Train.txt")
COUNTS = "header.csv"
NORMAL = "Training_Normal_Videos"
OVERRUN = 2  # frames by which the release's intervals end after their video at most


class UCFCrime(Dataset):
    """UCF-Crime in the one-class setting: the 800 normal training videos are trained on, all 290 test videos are tested.

    What is read under `$VADBENCH_DATA/UCF_Crimes`:

    - `Temporal_Anomaly_Annotation.txt` (or `…_for_Testing_Videos.txt`): a line a test video, `name class first last first last`, frames from
      1 and inclusive, -1 where there is no interval. Five intervals end 1 or 2 frames after their video: they are cut, and the labels say so.
    - `Anomaly_Train.txt`, there or in `Anomaly_Detection_splits/` (empty in some archives, whole in the authors' repository): its lines in
      `Training_Normal_Videos…/` are the training videos. Without it they are those of `header.csv`, else of that folder in `Videos/`.
    - `header.csv`, with columns `video_path` and `frame_count`: frames of each video. Without it videos are counted by decoding, hours for all.
    - `Videos/<class>/<name>_x264.mp4`: needed by `read` alone, so that imported features run with the annotations and `header.csv`.

    A video is named as its file, without the suffix: `Abuse028_x264`. Scenes are not annotated; all videos are of scene 0. There are neither
    masks nor regions. Tur et al. (ICIP 2023) train on all 1610 training videos, 810 anomalous ones among them; these are no part of the
    one-class splits, so the unsupervised setting here is `every-second-test-video` and says so.

    Attributes:
        counts: videos of each split.
        size: height and width of a frame.
        test_frames, anomalous: frames of the test videos, and those labelled anomalous.
    """

    name = "ucf_crime"
    title = "UCF-Crime"
    revision = "2018"
    citation = "W. Sultani, C. Chen, M. Shah: Real-World Anomaly Detection in Surveillance Videos. CVPR 2018."
    licence = "none stated; for research, cite the paper"
    how_to_get = (
        "download the videos from the UCF-Crime page (www.crcv.ucf.edu/projects/real-world) into UCF_Crimes/Videos in the folder that "
        "$VADBENCH_DATA names, and Temporal_Anomaly_Annotation.txt and Anomaly_Train.txt of github.com/WaqasSultani/AnomalyDetectionCVPR2018 "
        "into UCF_Crimes"
    )
    smoothing = 15.0
    streams = ("clip",)
    boxes = ""

    counts: ClassVar[dict[Split, int]] = {"train": 800, "test": 290}
    size: ClassVar[tuple[int, int]] = (240, 320)
    test_frames: ClassVar[int] = 1111808
    anomalous: ClassVar[int] = 84338

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listed: dict[Split, tuple[Video, ...]] = {}
        self._found: dict[str, Path] | None = None

    @property
    def folder(self) -> Path:
        """The folder with the annotations and Videos."""
        return self.root / "UCF_Crimes"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The videos of a split, the test videos in the order of the annotations; counted by decoding where there is no `header.csv`.

        Raises:
            BadInput: naming the list or the first video that is missing.
        """
        if split not in self._listed:
            names = self._train_names() if split == "train" else list(self._intervals())
            if len(names) != self.counts[split]:
                raise BadInput(f"{self.folder}: {len(names)} {split} videos, the release has {self.counts[split]}; {self._remedy}")
            counts = zip(names, self._frames(names), strict=True)
            self._listed[split] = tuple(Video(name, split, frames) for name, frames in counts)
        return self._listed[split]

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [240, 320, 3], RGB.

        Raises:
            BadInput: while iterating, naming the file that is missing, damaged or of another size.
        """
        path = self._path(video.name)
        for frame in iterate_video(path):
            if frame.shape[:2] != self.size:
                raise BadInput(f"{path}: frames of shape {frame.shape}, the release has {self.size}; {self._remedy}")
            yield frame

    def labels(self) -> Labels:
        """The official temporal annotations; intervals that end up to 2 frames after their video are cut there.

        Raises:
            BadInput: on an interval outside its video.
        """
        clips, cut, intervals = {}, 0, self._intervals()
        for video in self.videos("test"):
            clips[video.name] = np.zeros(video.frames, np.uint8)
            for first, last in intervals[video.name]:
                if not 1 <= first <= last <= video.frames + OVERRUN or first > video.frames:
                    raise BadInput(f"{self._annotation}: interval {first} {last} of {video.name} is outside its frames 1 to {video.frames}")
                clips[video.name][first - 1 : last] = 1
                cut += last > video.frames
        source = f"{self._annotation.name}, frames from 1, inclusive" + (f"; {cut} intervals cut at the end of their video" if cut else "")
        return Labels("official", source, clips)

    def check(self) -> list[Check]:
        """Counts, labels, and every frame of the videos that are there; hours for the whole release.

        Raises:
            BadInput: if lists or counts are missing (`videos`); damage within a video is a line of the answer.
        """
        labels = self.labels()
        checks = [Check(f"{split} videos", str(expected), str(len(self.videos(split)))) for split, expected in self.counts.items()]
        checks.append(Check("test frames labelled", str(self.test_frames), str(len(labels.flat()))))
        checks.append(Check(f"anomalous frames ({labels.source})", str(self.anomalous), str(int(labels.flat().sum()))))
        for split in SPLITS:
            videos = self.videos(split)
            if not self._files():
                checks.append(seen(f"{split} frames", lambda: "no videos here: imported features only"))
                continue
            wanted = f"{sum(video.frames for video in videos)} frames, {self.size[0]} x {self.size[1]} RGB"
            checks.append(Check(f"{split} frames decoded", wanted, told(lambda videos=videos: decoded(self, videos))))  # type: ignore[misc]
        return checks

    @property
    def _remedy(self) -> str:
        return f"{self.how_to_get} (now {self.root})"

    @property
    def _annotation(self) -> Path:
        for name in ANNOTATIONS:
            if (self.folder / name).is_file():
                return self.folder / name
        raise BadInput(f"{self.folder / ANNOTATIONS[0]}: the temporal annotations are missing; {self._remedy}")

    def _intervals(self) -> dict[str, list[tuple[int, int]]]:
        """Test video -> its anomalous intervals, first and last frame, both inclusive, counted from 1."""
        path, found = self._annotation, {}
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            words = line.split()
            if not words:
                continue
            try:
                name, _, *ends = words
                a, b, c, d = map(int, ends)
            except ValueError as error:
                raise BadInput(f"{path}: line {number} is {line.strip()[:60]!r}, expected name.mp4, class and four frame numbers") from error
            if _stem(name) in found:
                raise BadInput(f"{path}: line {number} names {name} again; expected every video once")
            found[_stem(name)] = [span for span in ((a, b), (c, d)) if span != (-1, -1)]
        return found

    def _train_names(self) -> list[str]:
        """From the list, the counts, or the folder: the first that names any."""
        for name in TRAIN_LISTS:
            path = self.folder / name
            lines = path.read_text(encoding="utf-8", errors="replace").split() if path.is_file() else []
            listed = [_stem(line) for line in lines if line.startswith(NORMAL)]
            if listed:
                return listed
        counted = [name for name, (folder, _) in self._header().items() if folder.startswith(NORMAL)]
        return counted or [name for name, path in self._files().items() if path.parent.name.startswith(NORMAL)]

    def _frames(self, names: list[str]) -> list[int]:
        header = self._header()
        if not header:
            return frame_counts([self._path(name) for name in names], self.name)
        for name in names:
            if name not in header:
                raise BadInput(f"{self.folder / COUNTS}: has no line of {name}; expected the frame_count of every video, or no such file")
        return [header[name][1] for name in names]

    def _header(self) -> dict[str, tuple[str, int]]:
        """Video -> its folder and number of frames, as `header.csv` has them; empty without the file."""
        path = self.folder / COUNTS
        if not path.is_file():
            return {}
        found = {}
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                folder, _, name = (row.get("video_path") or "").rpartition("/")
                frames = row.get("frame_count") or ""
                if not name or not frames.isascii() or not frames.isdigit() or not int(frames):
                    raise BadInput(f"{path}: line {number} has no video_path or no frame_count of 1 or more; expected both columns, or no such file")
                found[_stem(name)] = (folder, int(frames))
        return found

    def _files(self) -> dict[str, Path]:
        """Video -> file, of all folders in Videos; one level, so that a link to a folder above does no harm."""
        if self._found is None:
            root = self.folder / "Videos"
            folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")) if root.is_dir() else []
            self._found = {name: path for folder in folders for name, path in video_paths(folder).items()}
        return self._found

    def _path(self, name: str) -> Path:
        if name not in self._files():
            raise BadInput(f"{self.folder / 'Videos'}: no {name}.mp4 in its folders; only imported features do without videos; {self._remedy}")
        return self._files()[name]


def _stem(path: str) -> str:
    """`Abuse/Abuse028_x264.mp4` -> `Abuse028_x264`."""
    return path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
