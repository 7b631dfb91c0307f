"""What a second run takes from the first: told, and only while code, files, labels and regions are
the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vadbench.datasets.open import _open as open_once
from vadbench.errors import BadInput
from vadbench.evaluation import evaluate
from vadbench.evaluation.evaluate import evaluate_all
from vadbench.plans.needs import extract_features
from vadbench.plans.plan import plan_suite
from vadbench.report.tables.table import Table
from vadbench.results.records import Results
from vadbench.runner.run import evaluate_suite, run_suite
from vadbench.suite import make_suite

FRAMES, SIZE = 40, (48, 64)
METHODS = ("magnitude", "gaussian")


def lefts(fast: tuple[int, int] | None) -> list[int]:
    """Where the object begins in each frame."""
    steps = [4 if fast and fast[0] <= t <= fast[1] else 1 for t in range(FRAMES)]
    return [int(x) % 50 for x in np.cumsum(steps)]


def write_clip(folder: Path, fast: tuple[int, int] | None, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    still = np.random.default_rng(seed).integers(80, 90, SIZE, np.uint8)
    for t, x in enumerate(lefts(fast)):
        frame = still.copy()
        frame[20:36, x : x + 10] = 220
        assert cv2.imwrite(str(folder / f"{t + 1:03d}.png"), frame)


def write_tracks(folder: Path, first: int = 20) -> None:
    left = lefts((20, 29))
    rows = "".join(
        f"{clip},1,{t},{left[t]},20,{left[t] + 5},25\n"
        for clip in ("b", "c")
        for t in range(first, 30)
    )
    (folder / "tracks.csv").write_text("video,track,frame,x0,y0,x1,y1\n" + rows)


def write_manifest(folder: Path, first: int = 20, **more: str) -> None:
    clips = [{"path": "a", "split": "train"}]
    clips += [{"path": clip, "split": "test", "anomalous": [[first, 29]]} for clip in ("b", "c")]
    top = "".join(
        f"{name} = {json.dumps(value)}\n"
        for name, value in {"tracks": "tracks.csv", **more}.items()
    )
    text = "".join(
        "[[clip]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in clip.items())
        for clip in clips
    )
    (folder / "dataset.toml").write_text(top + text)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "folder"
    for seed, (clip, fast) in enumerate({"a": None, "b": (20, 29), "c": (20, 29)}.items()):
        write_clip(folder / clip, fast, seed)
    write_tracks(folder)
    write_manifest(folder)
    return folder


class Session:
    """Runs into one results folder, each as a new process would."""

    def __init__(self, root: Path) -> None:
        self.results = Results(root)
        self.told: list[str] = []
        self.table: Table | None = None
        self.ran = 0

    def run(self, **fields: Any) -> Session:
        open_once.cache_clear()
        suite = {
            "methods": METHODS,
            "datasets": ("folder",),
            "features": ("velocity@grid",),
            **fields,
        }
        self.told = []
        outcome = run_suite(
            plan_suite(make_suite(suite)), self.results, quiet=True, say=self.told.append
        )
        self.ran = sum(line.startswith("[") for line in self.told)
        self.table = outcome.table
        return self

    def value(self, title: str = "micro AUC") -> float | None:
        assert self.table is not None
        column = next(
            place for place, column in enumerate(self.table.columns) if column.title == title
        )
        return self.table.rows[0].cells[column].value


@pytest.fixture
def session(own: Path, tmp_path: Path) -> Session:
    return Session(tmp_path / "results")


def test_every_reuse_is_one_line_with_what_made_it(session: Session) -> None:
    assert session.run().ran == 2
    assert session.run().ran == 0
    assert [line for line in session.told if "reused" in line] == session.told
    assert session.told[0].startswith("2 records reused, made by vadbench 0.1.0")


def test_corrected_labels_are_evaluated_again_and_nothing_is_trained(
    session: Session, own: Path
) -> None:
    before = session.run().value()
    write_manifest(own, first=10)
    after = session.run()
    assert (after.ran, after.value() == before) == (0, False)
    assert "folder: labels have changed; 2 records evaluated again" in after.told
    assert not any("evaluated again" in line for line in session.run().told)


def test_corrected_tracks_are_evaluated_again(session: Session, own: Path) -> None:
    before = session.run().value("RBDC")
    write_tracks(own, first=25)
    after = session.run()
    assert (after.ran, after.value("RBDC") == before) == (0, False)
    assert "folder: region tracks have changed; 2 records evaluated again" in after.told


def test_a_label_set_of_another_name_is_another(
    session: Session, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vadbench.datasets.base import Labels
    from vadbench.datasets.folder import Folder

    session.run()
    labels = Folder.labels
    monkeypatch.setattr(
        Folder, "labels", lambda own: Labels("second opinion", "a file", labels(own).videos)
    )
    assert "folder: labels have changed; 2 records evaluated again" in session.run().told


def test_records_that_an_earlier_version_evaluated_are_evaluated_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.run()
    monkeypatch.setattr(evaluate, "EVALUATION", evaluate.EVALUATION + 1)
    assert (
        "folder: evaluated by an earlier version; 2 records evaluated again" in session.run().told
    )


def test_changed_pictures_are_new_features_of_a_folder(session: Session, own: Path) -> None:
    session.run()
    write_clip(own / "b", (5, 9), seed=1)
    assert session.run().ran == 2


def test_a_raised_version_of_a_method_runs_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from vadbench import registry

    session.run()
    gaussian = registry.load("detectors", "gaussian")
    monkeypatch.setattr(gaussian, "info", replace(gaussian.info, version=2))
    after = session.run()
    assert after.ran == 1
    assert after.table is not None
    assert len(after.table.rows) == 2


def test_a_raised_version_of_an_extractor_extracts_and_runs_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vadbench.features.extractors.velocity import Velocity

    session.run()
    monkeypatch.setattr(Velocity, "version", 2)
    assert session.run().ran == 2


def test_a_raised_version_of_a_reader_extracts_and_runs_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vadbench.datasets.folder import Folder

    session.run()
    monkeypatch.setattr(Folder, "version", Folder.version + 1)
    assert session.run().ran == 2


def test_evaluating_what_is_there_writes_nothing(session: Session) -> None:
    session.run()
    files = {
        path: path.stat().st_mtime_ns
        for path in session.results.root.rglob("recipes/**/*")
        if path.is_file()
    }
    assert evaluate_all(session.results, {}, pytest.fail) == 2
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_another_smoothing_keeps_the_regions_where_row_scores_are_not_here(
    session: Session,
) -> None:
    rbdc = session.run().value("RBDC")
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()
    evaluate_all(session.results, {"smoothing": 7}, pytest.fail)
    smoothed = [
        record
        for record in session.results.all_records()
        if record.recipe == "magnitude@velocity@grid" and record.result.protocol.smoothing == 7
    ]
    (value,) = [one for record in smoothed for one in record.values if one.metric == "rbdc"]
    assert value.value == rbdc


def test_regions_measured_on_other_tracks_are_not_kept(session: Session, own: Path) -> None:
    session.run()
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()
    write_tracks(own, first=25)
    session.run()
    assert session.value("RBDC") is None


def test_what_is_here_runs_though_another_data_set_is_not(session: Session) -> None:
    session.run(datasets=("folder", "avenue"), features=())
    assert session.ran == 2
    assert session.told[0].startswith("cannot be run here: avenue")
    assert session.table is not None
    assert any("avenue" in line for line in session.told)


def test_what_is_missing_is_told_before_anything_is_extracted(
    session: Session, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"nothing of this can be run here: .*avenue"):
        session.run(datasets=("avenue",), features=())
    assert not (tmp_path / "cache" / "avenue@1").exists()


def test_a_record_of_changed_pictures_is_not_shown_before_it_is_made_anew(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a data set with a fixed revision, whose cached features are of other files."""
    from vadbench.datasets.folder import Folder

    monkeypatch.setattr(Folder, "revision", "1")
    session = Session(tmp_path / "results")
    session.run()
    cv2.imwrite(str(own / "b" / "007.png"), np.zeros(SIZE, np.uint8))
    with pytest.raises(
        BadInput,
        match="vadbench features extract --datasets folder --features velocity@grid --again",
    ):
        session.run()

    # of which the second was not cached
    session.run(features=("velocity@grid", "velocity"), methods=("magnitude",))
    assert session.table is not None
    outdated, fresh = (row.cells[0] for row in session.table.rows)
    assert (outdated.value, fresh.value is None) == (None, False)
    assert "its files have changed since" in (outdated.note or "")

    open_once.cache_clear()
    table = evaluate_suite(
        plan_suite(
            make_suite(
                {"methods": METHODS, "datasets": ("folder",), "features": ("velocity@grid",)}
            )
        ),
        session.results,
        session.told.append,
    ).table
    assert {row.cells[0].note for row in table.rows} == {
        "its files have changed since; vadbench run makes it anew"
    }

    extract_features(
        plan_suite(
            make_suite(
                {"methods": METHODS, "datasets": ("folder",), "features": ("velocity@grid",)}
            )
        ).jobs,
        quiet=True,
        again=True,
    )
    session.run()
    assert session.ran == 2
    assert "2 records of files that have changed since: run again" in session.told


def test_recipes_of_the_same_runs_and_other_protocols_are_all_evaluated_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.run(
        features=("velocity@grid", "velocity.hof1@grid"),
        methods=("knn", "knn@velocity@grid+velocity.hof1@grid"),
    )
    evaluate_all(session.results, {"smoothing": 7, "calibration": "minmax"}, pytest.fail)
    records = {record.identity for record in session.results.all_records()}
    assert len(records) == 6
    monkeypatch.setattr(evaluate, "EVALUATION", evaluate.EVALUATION + 1)
    assert evaluate_all(session.results, {}, pytest.fail) == 6
    assert {
        record.identity: record.evaluation for record in session.results.all_records()
    } == dict.fromkeys(records, evaluate.EVALUATION)


def test_what_cannot_be_evaluated_is_one_line_a_reason(session: Session, own: Path) -> None:
    session.run()
    write_clip(own / "b", (5, 9), seed=1)  # other videos than the runs'
    open_once.cache_clear()
    told: list[str] = []
    assert evaluate_all(session.results, {}, told.append) == 0
    (line,) = told
    assert "and 1 others: not evaluated: the files of folder have changed since its runs" in line
