"""A name that several records have means the usual one, or the refusal says what tells them
apart.
"""

from pathlib import Path

import pytest
from record_builder import write_record

from vadbench.errors import BadInput
from vadbench.plans.plan import plan_suite
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.suite import make_suite

COMMITTED = Results(Path(__file__).resolve().parents[2] / "results")


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def store(results, fingerprint=None, **fields):
    """The record of kNN on the synthetic scene or of what `fields` say."""
    suite = make_suite({"methods": ("knn",), "datasets": ("synthetic",), **fields})
    (planned,) = plan_suite(suite).planned
    result = planned.result
    if fingerprint is not None:
        parts = (result.parts[0].model_copy(update={"fingerprint": fingerprint}),)
        result = result.model_copy(update={"parts": parts})
    return write_record(results, result=result)


UNUSUAL = [
    ({"settings": {"knn": {"k": 5}}}, "k=5"),
    ({"settings": {"protocol": {"smoothing": 7}}}, "smoothing=7"),
    ({"scope": "scene"}, "per scene"),
    ({"train_on": "ped2"}, "trained on ped2"),
]


@pytest.mark.parametrize(("fields", "told"), UNUSUAL)
def test_a_name_means_the_usual_record(results, fields, told):
    store(results, **fields)
    usual = store(results)
    assert locate(results, "knn@velocity")[1] == usual


@pytest.mark.parametrize(("fields", "told"), UNUSUAL)
def test_what_differs_is_told_where_none_is_usual(results, fields, told):
    store(results, settings={"knn": {"k": 3}})
    store(results, **fields)
    with pytest.raises(BadInput, match=rf"names 2 records.*\({told}\)"):
        locate(results, "knn@velocity")


def test_other_features_are_told_by_their_fingerprints(results):
    for fingerprint in "ab":
        store(results, fingerprint)
    with pytest.raises(BadInput, match=r"\(features [ab]\); .*\(features [ab]\)"):
        locate(results, "knn@velocity")


def test_a_record_of_the_preset_paper_is_usual_where_it_is_alone(results):
    paper = store(results, methods=("mulde",), preset="paper")
    store(results, methods=("mulde",), settings={"mulde": {"beta": 0.5}})
    assert locate(results, "mulde@velocity")[1] == paper
    store(results, methods=("mulde",))
    with pytest.raises(BadInput, match=r"names 3 records.*\(preset paper\)"):
        locate(results, "mulde@velocity")


def test_the_records_that_the_documentation_compares_are_found():
    words = next(
        line.split()
        for line in (COMMITTED.root.parent / "docs" / "index.md").read_text().splitlines()
        if "vadbench compare" in line
    )
    for name in words[2:]:
        assert locate(COMMITTED, name)[1].result.training.source is None
