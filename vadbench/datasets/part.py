"""A part of a data set: those of its videos that are on this machine, or that were chosen, under a
name that says so.

`avenue[8 of 37 3fa2c1]` are 8 of Avenue's 37 videos; the last word is a digest of which. Its
features, runs and records are its own, so that no number of it ever stands for the whole. Which
videos a name means is remembered in the cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Resplit, Split, Video
from vadbench.datasets.checks import decode_all, observe
from vadbench.datasets.events import Event
from vadbench.datasets.label_sets import LabelSet
from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file
from vadbench.files.documents import read_json
from vadbench.registry import unknown

NAME = re.compile(r"([a-z0-9_]+)\[(\d+) of (\d+) ([0-9a-f]{6})\]")
HERE = "here"  # what `--videos` takes for all videos that are on this machine


def base_of(name: str) -> str:
    """The data set that a name is of: itself, or the whole that it is a part of.

    >>> base_of("avenue[8 of 37 3fa2c1]"), base_of("avenue")
    ('avenue', 'avenue')
    """
    found = NAME.fullmatch(name)
    return name if found is None else found[1]


def is_part(name: str) -> bool:
    """Whether a name is that of a part of a data set."""
    return NAME.fullmatch(name) is not None


class PartOf(Dataset):
    """Some videos of a data set, as a data set of its own.

    Args:
        whole: the data set; completeness is not asked of it.
        name: of the part.
        chosen: its videos as `split/name`.
    """

    name: str  # type: ignore[misc]

    def __init__(self, whole: Dataset, name: str, chosen: Sequence[str]) -> None:
        super().__init__(whole.root)
        self.whole, self.chosen = whole, tuple(chosen)
        self.name = name
        self.only = whole.only = frozenset(chosen)
        self.title = f"{whole.title}, {len(self.chosen)} of {whole.total} videos"  # type: ignore[misc]
        self.revision = whole.revision  # type: ignore[misc]
        self.version, self.size = whole.version, whole.size  # type: ignore[misc]
        self.citation, self.licence = whole.citation, whole.licence  # type: ignore[misc]
        self.how_to_get, self.smoothing = whole.how_to_get, whole.smoothing  # type: ignore[misc]
        self.streams, self.boxes = whole.streams, whole.boxes  # type: ignore[misc]
        self.generated = whole.generated  # type: ignore[misc]
        self.fps = whole.fps

    @property
    def track_source(self) -> str | None:  # type: ignore[override]
        """As the whole's."""
        return self.whole.track_source

    @property
    def total(self) -> int:
        """Videos of the part."""
        return len(self.chosen)

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The chosen videos of a split, in the data set's order.

        Raises:
            BadInput: as the whole's, of chosen videos alone.
        """
        return tuple(video for video in self.whole.videos(split) if self.wants(split, video.name))

    def path(self, video: Video) -> Path | None:
        """As the whole's."""
        return self.whole.path(video)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """As the whole's."""
        return self.whole.read(video)

    def frame_size(self, video: Video) -> tuple[int, int]:
        """As the whole's."""
        return self.whole.frame_size(video)

    def labels(self) -> Labels:
        """Of the chosen test videos."""
        labels = self.whole.labels()
        videos = {video.name: labels.videos[video.name] for video in self.videos("test")}
        return replace(labels, videos=videos, unknown=self._filter(labels.unknown))

    def _filter(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if self.wants("test", name))

    def masks(self, video: Video) -> Iterator[NDArray[np.uint8]] | None:
        """As the whole's."""
        return self.whole.masks(video)

    def tracks(self) -> pd.DataFrame | None:
        """Of the chosen test videos."""
        tracks = self.whole.tracks()
        if tracks is None:
            return None
        names = [video.name for video in self.videos("test")]
        return tracks[tracks["video"].isin(names)].reset_index(drop=True)

    def events(self) -> list[Event]:
        """Of the chosen test videos."""
        return [event for event in self.whole.events() if self.wants("test", event.video)]

    def truth_paths(self) -> tuple[Path, ...]:
        """As the whole's."""
        return self.whole.truth_paths()

    def resplit(self) -> Resplit | None:
        """None: that of the whole is of other videos."""
        return None

    def label_sets(self) -> tuple[LabelSet, ...]:
        """Those of the whole that have no split of their own."""
        return tuple(one for one in self.whole.label_sets() if one.resplit is None)

    def names_here(self, split: Split) -> list[str]:
        """The chosen ones of those that are here."""
        return [name for name in self.whole.names_here(split) if self.wants(split, name)]

    def check(self) -> list[Check]:
        """Every frame decoded, labels and tracks read; there are no counts of a part to hold them
        against.
        """
        checks = []
        for split in SPLITS:
            videos = self.videos(split)
            wanted = sum(name.startswith(f"{split}/") for name in self.chosen)
            checks.append(Check(f"{split} videos of the part", str(wanted), str(len(videos))))
            checks.append(
                observe(f"{split} frames decoded", lambda videos=videos: decode_all(self, videos))  # type: ignore[misc]
            )

        def count() -> str:
            flat = self.labels().flat()
            return f"{flat.sum()} of {len(flat)} ({self.labels().source})"

        def describe() -> str:
            tracks = self.tracks()
            return "none" if tracks is None else f"{len(tracks)} regions, {self.track_source}"

        return [*checks, observe("anomalous frames", count), observe("region tracks", describe)]


