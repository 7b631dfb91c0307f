"""The unsupervised setting: which videos are trained on and tested, and their rows, labels and
tracks.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vadbench.datasets.base import Dataset, Labels, Resplit, Video
from vadbench.datasets.resplit import labels_tested, resplit_of, tracks_tested
from vadbench.detector import Features, Nature
from vadbench.errors import BadInput
from vadbench.features.boxes.file import BoxesFile
from vadbench.features.boxes.tracks import TracksFile
from vadbench.features.extract import ensure
from vadbench.features.footage import Footage
from vadbench.features.resplit_streams import resplit_streams
from vadbench.features.store import Stream
from vadbench.features.stream import open_stream, plan_stream


class Tiny(Dataset):
    """Two training and three test videos of as many frames as their place; `01` is in both splits,
    as in Avenue.
    """

    name = "tiny"

    def videos(self, split):
        names = ("01", "02") if split == "train" else ("01", "03", "04")
        return tuple(Video(name, split, frames) for frames, name in enumerate(names, 1))

    def read(self, video):
        raise NotImplementedError

    def labels(self):
        return Labels(
            "exact",
            "here",
            {video.name: np.ones(video.frames, np.uint8) for video in self.videos("test")},
        )

    def tracks(self):
        return pd.DataFrame({"video": ["01", "03", "04"], "track": [0, 1, 2]})

    def check(self):
        return []


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path)


def streams(tiny):
    """A row a frame, whose value tells where it is from: 1000 for training, 100 a video, 1 a
    frame.
    """
    made = {}
    for split, released in (("train", 1000), ("test", 0)):
        videos = tiny.videos(split)
        video = np.repeat(np.arange(len(videos)), [v.frames for v in videos])
        frame = np.concatenate([np.arange(v.frames) for v in videos])
        x = (released + 100.0 * video + frame).astype(np.float32)[:, None]
        made[split] = Stream(
            Features(x, video, frame, np.zeros((len(x), 4), np.float32)),
            np.arange(len(x)),
            {v.name: v.frames for v in videos},
            {},
        )
    return made


def test_every_second_test_video_is_trained_on_and_none_is_in_both(tiny):
    split = resplit_of(tiny)
    assert split.train == ("train/01", "train/02", "test/03")
    assert split.test == ("test/01", "test/04")


def test_a_data_sets_own_split_goes_first(tiny, monkeypatch):
    own = Resplit("published", ("test/03",), ("test/01",))
    monkeypatch.setattr(Tiny, "resplit", lambda self: own)
    assert resplit_of(tiny) == own


class WithUnlabelled(Tiny):
    """And a video `01` that only the unsupervised setting trains on."""

    splits = ("train", "test", "unlabelled")

    def videos(self, split):
        return (Video("01", split, 2),) if split == "unlabelled" else super().videos(split)


def test_unlabelled_videos_are_trained_on_and_all_test_videos_tested(tmp_path):
    split = resplit_of(WithUnlabelled(tmp_path))
    assert split == Resplit(
        "all-training-videos",
        ("train/01", "train/02", "unlabelled/01"),
        ("test/01", "test/03", "test/04"),
    )
    assert split.splits == ("train", "test", "unlabelled")


def test_unlabelled_videos_are_read_where_they_are_named_alone(tiny):
    assert resplit_of(tiny).splits == ("train", "test")


def test_rows_of_unlabelled_videos_follow_those_of_training(tmp_path):
    dataset = WithUnlabelled(tmp_path)
    features = Features(
        np.array([[7.0], [8.0]], np.float32),
        np.zeros(2, int),
        np.arange(2),
        np.zeros((2, 4), np.float32),
    )
    extra = Stream(features, np.arange(2), {"01": 2}, {})
    found = resplit_streams({**streams(dataset), "unlabelled": extra}, resplit_of(dataset))
    assert found["train"].features.x[:, 0].tolist() == [1000, 1100, 1101, 7, 8]
    assert list(found["train"].lengths) == ["train/01", "train/02", "unlabelled/01"]
    assert found["test"].features.x[:, 0].tolist() == [0, 100, 101, 200, 201, 202]
    assert len({*found["train"].object_id, *found["test"].object_id}) == 5 + 6


def test_one_test_video_cannot_be_split(tiny, monkeypatch):
    monkeypatch.setattr(Tiny, "videos", lambda self, split: (Video("01", split, 1),))
    with pytest.raises(BadInput, match="tiny: 1 test videos"):
        resplit_of(tiny)


def test_planning_does_without_the_videos(tiny, monkeypatch):
    def absent(self, split):
        raise BadInput("not there")

    monkeypatch.setattr(Tiny, "videos", absent)
    assert resplit_of(tiny).name == "every-second-test-video"


def test_rows_follow_their_videos(tiny):
    found = resplit_streams(streams(tiny), resplit_of(tiny))
    assert found["train"].features.x[:, 0].tolist() == [1000, 1100, 1101, 100, 101]
    assert found["test"].features.x[:, 0].tolist() == [0, 200, 201, 202]
    assert found["test"].features.video.tolist() == [0, 1, 1, 1]
    assert found["test"].features.frame.tolist() == [0, 0, 1, 2]
    assert found["test"].lengths == {"01": 1, "04": 3}
    assert len(set(found["train"].object_id)) == 5


def test_labels_and_tracks_are_of_the_tested_videos_only(tiny):
    split = resplit_of(tiny)
    labels = labels_tested(tiny, split)
    assert {name: len(values) for name, values in labels.videos.items()} == {"01": 1, "04": 3}
    assert labels.provenance()["anomalous"] == 4
    assert tracks_tested(tiny, split)["track"].tolist() == [0, 2]
    assert len(labels_tested(tiny, None).videos) == len(tracks_tested(tiny, None)) == 3


def test_a_tested_training_video_is_normal_and_not_confused_with_its_namesake(tiny):
    split = Resplit("published", ("test/03",), ("train/01", "test/01"))
    assert {
        name: values.tolist() for name, values in labels_tested(tiny, split).videos.items()
    } == {"train/01": [0], "01": [1]}
    found = resplit_streams(streams(tiny), split)["test"]
    assert found.features.x[:, 0].tolist() == [1000, 0]
    assert list(found.lengths) == ["train/01", "01"]
    assert len(set(found.object_id)) == 2


class Filmed(WithUnlabelled):
    """A patch that moves by."""

    revision = "1"

    def videos(self, split):
        return tuple(Video(video.name, split, 3) for video in super().videos(split))

    def read(self, video):
        patch = np.random.default_rng(0).integers(0, 255, (30, 30), np.uint8)
        for t in range(video.frames):
            frame = np.full((96, 144), 90, np.uint8)
            frame[20:50, 10 + 6 * t : 40 + 6 * t] = patch
            yield frame


def test_unlabelled_videos_are_extracted_only_where_they_are_needed(tmp_path):
    dataset = Filmed(tmp_path)
    plan = plan_stream(dataset, "velocity@grid", {})
    ensure(dataset, plan, tmp_path, quiet=True)
    assert not plan.folder(tmp_path, "unlabelled").exists()
    ensure(dataset, plan, tmp_path, quiet=True, splits=resplit_of(dataset).splits)
    found = open_stream("tiny@1", plan, tmp_path, "unlabelled")
    assert found.lengths == {"01": 3}
    assert len(found.features)
    assert found.manifest["split"] == "unlabelled"


@pytest.mark.parametrize(
    ("kind", "told"), [(BoxesFile, "boxes of unlabelled"), (TracksFile, "tracks of unlabelled")]
)
def test_boxes_from_files_are_never_taken_for_those_of_unlabelled_videos(tmp_path, kind, told):
    dataset = WithUnlabelled(tmp_path)
    with pytest.raises(BadInput, match=told):
        kind(kind.Options(), dataset, "mine").objects(
            Footage(dataset, dataset.videos("unlabelled")[0])
        )


def test_scenes_go_with_their_videos(tiny):
    made = streams(tiny)
    names = {split: [f"{split} {name}" for name in made[split].lengths] for split in made}
    made = {split: replace(own, manifest={"scenes": names[split]}) for split, own in made.items()}
    split = Resplit("mine", ("test/03", "train/01"), ("test/04", "test/01"), "one-class")
    found = resplit_streams(made, split)
    assert found["train"].manifest["scenes"] == ["test 03", "train 01"]
    assert found["test"].manifest["scenes"] == ["test 04", "test 01"]
    bare = resplit_streams(streams(tiny), split)  # cached before scenes were
    assert "scenes" not in bare["test"].manifest


@pytest.mark.parametrize("drop", [1, 3])
def test_an_object_has_one_id_in_streams_that_lack_others(drop):
    def make(lacking):
        made = {}
        for split in ("train", "test"):
            kept = np.arange(6 - lacking if split == "test" else 6)
            features = Features(
                np.ones((len(kept), 1), np.float32),
                kept // 3,
                kept % 3,
                np.float32([[10 * i, 0, 10 * i + 5, 20] for i in kept]),
                nature=Nature(embedding=True),
            )
            made[split] = Stream(features, kept, {"01": 3, "02": 3}, {})
        return made

    split = Resplit("published", ("test/02",), ("train/01", "test/01"))
    whole, lacking = (resplit_streams(make(count), split)["test"] for count in (0, drop))
    common = min(len(whole.object_id), len(lacking.object_id))
    np.testing.assert_array_equal(whole.object_id[:common], lacking.object_id[:common])
    assert len(set(whole.object_id)) == len(whole.object_id)
    assert whole.features.nature == Nature(embedding=True)
