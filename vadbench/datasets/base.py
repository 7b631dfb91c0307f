"""What a data set is: videos in two splits, their frames, and the test videos' labels, masks and
tracks.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.events import Event, events_of_labels
from vadbench.datasets.poses import Poses
from vadbench.errors import BadInput
from vadbench.spec import Setting

if TYPE_CHECKING:
    from vadbench.datasets.label_sets import LabelSet

Split = Literal["train", "test", "unlabelled"]
# of every data set; unlabelled videos, where there are any, are for the unsupervised setting alone
SPLITS: tuple[Split, Split] = ("train", "test")


@dataclass(frozen=True)
class Video:
    """One clip: its name, split, number of frames and scene (camera)."""

    name: str
    split: Split
    frames: int
    scene: str = "0"


@dataclass(frozen=True)
class Labels:
    """Frame labels of the test videos, with their provenance.

    Attributes:
        name: which of a data set's label sets this is.
        source: the file or rule they come from.
        videos: video name -> [T] uint8, 1 = anomalous, in the order of the test split.
        unknown: names of videos that nobody has labelled; theirs are 0, and say nothing.
        dropped: video -> [T] which of its frames are not measured; only of videos with such.
        changed: how many labels differ from the official ones.
    """

    name: str
    source: str
    videos: dict[str, NDArray[np.uint8]]
    unknown: tuple[str, ...] = ()
    dropped: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    changed: int = 0

    @property
    def lacking(self) -> str:
        """Why nothing can be measured, in a few words; empty where all videos are labelled."""
        many = len(self.videos)
        return f"{len(self.unknown)} of {many} test videos have no labels" if self.unknown else ""

    def flat(self) -> NDArray[np.uint8]:
        """All frames of all videos, concatenated in order."""
        return np.concatenate(list(self.videos.values()))

    def lengths(self) -> NDArray[np.int64]:
        """Frames per video, in order."""
        return np.array([len(labels) for labels in self.videos.values()], np.int64)

    def cut(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of values [T, ...] of all frames of all videos those of the frames that are measured."""
        if not self.dropped:
            return values
        kept = [
            ~self.dropped.get(name, np.zeros(len(labels), np.bool_))
            for name, labels in self.videos.items()
        ]
        return np.asarray(values[np.concatenate(kept)])

    @cached_property
    def kept(self) -> Labels:
        """Of the frames that are measured alone; videos without any are left out."""
        if not self.dropped:
            return self
        videos = {
            name: labels[~self.dropped[name]] if name in self.dropped else labels
            for name, labels in self.videos.items()
        }
        videos = {name: labels for name, labels in videos.items() if len(labels)}
        unknown = tuple(name for name in self.unknown if name in videos)
        return replace(self, videos=videos, unknown=unknown, dropped={})

    @property
    def is_torn(self) -> bool:
        """Whether frames within videos are not measured: what is left of these is in pieces."""
        return any(not mask.all() for mask in self.dropped.values())

    def provenance(self) -> dict[str, Any]:
        """Name, source, counts and sha256, recorded beside every number; counts are of the frames
        that are measured.
        """
        digest = hashlib.sha256(
            b"".join(
                name.encode("utf-8", "surrogateescape") + labels.tobytes()
                for name, labels in self.videos.items()
            )
        )
        for name in self.unknown:
            digest.update(b"unlabelled " + name.encode("utf-8", "surrogateescape"))
        for name, mask in self.dropped.items():
            digest.update(b"dropped " + name.encode("utf-8", "surrogateescape") + mask.tobytes())
        flat = self.kept.flat()
        videos = len(self.kept.videos)
        counts = {"videos": videos, "frames": len(flat), "anomalous": int(flat.sum())}
        lacking = {"unlabelled": len(self.unknown)} if self.unknown else {}
        frames = sum(int(mask.sum()) for mask in self.dropped.values())
        lacking |= {"changed": self.changed} if self.changed else {}
        lacking |= {"dropped": frames} if frames else {}
        told = {"name": self.name, "source": self.source, **counts, **lacking}
        return {**told, "sha256": digest.hexdigest()}


