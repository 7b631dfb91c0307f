"""What is known of a data set's test split where its files are not: frames of each video, a hash of
the labels. Facts, no labels: one JSON file a data set in `facts/`, made by
`tests/record_facts.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from vadbench.datasets.base import Labels, Video
from vadbench.errors import BadInput
from vadbench.files.documents import read_json

FOLDER = Path(__file__).with_name("facts")


@dataclass(frozen=True)
class OtherLabels:
    """A set of labels of the same frames that circulates beside the one that is measured here.

    Attributes:
        name: what it is called.
        anomalous: its anomalous frames.
        differs: in how many frames from the other.
    """

    name: str
    anomalous: int
    differs: int


@dataclass(frozen=True)
class Facts:
    """What is known of a test split.

    Attributes:
        dataset: its name.
        videos: in their order, with frames and scenes.
        truth: as `vadbench.datasets.truth.truth_of` gives it; `sha256` is None where no labels
            could be read when the file was made.
        others: other labels of the same frames.
    """

    dataset: str
    videos: tuple[Video, ...]
    truth: dict[str, Any]
    others: tuple[OtherLabels, ...] = ()

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Video -> frames."""
        return {video.name: video.frames for video in self.videos}

    def find_difference(self, labels: Labels) -> str | None:
        """How other labels of the same videos differ from those that are known, in words; None
        where they do not, as far as that is known.

        Args:
            labels: of the same videos in the same order.
        """
        own = labels.provenance()
        known, there = self.truth["anomalous"], own["anomalous"]
        same = own["sha256"] == self.truth["sha256"]
        if same or (self.truth["sha256"] is None and there == known):
            return None
        told = f"{there} anomalous frames, `{self.truth['name']}` has {known}"
        if there == known:
            return f"{told}, and others"
        for other in self.others:
            if there == other.anomalous:
                return (
                    f"{told}: this is {other.name}; the two differ on {other.differs} frames, and"
                    " numbers on one do not compare with numbers on the other"
                )
        return told


def facts_names() -> list[str]:
    """The data sets of which there are facts."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def read_facts(name: str) -> Facts | None:
    """The facts of a data set; None where there are none.

    Raises:
        BadInput: if the file is damaged.

    >>> facts = read_facts("ped2")
    >>> len(facts.videos), sum(facts.lengths.values()), facts.truth["anomalous"]
    (12, 2010, 1648)
    """
    if name not in facts_names():
        return None
    path = FOLDER / f"{name}.json"
    document = read_json(path)
    try:
        videos = tuple(
            Video(str(video), "test", int(frames), str(scene))
            for video, frames, scene in document["videos"]
        )
        others = tuple(OtherLabels(**other) for other in document.get("others", ()))
        return Facts(name, videos, dict(document["truth"]), others)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not the facts of a data set ({error}); install again") from error
