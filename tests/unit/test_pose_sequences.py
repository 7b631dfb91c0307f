"""Windows of poses: joints, starts, normalisation, links, and the extractor on poses of any
provider.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from vadbench.datasets.poses import Poses
from vadbench.datasets.walkers import Walkers
from vadbench.errors import BadInput
from vadbench.features.boxes.persons import Persons, PersonsOptions
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors import skeletons
from vadbench.features.extractors.extractor import Vectors
from vadbench.features.extractors.pose import in_box
from vadbench.features.extractors.skeletons import Skeletons, SkeletonsOptions, in_frame
from vadbench.features.footage import Footage
from vadbench.features.sequences.joints import NAMES, to_openpose
from vadbench.features.sequences.link import link_boxes
from vadbench.features.sequences.options import RELEASED_RATIO, SequenceOptions
from vadbench.features.sequences.rows import make_rows, normalise
from vadbench.features.sequences.windows import window_starts

FILE = Path(__file__).resolve().parents[3] / "shared/oracles/stgnf/model.npz"
TRACKS = ("whole", "exact", "oneover", "holes", "jump", "short")


@pytest.fixture(scope="module")
def arrays():
    if not FILE.is_file():
        pytest.skip(f"{FILE} is not on this machine")
    with np.load(FILE) as file:
        return dict(file)


def walk(frames, person=0, seed=0):
    """Poses of one person in these frames."""
    frames = np.asarray(frames, np.int64)
    still = np.random.default_rng(seed).uniform(20, 80, (17, 2))
    moved = np.stack([2.0 * frames, np.sin(frames)], 1)[:, None]
    return Poses(frames, np.full(len(frames), person), still + moved)


def join(*parts):
    return Poses(*(np.concatenate(each) for each in zip(*map(vars_of, parts), strict=True)))


def vars_of(poses):
    return poses.frame, poses.person, poses.joints


# against arrays made in plain loops


def test_the_18_joints_are_theirs(arrays):
    found = to_openpose(arrays["joints.coco17"])
    np.testing.assert_array_equal(found, arrays["joints.openpose18"])
    assert len(NAMES) == len(set(NAMES)) == 18


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(("rule", "theirs"), [("released", "code"), ("whole", "ours")])
def test_windows_start_where_theirs_do(arrays, track, stride, rule, theirs):
    options = SequenceOptions(window=8, starts=rule)
    found = window_starts(arrays[f"windows.{track}.frames"], options, stride)
    np.testing.assert_array_equal(found, arrays[f"windows.{track}.{theirs}_s{stride}"])


@pytest.mark.parametrize(("name", "ratio"), [("rows", RELEASED_RATIO), ("rows_square", 1.0)])
def test_normalised_rows_are_theirs(arrays, name, ratio):
    found, good = normalise(arrays["norm.pixels"], ratio)
    np.testing.assert_allclose(found, arrays[f"norm.{name}"], atol=2e-7)
    assert good.all()


def test_a_mirrored_window_is_its_x_negated(arrays):
    mirrored = arrays["norm.pixels"] * [-1, 1] + [856, 0]
    found, _ = normalise(mirrored, RELEASED_RATIO)
    np.testing.assert_allclose(found, arrays["norm.rows_flipped"], atol=2e-7)
    plain, _ = normalise(arrays["norm.pixels"], RELEASED_RATIO)
    np.testing.assert_allclose(found * np.array([-1, 1])[:, None, None], plain, atol=1e-6)


def test_one_gaussian_is_the_released_cascade(arrays):
    single, cascade, start = [], [], 0
    for length in arrays["score.lengths"]:
        clip = arrays["score.filled"][start : start + length]
        single.append(gaussian_filter1d(clip, np.sqrt(91)))
        for sigma in range(1, 7):
            clip = gaussian_filter1d(clip, sigma)
        cascade.append(clip)
        start += length
    np.testing.assert_allclose(np.concatenate(cascade), arrays["score.cascade"], atol=1e-12)
    assert np.abs(np.concatenate(single) - arrays["score.cascade"]).max() < 1e-4


# rows


@given(
    frames=st.sets(st.integers(0, 60), max_size=40).map(sorted),
    window=st.integers(2, 12),
    stride=st.integers(1, 7),
    missing=st.integers(0, 4),
)
def test_every_whole_window_and_no_other_has_a_row(frames, window, stride, missing):
    options = SequenceOptions(window=window, missing=missing)
    found = make_rows(walk(frames), options, stride)
    expected = [
        start
        for start in range(0, len(frames) - window + 1, stride)
        if frames[start + window - 1] - frames[start] <= window - 1 + missing
    ]
    assert found.frame.tolist() == [frames[start] + window // 2 for start in expected]
    assert found.middle.tolist() == [start + window // 2 for start in expected]
    assert found.x.shape == (len(expected), 2 * window * 18)


def test_a_row_has_mean_0_and_y_of_variance_1():
    rows = make_rows(walk(range(30)), SequenceOptions(window=12), 1)
    x = rows.x.reshape(-1, 2, 12, 18)
    assert np.abs(x.mean((2, 3))).max() < 1e-6
    np.testing.assert_allclose(x[:, 1].std((1, 2)), 1, rtol=1e-6)


@given(scale=st.floats(0.1, 20), right=st.floats(-500, 500), down=st.floats(-500, 500))
def test_place_and_size_are_lost(scale, right, down):
    poses, options = walk(range(14)), SequenceOptions(window=12)
    moved = Poses(poses.frame, poses.person, scale * poses.joints + [right, down])
    found = make_rows(moved, options, 1).x
    np.testing.assert_allclose(found, make_rows(poses, options, 1).x, atol=1e-5)


def test_persons_are_kept_apart_whatever_the_order():
    both = join(walk(range(10), 5, 1), walk(range(3, 12), 2, 2))
    order = np.random.default_rng(0).permutation(len(both))
    options = SequenceOptions(window=8)
    found = make_rows(both.rows(order), options, 1)
    alone = [make_rows(walk(range(3, 12), 2, 2), options, 1), make_rows(walk(range(10), 5, 1), options, 1)]  # noqa: E501 # fmt: skip
    np.testing.assert_array_equal(found.x, np.concatenate([each.x for each in alone]))
    assert found.frame.tolist() == [7, 8, 4, 5, 6]


def test_a_pose_that_lacks_a_joint_is_a_gap():
    poses = walk(range(12))
    poses.joints[5, 3] = np.nan
    options = SequenceOptions(window=8, missing=1)
    found = make_rows(poses, options, 1)
    without = make_rows(poses.rows(np.arange(12) != 5), options, 1)
    np.testing.assert_array_equal(found.x, without.x)
    assert len(found.x) == 4
    assert len(make_rows(poses, SequenceOptions(window=8, missing=0), 1).x) == 0


def test_joints_on_one_level_have_no_row_and_are_counted():
    poses = walk(range(10))
    poses.joints[:, :, 1] = 40.0
    rows = make_rows(poses, SequenceOptions(window=8), 1)
    assert (len(rows.x), rows.flat) == (0, 3)


def test_no_poses_are_no_rows():
    rows = make_rows(walk([]), SequenceOptions(), 1)
    assert rows.x.shape == (0, 864)
    assert rows.flat == 0


def test_boxes_are_the_extent_of_the_joints_that_are_there():
    poses = walk([0, 1, 2])
    poses.joints[1, 4:] = np.nan
    poses.joints[2] = [7, 9]
    box = poses.boxes()
    np.testing.assert_allclose(box[1, :2], poses.joints[1, :4].min(0), rtol=1e-6)
    assert box[2].tolist() == [7, 9, 8, 10]


# links


def test_boxes_are_linked_over_a_gap_and_no_further():
    def box(x):
        return np.array([[x, 0.0, x + 10, 30]])

    none = np.zeros((0, 4))
    frames = [box(0), box(2), none, none, box(4), none, none, none, box(5)]
    assert link_boxes(frames, 2, 0.3).tolist() == [0, 0, 0, 1]
    assert link_boxes([box(0), box(9)], 2, 0.3).tolist() == [0, 1]
    assert link_boxes([none, none], 2, 0.3).tolist() == []


def test_two_who_come_close_keep_their_numbers_where_the_sum_of_overlaps_says_so():
    left = [np.array([3.0 * t, 0, 3.0 * t + 10, 30]) for t in range(6)]
    right = [np.array([30 - 2.0 * t, 2, 40 - 2.0 * t, 32]) for t in range(6)]
    boxes = [np.stack(pair if t % 2 else pair[::-1]) for t, pair in enumerate(zip(left, right, strict=True))]  # noqa: E501 # fmt: skip
    found = link_boxes(boxes, 0, 0.3).reshape(6, 2)
    found[1::2] = found[1::2, ::-1]
    assert (found == found[0]).all()


# the extractor


@pytest.fixture(scope="module")
def walkers():
    return Walkers(Path("nowhere"))


def extract(extractor, footage, objects):
    return extractor.extract(footage, objects, lambda frames: None)


def test_known_poses_are_rows_of_their_objects(walkers):
    video = walkers.videos("test")[0]
    footage = Footage(walkers, video)
    objects = Persons(PersonsOptions(), walkers, "").objects(footage)
    rows = extract(Skeletons("truth", SkeletonsOptions()), footage, objects)
    poses = walkers.poses(video).by_frame()
    assert (np.diff(rows.of) > 0).all()
    direct = make_rows(poses, SequenceOptions(), 1)
    assert len(rows.x) == len(direct.x)
    gone = np.abs(poses.frame[direct.middle] - direct.frame)
    assert gone.max() <= 2
    trained = Footage(walkers, walkers.videos("train")[1])
    objects = Persons(PersonsOptions(), walkers, "").objects(trained)
    many, few = (
        len(extract(Skeletons("truth", SkeletonsOptions(train_stride=k)), trained, objects).x)
        for k in (1, 6)
    )
    assert 4 < many / few < 8


class Estimator:
    """A provider of poses in the form of the extractor `pose`, from arrays, for any network."""

    Options = skeletons.Pose.Options

    def __init__(self, variant, options):
        self.lost = options.min_confidence

    def extract(self, footage, objects, advance):
        boxes = np.concatenate(objects.boxes)
        of = np.flatnonzero(np.arange(len(boxes)) % 11 != 5)
        x = in_box(Estimator.joints[of], boxes[of])
        return Vectors(x.reshape(len(of), 34), of)


@pytest.mark.parametrize("tracked", [True, False])
def test_poses_of_any_provider_are_linked_and_windowed(walkers, monkeypatch, tracked):
    footage = Footage(walkers, walkers.videos("test")[3])
    known = walkers.poses(footage.video).by_frame()
    objects = Persons(PersonsOptions(), walkers, "").objects(footage)
    objects = objects if tracked else Objects(objects.boxes)
    Estimator.joints = known.joints
    monkeypatch.setattr(skeletons, "Pose", Estimator)
    rows = extract(Skeletons("rtmpose-m", SkeletonsOptions(window=12)), footage, objects)
    kept = known.rows(np.arange(len(known)) % 11 != 5)
    expected = make_rows(kept, SequenceOptions(window=12), 1)
    order = np.argsort(np.flatnonzero(np.arange(len(known)) % 11 != 5)[expected.middle])
    if tracked:
        np.testing.assert_allclose(rows.x, expected.x[order], atol=2e-4)
    assert len(rows.x) > 0.9 * len(expected.x)


def test_joints_come_back_from_the_box():
    boxes = np.array([[10, 20, 40, 120], [5, 5, 6, 9]], np.float32)
    joints = np.random.default_rng(0).uniform(0, 100, (2, 17, 2))
    np.testing.assert_allclose(in_frame(in_box(joints, boxes), boxes), joints, rtol=1e-4)


def test_boxes_of_others_and_data_without_poses_are_refused(walkers):
    footage = Footage(walkers, walkers.videos("test")[0])
    boxes = [np.array([[10, 10, 20, 40]], np.float32)] * len(footage)
    extractor = Skeletons("truth", SkeletonsOptions())
    with pytest.raises(BadInput, match=r"skeletons\.truth@persons"):
        extract(extractor, footage, Objects(boxes, np.zeros(len(footage), np.int64)))

    class Bare(Walkers):
        name = "bare"

        def poses(self, video):
            return None

    bare = Bare(Path("nowhere"))
    footage = Footage(bare, bare.videos("test")[0])
    with pytest.raises(BadInput, match="knows no poses"):
        extract(extractor, footage, Objects(boxes))
    with pytest.raises(BadInput, match="foreground"):
        Persons(PersonsOptions(), bare, "").objects(footage)


def test_the_paper_has_other_windows_on_ubnormal():
    assert Skeletons.preset("paper", "ubnormal")["window"] == 16
    assert "window" not in Skeletons.preset("paper", "shanghaitech")
    assert Skeletons.preset("paper", "shanghaitech")["starts"] == "released"
    assert Skeletons.preset("fast", "ubnormal") == {}


def test_options_of_networks_decide_nothing_where_poses_are_known():
    options = SkeletonsOptions(min_confidence=0.9)
    assert "min_confidence" not in Skeletons.resolve(options, "truth", "persons")
    assert Skeletons.resolve(options, "rtmpose-m", "grid")["min_confidence"] == 0.9


def test_the_identity_of_a_stream_makes_it_again():
    from vadbench.features.contract import Trial, declares_itself, identity_makes_it_again

    declares_itself(Trial(Skeletons))
    identity_makes_it_again(Trial(Skeletons))


def test_a_clip_without_persons_has_no_row(walkers, monkeypatch):
    footage = Footage(walkers, walkers.videos("test")[0])
    Estimator.joints = np.zeros((0, 17, 2))
    monkeypatch.setattr(skeletons, "Pose", Estimator)
    none = Objects([np.zeros((0, 4), np.float32)] * len(footage))
    rows = extract(Skeletons("movenet", SkeletonsOptions()), footage, none)
    assert rows.x.shape == (0, 864)
    assert len(rows.of) == 0
