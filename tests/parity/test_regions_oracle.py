"""RBDC and TBDC against the released script's answers (oracles/rbdc)."""

import json

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.regions import region_metrics

TOLERANCE = 1e-12
REFUSED = {  # deliberate: the script answers, we say what is wrong
    "alpha_zero": "0 < alpha",
    "inverted_boxes": "x1 >= x0|y1 >= y0",
    "dup_track_frame": "second box of track",
}
# the script's reader crashes, we answer
READER_FAILS = {"single_det_row_file", "single_track_row_file", "track_ids_with_hole"}
# the script loses tracks; the specification's value is right
SILENTLY_DROPPED = {"track_ids_unsorted"}


@pytest.fixture(scope="module")
def cases(oracles):
    """Name -> the case."""
    found = {
        path.stem: json.loads(path.read_text())
        for path in sorted((oracles / "rbdc").glob("*.json"))
    }
    assert len(found) >= 45
    return found


def columns(case):
    """Detections and ground truth of a case as columns."""
    dets, tracks = (np.array(case[key], object) for key in ("dets", "tracks"))
    names = (
        ("video", "frame", "x0", "y0", "x1", "y1", "score"),
        ("video", "track", "frame", "x0", "y0", "x1", "y1"),
    )
    return (
        {name: rows[:, i] if len(rows) else [] for i, name in enumerate(labels)}
        for rows, labels in zip((dets, tracks), names, strict=True)
    )


def measure(case, ties, **options):
    detections, truth = columns(case)
    return region_metrics(
        detections, truth, case["num_frames"], case["alpha"], case["beta"], ties, **options
    )


def test_order_is_the_published_script(cases):
    compared = 0
    for name, case in cases.items():
        if name in REFUSED or name in READER_FAILS or name in SILENTLY_DROPPED:
            continue
        expected, found = case["expected_reference"], measure(case, "order")
        assert (found.rbdc, found.tbdc) == pytest.approx(
            (expected["rbdc"], expected["tbdc"]), abs=TOLERANCE, nan_ok=True
        ), name
        compared += 1
    assert compared >= 40


@pytest.mark.parametrize(("ties", "key"), [("order", "spec_order"), ("average", "spec_avg")])
def test_closed_forms(cases, ties, key):
    for name, case in cases.items():
        if name in REFUSED or case[key] is None:
            continue
        found = measure(case, ties)
        assert (found.rbdc, found.tbdc) == pytest.approx(case[key], abs=TOLERANCE), name


def test_brackets_of_ties(cases):
    for name, case in cases.items():
        if name in REFUSED or case["spec_opt"] is None:
            continue
        found = measure(case, "average")
        lowest, highest = zip(found.rbdc_bracket, found.tbdc_bracket, strict=True)
        assert lowest == pytest.approx(case["spec_pes"], abs=TOLERANCE), name
        assert highest == pytest.approx(case["spec_opt"], abs=TOLERANCE), name


def test_what_the_script_answers_and_we_refuse(cases):
    for name, message in REFUSED.items():
        with pytest.raises(BadInput, match=message):
            measure(cases[name], "order")


def test_without_ground_truth_values_are_undefined(cases):
    found = measure(cases["no_gt"], "average")
    assert np.isnan(found.rbdc)
    assert found.reason
