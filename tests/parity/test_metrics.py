"""Frame metrics and smoothing against scikit-learn's and third-party code's answers (oracles/auc,
oracles/methods/metrics_oracle.npz).
"""

import json

import numpy as np
import pytest

from vadbench.evaluation.metrics.frame import (
    average_precision,
    eer,
    legacy_micro_auc,
    macro_auc,
    micro_auc,
    video_aucs,
)
from vadbench.evaluation.smoothing import smooth

TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def cases(oracles):
    """Name -> (scores, labels, lengths, expected)."""
    found = {}
    for path in sorted((oracles / "auc").glob("*.json")):
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            found[path.stem] = (
                arrays["scores"],
                arrays["labels"],
                arrays["lengths"],
                json.loads(path.read_text())["expected"],
            )
    assert len(found) >= 30
    return found


def agree(found, expected):
    """Numbers within the tolerance; null and NaN mean undefined."""
    expected = np.array(
        [
            np.nan if value is None else value
            for value in np.atleast_1d(np.array(expected, dtype=object))
        ],
        float,
    )
    return np.atleast_1d(found) == pytest.approx(expected, abs=TOLERANCE, nan_ok=True)


def test_micro_auc(cases):
    for name, (scores, labels, _, expected) in cases.items():
        assert agree(micro_auc(scores, labels), expected["sk_micro"]), name


def test_video_aucs(cases):
    for name, (scores, labels, lengths, expected) in cases.items():
        aucs = video_aucs(scores, labels, lengths)
        assert agree(aucs, expected["sk_per_video_auc"]), name
        assert np.isnan(aucs).sum() == expected["n_oneclass_videos"], name


@pytest.mark.parametrize(
    ("convention", "key"),
    [
        ("skip", "sk_macro_skip_oneclass"),
        ("pad-rank", "sk_macro_pad_lowhigh"),
        ("pad-0-max", "ref_accivad_macro_nosmooth"),
    ],
)
def test_macro_auc(cases, convention, key):
    for name, (scores, labels, lengths, expected) in cases.items():
        assert agree(macro_auc(scores, labels, lengths, convention), expected[key]), name


@pytest.mark.parametrize(
    ("convention", "key"), [("pad-0-1", "ref_ubnormal_micro_macro"), ("pad-0-0", "sk_ssmtl_pad00")]
)
def test_macro_auc_of_a_pair(cases, convention, key):
    for name, (scores, labels, lengths, expected) in cases.items():
        assert agree(macro_auc(scores, labels, lengths, convention), expected[key][1]), name


def test_eer_on_the_polyline(cases):
    compared = 0
    for name, (scores, labels, _, expected) in cases.items():
        # the reference raises on one class
        if isinstance(expected["sk_eer_nearest__nearest_nodrop__interp"], str):
            assert np.isnan(eer(scores, labels)), name
            continue
        assert agree(eer(scores, labels), expected["sk_eer_nearest__nearest_nodrop__interp"][2]), (
            name
        )
        compared += 1
    assert compared >= 25


def test_average_precision(cases):
    for name, (scores, labels, _, expected) in cases.items():
        # scikit-learn gives 0 or 1 for one class
        reference = (
            np.nan if np.isnan(micro_auc(scores, labels)) else expected["sk_average_precision"]
        )
        assert agree(average_precision(scores, labels), reference), name


@pytest.mark.parametrize(("sigma", "key"), [(3, "ref_accivad_sigma3"), (7, "ref_accivad_sigma7")])
def test_gaussian_smoothing_as_accivad(cases, sigma, key):
    for name, (scores, labels, lengths, expected) in cases.items():
        smoothed = smooth(scores, lengths, sigma)
        assert agree(
            [micro_auc(smoothed, labels), macro_auc(smoothed, labels, lengths, "pad-0-max")],
            expected[key],
        ), name


def test_smoothing_cascade_as_stg_nf(cases):
    for name, (scores, labels, lengths, expected) in cases.items():
        for sigma in range(1, 7):
            scores = smooth(scores, lengths, sigma)
        assert agree(micro_auc(scores, labels), expected["ref_stgnf_cascade_micro"]), name


@pytest.mark.parametrize(
    ("variant", "key"),
    [
        ("minmax-per-video", "ref_mnad_pervideo_minmax_micro"),
        ("minmax-drop-4", "ref_anopred_auc_minmax_drop4"),
        ("pad-0-0", "sk_ssmtl_pad00"),
    ],
)
def test_legacy_micro_auc(cases, variant, key):
    compared = 0
    for name, (scores, labels, lengths, expected) in cases.items():
        reference = expected[key][0] if variant == "pad-0-0" else expected[key]
        # the reference raised, or gave -inf or NaN
        if isinstance(reference, str) or not np.isfinite(reference):
            continue
        # equal scores of two videos stay equal or not by rounding alone
        if variant == "minmax-drop-4" and name.endswith("_ties"):
            continue
        assert agree(legacy_micro_auc(scores, labels, lengths, variant), reference), name
        compared += 1
    assert compared >= 25


def test_metrics_oracle(oracles):
    with np.load(oracles / "methods" / "metrics_oracle.npz", allow_pickle=False) as oracle:
        scores, labels, lengths = (
            oracle["scores"],
            oracle["labels"],
            np.diff(oracle["cum"], prepend=0),
        )
        for sigma in (1, 3, 7, 15):
            np.testing.assert_allclose(
                smooth(scores, lengths, sigma),
                oracle[f"acci_gaussian_video_s{sigma}"],
                rtol=0,
                atol=1e-10,
            )
        spread = (scores - scores.min()) / np.ptp(scores)
        found = {
            "micro": micro_auc(scores, labels),
            "macro_acci": macro_auc(scores, labels, lengths, "pad-0-max"),
            "macro_acci_negative_shift": macro_auc(scores - 100, labels, lengths, "pad-0-max"),
            "macro_georgescu_01_on_minmax": macro_auc(spread, labels, lengths, "pad-0-1"),
            "macro_defined_only": macro_auc(scores, labels, lengths, "skip"),
        }
        for name, value in found.items():
            assert value == pytest.approx(float(oracle[name]), abs=1e-10), name
