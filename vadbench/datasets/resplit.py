"""The unsupervised setting: training on unlabelled videos, anomalous ones among them, and testing
on videos that were not trained on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from vadbench import spec
from vadbench.datasets.base import SPLITS, Dataset, Labels, Resplit, Split
from vadbench.datasets.events import Event, events_of_labels
from vadbench.datasets.label_sets import find_label_set
from vadbench.errors import BadInput
from vadbench.spec import OFFICIAL

EVERY_SECOND = "every-second-test-video"
ALL_TRAINING = "all-training-videos"


def resplit_of(dataset: Dataset) -> Resplit:
    """The data set's own re-split; else all training videos, the unlabelled ones too; else every
    second test video is trained on too.

    The second holds where the data set has unlabelled videos, the last (the second, the fourth,
    ...) where it has none. Where the data set is absent, the lists are empty: tables of old records
    need none, and a run says what is missing.

    Raises:
        BadInput: if there is a single test video.
    """
    own = dataset.resplit()
    if own is not None:
        return own
    name = ALL_TRAINING if "unlabelled" in dataset.splits else EVERY_SECOND
    try:
        train, test, *unlabelled = (
            [f"{split}/{video.name}" for video in dataset.videos(split)] for split in dataset.splits
        )
    except BadInput:
        return Resplit(name, (), ())
    if unlabelled:
        return Resplit(name, (*train, *unlabelled[0]), tuple(test))
    if len(test) < 2:
        raise BadInput(
            f"{dataset.name}: {len(test)} test videos, the unsupervised setting needs 2 or more;"
            ' use setting = "one-class"'
        )
    return Resplit(name, (*train, *test[1::2]), tuple(test[::2]))


def describe_split(resplit: Resplit) -> spec.Split:
    """What records say of a re-split: its name, a hash of both lists, how many videos."""
    sizes = {"train_videos": len(resplit.train), "test_videos": len(resplit.test)}
    return spec.Split(**resplit.document, **sizes, setting=resplit.setting)


def record_name(video: str) -> str:
    """What a tested `split/name` is called in records: its name, with the split where it was
    released for training.
    """
    return video.removeprefix("test/")


def labels_tested(dataset: Dataset, resplit: Resplit | None, label_set: str = OFFICIAL) -> Labels:
    """Frame labels of the tested videos; those released for training are normal.

    Args:
        dataset: whose.
        resplit: the tested videos, where they are not the data set's own test split.
        label_set: the name of the labels.

    Raises:
        BadInput: if labels are missing or damaged, or there are none of this name.
    """
    chosen = find_label_set(dataset, label_set)
    labels = _labels_tested(dataset, resplit)
    return labels if chosen is None else chosen.relabel(labels)


def _labels_tested(dataset: Dataset, resplit: Resplit | None) -> Labels:
    labels = dataset.labels()
    if resplit is None:
        return labels
    normal = (
        {
            f"train/{video.name}": np.zeros(video.frames, np.uint8)
            for video in dataset.videos("train")
        }
        if _tests_training_videos(resplit)
        else {}
    )
    known = labels.videos | normal
    for name in map(record_name, resplit.test):
        if name not in known:
            raise BadInput(
                f"{dataset.name}: no test video {name}, which split {resplit.name} tests;"
                f" {dataset.check_hint}"
            )
    tested = {name: known[name] for name in map(record_name, resplit.test)}
    unknown = tuple(name for name in labels.unknown if name in tested)
    return Labels(labels.name, labels.source, tested, unknown)


def scenes_tested(dataset: Dataset, labels: Labels) -> dict[str, str]:
    """Scene of every tested video; of a re-split, whose videos are named `split/name`, by the name
    alone.
    """
    mixed = any("/" in video for video in labels.videos)
    splits: tuple[Split, ...] = SPLITS if mixed else ("test",)  # counting may mean to decode
    known = {video.name: video.scene for split in splits for video in dataset.videos(split)}
    return {
        video: known.get(video, known.get(video.rpartition("/")[2], "0")) for video in labels.videos
    }


def tracks_tested(dataset: Dataset, resplit: Resplit | None) -> pd.DataFrame | None:
    """Anomalous regions of the tested videos, None where the data set has none."""
    tracks = dataset.tracks()
    if tracks is None or resplit is None:
        return tracks
    return tracks[tracks["video"].isin([record_name(video) for video in resplit.test])].reset_index(
        drop=True
    )


def events_tested(
    dataset: Dataset, resplit: Resplit | None, label_set: str = OFFICIAL
) -> list[Event]:
    """The anomalous events of the tested videos; of other labels than the official ones each
    stretch of anomalous frames that are measured.

    Raises:
        BadInput: if the labels leave out frames within videos: there is no saying where one event
            ends.
    """
    if label_set != OFFICIAL:
        labels = labels_tested(dataset, resplit, label_set)
        if labels.is_torn:
            raise BadInput(
                f"{dataset.name}: labels {label_set} leave out frames within videos, of which"
                " events cannot be told; vadbench events is of other labels"
            )
        return events_of_labels(labels.kept.videos)
    events = dataset.events()
    if resplit is None:
        return events
    tested = {record_name(video) for video in resplit.test}
    return [event for event in events if event.video in tested]


def resplit_for(dataset: Dataset, setting: spec.Setting, label_set: str) -> Resplit | None:
    """The videos that a setting and labels train and test on; None: the data set's own splits.

    Raises:
        BadInput: if there are no such labels, or both have a split of their own.
    """
    chosen = find_label_set(dataset, label_set)
    own = None if chosen is None else chosen.resplit
    if setting == "one-class":
        return own
    if own is not None:
        raise BadInput(
            f"{dataset.name}: labels {label_set} have a training split of their own, and so has"
            " the unsupervised setting; choose one of them"
        )
    return resplit_of(dataset)


def _tests_training_videos(resplit: Resplit) -> bool:
    return any(video.startswith("train/") for video in resplit.test)
