"""One array of all frames, and one number a frame: whose frames they are, what is no feature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from clips_to_import import Toy, refusal
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.datasets.base import Split
from vadbench.detector import Nature
from vadbench.features.importers import Layout, guess_format, import_features, read_features
from vadbench.features.stream import plan_stream

FRAMES = {"b": 3, "a": 2, "c": 4}  # the training clips of the toy, in its order
VIDEO, FRAME = [0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 1, 2, 0, 1, 0, 1, 2, 3]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def write(path: Path, values: Any, name: str = "x") -> Path:
    """The array in a file of the kind that the path says."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".txt":
        np.savetxt(path, values)
    elif path.suffix == ".npz":
        np.savez(path, **{name: values})
    else:
        scipy.io.savemat(path, {name: values})
    return path


def write_clips(folder: Path, kind: str, values: Any) -> Path:
    """An array a training clip, as the kind has it."""
    parts = np.split(values, np.cumsum(list(FRAMES.values()))[:-1])
    if kind == "folder":
        folder.mkdir()
        for name, part in zip(FRAMES, parts, strict=True):
            np.save(folder / name, part)
        return folder
    path = folder.with_suffix(f".{kind.partition(' ')[0]}")
    if kind == "npz":
        np.savez(path, **dict(zip(FRAMES, parts, strict=True)))
        return path
    cell = np.empty(len(parts), object)
    cell[:] = parts
    named = {"cell": cell} if kind == "mat cell" else dict(zip(FRAMES, parts, strict=True))
    scipy.io.savemat(path, named)
    return path


KINDS = pytest.mark.parametrize("kind", ["npy", "npz", "mat", "txt"])
SHAPES = pytest.mark.parametrize(
    "shape", [lambda x: x, lambda x: x[:, None], lambda x: x[None]], ids=["[T]", "[T,1]", "[1,T]"]
)


@KINDS
def test_rows_are_those_of_the_frames_in_the_data_sets_order(
    toy: Toy, tmp_path: Path, kind: str
) -> None:
    x = np.random.default_rng(0).normal(size=(9, 2))
    found = read_features(write(tmp_path / f"f.{kind}", x), "", toy, "train")
    np.testing.assert_array_equal(found.x, x.astype(np.float32))
    assert (found.video.tolist(), found.frame.tolist()) == (VIDEO, FRAME)
    assert found.windows


@KINDS
@SHAPES
def test_a_number_a_frame_is_a_column(
    toy: Toy, tmp_path: Path, kind: str, shape: Callable[[Any], Any]
) -> None:
    scores = np.random.default_rng(0).normal(size=9)
    found = read_features(write(tmp_path / f"f.{kind}", shape(scores)), "", toy, "train")
    np.testing.assert_array_equal(found.x[:, 0], scores.astype(np.float32))
    assert (found.video.tolist(), found.frame.tolist()) == (VIDEO, FRAME)


