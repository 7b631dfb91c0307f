"""A name that several records have means the usual one, or the refusal says what tells them
apart.
"""

from pathlib import Path

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import described, protocol_of, recipe_identity
from vadbench.suite import make_suite
from vadbench.results.names import find
from vadbench.results.records import RecipeRecord, Results
from vadbench.runner.run import open_dataset, plan_suite

COMMITTED = Results(Path(__file__).resolve().parents[2] / "results")


@pytest.fixture(autouse=True)
def _no_real_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def store(results, fingerprint=None, **fields):
    """The record, without metrics, of kNN on the synthetic scene or of what `fields` say."""
    (recipe,) = plan_suite(
        make_suite({"methods": ("knn",), "datasets": ("synthetic",), **fields})
    ).recipes
    protocol = protocol_of(recipe, open_dataset(recipe.dataset))
    identity = recipe_identity(recipe, protocol)
    record = RecipeRecord(
        identity=identity if fingerprint is None else fingerprint * 64,
        dataset=recipe.dataset,
        recipe=recipe.name,
        seed=recipe.seed,
        parts=tuple(
            {**part, "fingerprint": fingerprint or part["fingerprint"]}
            for part in described(recipe)
        ),
        runs=tuple(part.job.identity for part in recipe.parts),
        protocol=protocol.model_dump(mode="json"),
        labels={},
        read_outs=("score",),
        rows=(),
    )
    results.write_recipe(record, {"scores": np.zeros(1)})
    return record


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
    assert find(results, "knn@velocity")[0] == usual


@pytest.mark.parametrize(("fields", "told"), UNUSUAL)
def test_what_differs_is_told_where_none_is_usual(results, fields, told):
    store(results, settings={"knn": {"k": 3}})
    store(results, **fields)
    with pytest.raises(BadInput, match=rf"names 2 records.*\({told}\)"):
        find(results, "knn@velocity")


def test_other_features_are_told_by_their_fingerprints(results):
    for fingerprint in "ab":
        store(results, fingerprint)
    with pytest.raises(BadInput, match=r"\(features a\); .*\(features b\)"):
        find(results, "knn@velocity")


def test_a_record_of_the_preset_paper_is_usual_where_it_is_alone(results):
    paper = store(results, methods=("mulde",), preset="paper")
    store(results, methods=("mulde",), settings={"mulde": {"beta": 0.5}})
    assert find(results, "mulde@velocity")[0] == paper
    store(results, methods=("mulde",))
    with pytest.raises(BadInput, match=r"names 3 records.*\(preset paper\)"):
        find(results, "mulde@velocity")


def test_the_records_that_the_documentation_compares_are_found():
    words = next(
        line.split()
        for line in (COMMITTED.root.parent / "docs" / "index.md").read_text().splitlines()
        if "vadbench compare" in line
    )
    for name in words[2:]:
        assert "train_dataset" not in find(COMMITTED, name)[0].parts[0]
