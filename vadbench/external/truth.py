"""What other people's scores are held against: the data set's labels, or a file of labels that the
data set's facts know.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vadbench.datasets.base import Dataset, Labels, Resplit
from vadbench.datasets.facts import Facts, read_facts
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import labels_tested, resplit_for, scenes_tested
from vadbench.datasets.truth import truth_of
from vadbench.errors import BadInput
from vadbench.external.align import align
from vadbench.external.label_files import read_labels
from vadbench.external.lengths import Known
from vadbench.locations import cache_root
from vadbench.spec import OFFICIAL, Setting


@dataclass(frozen=True)
class Truth:
    """What the scores of a data set's test videos are held against.

    Attributes:
        dataset: its name.
        labels: of the test videos, in their order.
        document: name, source, counts and hashes, as a record keeps them.
        scenes: video -> its scene.
        smoothing: the data set's sigma, in frames.
        resplit: of the unsupervised setting.
    """

    dataset: str
    labels: Labels
    document: dict[str, Any]
    scenes: dict[str, str]
    smoothing: float
    resplit: Resplit | None = None

    @property
    def known(self) -> Known:
        """Its videos."""
        lengths = {name: len(values) for name, values in self.labels.videos.items()}
        if self.resplit is None:
            return Known(lengths, f"the test split of {self.dataset}")
        return Known(lengths, f"the tested part of {self.dataset}'s re-split {self.resplit.name}")


def find_truth(
    name: str,
    labels_path: Path | None = None,
    first: int = 0,
    setting: Setting = "one-class",
    label_set: str = OFFICIAL,
) -> Truth:
    """The labels of a data set, from its files, or from a file of labels where these are not here.

    Args:
        name: the data set.
        labels_path: as `read_labels` takes it; None: the data set is here.
        first: the number of a video's first frame in that file.
        setting: unsupervised: of the videos that the re-split tests; the data set has to be here.
        label_set: of the data set's labels, which has to be here where they are not the official
            ones.

    Raises:
        BadInput: if the data set is not here and no labels are given, or nothing is known of it; if
            the labels in the file are others, with what they are where that is known.
    """
    dataset = open_dataset(name)
    facts = read_facts(name) if (setting, label_set) == ("one-class", OFFICIAL) else None
    try:
        here = _read_dataset(dataset, setting, label_set)
    except BadInput as error:
        if facts is None or labels_path is None:
            raise BadInput(_lacks(name, facts, labels_path, error)) from error
        return _read_given(dataset, facts, labels_path, first)
    if labels_path is not None:
        _require_same(here, labels_path, first, facts)
    return here


def _lacks(name: str, facts: Facts | None, labels_path: Path | None, error: BadInput) -> str:
    if facts is None and labels_path is not None:
        return f"{error}; without it too little is known of {name}, and --labels cannot be checked"
    if facts is None:
        return str(error)
    return f"{error}; or give its frame labels with --labels FILE, which are checked"


def _read_dataset(dataset: Dataset, setting: Setting, label_set: str) -> Truth:
    if setting == "unsupervised":
        for split in dataset.splits:
            dataset.videos(split)  # says what is missing, where a re-split would be empty
    resplit = resplit_for(dataset, setting, label_set)
    labels = labels_tested(dataset, resplit, label_set)
    scenes = scenes_tested(dataset, labels)
    document = truth_of(dataset, resplit, cache_root(), label_set)
    return Truth(dataset.name, labels, document, scenes, dataset.smoothing, resplit)


def _read_given(dataset: Dataset, facts: Facts, path: Path, first: int) -> Truth:
    """Labels of a file, that are those of the data set as far as its facts can tell."""
    known = Known(facts.lengths, f"the test split of {facts.dataset}")
    labels = _read_file(path, known, first, facts.truth)
    differs = facts.find_difference(labels)
    if differs is not None:
        raise BadInput(f"{path}: not the labels of {facts.dataset} that are known here: {differs}")
    document = facts.truth | {"sha256": labels.provenance()["sha256"]}
    scenes = {video.name: video.scene for video in facts.videos}
    return Truth(facts.dataset, labels, document, scenes, dataset.smoothing)


def _read_file(path: Path, known: Known, first: int, truth: dict[str, Any]) -> Labels:
    found = align(read_labels(path, known, first), known)
    parts = known.split(found.values, path)
    videos = {name: values.astype(np.uint8) for name, values in parts.items()}
    return Labels(str(truth["name"]), str(truth["source"]), videos)


def _require_same(truth: Truth, path: Path, first: int, facts: Facts | None) -> None:
    """Refuse a file of other labels than the data set's."""
    labels = _read_file(path, truth.known, first, truth.document)
    count = int((labels.flat() != truth.labels.flat()).sum())
    if not count:
        return
    told = None if facts is None else facts.find_difference(labels)
    raise BadInput(
        f"{path}: its labels differ from those of {truth.dataset} here in {count} frames"
        + (f" ({told})" if told else "")
        + "; leave --labels out to take those"
    )