@pytest.mark.parametrize("kind", ["folder", "npz", "mat", "mat cell"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_arrays_of_a_clips_frames_are_read_with_a_row_a_frame(
    toy: Toy, tmp_path: Path, kind: str, dim: int
) -> None:
    x = np.random.default_rng(0).normal(size=(9, dim) if dim else 9)
    path = write_clips(tmp_path / "f", kind, x)
    found = read_features(path, "", toy, "train", Layout(snippet=1))
    np.testing.assert_array_equal(found.x, x.reshape(9, -1).astype(np.float32))
    assert (found.video.tolist(), found.frame.tolist()) == (VIDEO, FRAME)


def test_numbers_of_snippets_cover_their_frames(tmp_path: Path) -> None:
    class One(Toy):
        clips = {"train": {"a": 40}, "test": {}}

    folder = tmp_path / "f"
    folder.mkdir()
    np.save(folder / "a.npy", [0.5, 0.25, 2])
    assert read_features(folder, "", One(tmp_path), "train").frame.tolist() == [7, 23, 39]


@pytest.mark.parametrize(
    ("shape", "cause"),
    [
        ((5, 2), "the test clips have as many, is it theirs?"),
        ((14, 2), "train and test together have as many, give each split a file of its own"),
        ((2, 9), "it is [features, frames], give its transpose"),
        ((6, 2), "one fewer in every video, off by one: rows of differences of frames"),
        ((12, 2), "one more in every video, off by one: leave the first or the last row out"),
        ((8, 2), "other frames than these"),
    ],
)
def test_another_number_of_frames_is_told_with_its_cause(
    toy: Toy, tmp_path: Path, shape: tuple[int, int], cause: str
) -> None:
    path = write(tmp_path / "f.npy", np.random.default_rng(0).normal(size=shape))
    told = refusal(path, "", toy)
    assert told.startswith(
        f"{path}: {shape[0]} rows, the 3 train clips of toy have 9 frames, expected a row each; "
    )
    assert cause in told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (16, "a row for 16 frames each: repeat every row 16 times"),
        (11, "a row for 24 to 25 frames each: repeat every row as many times"),
    ],
)
def test_rows_of_snippets_of_all_clips_are_told(tmp_path: Path, rows: int, told: str) -> None:
    class Two(Toy):
        clips = {"train": {"a": 140, "b": 101}, "test": {"c": 7}}

    path = write(tmp_path / "f.npy", np.ones((rows, 2)))
    assert told in refusal(path, "", Two(tmp_path))


def test_a_number_that_is_not_finite_is_placed(toy: Toy, tmp_path: Path) -> None:
    x = np.ones((9, 2))
    x[4, 1] = np.nan
    told = refusal(write(tmp_path / "f.npy", x), "", toy)
    assert "row 4 (frame 1 of clip a), column 1 is nan" in told


@pytest.mark.parametrize("name", ["scores", "anomaly_score", "predictions", "frameScores", "x"])
def test_an_array_of_numbers_may_be_called_a_score(toy: Toy, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "f.npz", np.arange(9.0), name)
    assert read_features(path, "", toy, "train").x.shape == (9, 1)


@pytest.mark.parametrize("name", ["labels", "gt", "anomaly", "frame", "index"])
@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_an_array_of_numbers_may_be_called_nothing_else(
    toy: Toy, tmp_path: Path, name: str, kind: str
) -> None:
    path = write(tmp_path / f"f.{kind}", np.arange(9.0), name)
    assert f"array '{name}' is no feature by its name" in refusal(path, "", toy)


def test_features_are_not_called_scores(toy: Toy, tmp_path: Path) -> None:
    path = write(tmp_path / "f.npz", np.ones((9, 2)), "scores")
    assert "array 'scores' is no feature by its name" in refusal(path, "", toy)


@KINDS
@SHAPES
def test_labels_are_no_scores_whatever_they_are_called(
    toy: Toy, tmp_path: Path, kind: str, shape: Callable[[Any], Any]
) -> None:
    labels = shape(np.array([0, 0, 1, 1, 0, 0, 0, 1, 0]))
    path = write(tmp_path / f"f.{kind}", labels, "scores")
    assert "nothing but 0 and 1, as labels are" in refusal(path, "", toy)


@pytest.mark.parametrize("kind", ["folder", "npz", "mat", "mat cell"])
def test_labels_a_clip_are_no_scores(toy: Toy, tmp_path: Path, kind: str) -> None:
    path = write_clips(tmp_path / "f", kind, np.array([0, 0, 1, 1, 0, 0, 0, 1, 0]))
    assert "nothing but 0 and 1, as labels are" in refusal(path, "", toy, snippet=1)


def test_labels_in_a_column_of_a_table_are_no_scores(toy: Toy, tmp_path: Path) -> None:
    lines = [
        f"{video},{frame},{frame % 2}"
        for video, count in (("b", 3), ("a", 2), ("c", 4))
        for frame in range(count)
    ]
    path = tmp_path / "f.csv"
    path.write_text("\n".join(["video,frame,score", *lines]))
    assert "nothing but 0 and 1, as labels are" in refusal(path, "", toy, columns=("score",))