@dataclass(frozen=True)
class Resplit:
    """Which videos are trained on and which are tested, where these are not the released splits.

    Attributes:
        name: of this way to split.
        train, test: videos in order as `split/name`, the split being the one they were released in.
        setting: unsupervised: trained without labels, on anomalous videos too; one-class: those
            trained on are normal by the labels that the split belongs to.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    setting: Setting = "unsupervised"

    @property
    def splits(self) -> tuple[Split, ...]:
        """The released splits that have to be read."""
        return (
            (*SPLITS, "unlabelled")
            if any(video.startswith("unlabelled/") for video in self.train)
            else SPLITS
        )

    @property
    def document(self) -> dict[str, str]:
        """Name and sha256 of both lists, for a job's identity."""
        return {
            "name": self.name,
            "sha256": hashlib.sha256(json.dumps([self.train, self.test]).encode()).hexdigest(),
        }


@dataclass(frozen=True)
class Check:
    """One line of `vadbench data check`: what was looked at, what was expected, what was found."""

    what: str
    expected: str
    found: str

    @property
    def good(self) -> bool:
        """Whether what was found is what was expected."""
        return self.expected == self.found


class Dataset(ABC):
    """A data set on disk; one subclass a data set.

    Attributes:
        root: the folder that `$VADBENCH_DATA` names (or the cache, for data we make ourselves).
        revision: the released version, part of the cache's folder names.
        version: of the reader; rises with every change of what `read` gives for the same files.
        size: height and width of every frame in pixels, where the release states it; None where
            clips differ.
        smoothing: sigma in frames of the default Gaussian filter.
        fps: frames a second that the videos were released at, for rates and delays; None: unknown.
        streams, boxes: what is extracted where the user names nothing.
        splits: what `videos` knows; with `unlabelled` where there are videos that only the
            unsupervised setting trains on, and it on all of them.
        track_source: what the region tracks are (`derived` from masks, `exact`, `published`); None
            without any.
        generated: whether we make it ourselves; `root` is then the cache.
        only: of a part of the data set its videos, as `split/name`: the others need not be there.
        archives: stable public links to .tar.gz or .zip files that `vadbench data fetch` downloads
            and unpacks under `root`; none where a form has to be filled in.

    >>> from vadbench.datasets.ped2 import Ped2
    >>> ped2 = Ped2(Path("/data"))  # nothing is read yet
    >>> ped2.name, ped2.splits, ped2.boxes
    ('ped2', ('train', 'test'), 'foreground')
    """

    name: ClassVar[str]
    title: ClassVar[str]
    revision: ClassVar[str]
    citation: ClassVar[str]
    licence: ClassVar[str]
    how_to_get: ClassVar[str]
    version: ClassVar[int] = 1
    size: ClassVar[tuple[int, int] | None] = None
    smoothing: ClassVar[float] = 3.0
    fps: float | None = None
    streams: ClassVar[tuple[str, ...]] = ("velocity",)
    boxes: ClassVar[str] = "foreground"
    splits: ClassVar[tuple[Split, ...]] = SPLITS
    generated: ClassVar[bool] = False
    track_source: ClassVar[str | None] = None
    archives: ClassVar[tuple[str, ...]] = ()
    only: frozenset[str] | None = None

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of one of `splits` in their order, with frame counts.

        Raises:
            BadInput: if the data set is absent or incomplete, with how to get it.
        """

    @abstractmethod
    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """The clip's frames in order, each [H, W] grey or [H, W, 3] RGB, all of one shape: one
        pass, one frame in memory.

        Raises:
            BadInput: while iterating, naming the file that cannot be read.
        """

    def path(self, video: Video) -> Path | None:
        """The video file, or the folder of numbered images, that `read` reads; None where a data
        set does not say.

        Changed files are found by it; without it, by the clip's first frame and by what lies below
        `root` in a folder of the data set's name.

        Raises:
            BadInput: if it is not there.
        """
        return None

    def frames(self, video: Video) -> NDArray[np.uint8]:
        """[T, H, W] grey or [T, H, W, 3] RGB, the whole clip.

        Raises:
            BadInput: as `read`.
        """
        clip: NDArray[np.uint8] | None = None
        count = 0
        for count, frame in enumerate(self.read(video), 1):
            if clip is None:  # filled in place: a list and its stack would be twice the clip
                clip = np.empty((video.frames, *frame.shape), np.uint8)
            if count <= video.frames:
                clip[count - 1] = frame
        if clip is None or count != video.frames:
            raise BadInput(
                f"{self.name}: {video.split} clip {video.name} decodes to {count} frames, expected"
                f" {video.frames}; {self.check_hint}"
            )
        return clip

    def frame_size(self, video: Video) -> tuple[int, int]:
        """Height and width of the clip's frames in pixels: the release's, else by reading the first
        frame once.

        Raises:
            BadInput: as `read`, or if there is no frame.
        """
        if self.size is not None:
            return self.size
        if video not in self._sizes:
            first = next(iter(self.read(video)), None)
            if first is None:
                raise BadInput(
                    f"{self.name}: {video.split} clip {video.name} has no frames; {self.check_hint}"
                )
            self._sizes[video] = (first.shape[0], first.shape[1])
        return self._sizes[video]

    @cached_property
    def _sizes(self) -> dict[Video, tuple[int, int]]:
        """The sizes that were read."""
        return {}

    @property
    def check_hint(self) -> str:
        """The command that says what is wrong with the files."""
        return f"`vadbench data check {self.name}` says what is wrong"

    @abstractmethod
    def labels(self) -> Labels:
        """Frame labels of the test split."""

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """Per test frame [H, W], non-zero = anomalous; None where a data set has none."""
        return None

    def tracks(self) -> pd.DataFrame | None:
        """Anomalous regions of the test split: video, track, frame (from 0), x0, y0, x1, y1
        (inclusive pixels); None where there are none.
        """
        return None

    def poses(self, video: Video) -> Poses | None:
        """The joints of the clip's persons; None where a data set does not know them."""
        return None

    def events(self) -> list[Event]:
        """The anomalous events of the test split; where a data set knows no more than its labels,
        each stretch of anomalous frames is one, without a category.

        Every anomalous frame is in one or more, and no other frame in any.
        """
        return events_of_labels(self.labels().videos)

    @property
    def total(self) -> int:
        """Videos of the whole release, those for training and for test."""
        return sum(len(self.videos(split)) for split in SPLITS)

    def wants(self, split: Split, name: str) -> bool:
        """Whether a video has to be there: all, or those of the part that this is."""
        return self.only is None or f"{split}/{name}" in self.only

    def names_here(self, split: Split) -> list[str]:
        """The videos of a split that are on this machine, though others are not."""
        return [video.name for video in self.videos(split)]

    @property
    def partly_hint(self) -> str:
        """What one does who has no more than a part of the data set."""
        return (
            f"with a part of it: --videos here (vadbench data check {self.name} --partial lists"
            " what that is), or data set folder for videos of your own"
        )

    def label_sets(self) -> tuple[LabelSet, ...]:
        """Label sets that circulate beside the official labels; none of most."""
        return ()

    def truth_paths(self) -> tuple[Path, ...]:
        """Below `root`, all files and folders that labels, masks and tracks are read from, there or
        not; none where a data set does not say.

        While they are the same ones, by names, sizes and times, what was read is remembered.
        """
        return ()

    def resplit(self) -> Resplit | None:
        """The data set's published split for unsupervised training; None where it has none
        (`vadbench.datasets.resplit` then makes one).
        """
        return None

    @abstractmethod
    def check(self) -> list[Check]:
        """Verify counts, sizes, decodability and labels, reading everything."""
