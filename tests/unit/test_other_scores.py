"""A record does not outlive the scores that it was computed from: whatever made its runs again, it
is not believed, and the next run or evaluation computes it from the scores that are there.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_reuse import Session, own, write_clip  # noqa: F401
from typer.testing import CliRunner

from vadbench import trainer
from vadbench.cli.program import app
from vadbench.datasets.folder import Folder
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_all
from vadbench.plans.needs import extract_features
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
from vadbench.results.seals import OTHER_SCORES, SHA256, seal
from vadbench.runner import run
from vadbench.suite import make_suite

STREAMS = ("velocity@grid", "velocity.hof1@grid")
FUSED = ("gaussian@velocity@grid+velocity.hof1@grid",)
USUAL: dict[str, Any] = {"methods": ("gaussian",), "features": STREAMS}
OTHERS: tuple[dict[str, Any], ...] = (
    {"methods": FUSED, "features": STREAMS},
    {**USUAL, "settings": {"protocol": {"smoothing": 1.0}}},
)


@pytest.fixture
def session(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:  # noqa: F811
    """Records of two streams, of their fusion and of another smoothing, of a data set with a fixed
    revision whose videos were replaced since, and whose features were extracted again.
    """
    monkeypatch.setattr(Folder, "revision", "1")
    session = Session(tmp_path / "results")
    run_all(session)
    for clip, fast in {"b": (20, 22), "c": (3, 29)}.items():
        write_clip(own / clip, fast, seed=7)
    suite = {"datasets": ("folder",), **USUAL}
    extract_features(plan_suite(make_suite(suite)).jobs, quiet=True, again=True)
    return session


def run_all(session: Session) -> None:
    for fields in (USUAL, *OTHERS):
        session.run(**fields)


def values_of(results: Results) -> dict[str, list[float | None]]:
    return {
        record.identity: [one.value for one in record.values] for record in results.all_records()
    }


@pytest.fixture
def truth(session: Session, tmp_path: Path) -> dict[str, list[float | None]]:
    fresh = Session(tmp_path / "fresh")
    run_all(fresh)
    return values_of(fresh.results)


def forget_rows(results: Results) -> None:
    """Make the records older ones, which do not say of what row scores they are."""
    for path in results.root.glob("recipes/*/*/*/metrics.json"):
        document = json.loads(path.read_text())
        del document["digests"]["rows"]
        path.write_text(json.dumps(document | {SHA256: seal(document)}))


@pytest.mark.parametrize("older", [False, True], ids=["", "older records"])
def test_other_results_of_runs_that_were_made_again_are_evaluated_again(
    session: Session, truth: dict[str, list[float | None]], older: bool
) -> None:
    if older:
        forget_rows(session.results)
    session.run(**USUAL)
    assert session.ran == 2
    for fields in OTHERS:
        assert session.run(**fields).ran == 0
        assert any("folder: their scores have changed" in line for line in session.told)
        assert not any("evaluated again" in line for line in session.run(**fields).told)
    assert values_of(session.results) == truth


def test_until_then_they_are_not_believed(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(**USUAL)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2  # of the other smoothing; what is replaced just now is not worth a line
    assert all(f"edited, {OTHER_SCORES}; not ranked" in line for line in told)
    found = [record.edited for record in session.results.all_records()]
    assert sorted(map(str, found)) == ["None", "None", *[OTHER_SCORES] * 3]


def test_evaluate_computes_them_from_the_scores_that_are_there(
    session: Session, truth: dict[str, list[float | None]]
) -> None:
    session.run(**USUAL)
    assert evaluate_all(session.results, {}, pytest.fail) == 5
    assert values_of(session.results) == truth


def test_one_that_was_interrupted_before_its_evaluation_is_evaluated(
    session: Session, truth: dict[str, list[float | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "evaluate", interrupt)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                session.run(**USUAL)
    run_all(session)
    assert values_of(session.results) == truth


def test_what_is_kept_of_regions_is_not_that_of_other_scores(session: Session) -> None:
    session.run(**USUAL)
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()
    for path in session.results.root.rglob("frames/**/*.npz"):
        path.unlink()
    refused: list[str] = []
    assert evaluate_all(session.results, {}, refused.append) == 0
    assert all("were not kept" in line for line in refused)


def test_an_interrupted_training_does_not_go_on_with_other_rows(
    own: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite: dict[str, Any] = {
        "methods": ("autoencoder",),
        "features": ("velocity@grid",),
        "settings": {"autoencoder": {"max_steps": 20, "batch_size": 64}},
    }
    monkeypatch.setattr(Folder, "revision", "1")
    monkeypatch.setattr(trainer.Keeper, "COPIES", 0.0)

    def end(self: Any, *_: Any) -> None:
        raise KeyboardInterrupt

    session, fresh = Session(tmp_path / "results"), Session(tmp_path / "fresh")
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Module, "on_train_end", end)
        with pytest.raises(KeyboardInterrupt):
            session.run(**suite)
    (kept,) = (session.results.root / ".checkpoints").iterdir()
    write_clip(own / "a", (10, 30), seed=9)
    jobs = plan_suite(make_suite({"datasets": ("folder",), **suite})).jobs
    extract_features(jobs, quiet=True, again=True)
    session.run(**suite)
    assert not kept.exists()
    fresh.run(**suite)
    one, other = (
        [each.results.rows(run) for run in each.results.all_runs()] for each in (session, fresh)
    )
    assert one[0]["test_scores"].tolist() == other[0]["test_scores"].tolist()


def test_a_result_that_cannot_be_evaluated_ends_no_other(own: Path, tmp_path: Path) -> None:  # noqa: F811
    session = Session(tmp_path / "results")
    session.run()
    whole = values_of(session.results)
    for path in session.results.root.rglob("metrics.json"):
        path.unlink()
    (rows,) = session.results.root.glob("runs/*/*/gaussian/*/rows.npz")
    rows.write_bytes(rows.read_bytes()[:-50])
    fields = {"datasets": ("folder",), "methods": ("gaussian", "magnitude")}
    plan = plan_suite(make_suite({**fields, "features": ("velocity@grid",)}))
    for do in (partial(run.run_suite, quiet=True), run.evaluate_suite):
        outcome = do(plan, session.results, say=lambda line: None)
        (line,) = outcome.unevaluated
        assert line.startswith("folder/gaussian@velocity@grid:0: ")
        assert "rows.npz" in line
        first, second = (table_row.cells[0] for table_row in outcome.table.rows)
        assert (first.value, second.value is None) == (None, False)
        assert "not evaluated: " in (first.note or "")
    found = values_of(session.results)
    assert len(found) == 1
    assert found.items() <= whole.items()


def test_labels_that_cannot_be_read_are_told_before_anything_is_trained(
    own: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(dataset: Folder) -> None:
        raise BadInput("labels.txt: not there")

    monkeypatch.setattr(Folder, "labels", refuse)
    session = Session(tmp_path / "results")
    session.run()
    assert session.told[0] == "cannot be evaluated here: labels.txt: not there"
    assert session.ran == 2
    assert [one.status for one in session.results.all_runs()] == ["done", "done"]
    options = ("--methods", "gaussian", "--datasets", "folder", "--features", "velocity@grid")
    for command in ("plan", "run"):
        results = ("--results", str(session.results.root))
        answer = CliRunner().invoke(app, [command, *options, *results])
        assert answer.exit_code == 1
        assert "labels.txt: not there" in answer.output


def refuse_labels(dataset: Folder) -> None:
    raise BadInput("labels.txt: not there")


@pytest.mark.parametrize("older", [False, True], ids=["", "older records"])
def test_where_row_scores_are_gone_the_frame_maxima_of_others_do_not_serve(
    session: Session, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """The runs are made again where they cannot be evaluated, and cloned without their rows."""
    if older:
        forget_rows(session.results)
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "labels", refuse_labels)
        session.run(**USUAL)
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()
    refused: list[str] = []
    assert evaluate_all(session.results, {}, refused.append) == 0
    assert len(refused) == 2
    session.run(**USUAL, settings={"protocol": {"smoothing": 2.0}})
    assert session.value() is None


def test_older_records_are_not_believed_either(session: Session) -> None:
    forget_rows(session.results)
    session.run(**USUAL)
    found = [record.edited for record in session.results.all_records()]
    assert sorted(map(str, found)) == ["None", "None", *[OTHER_SCORES] * 3]


def test_regions_of_older_records_are_not_passed_on(session: Session) -> None:
    forget_rows(session.results)
    session.run(**USUAL)
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()
    evaluate_all(session.results, {"smoothing": 1.0}, lambda line: None)
    regions: dict[tuple[str, ...], set[float | None]] = {}
    for record in session.results.all_records():
        if record.edited is None:
            values = [one.value for one in record.values if one.metric == "rbdc"]
            regions.setdefault(record.runs, set()).update(values)
    assert len(regions) == 2
    assert all(len(values - {None}) == 1 for values in regions.values())


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_frame_maxima_of_any_scale_are_replaced_by_others(tmp_path: Path, scale: float) -> None:
    results, chance = Results(tmp_path), np.random.default_rng(0)
    run_record = RunRecord(
        status="done",
        identity="a" * 64,
        fit_identity="a" * 64,
        job={"dataset": "folder", "stream": "velocity", "method": "knn"},
        runtime={},
        environment={},
        seconds={},
    )
    first, second = (scale * chance.random((80, 1)) for _ in range(2))
    results.write_frames(run_record, {"test": first})
    results.write_frames(run_record, {"test": second})
    path = results.frames_path(run_record)
    with np.load(path) as kept:
        np.testing.assert_array_equal(kept["test"], second)
    before = path.read_bytes()
    results.write_frames(run_record, {"test": second * (1 + 1e-9)})
    assert path.read_bytes() == before


def test_a_fusion_that_cannot_be_evaluated_hides_no_part_that_can(
    own: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    session = Session(tmp_path / "results")
    fields = {"methods": ("gaussian", *FUSED), "features": STREAMS}
    session.run(**fields)
    whole = session.value()
    for path in session.results.root.rglob("metrics.json"):
        path.unlink()
    (rows,) = session.results.root.glob("runs/*/velocity.hof1@grid/gaussian/*/rows.npz")
    rows.write_bytes(rows.read_bytes()[:-50])
    session.run(**fields)
    assert session.table is not None
    shown = {row.features: row.cells[0] for row in session.table.rows}
    assert shown.pop("velocity@grid").value == whole
    assert len(shown) == 2
    assert all((cell.note or "").startswith("not evaluated: ") for cell in shown.values())
