"""Named label sets: they change exactly the frames they should, and never share a ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.metrics import roc_auc_score

from vadbench.datasets.avenue import Avenue
from vadbench.datasets.base import Labels
from vadbench.datasets.label_sets import LabelSet, find_label_set
from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.resplit import events_tested, labels_tested, resplit_for, resplit_of
from vadbench.datasets.shanghaitech import ShanghaiTech
from vadbench.datasets.subsets import AVENUE_HR
from vadbench.datasets.subsets import SHANGHAITECH_HR as HR
from vadbench.datasets.subsets import SHANGHAITECH_SCENES as SCENE_DEPENDENT
from vadbench.datasets.truth import truth_of
from vadbench.datasets.ubnormal import UBnormal
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import _frame_values
from vadbench.evaluation.smoothing import smooth
from vadbench.external.score import score_frames
from vadbench.report.leaderboard.groups import make_group
from vadbench.results.identity import identity_of
from vadbench.spec import Protocol, Split, Training
from vadbench.suite import choose_labels, make_suite, vary

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LENGTHS = {f"{place:02d}": count for place, count in enumerate(Avenue.test_frames, 1)}


@pytest.fixture
def shanghaitech(tmp_path: Path) -> ShanghaiTech:
    """The published labels, where they are."""
    if not (SHARED / "shanghaitech").is_dir():
        pytest.skip("the published labels are not here")
    (tmp_path / "shanghaitech").symlink_to(SHARED / "shanghaitech")
    (tmp_path / "tracks").mkdir()
    (tmp_path / "tracks" / "shanghaitech").symlink_to(SHARED / "shanghaitech" / "tracks")
    return ShanghaiTech(tmp_path)


def zeros(lengths: dict[str, int]) -> Labels:
    videos = {name: np.zeros(frames, np.uint8) for name, frames in lengths.items()}
    return Labels("official", "made", videos)


# what was published


def test_shanghaitech_hr_drops_six_clips(shanghaitech: ShanghaiTech) -> None:
    labels = labels_tested(shanghaitech, None, "hr")
    told = labels.provenance()
    counts = {name: told[name] for name in ("videos", "frames", "anomalous", "dropped")}
    assert counts == {"videos": 101, "frames": 38697, "anomalous": 16122, "dropped": 2094}
    assert set(labels.videos) - set(labels.kept.videos) == set(HR.left_out)
    assert labels.changed == 0


def test_scene_dependent_clears_six_clips_of_eighteen(shanghaitech: ShanghaiTech) -> None:
    resplit = resplit_for(shanghaitech, "one-class", "scene-dependent")
    official = labels_tested(shanghaitech, resplit)
    labels = labels_tested(shanghaitech, resplit, "scene-dependent")
    assert official.provenance()["anomalous"] == 3523
    told = labels.provenance()
    counts = {name: told[name] for name in ("videos", "frames", "anomalous", "changed")}
    assert counts == {"videos": 18, "frames": 5946, "anomalous": 2898, "changed": 625}
    for name, values in labels.videos.items():
        if name in SCENE_DEPENDENT.cleared:
            assert not values.any()
        else:
            np.testing.assert_array_equal(values, official.videos[name])
    assert sum(len(labels.videos[name]) for name in SCENE_DEPENDENT.cleared) == 1710


def test_scene_dependent_trains_on_no_tested_clip_and_on_every_tested_scene() -> None:
    resplit = SCENE_DEPENDENT.resplit
    assert resplit is not None
    train, test = set(resplit.train), set(resplit.test)
    assert (len(train), len(test), len(train & test)) == (35, 18, 0)
    assert sum(video.startswith("test/") for video in train) == 9
    scenes = [{video.partition("/")[2][:2] for video in videos} for videos in (train, test)]
    assert scenes == [{"01", "06", "10", "12"}] * 2


def test_the_nine_moved_clips_have_the_published_counts(shanghaitech: ShanghaiTech) -> None:
    resplit, labels = SCENE_DEPENDENT.resplit, shanghaitech.labels().videos
    assert resplit is not None
    moved = [labels[name[5:]] for name in resplit.train if name.startswith("test/")]
    assert (sum(map(len, moved)), sum(int(own.sum()) for own in moved)) == (2701, 1117)
    known = {f"train/{video.name}" for video in shanghaitech.videos("train")}
    assert {name for name in resplit.train if name.startswith("train/")} <= known


def test_avenue_hr_leaves_out_616_frames_of_five_videos() -> None:
    labels = AVENUE_HR.relabel(zeros(LENGTHS))
    told = labels.provenance()
    assert (told["videos"], told["frames"], told["dropped"]) == (21, 14708, 616)
    assert list(labels.dropped) == ["01", "02", "03", "06", "16"]
    assert labels.dropped["03"].nonzero()[0].tolist() == list(range(293, 341))  # both ends count
    assert labels.is_torn
    assert not HR.relabel(zeros({"01_0130": 3, "01_0014": 4})).is_torn


# Avenue's other file


@pytest.fixture
def avenue(tmp_path: Path) -> Avenue:
    (tmp_path / "labels" / "avenue").mkdir(parents=True)
    return Avenue(tmp_path)


def spans() -> dict[str, list[tuple[int, int]]]:
    """3867 frames: one stretch in each of four videos, from frame 1 on."""
    counts = {"01": 1400, "02": 1200, "03": 900, "06": 367}
    return {name: [(1, counts[name])] if name in counts else [] for name in LENGTHS}


def flat() -> np.ndarray:
    return np.concatenate(
        [np.arange(frames) < sum(b for _, b in spans()[name]) for name, frames in LENGTHS.items()]
    ).astype(np.uint8)


def read_other(avenue: Avenue) -> Labels:
    chosen = find_label_set(avenue, "mnad-interval")
    assert chosen is not None
    return chosen.relabel(zeros(LENGTHS))


def test_both_files_of_the_other_labels_say_the_same(avenue: Avenue) -> None:
    folder = avenue.root / "labels" / "avenue"
    cells = np.empty((1, 21), object)
    for place, own in enumerate(spans().values()):
        cells[0, place] = np.array(own, np.float64).reshape(-1, 2).T
    savemat(folder / "avenue.mat", {"gt": cells})
    one = read_other(avenue)
    np.save(folder / "frame_labels_avenue.npy", flat()[None])
    other = read_other(avenue)
    assert one.provenance()["anomalous"] == one.changed == 3867
    assert one.provenance()["sha256"] == other.provenance()["sha256"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (flat()[:-1], "expected 15324 frames"),
        (flat().reshape(2, -1), "expected 15324 frames"),
        (flat() * 2, "not 0 or 1"),
        (1 - flat(), "3867"),
        (flat().astype(np.float64) * np.nan, "not 0 or 1"),
        (np.zeros(0), "expected 15324 frames"),
        (flat().astype("U1"), "frame_labels_avenue.npy"),
    ],
)
def test_other_labels_that_are_not_those_are_refused(
    avenue: Avenue, values: np.ndarray, says: str
) -> None:
    np.save(avenue.root / "labels/avenue/frame_labels_avenue.npy", values)
    with pytest.raises(BadInput, match=says):
        read_other(avenue)


def test_a_missing_or_cut_file_of_labels_is_named(avenue: Avenue) -> None:
    path = avenue.root / "labels/avenue/frame_labels_avenue.npy"
    with pytest.raises(BadInput, match=r"frame_labels_avenue\.npy: not there"):
        read_other(avenue)
    np.save(path, flat())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"frame_labels_avenue\.npy: not an"):
        read_other(avenue)


@pytest.mark.parametrize("span", [(0, 3), (5, 2), (1, 1440), (1.5, 3), (np.nan, 3)])
def test_intervals_outside_of_their_video_are_refused(avenue: Avenue, span: tuple) -> None:
    cells = np.empty((1, 21), object)
    for place in range(21):
        cells[0, place] = np.zeros((2, 0))
    cells[0, 0] = np.array([span], np.float64).T
    savemat(avenue.root / "labels/avenue/avenue.mat", {"gt": cells})
    with pytest.raises(BadInput, match="which has frames 1 to 1439"):
        read_other(avenue)


# UBnormal's masks


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones(5, bool), "each of 6 frames"),
        (np.ones((6, 1), bool), "each of 6 frames"),
        (np.full(6, 0.5), "each of 6 frames"),
        (np.full(6, 2), "each of 6 frames"),
        (None, "not there"),
    ],
)
def test_masks_of_kept_frames_have_to_fit(
    tmp_path: Path, mask: np.ndarray | None, says: str
) -> None:
    chosen = find_label_set(UBnormal(tmp_path), "hr")
    assert chosen is not None
    folder = tmp_path / "labels/ubnormal/hr"
    folder.mkdir(parents=True)
    if mask is not None:
        np.save(folder / "a.npy", mask)
    with pytest.raises(BadInput, match=says):
        chosen.relabel(zeros({"a": 6}))


def test_a_mask_says_which_frames_are_measured(tmp_path: Path) -> None:
    chosen = find_label_set(UBnormal(tmp_path), "hr")
    assert chosen is not None
    folder = tmp_path / "labels/ubnormal/hr"
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", np.array([1, 1, 0, 0], bool))
    assert chosen.relabel(zeros({"a": 4})).dropped["a"].tolist() == [False, False, True, True]


# names


def test_unknown_names_list_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="hr, official, scene-dependent; did you mean hr"):
        find_label_set(ShanghaiTech(tmp_path), "hrr")
    with pytest.raises(BadInput, match="choose from official"):
        find_label_set(Ped2(tmp_path), "hr")


def test_frames_after_the_end_of_a_video_are_refused() -> None:
    with pytest.raises(BadInput, match="not the released videos"):
        AVENUE_HR.relabel(zeros({"01": 900}))


def test_labels_that_leave_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="leave out all of 01_0130, 01_0135"):
        HR.relabel(zeros({"01_0130": 3, "01_0135": 4}))


def test_a_split_of_videos_that_are_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shanghaitech").mkdir()
    (tmp_path / "tracks/shanghaitech").mkdir(parents=True)
    few = {"counts": {"train": 1, "test": 1}}
    tiny = type("Few", (ShanghaiTech,), few)(tmp_path)
    np.savez(tmp_path / "shanghaitech/test_frame_mask.npz", **{"01_0014": np.ones(4)})
    with pytest.raises(BadInput, match="no test video 01_0029, which split scene-dependent tests"):
        labels_tested(tiny, resplit_for(tiny, "one-class", "scene-dependent"), "scene-dependent")


def test_an_unsupervised_split_and_that_of_labels_exclude_each_other(
    shanghaitech: ShanghaiTech,
) -> None:
    with pytest.raises(BadInput, match="choose one of them"):
        resplit_for(shanghaitech, "unsupervised", "scene-dependent")
    assert resplit_for(shanghaitech, "unsupervised", "hr") == resplit_of(shanghaitech)


# numbers


TORN = LabelSet("torn", "made", left_out=frozenset({"b"}), dropped={"a": ((3, 5),)})


def made(seed: int = 3) -> Labels:
    random = np.random.default_rng(seed)
    videos = {name: random.integers(0, 2, 30).astype(np.uint8) for name in "abc"}
    return Labels("official", "made", videos)


def test_whole_videos_are_smoothed_and_what_is_left_out_is_dropped_after_that() -> None:
    labels = TORN.relabel(made())
    scores = np.random.default_rng(5).normal(size=(90, 1))
    values, _ = _frame_values(
        scores, ("score",), labels, dict.fromkeys("abc", "0"), Protocol(smoothing=3)
    )
    kept = np.ones(90, bool)
    kept[3:6] = kept[30:60] = False
    smoothed = smooth(scores, np.array([30, 30, 30]), 3.0)[:, 0]
    flat_labels = made().flat()
    wanted = {
        "none": roc_auc_score(flat_labels[kept], scores[kept, 0]),
        "gaussian-3": roc_auc_score(flat_labels[kept], smoothed[kept]),
    }
    found = {one.smoothing: one for one in values if (one.metric, one.video) == ("micro_auc", None)}
    for smoothing, auc in wanted.items():
        assert found[smoothing].value == pytest.approx(auc, abs=1e-12)
        assert found[smoothing].n == 57
    assert {one.video for one in values if one.video} == {"a", "c"}


def test_labels_that_drop_nothing_have_the_hash_they_always_had() -> None:
    import hashlib

    labels = made()
    digest = hashlib.sha256(
        b"".join(name.encode() + own.tobytes() for name, own in labels.videos.items())
    )
    assert labels.provenance() == {
        "name": "official",
        "source": "made",
        "videos": 3,
        "frames": 90,
        "anomalous": int(labels.flat().sum()),
        "sha256": digest.hexdigest(),
    }


def test_every_set_of_labels_has_a_hash_of_its_own() -> None:
    sets = [TORN, LabelSet("b", "", left_out=frozenset("b")), LabelSet("c", "", frozenset("c"))]
    hashes = {one.relabel(made()).provenance()["sha256"] for one in sets}
    assert len(hashes | {made().provenance()["sha256"]}) == 4


def test_official_labels_leave_identities_as_they_were() -> None:
    fields = Protocol().model_dump(mode="json")
    assert fields.keys() == Protocol.model_fields.keys() - {"labels"}
    assert fields["smoothing"] is None
    assert Protocol(labels="hr").model_dump(mode="json")["labels"] == "hr"
    assert Protocol.model_validate({"labels": "hr"}).labels == "hr"
    split = Split(name="x", sha256="0" * 64, train_videos=1, test_videos=1)
    assert "setting" not in split.model_dump()
    assert Training(split=split).setting == "unsupervised"


def test_a_result_under_other_labels_is_another_one() -> None:
    from record_builder import make_result

    one = make_result(protocol={"smoothing": 3})
    other = make_result(protocol={"smoothing": 3, "labels": "hr"}, chosen={"labels": "hr"})
    assert one.key != other.key
    assert identity_of(one, ("r",)) != identity_of(other, ("r",))
    assert other.words == ("labels=hr",)  # so its plain name does not mean it


def test_other_labels_are_another_group_of_the_leaderboard() -> None:
    row = {
        **dict.fromkeys(("split", "regions_sha256", "chosen", "apart")),
        "dataset": "avenue",
        "setting": "one-class",
        "scope": "pooled",
        "sigma": 3.0,
        "train_dataset": "avenue",
        "labels": "official",
        "labels_sha256": "a" * 64,
    }
    other = {**row, "labels": "hr", "labels_sha256": "b" * 64, "chosen": '{"labels": "hr"}'}
    assert make_group(row) != make_group(other)
    assert make_group(other).rules == ("labels=hr",)


def test_region_tracks_are_of_the_official_labels_alone(shanghaitech: ShanghaiTech) -> None:
    truth = truth_of(shanghaitech, None, shanghaitech.root / "cache", "hr")
    assert (truth["tracks"], truth["regions_sha256"]) == (None, None)
    assert truth["sha256"] != truth_of(shanghaitech, None, shanghaitech.root / "cache")["sha256"]


def test_events_of_other_labels_are_their_stretches(shanghaitech: ShanghaiTech) -> None:
    resplit = resplit_for(shanghaitech, "one-class", "scene-dependent")
    events = events_tested(shanghaitech, resplit, "scene-dependent")
    assert not {event.video for event in events} & SCENE_DEPENDENT.cleared
    assert sum(event.end - event.start + 1 for event in events) == 2898


def test_torn_labels_have_no_events(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    avenue = Avenue(tmp_path)
    monkeypatch.setattr(avenue, "_labels", zeros(LENGTHS))
    with pytest.raises(BadInput, match="leave out frames within videos"):
        events_tested(avenue, None, "hr")


def test_other_codes_scores_are_measured_under_a_label_set(
    shanghaitech: ShanghaiTech, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VADBENCH_DATA", str(shanghaitech.root))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    labels = labels_tested(shanghaitech, None, "hr")
    scores = np.random.default_rng(0).normal(size=len(labels.flat()))
    np.save(tmp_path / "scores.npy", scores)
    arguments = {"dataset": "shanghaitech", "smoothing": 0}
    found = score_frames(tmp_path / "scores.npy", "hr", **arguments)
    assert (found["videos"], found["frames"]) == (101, 38697)
    expected = roc_auc_score(labels.kept.flat(), labels.cut(scores))
    assert found["rows"][0]["value"] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(BadInput, match="hrr"):
        score_frames(tmp_path / "scores.npy", "hrr", **arguments)


# the command line


def test_labels_are_a_setting_of_the_protocol() -> None:
    assert choose_labels({}, "hr") == {"protocol": {"labels": "hr"}}
    assert choose_labels({}, "official") == choose_labels({}, "") == {}
    with pytest.raises(BadInput, match="the settings say"):
        choose_labels({"protocol": {"labels": "hr"}}, "scene-dependent")


def test_a_suite_under_other_labels_has_a_table_of_its_own() -> None:
    suite = make_suite({"name": "mine", "methods": ["knn"], "datasets": ["shanghaitech"]})
    varied = vary(suite, labels="hr")
    assert (varied.name, varied.called) == (
        "mine--shanghaitech--labels-hr",
        "mine --labels hr",
    )
    assert varied.settings == {"protocol": {"labels": "hr"}}
    assert vary(suite, labels="official") == suite
