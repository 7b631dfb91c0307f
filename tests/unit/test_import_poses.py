"""Pose files that people have become windows of poses: AlphaPose's JSON, and trajectories."""

import json
from contextlib import suppress

import numpy as np
import pytest
from clips_to_import import refusal
from hypothesis import given
from hypothesis import strategies as st
from pose_files import Short, entry, keypoints, person, save, tracked, write_clips, write_trajectory

from vadbench.errors import BadInput
from vadbench.features.importers import Layout, guess_format, import_features, read_features
from vadbench.features.importers.joints import check_poses
from vadbench.features.sequences.options import SequenceOptions
from vadbench.features.sequences.rows import make_rows
from vadbench.features.store import read_manifest
from vadbench.features.stream import open_stream, plan_stream

SMALL = {"window": 8, "train_stride": 1}


@pytest.fixture
def toy(tmp_path):
    return Short(tmp_path)


def read(path, toy, split="train", format="alphapose", **layout):
    return read_features(path, format, toy, split, Layout(**(SMALL | layout)))


def expected(frames, seed=0, window=8, stride=1):
    """The rows of a person, straight from its joints."""
    from vadbench.datasets.poses import Poses

    frames = np.asarray(frames)
    joints = np.stack([person(frame, seed) for frame in frames])
    return make_rows(Poses(frames, np.zeros(len(frames)), joints), SequenceOptions(window=window), stride)  # noqa: E501 # fmt: skip


# AlphaPose


