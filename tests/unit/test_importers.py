"""Importers of released features: what each format gives, what each refuses and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
from clips_to_import import Long, Toy, ragged, refusal, save_objects
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.datasets.base import Split
from vadbench.errors import BadInput
from vadbench.evaluation.maxima import window_to_frames
from vadbench.features.importers import (
    ImportedRows,
    Layout,
    guess_format,
    import_features,
    read_features,
)
from vadbench.features.importers.per_video import middle, shares
from vadbench.features.importers.read import make_layout
from vadbench.features.stream import open_stream, plan_stream

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture
def long(tmp_path: Path) -> Long:
    return Long(tmp_path)


# npz


def test_npz_with_counts_follows_the_data_sets_order(toy: Toy, tmp_path: Path) -> None:
    x, count = np.arange(20.0).reshape(10, 2), [1, 2, 0, 1, 1, 3, 0, 0, 2]
    np.savez(tmp_path / "f.npz", x=x, count=count)
    rows = read_features(tmp_path / "f.npz", "", toy, "train")
    assert rows.video.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    np.testing.assert_array_equal(rows.x, x)


def test_npz_with_counts_takes_boxes_and_another_name(toy: Toy, tmp_path: Path) -> None:
    box = np.array([[0, 0, 5, 5.0]] * 5)
    np.savez(tmp_path / "f.npz", pose=np.ones((5, 2)), count=[1] * 5, xyxy=box)
    rows = read_features(tmp_path / "f.npz", "", toy, "test")
    assert rows.box is not None
    np.testing.assert_array_equal(rows.box, box)
    box[3, 2] = -1
    np.savez(tmp_path / "f.npz", pose=np.ones((5, 2)), count=[1] * 5, xyxy=box)
    assert "box of row 3" in refusal(tmp_path / "f.npz", "npz", toy, "test")


def test_npz_counts_that_disagree_with_the_rows(toy: Toy, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.ones((6, 2)), count=[1] * 5)
    assert "adds up to 5 rows, x has 6" in refusal(tmp_path / "f.npz", "npz", toy, "test")
    np.savez(tmp_path / "f.npz", count=[1] * 5)
    assert "expected count, x" in refusal(tmp_path / "f.npz", "npz", toy, "test")


@pytest.mark.parametrize("video", [[1, 0, 1, 0, 1], ["z", "y", "z", "y", "z"]])
def test_npz_of_rows_is_sorted_by_clip_and_frame(
    toy: Toy, tmp_path: Path, video: list[Any]
) -> None:
    np.savez(tmp_path / "f.npz", x=[[5.0], [2], [3], [1], [4]], video=video, frame=[2, 1, 0, 0, 1])
    rows = read_features(tmp_path / "f.npz", "", toy, "test")
    assert rows.x.ravel().tolist() == [1, 2, 3, 4, 5]
    assert rows.windows


def test_npz_refuses_a_clip_index_that_there_is_not(toy: Toy, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.ones((3, 1)), video=[0, 1, 2], frame=[0, 0, 0])
    assert "row 2, video 2, expected an index from 0 to 1" in refusal(
        tmp_path / "f.npz", "npz", toy, "test"
    )


def test_npz_of_one_array_a_clip(long: Long, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **{"02": np.ones((1, 4)), "01": np.zeros((3, 4))})
    rows = read_features(tmp_path / "f.npz", "", long, "train")
    assert rows.frame.tolist() == [7, 23, 39, 7]
    assert rows.video.tolist() == [0, 0, 0, 1]


def test_npz_with_objects_is_refused(toy: Toy, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", x=np.array([{}], object), count=[1])
    assert "cannot be read" in refusal(tmp_path / "f.npz", "npz", toy)


# folders of npy: I3D


def save_folder(folder: Path, arrays: dict[str, Any]) -> Path:
    for name, array in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, array)
    return folder


def test_crops_are_averaged_or_kept(long: Long, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 10, 4)).astype(np.float32)
    folder = save_folder(tmp_path / "i3d", {"01": x, "02": x[:1]})
    averaged = read_features(folder, "", long, "train")
    np.testing.assert_allclose(averaged.x, np.concatenate([x, x[:1]]).mean(1), rtol=1e-6, atol=1e-7)
    assert averaged.frame.tolist() == [7, 23, 7]
    assert averaged.windows
    kept = read_features(folder, "npy", long, "train", Layout(crops="keep"))
    np.testing.assert_array_equal(kept.x, np.concatenate([x, x[:1]]).reshape(-1, 4))
    assert kept.frame.tolist() == [7] * 10 + [23] * 10 + [7] * 10


@pytest.mark.parametrize(("rows", "good"), [(5, False), (6, True), (7, True), (8, False)])
def test_snippets_fill_the_clip(long: Long, tmp_path: Path, rows: int, good: bool) -> None:
    # 100 and 7 frames
    folder = save_folder(tmp_path / "i3d", {"03": np.ones((rows, 4)), "04": np.ones((1, 4))})
    if good:
        found = read_features(folder, "", long, "test")
        assert found.frame.tolist() == [
            *([7, 23, 39, 55, 71, 87] if rows == 6 else [3, 28, 35, 60, 67, 92, 99]),
            3,
        ]
    else:
        told = refusal(folder, "npy", long, "test")
        assert (
            f"03.npy: {rows} rows for test clip 03 of toy, which has 100 frames, expected 6 or 7,"
            " one per 16 frames" in told
        )


def test_a_row_a_frame_and_equal_shares(long: Long, tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "per_frame", {"01": np.ones((40, 2)), "02": np.ones((16, 2))})
    assert read_features(folder, "", long, "train", Layout(snippet=1)).frame.tolist() == [
        *range(40),
        *range(16),
    ]
    assert "expected 2 or 3" in refusal(folder, "npy", long)
    shared = read_features(
        save_folder(tmp_path / "s", {"01": np.ones((4, 2)), "02": np.ones((2, 2))}),
        "",
        long,
        "train",
        Layout(snippet=0),
    )
    assert shared.frame.tolist() == [4, 14, 24, 34, 3, 11]


def test_files_are_found_in_subfolders_by_suffix_and_beside_the_other_splits(
    long: Long, tmp_path: Path
) -> None:
    files = {
        "A/01_i3d": np.ones((2, 4)),
        "B/02_i3d": np.ones((1, 4)),
        "A/03_i3d": np.ones((6, 4)),
        "04_i3d": np.ones((1, 4)),
    }
    folder = save_folder(tmp_path / "i3d", files)
    assert len(read_features(folder, "", long, "train", Layout(suffix="_i3d")).x) == 3
    assert len(read_features(folder, "", long, "test", Layout(suffix="_i3d")).x) == 7
    assert "no file for train clip 01 of toy but 01_i3d; --suffix" in refusal(folder, "npy", long)


def test_a_folder_that_does_not_fit_names_the_first_clip(long: Long, tmp_path: Path) -> None:
    good = {"01": np.ones((2, 4)), "02": np.ones((1, 4))}
    assert "no file for train clip 02 of toy" in refusal(
        save_folder(tmp_path / "a", {"01": good["01"]}), "npy", long
    )
    assert "file 09 belongs to no clip" in refusal(
        save_folder(tmp_path / "b", good | {"09": np.ones((1, 4))}), "npy", long
    )
    assert "two files for clip 01" in refusal(
        save_folder(tmp_path / "c", good | {"x/01": good["01"]}), "npy", long
    )
    told = refusal(save_folder(tmp_path / "d", good | {"02": np.ones((1, 5))}), "npy", long)
    assert "02.npy: rows of 5 numbers for train clip 02 of toy, the clips before it have 4" in told
    spoiled = np.ones((2, 10, 4))
    spoiled[1, 2, 3] = np.nan
    assert "01.npy: row 1, column 3 is nan" in refusal(
        save_folder(tmp_path / "e", good | {"01": spoiled}), "npy", long
    )
    assert "expected [rows, features]" in refusal(
        save_folder(tmp_path / "f", good | {"01": np.ones((2, 3, 2, 4))}), "npy", long
    )
    assert "real numbers" in refusal(
        save_folder(tmp_path / "g", good | {"01": np.ones((2, 4), complex)}), "npy", long
    )
    save_objects(tmp_path / "a" / "02.npy", ragged([1]))
    assert "02.npy: cannot be read" in refusal(tmp_path / "a", "npy", long)


def test_splits_that_share_names_do_not_excuse_extra_files(tmp_path: Path) -> None:
    class Shared(Toy):
        clips = {"train": {"01": 16, "02": 16}, "test": {"01": 16}}

    folder = save_folder(tmp_path / "i3d", {"01": np.ones((1, 4)), "02": np.ones((1, 4))})
    assert "file 02 belongs to no clip" in refusal(folder, "npy", Shared(tmp_path), "test")


# C3D


def save_c3d(folder: Path, arrays: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.savetxt(folder / f"{name}.txt", array)
    return folder


def test_c3d_segments_cover_their_share_of_the_frames(long: Long, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(32, 6))
    rows = read_features(save_c3d(tmp_path / "c3d", {"03": x, "04": x}), "", long, "test")
    np.testing.assert_array_equal(rows.x[:32], x.astype(np.float32))
    start, end = shares(100, 32)
    assert (rows.frame[:32] == start + (end - start - 1) // 2).all()
    assert rows.frame[32:].max() == 6  # a clip of fewer frames than segments
    assert rows.windows


def test_c3d_that_does_not_fit(long: Long, tmp_path: Path) -> None:
    x = np.ones((32, 6))
    assert "31 lines for test clip 04 of toy, expected 32" in refusal(
        save_c3d(tmp_path / "a", {"03": x, "04": x[:31]}), "c3d", long, "test"
    )
    assert "rows of 5 numbers" in refusal(
        save_c3d(tmp_path / "b", {"03": x, "04": x[:, :5]}), "c3d", long, "test"
    )
    folder = save_c3d(tmp_path / "c", {"03": x, "04": x})
    (folder / "04.txt").write_text("1 2 3\n1 2\n")
    assert "04.txt: cannot be read as txt" in refusal(folder, "c3d", long, "test")
    (folder / "03.txt").write_text("1 2 inf\n" * 32)
    assert "03.txt: row 0, column 2 is inf" in refusal(folder, "c3d", long, "test")


@given(st.integers(1, 3000), st.integers(1, 64))
def test_the_nearest_middle_gives_each_frame_its_own_share(frames: int, rows: int) -> None:
    start, end = shares(frames, rows)
    assert start[0] == 0
    assert end[-1] == frames
    assert (start[1:] == end[:-1]).all()
    full = np.flatnonzero(end > start)
    scores, _ = window_to_frames(
        full[:, None].astype(float),
        np.zeros(len(full), int),
        middle(start, end)[full],
        np.array([frames]),
        window=1,
    )
    np.testing.assert_array_equal(scores[:, 0], np.repeat(np.arange(rows), end - start))


# tables


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "video": ["z", "y", "z", "z"],
            "frame": [1, 0, 2, 1],
            **columns,
            "f0": [3.0, 1, 5, 4],
            "f1": [0.5] * 4,
        }
    )


BOXES = {"x0": [0.0] * 4, "y0": [1.0] * 4, "x1": [9.0] * 4, "y1": [8.0, 7, 6, 5]}


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_with_boxes_are_objects(toy: Toy, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"f.{format}"
    (table(**BOXES).to_csv if format == "csv" else table(**BOXES).to_parquet)(path, index=False)
    rows = read_features(path, "", toy, "test")
    assert rows.x.tolist() == [[1, 0.5], [3, 0.5], [4, 0.5], [5, 0.5]]
    assert rows.video.tolist() == [0, 1, 1, 1]
    assert rows.frame.tolist() == [0, 1, 1, 2]
    assert rows.box is not None
    assert rows.box[:, 3].tolist() == [7, 8, 5, 6]
    assert not rows.windows


def test_tables_without_boxes_are_windows_unless_told(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    table().iloc[:3].to_csv(path, index=False)
    assert read_features(path, "", toy, "test").windows
    table().to_csv(path, index=False)
    assert "two rows for frame 1 of test clip z" in refusal(path, "csv", toy, "test")
    assert not read_features(path, "", toy, "test", Layout(rows="objects")).windows


def test_a_table_of_both_splits_gives_each_its_own(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    pd.DataFrame({"video": list("abcyz"), "frame": 0, "f": range(5)}).to_csv(path, index=False)
    assert read_features(path, "", toy, "train").x.ravel().tolist() == [1, 0, 2]
    assert read_features(path, "", toy, "test").x.ravel().tolist() == [3, 4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"frame": [1, 0, 3, 1]},
            "row 2, frame 3 of test clip z of toy, expected a whole number from 0 to 2",
        ),
        ({"frame": [1, 0, 1.5, 1]}, "row 2, frame 1.5"),
        ({"frame": [1, -1, 1, 1]}, "row 1, frame -1"),
        ({"video": ["z", "z", "z", "z"]}, "no row for test clip y"),
        ({"video": ["z", "y", "q", "z"]}, "row q belongs to no clip"),
        ({"f1": [0.5, np.nan, 0.5, 0.5]}, "row 1, column f1 is nan"),
        ({"f1": ["a", "b", "c", "d"]}, "invalid value 'a'"),
        ({"label": [0, 1, 0, 1]}, "column 'label' is no feature"),
        ({"Unnamed: 0": [0, 1, 2, 3]}, "column 'Unnamed: 0' is no feature"),
    ],
)
def test_a_table_that_does_not_fit(
    toy: Toy, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "f.csv"
    table().assign(**change).to_csv(path, index=False)
    assert told in refusal(path, "csv", toy, "test", rows="objects")


def test_a_table_without_features_or_with_half_a_box(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    table()[["video", "frame"]].to_csv(path, index=False)
    assert "no column of features" in refusal(path, "csv", toy, "test")
    table(x0=[0.0] * 4).to_csv(path, index=False)
    assert "no column y0" in refusal(path, "csv", toy, "test")


# MATLAB


def test_mat_variables_named_after_clips(long: Long, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "f.mat", {"x01": np.zeros((3, 4)), "x02": np.ones((1, 4))})
    rows = read_features(tmp_path / "f.mat", "", long, "train")
    assert rows.frame.tolist() == [7, 23, 39, 7]
    assert rows.x[3].tolist() == [1, 1, 1, 1]


def cell(entries: list[Any]) -> Any:
    array = np.empty((1, len(entries)), object)
    array[0, :] = entries
    return array


def test_mat_cells_of_clips_or_of_frames(toy: Toy, long: Long, tmp_path: Path) -> None:
    scipy.io.savemat(
        tmp_path / "clips.mat", {"features": cell([np.zeros((3, 4)), np.ones((1, 4))])}
    )
    assert read_features(tmp_path / "clips.mat", "", long, "train").video.tolist() == [0, 0, 0, 1]
    scipy.io.savemat(tmp_path / "frames.mat", {"features": cell(ragged([1, 2, 0, 1, 1]))})
    rows = read_features(tmp_path / "frames.mat", "", toy, "test")
    assert rows.frame.tolist() == [0, 1, 1, 1, 2]
    assert not rows.windows
    scipy.io.savemat(tmp_path / "wrong.mat", {"features": cell(ragged([1, 2, 0]))})
    assert "a cell of 3 entries, toy has 2 test clips and 5 frames" in refusal(
        tmp_path / "wrong.mat", "mat", toy, "test"
    )
    scipy.io.savemat(tmp_path / "text.mat", {"features": cell(["a", "b"])})
    assert "cell 0: values of type" in refusal(tmp_path / "text.mat", "mat", toy, "test")


def test_mat_that_is_none(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "f.mat").write_bytes(b"MATLAB 5.0 but not really" * 20)
    assert "f.mat" in refusal(tmp_path / "f.mat", "mat", toy)
    (tmp_path / "h.mat").write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF" * 100
    )
    assert "save -v7" in refusal(tmp_path / "h.mat", "mat", toy)


# formats, and both splits


def test_formats_are_guessed_where_unambiguous(tmp_path: Path) -> None:
    for name, format in {
        "a.npy": "accivad",
        "a.npz": "npz",
        "a.CSV": "csv",
        "a.parquet": "parquet",
        "a.mat": "mat",
    }.items():
        (tmp_path / name).touch()
        assert guess_format(tmp_path / name) == format
    for trouble, files in {"no .npy and no .txt": [], "both": ["a.npy", "a.txt"]}.items():
        folder = tmp_path / trouble
        folder.mkdir()
        for file in files:
            (folder / file).touch()
        with pytest.raises(BadInput, match=trouble):
            guess_format(folder)
    with pytest.raises(BadInput, match="no such file or folder"):
        guess_format(tmp_path / "absent.npz")


def test_an_unknown_format_or_an_option_without_meaning_is_refused(
    toy: Toy, tmp_path: Path
) -> None:
    (tmp_path / "f.csv").touch()
    assert "choose" in refusal(tmp_path / "f.csv", "cvs", toy) or "csv" in refusal(
        tmp_path / "f.csv", "cvs", toy
    )
    with pytest.raises(BadInput, match="--crops: means nothing for csv"):
        make_layout("csv", {"crops": "keep"})
    with pytest.raises(BadInput, match="--crops"):
        make_layout("npy", {"crops": "median"})


def save_counts(path: Path, frames: int, dim: int = 2, shift: float = 0) -> Path:
    np.savez(
        path, x=np.arange(frames * dim).reshape(frames, dim) + shift, count=np.ones(frames, int)
    )
    return path


def test_an_import_is_stored_and_found_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    paths: dict[Split, Path] = {
        "train": save_counts(tmp_path / "a.npz", 9),
        "test": save_counts(tmp_path / "b.npz", 5),
    }
    stored = import_features(toy, "velocity@import.mine", paths, "", {}, tmp_path / "cache")
    first = plan_stream(toy, "velocity@import.mine", {})
    for split, rows in stored.items():
        stream = open_stream("toy@1", first, tmp_path / "cache", split)
        np.testing.assert_array_equal(stream.features.x, rows.x)
        np.testing.assert_array_equal(stream.features.frame, rows.frame)
        assert stream.features.box is None
    save_counts(tmp_path / "b.npz", 5, shift=1)
    import_features(toy, "velocity@import.mine", paths, "", {}, tmp_path / "cache")
    assert plan_stream(toy, "velocity@import.mine", {}).fingerprint != first.fingerprint


def test_the_same_rows_for_both_splits_are_refused(long: Long, tmp_path: Path) -> None:
    path = tmp_path / "f.npz"
    np.savez(path, x=np.ones((2, 1)), video=[0, 1], frame=[0, 0])
    with pytest.raises(BadInput, match="the same rows for train and test"):
        import_features(
            long, "velocity@import.mine", {"train": path, "test": path}, "", {}, tmp_path / "cache"
        )


def test_the_command_says_what_it_stored(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vadbench.datasets.open.open_dataset", lambda name: toy)
    train, test = str(save_counts(tmp_path / "a.npz", 9)), str(save_counts(tmp_path / "b.npz", 5))
    command = ["features", "import", "toy", "velocity@import.mine", "--train", train, "--test"]
    good = CliRunner().invoke(app, [*command, test])
    assert good.exit_code == 0, good.output
    assert "toy velocity@import.mine train: 9 objects without boxes of 2 numbers" in good.output
    assert "9 frames, the test clips of toy have 5" in str(
        CliRunner().invoke(app, [*command, train]).exception
    )


@pytest.mark.parametrize(
    ("test", "stream", "told"),
    [
        ({"frames": 5, "dim": 3}, "velocity@import.mine", "numbers a row: 3, but 2"),
        ({"frames": 4}, "velocity@import.mine", "ends in z after 2 of its 3"),
        ({"frames": 5}, "velocity", "expected <extractor>@import.<label>"),
    ],
)
def test_an_import_is_of_both_splits_or_neither(
    toy: Toy, tmp_path: Path, test: dict[str, int], stream: str, told: str
) -> None:
    paths: dict[Split, Path] = {
        "train": save_counts(tmp_path / "a.npz", 9),
        "test": save_counts(tmp_path / "b.npz", **test),
    }  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=told):
        import_features(toy, stream, paths, "", {}, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


# released files


def released_file(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is not on this machine")
    return SHARED / name


class Ped2Frames(Toy):
    """Ped2's clips by their frame counts, which the released counts cover."""

    clips = {
        "train": {
            f"Train{n:03}": t
            for n, t in enumerate(
                [120, 150, 150, 180, 180, 150, 150, 120, 180, 180, 180, 180, 150, 150, 150, 180], 1
            )
        },
        "test": {
            f"Test{n:03}": t
            for n, t in enumerate([180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180], 1)
        },
    }


