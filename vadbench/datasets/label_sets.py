"""Named label sets: other labels of a data set's test videos than its official ones, and frames
that are left out.

What was published of each is stated here with its source; `relabel` makes the labels of it. Numbers
under different label sets are never ranked together: each has a hash of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadbench.datasets.base import Dataset, Labels, Resplit
from vadbench.errors import BadInput
from vadbench.registry import unknown
from vadbench.spec import OFFICIAL

Arrays = dict[str, NDArray[np.uint8]]
Spans = tuple[tuple[int, int], ...]  # first and last frame, from 0, both inclusive


@dataclass(frozen=True)
class LabelSet:
    """A label set, beside the official one that it is made of.

    Attributes:
        name: as `--labels` takes it.
        source: who published it, and what it does.
        cleared: test videos all of whose frames are normal in it.
        left_out: test videos that are not measured.
        dropped: test video -> frames that are not measured.
        read: gives other labels of all test videos, of which those tested are taken; None: the
            official ones.
        keep: gives of a video and its number of frames which are measured, from files; None: all.
        resplit: the videos that it is trained and tested on; None: the data set's splits.
        paths: files and folders that it is read from.
    """

    name: str
    source: str
    cleared: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    dropped: Mapping[str, Spans] = field(default_factory=dict)
    read: Callable[[], Arrays] | None = None
    keep: Callable[[str, int], NDArray[np.bool_]] | None = None
    resplit: Resplit | None = None
    paths: tuple[Path, ...] = ()

    def relabel(self, official: Labels) -> Labels:
        """The labels of this set.

        Args:
            official: of the tested videos.

        Raises:
            BadInput: if files that it is read from are missing or damaged, or a stated frame is
                after the end of its video.
        """
        others = {} if self.read is None else self.read()
        videos = {
            name: np.zeros_like(labels) if name in self.cleared else others.get(name, labels)
            for name, labels in official.videos.items()
        }
        changed = sum(
            int((labels != official.videos[name]).sum()) for name, labels in videos.items()
        )
        source = f"{self.source}; of {official.name}: {official.source}"
        dropped = self.find_dropped({name: len(labels) for name, labels in videos.items()})
        if len(dropped) == len(videos) and all(mask.all() for mask in dropped.values()):
            raise BadInput(
                f"labels {self.name} leave out all of {', '.join(list(videos)[:3])}, and no other"
                " video is tested"
            )
        return Labels(self.name, source, videos, official.unknown, dropped, changed)

    def find_dropped(self, lengths: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
        """[T] which frames are not measured, of the videos that have such.

        Args:
            lengths: video -> frames.

        Raises:
            BadInput: as `relabel`.
        """
        found = {name: self._find_dropped(name, frames) for name, frames in lengths.items()}
        return {name: mask for name, mask in found.items() if mask.any()}

    def _find_dropped(self, name: str, frames: int) -> NDArray[np.bool_]:
        mask = np.full(frames, name in self.left_out)
        for first, last in self.dropped.get(name, ()):
            if last >= frames:
                raise BadInput(
                    f"labels {self.name}: leave out frames {first} to {last} of {name}, which has"
                    f" frames 0 to {frames - 1}; these are not the released videos"
                )
            mask[first : last + 1] = True
        return mask if self.keep is None else mask | ~self.keep(name, frames)


def find_label_set(dataset: Dataset, name: str) -> LabelSet | None:
    """A label set of the data set; None: the official one.

    Raises:
        BadInput: if it has none of this name, with those it has.
    """
    if name == OFFICIAL:
        return None
    sets = {one.name: one for one in dataset.label_sets()}
    if name not in sets:
        raise unknown(f"label set of {dataset.name}", name, (OFFICIAL, *sets))
    return sets[name]