def test_labels_a_clip_are_no_scores_in_snippets(toy: Toy, tmp_path: Path) -> None:
    path = write_clips(
        tmp_path / "f", "folder", np.array([[0], [0], [1], [1], [0], [0], [0], [1], [0]])
    )
    assert "nothing but 0 and 1, as labels are" in refusal(path, "", toy, snippet=0)


def test_the_array_of_one_clip_is_not_that_of_all(toy: Toy, tmp_path: Path) -> None:
    for name in ("b", "b__0"):
        path = write(tmp_path / "f.npz", np.ones((9, 2)), name)
        assert "no array for train clip a of toy" in refusal(path, "", toy)


def test_rows_that_name_their_clip_alone_are_not_taken_in_order(toy: Toy, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.ones((9, 2)), video=np.arange(9))
    assert "belong to no clip" in refusal(tmp_path / "f.npz", "", toy)


def test_an_array_of_objects_a_frame_is_still_accivads(toy: Toy, tmp_path: Path) -> None:
    assert guess_format(write(tmp_path / "f.npy", np.ones((9, 2, 3)))) == "accivad"
    assert guess_format(write(tmp_path / "f.npy", np.ones((9, 2)))) == "frames"
    told = refusal(write(tmp_path / "f.npy", np.ones((9, 2, 3))), "frames", toy)
    assert "shape [9, 2, 3], expected [frames, features] or [frames]" in told


@pytest.mark.parametrize("name", ["f.csv", "folder"])
def test_other_files_are_no_array_of_all_frames(toy: Toy, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert "no array of all frames" in refusal(tmp_path / name, "frames", toy)


def test_an_archive_of_several_arrays_is_named(toy: Toy, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", u=np.ones((9, 2)), v=np.ones((9, 2)))
    assert "arrays u, v; expected one array" in refusal(tmp_path / "f.npz", "frames", toy)


def store(toy: Toy, folder: Path, stream: str, dim: int, **options: Any) -> Nature:
    random = np.random.default_rng(0)
    paths: dict[Split, Path] = {
        split: write(folder / f"{split}.npy", random.normal(size=(frames, dim)))
        for split, frames in (("train", 9), ("test", 5))
    }
    import_features(toy, stream, paths, "", {}, folder / "cache", **options)
    return plan_stream(toy, stream, {}).nature


def test_a_column_has_one_unit_and_embeds_nothing(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    column = Nature(one_unit=True, windows=True)
    for stream in ("clip@import.s", "velocity@import.s", "pose@import.s"):
        assert store(toy, tmp_path, stream, 1) == column
    assert store(toy, tmp_path, "clip@import.s", 2).embedding
    stated = Nature(windows=True)
    assert store(toy, tmp_path, "clip@import.s", 1, nature=stated) == stated


def test_a_tables_column_of_scores_is_taken_by_its_name(toy: Toy, tmp_path: Path) -> None:
    rows = [f"{'bac'[video]},{frame},{video}.5" for video, frame in zip(VIDEO, FRAME, strict=True)]
    (tmp_path / "f.csv").write_text("\n".join(["video,frame,score", *rows]))
    found = read_features(tmp_path / "f.csv", "", toy, "train", Layout(columns=("score",)))
    assert found.x[:, 0].tolist() == [video + 0.5 for video in VIDEO]
    assert "column 'score' is no feature by its name" in refusal(tmp_path / "f.csv", "", toy)


def test_the_command_takes_scores(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vadbench.datasets.open.open_dataset", lambda name: toy)
    train = str(write(tmp_path / "train.npy", np.arange(9.0)))
    test = str(write(tmp_path / "test.npy", np.arange(5.0)))
    command = ["features", "import", "toy", "clip@import.theirs", "--train", train, "--test"]
    good = CliRunner().invoke(app, [*command, test])
    assert good.exit_code == 0, good.output
    assert "toy clip@import.theirs test: 5 windows of 1 numbers" in good.output
    assert "is it theirs?" in str(CliRunner().invoke(app, [*command, train]).exception)