def test_windows_of_tracked_persons(toy, tmp_path):
    rows = read(write_clips(tmp_path / "t", toy, "train", (0, 4)), toy)
    assert rows.shape == (2, 8, 18)
    assert rows.x.shape == (2 * 5 + 2 * 3, 288)
    assert rows.video.tolist() == [0] * 10 + [1] * 6
    assert rows.frame[:10].tolist() == [4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    one = expected(range(12))
    np.testing.assert_allclose(rows.x[:10:2], one.x, atol=1e-5)
    joints = person(4)
    np.testing.assert_allclose(rows.box[0], [*joints.min(0), *joints.max(0)], rtol=1e-5)
    assert not rows.windows


def test_strides_are_of_the_splits(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    assert len(read(path, toy, train_stride=6).x) == 2  # 12 and 10 poses: one start each, at 0
    assert len(read(path, toy, train_stride=2).x) == 3 + 2
    path = write_clips(tmp_path / "s", toy, "test")
    assert len(read(path, toy, "test", train_stride=6).x) == 4 + 1


def test_a_person_may_be_a_list_and_a_clip_without_persons_empty(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    parts = [{str(k): entry(k) for k in range(5)}, {str(k): entry(k) for k in range(5, 12)}]
    save(path, "01_001", {"7": parts})
    save(path, "01_002", {})
    rows = read(path, toy)
    np.testing.assert_allclose(rows.x, expected(range(12)).x, atol=1e-5)


def test_frames_are_numbers_and_not_texts(toy, tmp_path):
    """`10` comes after `9`, however they are padded."""
    path = write_clips(tmp_path / "t", toy, "train")
    frames = [f"{k:0{1 + k % 3}d}" for k in range(12)]
    save(path, "01_001", {"1": {text: entry(int(text)) for text in reversed(frames)}})
    rows = read(path, toy)
    np.testing.assert_allclose(rows.x[:5], expected(range(12)).x, atol=1e-5)


def test_joints_at_the_corner_are_missing(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    document = tracked(range(12), 0)
    document["0"]["0003"]["keypoints"][9:11] = [0, 0]
    save(path, "01_001", document)
    rows = read(path, toy)
    gone = expected([0, 1, 2, *range(4, 12)])
    np.testing.assert_allclose(rows.x[:4], gone.x, atol=1e-5)
    strict = read(path, toy, missing=0)
    assert (strict.video == 0).sum() == 1


def test_a_joint_on_the_edge_is_not_missing(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    document = tracked(range(12), 0)
    document["0"]["0003"]["keypoints"][9:11] = [0, 55]
    save(path, "01_001", document)
    assert (read(path, toy, missing=0).video == 0).sum() == 5


def test_results_of_alphapose_itself(toy, tmp_path):
    def results(frames, persons, **more):
        return [
            {"image_id": f"{k:06d}.jpg", "keypoints": keypoints(person(k, p)), "score": 2.1}
            | {name: value(p) for name, value in more.items()}
            for k in frames
            for p in persons
        ]

    for number, video in enumerate(toy.videos("train")):
        folder = tmp_path / "r" / video.name
        folder.mkdir(parents=True)
        idx = {"idx": (lambda p: p + 1.0) if number else (lambda p: [[p + 1]])}
        document = results(range(video.frames), (0, 4), **idx)
        (folder / "alphapose-results.json").write_text(json.dumps(document))
    found = read(tmp_path / "r", toy)
    same = read(write_clips(tmp_path / "t", toy, "train", (0, 4)), toy)
    np.testing.assert_array_equal(found.x, same.x)
    for video in toy.videos("train"):  # without tracking: persons apart are linked
        document = results(range(video.frames), (0,))
        path = tmp_path / "r" / video.name / "alphapose-results.json"
        path.write_text(json.dumps(document))
    alone = read(write_clips(tmp_path / "u", toy, "train", (0,)), toy)
    np.testing.assert_array_equal(read(tmp_path / "r", toy).x, alone.x)


def test_names_of_files(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    long = path / "01_001_alphapose_tracked_person.json"
    for name in ("01_001.json", "01_001_alphapose-results.json", "sub/01_001_x.json"):
        (path / name).parent.mkdir(exist_ok=True)
        layout = {"suffix": "_x"} if "_x" in name else {}
        if layout:
            other = path / "01_002_alphapose_tracked_person.json"
            other.rename(path / "01_002_x.json")
        long = long.rename(path / name)
        assert len(read(path, toy, **layout).x) == 8


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "not JSON"),
        ('"poses"', "person: {frame"),
        ({"1": 3}, "person '1' is 3"),
        ({"1": [3]}, "person '1' is 3"),
        ({"1": {"x1": entry(1)}}, "frame 'x1'"),
        ({"1": {"-1": entry(1)}}, "frame '-1'"),
        ({"1": {"٣": entry(1)}}, "expected a whole number"),
        ({"1": {"12": entry(12)}}, "frames 0 to 11 (they count from 0)"),
        ({"1": {"999999999": entry(1)}}, "frame 999999999"),
        ({"1": {"3": entry(3), "0003": entry(3)}}, "2 poses in frame 3"),
        ({"1": {"3": {"scores": 1}}}, "keypoints are None"),
        ({"1": {"3": {"keypoints": [1.0] * 34}}}, "a list of 34"),
        ({"1": {"3": {"keypoints": ["1"] * 51}}}, "51 numbers"),
        ({"1": {"3": {"keypoints": [True] * 51}}}, "51 numbers"),
        ({"1": {"3": {"keypoints": [10**400] * 51}}}, "51 numbers"),
        ({"1": {"3": {"keypoints": [1e14] * 51}}}, "lies nowhere"),
        ('{"1": {"3": {"keypoints": [NaN]}}}', "NaN"),
        ([3], "entry 0 is 3"),
        ([{"keypoints": keypoints(person(1))}], "image_id ''"),
        ([{"image_id": "a.jpg", "keypoints": keypoints(person(1))}], "image_id 'a.jpg'"),
        ([{"image_id": "1.jpg", "keypoints": keypoints(person(1)), "idx": "a"}], "idx 'a'"),
        ([{"image_id": "1.jpg", "keypoints": keypoints(person(1)), "idx": 0.5}], "idx 0.5"),
        ([{"image_id": "77.jpg", "keypoints": keypoints(person(1)), "idx": 1}], "frame 77"),
    ],
)
def test_damaged_files_are_refused_by_name(toy, tmp_path, document, told):
    path = write_clips(tmp_path / "t", toy, "train")
    name = save(path, "01_001", document).name
    found = refusal(path, "alphapose", toy, **SMALL)
    assert told in found
    assert name in found


def test_a_clip_without_a_file_and_a_file_without_a_clip_are_refused(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    save(path, "09_009", {})
    assert "09_009" in refusal(path, "alphapose", toy, **SMALL)
    (path / "09_009_alphapose_tracked_person.json").unlink()
    (path / "01_001_alphapose_tracked_person.json").unlink()
    assert "no file for train clip 01_001" in refusal(path, "alphapose", toy, **SMALL)
    assert "no such" in refusal(tmp_path / "absent", "alphapose", toy, **SMALL)
    (path / "01_001.json").write_text("{}")
    save(path, "01_001", {})
    assert "two files for clip 01_001" in refusal(path, "alphapose", toy, **SMALL)


def test_persons_who_are_too_short_have_no_row_and_all_of_them_are_refused(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    assert "as many poses as a window" in refusal(path, "alphapose", toy)  # 24 of 12


def test_windows_on_one_level_are_counted(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    document = tracked(range(12), 0)
    for pose in document["0"].values():
        pose["keypoints"][1::3] = [40.0] * 17
    save(path, "01_001", document)
    rows = read(path, toy)
    assert (rows.video == 0).sum() == 0
    assert "5 windows" in rows.note


def test_options_without_sense_are_refused(toy, tmp_path):
    path = write_clips(tmp_path / "t", toy, "train")
    assert "--window" in refusal(path, "alphapose", toy, window=1)
    assert "--ratio" in refusal(path, "alphapose", toy, ratio=-1.0)
    with pytest.raises(BadInput, match="--starts"):
        import_features(toy, "skeletons@import.a", {"train": path, "test": path}, "alphapose",
                        {"starts": "wrong"}, tmp_path)  # fmt: skip
    with pytest.raises(BadInput, match="--ratio: means nothing for npy"):
        import_features(toy, "clip@import.a", {"train": path, "test": path}, "npy",
                        {"ratio": 1.0}, tmp_path)  # fmt: skip


# trajectories


@pytest.mark.parametrize("layout", ["{0}/{1}", "{0}-{1}", "{0}_{1}", "{0}/{0}_{1}"])
def test_trajectories_in_the_layouts_that_there_are(toy, tmp_path, layout):
    for video in toy.videos("train"):
        folder = tmp_path / "t" / layout.format(*video.name.split("_"))
        for seed in (0, 4):
            write_trajectory(folder / f"{seed:05d}.csv", range(video.frames), seed)
    found = read(tmp_path / "t", toy, format="trajectories")
    same = read(write_clips(tmp_path / "j", toy, "train", (0, 4)), toy)
    np.testing.assert_allclose(found.x, same.x, atol=1e-3)  # 6 digits in the csv
    np.testing.assert_array_equal(found.frame, same.frame)


def trajectories(tmp_path, toy):
    for video in toy.videos("train"):
        write_trajectory(tmp_path / "t" / video.name / "00001.csv", range(video.frames))
    return tmp_path / "t"


def test_a_trajectory_of_one_frame_an_empty_file_and_an_empty_folder(toy, tmp_path):
    path = trajectories(tmp_path, toy)
    write_trajectory(path / "01_001" / "00002.csv", [3], 9)
    (path / "01_001" / "00003.csv").touch()
    (path / "01_002" / "00001.csv").unlink()
    rows = read(path, toy, format="trajectories")
    assert (rows.video == 0).sum() == len(rows.x) == 5


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,2", "2 cells"),
        ("a," + ",".join(["1"] * 34), "expected numbers"),
        ("0.5," + ",".join(["1"] * 34), "frame 0.5"),
        ("1e300," + ",".join(["1"] * 34), "whole number"),
        ("-1," + ",".join(["1"] * 34), "frame -1"),
        ("12," + ",".join(["1"] * 34), "count from 0"),
        ("3," + ",".join(["1"] * 34), "2 poses in frame 3"),
        ("3,nan," + ",".join(["1"] * 33), "finite"),
        ("3,inf," + ",".join(["1"] * 33), "finite"),
        ("3,1e9," + ",".join(["1"] * 33), "lies nowhere"),
    ],
)
def test_damaged_trajectories_are_refused_by_name(toy, tmp_path, line, told):
    path = trajectories(tmp_path, toy)
    file = path / "01_001" / "00001.csv"
    file.write_text(file.read_text() + line + "\n")
    found = refusal(path, "trajectories", toy, **SMALL)
    assert told in found
    assert "01_001" in found


def test_zero_zero_is_missing_in_trajectories(toy, tmp_path):
    path = trajectories(tmp_path, toy)
    file = path / "01_001" / "00001.csv"
    rows = np.loadtxt(file, delimiter=",")
    rows[6, 5:7] = 0
    np.savetxt(file, rows, delimiter=",", fmt="%g")
    assert (read(path, toy, format="trajectories", missing=0).video == 0).sum() == 0
    assert (read(path, toy, format="trajectories", missing=1).video == 0).sum() == 4


def test_a_clip_without_a_folder_is_refused(toy, tmp_path):
    path = trajectories(tmp_path, toy)
    (path / "01_002").rename(path / "05_005")
    assert "01_002" in refusal(path, "trajectories", toy, **SMALL)
    (path / "05_005").rename(path / "01-002")
    (path / "01_002").mkdir()
    assert "two folders for clip 01_002" in refusal(path, "trajectories", toy, **SMALL)


# the stream


def test_an_import_is_a_stream_of_pose_sequences(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    paths = {split: write_clips(tmp_path / split, toy, split) for split in ("train", "test")}
    stream = "skeletons@import.alphapose"
    import_features(toy, stream, paths, "", {"window": 8, "train_stride": 1}, tmp_path / "cache")
    plan = plan_stream(toy, stream, {})
    opened = open_stream("toy@1", plan, tmp_path / "cache", "train")
    assert opened.features.shape == (2, 8, 18)
    assert opened.features.nature.one_unit
    assert not opened.features.nature.windows
    assert read_manifest(plan.folder(tmp_path / "cache", "test"))["shape"] == [2, 8, 18]


def test_the_two_splits_have_windows_of_one_length(toy, tmp_path):
    assert guess_format(write_clips(tmp_path / "t", toy, "train")) == "alphapose"
    assert guess_format(trajectories(tmp_path / "u", toy)) == "trajectories"


def test_other_files_under_the_same_name_are_told(toy, tmp_path):
    paths = {split: write_clips(tmp_path / split, toy, split) for split in ("train", "test")}
    given = ("alphapose", {"window": 8, "train_stride": 1}, tmp_path / "cache")
    import_features(toy, "skeletons@import.a", paths, *given)
    write_clips(tmp_path / "test", toy, "test", (3,))
    rows = import_features(toy, "skeletons@import.a", paths, *given)
    assert "others than those imported" in rows["train"].note


# any text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["1", "0003", "keypoints", "idx", "image_id"]), inner, max_size=3), max_leaves=8))  # noqa: E501 # fmt: skip
def test_any_document_is_read_or_refused_in_one_line(tmp_path_factory, document):
    from vadbench.features.importers.alphapose import read_alphapose

    path = tmp_path_factory.mktemp("any") / "a.json"
    path.write_text(json.dumps(document))
    video = Short(path.parent).videos("train")[0]
    with suppress(BadInput):  # its message is checked to be one line where it is made
        assert len(read_alphapose(path, video).joints) >= 0


def test_no_poses_are_none(toy, tmp_path):
    assert len(check_poses(tmp_path, toy.videos("train")[0], [])) == 0


def test_the_walkers_poses_as_files_are_the_rows_of_the_walkers(tmp_path):
    from vadbench.datasets.walkers import Walkers
    from vadbench.features.importers.alphapose import read_alphapose

    walkers = Walkers(tmp_path)
    video = walkers.videos("test")[4]
    known = walkers.poses(video)
    document: dict[str, dict[str, dict[str, list[float]]]] = {}
    for frame, one, joints in zip(known.frame, known.person, known.joints, strict=True):
        document.setdefault(str(one), {})[f"{frame:04d}"] = {"keypoints": keypoints(joints)}
    found = read_alphapose(save(tmp_path, video.name, document), video)
    options = SequenceOptions()
    np.testing.assert_array_equal(make_rows(found, options, 1).x, make_rows(known, options, 1).x)
