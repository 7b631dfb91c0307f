"""Scores of the unsupervised setting: of the videos that the re-split tests, in tables of that
setting, and apart from those of the same name in the other.
"""

import numpy as np
import pytest

from vadbench import cli
from vadbench.datasets.base import Dataset, Labels, Resplit, Video
from vadbench.datasets.open import open_dataset
from vadbench.datasets.resplit import describe_split, labels_tested, resplit_of
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_all
from vadbench.external.align import align
from vadbench.external.declared import Declared
from vadbench.external.lengths import Known
from vadbench.external.submit import Submission, submit
from vadbench.external.truth import find_truth
from vadbench.files.tables import FrameTable
from vadbench.plans.plan import plan_suite
from vadbench.results.frame import load_results, value_of
from vadbench.results.records import Results
from vadbench.spec import METRICS
from vadbench.suite import make_suite

TESTED = ["test01", "test03", "test05", "test07", "test09"]
FREE = Declared(paper="Doe, 2026", test_free=("code", "protocol"))


@pytest.fixture(autouse=True)
def street(street_cache, monkeypatch):
    """The synthetic street is here."""
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    return open_dataset("synthetic")


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def make_scores(street, seed=0):
    """Tested video -> its labels with noise."""
    random = np.random.default_rng(seed)
    own = street.labels().videos
    return {name: own[name] + random.normal(size=len(own[name])) for name in TESTED}


@pytest.fixture
def enter(street, results, tmp_path):
    """Submits scores of the tested videos, and gives the record."""

    def run(name="theirs", seed=0, videos=TESTED, setting="unsupervised", **fields):
        path, scores = tmp_path / f"{name}-{seed}.npz", make_scores(street, seed)
        np.savez(path, **{video: scores[video] for video in videos})
        given = Submission(path, name, "synthetic", seed, FREE, setting=setting, **fields)
        return submit(given, results)

    return run


@pytest.fixture
def enter_one_class(street, results, tmp_path):
    """Submits the labels of all test videos as scores in the one-class setting."""

    def run(name="theirs"):
        np.savez(tmp_path / "all.npz", **street.labels().videos)
        return submit(Submission(tmp_path / "all.npz", name, "synthetic", declared=FREE), results)

    return run


def refusal(call, *arguments, **options):
    with pytest.raises(BadInput) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_record_is_of_the_setting_and_the_split_that_run_has(enter, results):
    record = enter()
    suite = make_suite({"methods": ["knn"], "datasets": ["synthetic"], "setting": "unsupervised"})
    (planned,) = plan_suite(suite).wanted
    assert record.result.training == planned.result.training
    assert results.run_of(record, 0).job["setting"] == "unsupervised"
    assert (record.labels["videos"], record.labels["frames"]) == (5, 600)
    assert load_results(results.root)["setting"].unique().tolist() == ["unsupervised"]
    assert record.edited is None


def test_values_are_those_of_the_tested_videos(enter, street):
    value = value_of(enter(), METRICS["micro AUC, unsmoothed"]).value
    labels = np.concatenate([street.labels().videos[name] for name in TESTED])
    scores = np.concatenate(list(make_scores(street).values()))
    positive, negative = scores[labels == 1], scores[labels == 0]
    expected = (positive[:, None] > negative).mean()
    assert value == pytest.approx(expected, abs=1e-6)


def test_an_array_of_all_tested_frames_does_too(enter, street, results, tmp_path):
    np.save(tmp_path / "flat.npy", np.concatenate(list(make_scores(street).values())))
    given = Submission(tmp_path / "flat.npy", "flat", "synthetic", setting="unsupervised")
    assert submit(given, results).values == enter("named").values


def test_scores_of_other_videos_are_told_and_nothing_is_written(street, results, tmp_path):
    np.savez(tmp_path / "all.npz", **street.labels().videos)
    np.save(tmp_path / "all.npy", street.labels().flat().astype(float))
    source = "the tested part of synthetic's re-split every-second-test-video"
    for name in ("all.npz", "all.npy"):
        given = Submission(tmp_path / name, "theirs", "synthetic", setting="unsupervised")
        assert source in refusal(submit, given, results)
    assert not results.root.exists()


def test_a_setting_that_is_none_is_refused(enter):
    assert "unknown setting 'weakly'" in refusal(enter, setting="weakly")


def test_evaluate_computes_it_again_and_changes_nothing(enter, results):
    path = results.folder_of(enter()) / "metrics.json"
    before, refused = path.read_bytes(), []
    assert evaluate_all(results, {}, refused.append) == 1
    assert not refused
    assert path.read_bytes() == before


def test_boxes_are_held_against_the_tested_videos_regions(enter, street, tmp_path):
    tracks = street.tracks()
    tested = tracks[tracks["video"].isin(TESTED)].drop(columns="track")
    path = tmp_path / "boxes.csv"
    tested.assign(score=1.0).to_csv(path, index=False)
    record = enter(detections=path)
    assert value_of(record, METRICS["TBDC"]).value == 1
    others = tracks.drop(columns="track").assign(score=1.0)
    others.to_csv(path, index=False)
    assert "boxes.csv: " in refusal(enter, "others", detections=path)


