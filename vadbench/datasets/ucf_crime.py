"""UCF-Crime, as released: surveillance videos of many cameras, 1610 for training (800 of them
normal) and 290 for test with annotations.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.checks import decode_all, observe, report
from vadbench.datasets.events import Event
from vadbench.datasets.matching import match_names
from vadbench.datasets.video import iterate_video
from vadbench.datasets.video_files import frame_counts, video_paths
from vadbench.errors import BadInput
from vadbench.files.text import read_text

ANNOTATIONS = (
    "Temporal_Anomaly_Annotation.txt",
    "Temporal_Anomaly_Annotation_for_Testing_Videos.txt",
)
TRAIN_LISTS = ("Anomaly_Train.txt", "Anomaly_Detection_splits/Anomaly_Train.txt")
COUNTS = "header.csv"
NORMAL = "Training_Normal_Videos"
Interval = tuple[int, int]  # first and last frame, both inclusive, counted from 1
OVERRUN = 2  # frames by which the release's intervals end after their video at most


class UCFCrime(Dataset):
    """UCF-Crime: the 800 normal training videos are trained on, all 290 test videos are tested.

    In the unsupervised setting (Zaheer et al., CVPR 2022; Tur et al., ICIP 2023) the 810 anomalous
    training videos are trained on too, without a label: the split `unlabelled`. No other setting
    reads them, and they need not be there.

    What is read under `$VADBENCH_DATA/UCF_Crimes`:

    - `Temporal_Anomaly_Annotation.txt` (or `…_for_Testing_Videos.txt`): a line a test video, `name
      class first last first last`, frames from 1 and inclusive, -1 where there is no interval. Five
      intervals end 1 or 2 frames after their video: they are cut, and the labels say so.
    - `Anomaly_Train.txt`, there or in `Anomaly_Detection_splits/` (empty in some archives, whole in
      the authors' repository): its lines in `Training_Normal_Videos…/` are the training videos,
      those in folders of a class of anomalies the unlabelled ones. Without it they are those of
      `header.csv`, else of the folders in `Videos/`, less the test videos.
    - `header.csv`, with columns `video_path` and `frame_count`: frames of each video. Without it
    videos are counted by decoding, hours for all. - `Videos/<class>/<name>_x264.mp4`: needed by
    `read` alone, so that imported features run with the annotations and `header.csv`.

    A video is named as its file, without the suffix: `Abuse028_x264`. Scenes are not annotated; all
    videos are of scene 0. There are neither masks nor regions.

    Attributes:
        counts: videos of each split.
        test_frames, anomalous: frames of the test videos, and those labelled anomalous.
    """

    name = "ucf_crime"
    version = 2
    title = "UCF-Crime"
    revision = "2018"
    citation = (
        "W. Sultani, C. Chen, M. Shah: Real-World Anomaly Detection in Surveillance Videos. CVPR"
        " 2018."
    )
    licence = "none stated; for research, cite the paper"
    how_to_get = (
        "download the videos from the UCF-Crime page (www.crcv.ucf.edu/projects/real-world) into"
        " UCF_Crimes/Videos in the folder that $VADBENCH_DATA names, and"
        " Temporal_Anomaly_Annotation.txt and Anomaly_Train.txt of"
        " github.com/WaqasSultani/AnomalyDetectionCVPR2018 into UCF_Crimes"
    )
    smoothing = 15.0
    fps = 30.0
    streams = ("clip",)
    boxes = ""
    splits: ClassVar[tuple[Split, ...]] = (*SPLITS, "unlabelled")

    counts: ClassVar[dict[Split, int]] = {"train": 800, "test": 290, "unlabelled": 810}
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
        """The videos of a split, the test videos in the order of the annotations; counted by
        decoding where there is no `header.csv`.

        Raises:
            BadInput: naming the list or the first video that is missing.
        """
        if split not in self._listed:
            names = self._names(split)
            if len(names) != self.counts[split]:
                raise BadInput(
                    f"{self.folder}: {len(names)} {split} videos, the release has"
                    f" {self.counts[split]}; {self._remedy}; {self.partly_hint}"
                )
            names = [name for name in names if self.wants(split, name)]
            counts = zip(names, self._frames(names), strict=True)
            self._listed[split] = tuple(Video(name, split, frames) for name, frames in counts)
        return self._listed[split]

    @property
    def total(self) -> int:
        """Videos of the release that are trained or tested on."""
        return sum(self.counts[split] for split in SPLITS)

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split whose files are here, or whose frames `header.csv` counts."""
        files = [*self._files(), *self._header()]
        return [name for name in self._names(split) if self._match_spelling(name, files)]

    def path(self, video: Video) -> Path:
        """The clip's video."""
        return self._path(video.name)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [240, 320, 3], RGB.

        Raises:
            BadInput: while iterating, naming the file that is missing, damaged or of another size.
        """
        path = self._path(video.name)
        for frame in iterate_video(path):
            if frame.shape[:2] != self.size:
                raise BadInput(
                    f"{path}: frames of shape {frame.shape}, the release has {self.size};"
                    f" {self._remedy}"
                )
            yield frame

    def labels(self) -> Labels:
        """The official temporal annotations; intervals that end up to 2 frames after their video
        are cut there.

        Raises:
            BadInput: on an interval outside its video.
        """
        clips, cut = {}, 0
        for video, _, intervals in self._tested():
            clips[video.name] = np.zeros(video.frames, np.uint8)
            for first, last in intervals:
                clips[video.name][first - 1 : last] = 1
                cut += last > video.frames
        source = f"{self._annotation.name}, frames from 1, inclusive" + (
            f"; {cut} intervals cut at the end of their video" if cut else ""
        )
        return Labels("official", source, clips)

    def events(self) -> list[Event]:
        """Every annotated interval, with the class of its video: `Abuse`, `Arrest`, ….

        Raises:
            BadInput: as `labels`.
        """
        return [
            Event(video.name, first - 1, min(last, video.frames) - 1, category)
            for video, category, intervals in self._tested()
            for first, last in intervals
        ]

    def check(self) -> list[Check]:
        """Counts, labels, and every frame of the videos that are there; hours for the whole
        release.

        Raises:
            BadInput: if lists or counts are missing (`videos`); damage within a video is a line of
                the answer.
        """
        labels = self.labels()
        checks = [
            Check(f"{split} videos", str(self.counts[split]), str(len(self.videos(split))))
            for split in SPLITS
        ]
        checks.append(Check("test frames labelled", str(self.test_frames), str(len(labels.flat()))))
        checks.append(
            Check(
                f"anomalous frames ({labels.source})",
                str(self.anomalous),
                str(int(labels.flat().sum())),
            )
        )
        listed, needed = self._names("unlabelled"), self.counts["unlabelled"]
        checks.append(
            observe(
                "unlabelled videos",
                lambda: (
                    f"{len(listed)} listed; the unsupervised setting, and no other, needs {needed}"
                ),
            )
        )
        if not self._files():
            return [*checks, observe("frames", lambda: "no videos here: imported features only")]
        whole = len(listed) == needed and all(
            self._match_spelling(name, self._files()) for name in listed
        )
        return checks + [
            self._check_frames(split) for split in self.splits if whole or split != "unlabelled"
        ]

    def _check_frames(self, split: Split) -> Check:
        videos = self.videos(split)
        wanted = (
            f"{sum(video.frames for video in videos)} frames, {self.size[0]} x {self.size[1]} RGB"
        )
        return Check(f"{split} frames decoded", wanted, report(lambda: decode_all(self, videos)))

    @property
    def _remedy(self) -> str:
        return f"{self.how_to_get} (now {self.root})"

    @property
    def _annotation(self) -> Path:
        for name in ANNOTATIONS:
            if (self.folder / name).is_file():
                return self.folder / name
        raise BadInput(
            f"{self.folder / ANNOTATIONS[0]}: the temporal annotations are missing; {self._remedy}"
        )

    def _tested(self) -> Iterator[tuple[Video, str, list[Interval]]]:
        """Every test video, its class, and its intervals, which begin inside it."""
        annotated = self._annotated()
        for video in self.videos("test"):
            category, intervals = annotated[video.name]
            for first, last in intervals:
                if not 1 <= first <= last <= video.frames + OVERRUN or first > video.frames:
                    raise BadInput(
                        f"{self._annotation}: interval {first} {last} of {video.name} is outside"
                        f" its frames 1 to {video.frames}"
                    )
            yield video, category, intervals

    def _annotated(self) -> dict[str, tuple[str, list[Interval]]]:
        """Test video -> its class and its anomalous intervals."""
        path, found = self._annotation, {}
        for number, line in enumerate(read_text(path).splitlines(), 1):
            words = line.split()
            if not words:
                continue
            try:
                name, category, *ends = words
                a, b, c, d = map(int, ends)
            except ValueError as error:
                raise BadInput(
                    f"{path}: line {number} is {line.strip()[:60]!r}, expected name.mp4, class and"
                    " four frame numbers"
                ) from error
            if _stem(name) in found:
                raise BadInput(
                    f"{path}: line {number} names {name} again; expected every video once"
                )
            spans = [span for span in ((a, b), (c, d)) if span != (-1, -1)]
            found[_stem(name)] = category, spans
        return found

    def _names(self, split: Split) -> list[str]:
        """The split's videos; those for training in the order of the list, the counts or the
        folders: the first that names any normal one.
        """
        tested = self._annotated()
        if split == "test":
            return list(tested)
        trained = {
            name: folder for name, folder in self._training_folders().items() if name not in tested
        }
        if split == "train":
            return [name for name, folder in trained.items() if folder.startswith(NORMAL)]
        return [name for name, folder in trained.items() if "Normal" not in folder]

    def _training_folders(self) -> dict[str, str]:
        """Video -> its folder, of all that may be for training."""
        files = {name: path.parent.name for name, path in self._files().items()}
        for found in (
            *map(self._train_list, TRAIN_LISTS),
            {name: folder for name, (folder, _) in self._header().items()},
        ):
            if any(folder.startswith(NORMAL) for folder in found.values()):
                return found
        return files

    def _train_list(self, name: str) -> dict[str, str]:
        path = self.folder / name
        lines = read_text(path).split() if path.is_file() else []
        return {_stem(line): line.replace("\\", "/").rpartition("/")[0] for line in lines}

    def _frames(self, names: list[str]) -> list[int]:
        header = self._header()
        if not header:
            return frame_counts([self._path(name) for name in names], self.name)
        places = [self._match_spelling(name, header) for name in names]
        for name, place in zip(names, places, strict=True):
            if place is None:
                raise BadInput(
                    f"{self.folder / COUNTS}: has no line of {name}; expected the frame_count of"
                    " every video, or no such file"
                )
        return [header[place][1] for place in places if place is not None]

    def _header(self) -> dict[str, tuple[str, int]]:
        """Video -> its folder and number of frames, as `header.csv` has them; empty without the
        file.
        """
        path = self.folder / COUNTS
        if not path.is_file():
            return {}
        found = {}
        for number, row in enumerate(csv.DictReader(read_text(path).splitlines()), 2):
            folder, _, name = (row.get("video_path") or "").rpartition("/")
            frames = row.get("frame_count") or ""
            if not name or not frames.isascii() or not frames.isdigit() or not int(frames):
                raise BadInput(
                    f"{path}: line {number} has no video_path or no frame_count of 1 or more;"
                    " expected both columns, or no such file"
                )
            found[_stem(name)] = (folder, int(frames))
        return found

    def _files(self) -> dict[str, Path]:
        """Video -> file, of all folders in Videos; one level, so that a link to a folder above does
        no harm.
        """
        if self._found is None:
            root = self.folder / "Videos"
            folders = (
                sorted(
                    path
                    for path in root.iterdir()
                    if path.is_dir() and not path.name.startswith(".")
                )
                if root.is_dir()
                else []
            )
            self._found = {
                name: path for folder in folders for name, path in video_paths(folder).items()
            }
        return self._found

    def _path(self, name: str) -> Path:
        place = self._match_spelling(name, self._files())
        if place is None:
            raise BadInput(
                f"{self.folder / 'Videos'}: no {name}.mp4 in its folders; only imported features do"
                f" without videos; {self._remedy}; {self.partly_hint}"
            )
        return self._files()[place]

    def _match_spelling(self, name: str, found: Collection[str]) -> str | None:
        """The one of `found` that means the video `name`: spelt so, or like it and like no other of
        the release.
        """
        if name in found:
            return name
        partner = match_names(found, [*self._annotated(), *self._training_folders()]).partner
        return next((place for place, video in partner.items() if video == name), None)


def _stem(path: str) -> str:
    """`Abuse/Abuse028_x264.mp4` -> `Abuse028_x264`."""
    return path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
