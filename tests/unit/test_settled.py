"""What was settled with test figures known, matched to results; the leaderboard's use of it is in
test_leaderboard.py.
"""

import pytest

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.report import settled
from vadbench.report.settled import Settled, why_settled

PART = {"method": "knn", "stream": "deep", "calibration": "none", "extraction": None}


def choice(**fields):
    return Settled(
        **{
            **dict.fromkeys(
                ("dataset", "recipe", "method", "stream", "calibration", "extraction"), ""
            ),
            "told": "why",
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "meets"),
    [
        ({}, True),
        ({"dataset": "ped2"}, True),
        ({"dataset": "ped1"}, False),
        ({"recipe": "fused"}, True),
        ({"recipe": "knn"}, False),
        ({"method": "knn", "stream": "velocity*"}, False),  # both of one part
        ({"method": "gmm", "stream": "velocity*"}, True),
        ({"stream": "velocity"}, False),
        ({"calibration": "sqrt"}, True),
        ({"calibration": "minmax"}, False),
        ({"extraction": "velocity.bins=8"}, True),
        ({"extraction": "velocity.bins=1"}, False),
    ],
)
def test_a_choice_decides_what_meets_all_its_fields(fields, meets):
    parts = [
        PART,
        {
            "method": "gmm",
            "stream": "velocity@grid",
            "calibration": "sqrt",
            "extraction": {"velocity": {"bins": 8}},
        },
    ]
    assert choice(**fields).decides("ped2", "fused", parts) == meets


def test_a_result_that_rests_on_nothing_of_the_kind_has_no_reason():
    assert why_settled("ped2", "knn", [PART]) == ()


def test_the_names_of_the_file_are_known():
    choices = settled.settled()
    assert {one.method for one in choices} - {""} <= set(registry.names("detectors"))
    assert {one.recipe for one in choices} - {""} <= set(registry.names("recipes"))
    assert {one.dataset for one in choices} - {""} <= set(registry.names("datasets"))


def test_other_columns_are_refused(tmp_path, monkeypatch):
    (tmp_path / "settled.csv").write_text("dataset,told\nped2,why\n")
    monkeypatch.setattr(settled, "suites_root", lambda: tmp_path)
    settled.settled.cache_clear()
    with pytest.raises(BadInput, match=r"settled\.csv: columns"):
        settled.settled()
    settled.settled.cache_clear()