def test_a_name_may_stand_in_both_settings(enter, enter_one_class, results):
    records = [enter(), enter_one_class()]
    assert len({one.identity for one in results.all_records()}) == 2
    assert len({one.result.key for one in records}) == 2


def test_labels_in_a_file_are_those_of_the_tested_videos(enter, street, tmp_path):
    labels = {name: street.labels().videos[name] for name in TESTED}
    np.savez(tmp_path / "labels.npz", **labels)
    assert enter(labels=tmp_path / "labels.npz").labels["frames"] == 600
    labels["test01"] = 1 - labels["test01"]
    np.savez(tmp_path / "labels.npz", **labels)
    assert "differ from those of synthetic here in 120 frames" in refusal(
        enter, "other", labels=tmp_path / "labels.npz"
    )


def test_without_the_data_set_its_re_split_is_not_known(enter, monkeypatch, tmp_path):
    def absent(self, split):
        raise BadInput("synthetic is not there")

    monkeypatch.setattr(Synthetic, "videos", absent)
    np.save(tmp_path / "labels.npy", np.zeros(600))
    told = refusal(enter, labels=tmp_path / "labels.npy")
    assert told.startswith("synthetic is not there; without it too little is known of synthetic")


class Mixed(Dataset):
    """A training and two test videos, of which the re-split tests one each; `01` is in both."""

    name = "mixed"
    smoothing = 0.0

    def videos(self, split):
        names = {"train": ("01", "07"), "test": ("01", "03")}[split]
        return tuple(Video(name, split, 4, scene=split) for name in names)

    def read(self, video):
        raise AssertionError("no video is read")

    def labels(self):
        normal, anomalous = np.zeros(4, np.uint8), np.array([0, 1, 1, 0], np.uint8)
        return Labels("exact", "here", {"01": normal, "03": anomalous})

    def check(self):
        return []

    def resplit(self):
        return Resplit("published", ("train/01", "test/01"), ("test/03", "train/07"))


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    monkeypatch.setattr("vadbench.external.truth.open_dataset", lambda name: Mixed(tmp_path))
    return find_truth("mixed", setting="unsupervised")


def test_a_tested_training_video_is_normal_and_of_its_own_scene(mixed):
    assert list(mixed.labels.videos) == ["03", "train/07"]
    assert not mixed.labels.videos["train/07"].any()
    assert mixed.scenes == {"03": "test", "train/07": "train"}
    assert mixed.resplit.name == "published"


@pytest.mark.parametrize("name", ["07", "train/07"])
def test_a_tested_training_video_may_be_called_by_its_name_alone(mixed, tmp_path, name):
    table = FrameTable(tmp_path / "s.csv", {name: 4, "03": 4}, np.arange(8.0))
    found = align(table, mixed.known)
    assert found.lengths == {"03": 4, "train/07": 4}
    assert found.values.tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_a_name_of_both_splits_is_the_test_videos(tmp_path):
    known = Known({"01": 1, "train/01": 2}, "a re-split")
    table = FrameTable(tmp_path / "s.csv", {"train/01": 2, "01": 1}, np.arange(3.0))
    assert align(table, known).values.tolist() == [2, 0, 1]


def test_the_split_of_a_record_has_its_hash_and_its_sizes(street):
    split = describe_split(resplit_of(street))
    assert (split.name, split.train_videos, split.test_videos) == ("every-second-test-video", 13, 5)
    assert list(labels_tested(street, resplit_of(street)).videos) == TESTED


@pytest.fixture
def vadbench(tmp_path, monkeypatch, capsys):
    """Runs the command line in this process; gives its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    return run


def test_a_table_has_the_rows_of_its_setting_alone(enter, enter_one_class, vadbench):
    shown = {"unsupervised": enter("theirs"), "synthetic": enter_one_class("others")}
    for suite, name in (("unsupervised", "theirs"), ("synthetic", "others")):
        code, told, _ = vadbench("table", suite, "--add", name, "--format", "markdown")
        assert code == 0
        (row,) = [line for line in told.splitlines() if line.startswith(f"| {name} (scores given)")]
        value = value_of(shown[suite], METRICS["micro AUC"]).value
        assert f"{100 * value:.1f}" in row
    code, _, told = vadbench("table", "synthetic", "--add", "theirs")
    assert code == 2
    assert "submitted on synthetic (unsupervised)" in told
    assert "the table is of synthetic (one-class)" in told


def test_the_command_submits_and_prints_a_table_of_the_setting(street, vadbench, tmp_path):
    np.savez(tmp_path / "scores.npz", **make_scores(street))
    arguments = ("submit", "scores.npz", "--as", "theirs", "--dataset", "synthetic")
    code, _, told = vadbench(*arguments, "--setting", "unsupervised", "--table", "synthetic")
    assert code == 2
    assert "--table synthetic: its rows are one-class, these scores unsupervised" in told
    assert not (tmp_path / "results").exists()
    code, told, _ = vadbench(*arguments, "--setting", "unsupervised", "--table", "unsupervised")
    assert code == 0
    assert "5 videos, 600 frames" in told
    assert "| theirs (scores given)" in told
