"""`vadbench evaluate` and `vadbench run` make edited and damaged records again, from what is whole;
what they cannot make is refused in a line.
"""

import json
import shutil

import pytest
from record_edits import reseal
from test_reuse import Session, own  # noqa: F401

from vadbench.evaluation.evaluate import evaluate_all
from vadbench.results.records import Results


@pytest.fixture
def session(own, tmp_path):  # noqa: F811
    return Session(tmp_path / "results").run()


def path_of(session, name, method="magnitude"):
    return next(one for one in session.results.root.rglob(name) if method in str(one))


def drop_rows(session):
    for path in session.results.root.rglob("rows.npz"):
        path.unlink()


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def raise_auc(document):
    row = document["values"]["rows"][0]
    row[document["values"]["columns"].index("value")] = 0.999


def refusals(session):
    refused = []
    evaluate_all(Results(session.results.root), {}, refused.append)
    return refused


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("sealed", [True, False])
def test_an_edited_value_is_computed_again_to_the_byte(session, rows, sealed):
    path = path_of(session, "metrics.json")
    before = path.read_text()
    edit(path, raise_auc)
    if sealed:
        path.write_text(json.dumps(reseal(json.loads(path.read_text()))))
    if not rows:
        drop_rows(session)
    assert refusals(session) == []
    assert path.read_text() == before


def test_a_swapped_jackknife_is_computed_again(session):
    path = path_of(session, "jackknife.npz")
    before = path.read_bytes()
    shutil.copy(path_of(session, "jackknife.npz", "gaussian"), path)
    assert refusals(session) == []
    assert path.read_bytes() == before


def test_what_it_is_of_cannot_be_computed_and_is_made_again_by_a_run(session):
    path = path_of(session, "metrics.json")
    before = path.read_text()
    edit(path, lambda document: document["result"]["chosen"].update(smoothing=9))
    (line,) = refusals(session)
    assert "does not say what it is of" in line
    session.run()
    assert session.ran == 0
    assert path.read_text() == before


def test_a_damaged_record_is_made_again_by_a_run_that_trains_nothing(session):
    path = path_of(session, "metrics.json")
    before = path.read_text()
    path.write_text(before[:100])
    assert refusals(session) == []
    session.run()
    assert session.ran == 0
    assert path.read_text() == before


@pytest.mark.parametrize(
    "change", [lambda text: text[:50], lambda text: text.replace('"done"', '"failed"')]
)
def test_a_damaged_or_edited_run_counts_as_not_run(session, change, capsys):
    path = path_of(session, "run.json")
    path.write_text(change(path.read_text()))
    (line,) = refusals(session)
    assert "vadbench run makes it" in line
    assert str(path) in capsys.readouterr().err
    assert session.run().ran == 1
    assert all(one.edited is None for one in Results(session.results.root).all_records())


def test_frames_of_another_record_are_refused_without_row_scores(session):
    ours, other = (
        next((session.results.root / "frames").rglob(f"{method}/*.npz"))
        for method in ("magnitude", "gaussian")
    )
    before = ours.read_bytes()
    shutil.copy(other, ours)
    record = path_of(session, "metrics.json").read_text()
    rows = path_of(session, "rows.npz")
    kept = rows.read_bytes()
    rows.unlink()
    (line,) = refusals(session)
    assert "not the frame maxima" in line
    assert path_of(session, "metrics.json").read_text() == record
    rows.write_bytes(kept)
    assert refusals(session) == []
    assert ours.read_bytes() == before


def test_a_record_of_an_earlier_schema_is_given_its_digests(session):
    path = path_of(session, "metrics.json")
    before = path.read_text()
    document = json.loads(before)
    del document["sha256"], document["digests"]
    path.write_text(json.dumps({**document, "schema_version": 2}))
    assert refusals(session) == []
    assert path.read_text() == before