def choose_videos(dataset: Dataset, text: str) -> tuple[str, ...]:
    """The videos that `--videos` names, as `split/name`, in the data set's order.

    Args:
        dataset: the whole.
        text: names, comma-separated, as `01` (of every split that has it here) or `test/01`, with
            `*` and `?` as in a shell (`01_*`); or `here`: all that are on this machine.

    Raises:
        BadInput: if one is not here, or there is none to train or none to test on.
    """
    here = [f"{split}/{name}" for split in SPLITS for name in dataset.names_here(split)]
    names = [name.strip() for name in text.split(",") if name.strip()]
    chosen = set(here) if names == [HERE] else {one for name in names for one in _find(name, here)}
    unknown_names = [] if names == [HERE] else [one for one in names if not _find(one, here)]
    if unknown_names:
        raise unknown(f"video of {dataset.name} here", unknown_names[0], here)
    for split in SPLITS:
        if not any(name.startswith(f"{split}/") for name in chosen):
            raise BadInput(
                f"--videos: no {split} video of {dataset.name}; name some of both splits, as"
                f" train/NAME and test/NAME (vadbench data check {dataset.name} --partial lists"
                " those that are here)"
            )
    return tuple(name for name in here if name in chosen)


def _find(name: str, here: Sequence[str]) -> list[str]:
    exact = [one for one in here if name in (one, one.partition("/")[2])]
    return exact or [
        one for one in here if any(fnmatchcase(form, name) for form in (one, one.partition("/")[2]))
    ]


def remember_part(dataset: Dataset, chosen: Sequence[str], cache: Path) -> str:
    """The name of a part, of which is remembered which videos it is of; that of the whole where
    all of them are chosen.

    Args:
        dataset: the whole.
        chosen: its videos, as `choose_videos` gives them.
        cache: the store's root.
    """
    if len(chosen) == dataset.total:
        return dataset.name
    digest = hashlib.sha256(json.dumps(sorted(chosen)).encode("utf-8", "surrogateescape"))
    short = digest.hexdigest()[:6]
    name = f"{dataset.name}[{len(chosen)} of {dataset.total} {short}]"
    path = _memory(name, cache)
    if not path.is_file():
        with replace_file(path) as aside:
            aside.write_text(json.dumps({"videos": list(chosen)}), encoding="utf-8")
    return name


def open_part(whole: Dataset, name: str, cache: Path) -> PartOf:
    """The part of a name that was remembered.

    Args:
        whole: an instance of the data set that nobody else uses.
        name: as `remember_part` gave it.
        cache: the store's root.

    Raises:
        BadInput: if it is not known here, or its memory is damaged.
    """
    path = _memory(name, cache)
    again = f"vadbench run --datasets {whole.name} --videos … with the same videos makes it known"
    if not path.is_file():
        raise BadInput(f"{name}: which videos these are is not known here ({path}); {again}")
    listed = read_json(path)
    chosen = listed.get("videos") if isinstance(listed, dict) else None
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise BadInput(f"{path}: not a list of videos; remove it, {again}")
    if whole.total == len(chosen) or remember_part(whole, chosen, cache) != name:
        raise BadInput(f"{path}: other videos than {name}; remove it, {again}")
    return PartOf(whole, name, chosen)


def _memory(name: str, cache: Path) -> Path:
    found = NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name}: no part of a data set; expected a name as avenue[8 of 37 3fa2c1]")
    return cache / "parts" / f"{found[1]}-{found[4]}.json"