@pytest.mark.parametrize(("split", "rows"), [("train", 14776), ("test", 14663)])
def test_accivads_pose_as_npz_and_as_the_object_array_it_was_released_as(
    tmp_path: Path, split: Split, rows: int
) -> None:
    path = released_file(f"ped2/features/accivad_pose_{split}.npz")
    dataset = Ped2Frames(tmp_path)
    found = read_features(path, "accivad", dataset, split)
    assert found.x.shape == (rows, 34)
    with np.load(path) as arrays:
        entries = np.split(arrays["pose"], np.cumsum(arrays["count"])[:-1])
    again = read_features(save_objects(tmp_path / "pose.npy", entries), "", dataset, split)
    for one, other in zip(
        (found.x, found.video, found.frame), (again.x, again.video, again.frame), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_c3d_of_ucf_crime(tmp_path: Path) -> None:
    with np.load(released_file("ucf_crime/c3d_fc6_32seg_sample.npz")) as arrays:
        names = sorted(arrays.files)[:3]
        kept = {name: arrays[name] for name in names}

    class Three(Toy):
        clips = {"train": {}, "test": dict.fromkeys(names, 1000)}

    rows: ImportedRows = read_features(
        save_c3d(tmp_path / "c3d", kept), "", Three(tmp_path), "test"
    )
    assert rows.x.shape == (96, 4096)
    np.testing.assert_array_equal(rows.x, np.concatenate(list(kept.values())))
    assert rows.frame[:3].tolist() == [15, 46, 77]
