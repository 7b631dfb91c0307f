"""Which columns of an imported table are features: no label, no index, none by accident; what looks
like one by its numbers is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clips_to_import import Toy, refusal
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.datasets.base import Split
from vadbench.errors import BadInput
from vadbench.features.importers import (
    ImportedRows,
    Layout,
    import_features,
    read_features,
    suspicions,
)
from vadbench.features.importers.columns import is_telling
from vadbench.features.importers.read import make_layout

LABELS = [
    "Label",
    "labels",
    "LABEL_0",
    "gt",
    "GT",
    "gt_label",
    "abnormal_gt",
    "is_anomaly",
    "isAbnormal",
    "IsAnomaly",
    "isanomaly",
    "anomalous",
    "anomaly_score",
    "target",
    "ground_truth",
    "GroundTruth",
    "ground-truth",
    "groundtruth",
    "y",
    "Y",
    "y_true",
    "yTrue",
    "ytrue",
    "class",
    "Class",
    "cls",
    "object_class",
    "category",
    "annotation",
    "normal",
    "is_normal",
    "outlier",
    "split",
    "fold",
    "cv_fold",
    "train",
    "is_test",
]
INDICES = [
    "id",
    "ID",
    "track_id",
    "trackID",
    "TrackIDs",
    "trackid",
    "person_id",
    "Person_ID",
    "object_id",
    "index",
    "row",
    "row_number",
    "Unnamed: 0",
    "level_0",
    "__index_level_0__",
    "time",
    "Time",
    "timestamp",
    "time_stamp",
    "frame_number",
    "frameNumber",
    "framenumber",
    "FRAME",
    "frame_idx",
    "scene",
    "camera",
    "cam",
    "video_id",
    "VideoName",
    "clip",
    "filename",
    "score",
    "pred",
    "y_pred",
    "pred_score",
    "prediction",
]
FEATURES = [
    "f0",
    "x_1",
    "y_1",
    "x0",
    "feat_12",
    "speed",
    "hof_3",
    "norm",
    "valid",
    "cls_12",
    "clip_3",
    "center_y",
    "bbox_w",
    "left_index_x",
    "frame_difference",
    "surface_normal_x",
    "grid",
    "centroid",
    "hybrid",
    "noise",
    "pose_confidence",
    "class_token",
    "time_to_collision",
    "person_height",
    "normalised_speed",
    "identity_loss",
    "0",
    "511",
]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def save(path: Path, **columns: Any) -> Path:
    """Five rows of the test clips."""
    rows = pd.DataFrame(
        {
            "video": list("yyzzz"),
            "frame": [0, 1, 0, 1, 2],
            "f0": np.arange(5.0),
            "f1": np.arange(5.0) ** 2,
        }
    )
    rows.assign(**columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", LABELS + INDICES)
def test_names_of_labels_and_indices_are_told(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize("name", FEATURES)
def test_names_of_features_are_not(name: str) -> None:
    assert not is_telling(name)


@pytest.mark.parametrize(
    "name",
    ["abnormal_gt", "Label", "GroundTruth", "Person_ID", "Unnamed: 0", "label.1", "Is Anomaly"],
)
def test_a_column_of_labels_is_refused_with_both_ways_out(
    toy: Toy, tmp_path: Path, name: str
) -> None:
    told = refusal(save(tmp_path / "f.csv", **{name: [0, 1, 0, 1, 0]}), "csv", toy, "test")
    assert f"column {name!r}" in told
    assert "leave it out of the file, or name the features: --columns" in told


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [(("f*",), ["f0", "f1"]), (("f1",), ["f1"]), (("f1", "f*"), ["f1", "f0"]), (("?0",), ["f0"])],
)
def test_columns_are_taken_by_name_and_pattern(
    toy: Toy, tmp_path: Path, asked: tuple[str, ...], chosen: list[str]
) -> None:
    rows = read_features(
        save(tmp_path / "f.csv", Label=1, note="text"), "", toy, "test", Layout(columns=asked)
    )
    assert list(rows.columns) == chosen
    assert rows.x.shape == (5, len(chosen))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("g*", "--columns g[*]: no such column"),
        ("*", "column 'Label'"),
        ("speed", "--columns speed: no such"),
        ("frame", "is no feature"),
    ],
)
def test_columns_that_are_not_there_or_labels_are_refused(
    toy: Toy, tmp_path: Path, asked: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        read_features(save(tmp_path / "f.csv", Label=1), "", toy, "test", Layout(columns=(asked,)))


def test_corners_are_boxes_unless_they_are_asked_for_and_not_all_there(
    toy: Toy, tmp_path: Path
) -> None:
    two = {"x0": 1.0, "x1": 2.0}
    assert "no column y0 beside x0, x1" in refusal(
        save(tmp_path / "two.csv", **two), "csv", toy, "test"
    )
    rows = read_features(tmp_path / "two.csv", "", toy, "test", Layout(columns=("x*",)))
    assert (rows.columns, rows.box) == (("x0", "x1"), None)
    four = save(tmp_path / "four.csv", **two, y0=1.0, y1=2.0)
    assert read_features(four, "", toy, "test", Layout(columns=("f*",))).box is not None
    with pytest.raises(BadInput, match="no such column of features"):
        read_features(four, "", toy, "test", Layout(columns=("x*",)))


def test_no_columns_are_none(toy: Toy) -> None:
    with pytest.raises(BadInput, match="--columns: names no column"):
        make_layout("csv", {"columns": ()})


def test_splits_whose_columns_differ_are_refused(toy: Toy, tmp_path: Path) -> None:
    train = pd.DataFrame({"video": list("bac"), "frame": 0, "f1": [1.0, 2, 3], "f0": [4.0, 6, 5]})
    train.to_csv(tmp_path / "train.csv", index=False)
    paths: dict[Split, Path] = {
        "train": tmp_path / "train.csv",
        "test": save(tmp_path / "test.csv"),
    }
    with pytest.raises(
        BadInput, match=r"test\.csv: feature 0 is column 'f0', but 'f1' in .*train\.csv"
    ):
        import_features(toy, "velocity@import.mine", paths, "", {}, tmp_path / "cache")


@pytest.mark.parametrize("name", ["label", "gt", "y", "is_anomaly"])
def test_an_array_of_labels_is_never_taken_for_features(
    toy: Toy, tmp_path: Path, name: str
) -> None:
    labels = np.array([0, 1, 0, 1, 0])
    np.savez(
        tmp_path / "rows.npz",
        x=np.ones((5, 2)),
        video=list("yyzzz"),
        frame=[0, 1, 0, 1, 2],
        **{name: labels},
    )
    assert read_features(tmp_path / "rows.npz", "", toy, "test").x.shape == (5, 2)
    np.savez(tmp_path / "counts.npz", count=np.ones(5, int), **{name: labels[:, None]})
    assert f"array {name!r} is no feature" in refusal(tmp_path / "counts.npz", "npz", toy, "test")
    np.savez(tmp_path / "clips.npz", y_=np.ones((1, 2)), z=np.ones((1, 2)), **{name: labels})
    refusal(tmp_path / "clips.npz", "npz", toy, "test")


def rows(*columns: Any, names: tuple[str, ...] = ()) -> ImportedRows:
    x = np.stack([np.asarray(column, np.float32) for column in columns], 1)
    index = np.arange(len(x), dtype=np.int32)
    return ImportedRows(x, np.zeros_like(index), index, None, windows=True, columns=names)


NOISE = np.random.default_rng(0).normal(size=(4, 500))


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (np.zeros(500), np.arange(500) % 5 == 0, "column f takes two values only"),
        (np.arange(500), 500 + np.arange(500), "column f alone separates training from test rows"),
        (1000 - np.arange(500), -np.arange(500), "column f alone separates"),
        (NOISE[2] + 5, NOISE[3], "column f alone separates"),
    ],
)
def test_a_column_that_looks_like_a_label_by_its_numbers_is_told(
    train: Any, test: Any, told: str
) -> None:
    found = suspicions(
        {
            "train": rows(NOISE[0], train, names=("e", "f")),
            "test": rows(NOISE[1], test, names=("e", "f")),
        }
    )
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (np.ones(500), np.ones(500)),
        (NOISE[2], NOISE[3] + 2),
        (np.arange(500) % 3, np.arange(500) % 3),
    ],
)
def test_a_column_that_does_not_is_not_told(train: Any, test: Any) -> None:
    assert suspicions({"train": rows(NOISE[0], train), "test": rows(NOISE[1], test)}) == []


def test_many_columns_are_told_in_one_line() -> None:
    found = suspicions({"train": rows(*NOISE, *NOISE), "test": rows(*NOISE + 9, *NOISE + 9)})
    assert len(found) == 1
    assert found[0].startswith("each of columns 0, 1, 2 and 5 others alone separates")


def test_the_command_warns_and_imports(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vadbench.datasets.open.open_dataset", lambda name: toy)
    pd.DataFrame({"video": list("bac"), "frame": 0, "f0": [1.0, 2, 3], "f1": [0, 0, 0]}).to_csv(
        tmp_path / "train.csv", index=False
    )
    test = save(tmp_path / "test.csv", f1=[0, 1, 0, 1, 0])
    command = [
        "features",
        "import",
        "toy",
        "velocity@import.mine",
        "--train",
        str(tmp_path / "train.csv"),
        "--test",
        str(test),
    ]
    good = CliRunner().invoke(app, command)
    assert good.exit_code == 0, good.output
    assert "WARNING: toy velocity@import.mine: column f1 takes two values only" in good.stderr
    one = CliRunner().invoke(app, [*command, "--columns", "f0"])
    assert "WARNING" not in one.stderr
    assert "of 1 numbers" in one.output
