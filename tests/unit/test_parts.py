"""Weights, groups and normalisation within test videos: how the parts of a recipe are added."""

import itae_oracles
import numpy as np
import pytest
from leaderboard_records import write_row
from record_builder import make_result

from vadbench import registry
from vadbench.detector import Part
from vadbench.errors import BadInput
from vadbench.evaluation.calibration import calibrate, calibration_statistics, minmax_in_videos
from vadbench.evaluation.detections import detections, why_no_regions
from vadbench.evaluation.evaluate import change_protocol
from vadbench.evaluation.frames import PartFrames, sum_frames
from vadbench.evaluation.protocol import check_weights, make_protocol
from vadbench.plans.plan import plan_suite
from vadbench.report.leaderboard.entries import make_entries
from vadbench.report.ranks import rank_table
from vadbench.report.settled import why_never_ranked
from vadbench.report.tables.caption import write_caption
from vadbench.report.tables.marks import mark_best
from vadbench.report.tables.table import Cell, Column, Row, Table
from vadbench.results.frame import load_results
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.spec import METRICS, ScoredPart
from vadbench.suite import make_suite

STREAMS = ("itae.error", "itae.static", "itae.dynamic")


@pytest.fixture(scope="module")
def oracle():
    return itae_oracles.oracle("score")


def frames(scores):
    statistics = calibration_statistics(np.array([[0.0], [2.0]]))
    return PartFrames(np.asarray(scores, float)[:, None], statistics, statistics)


def add(scores, parts, lengths=None):
    lengths = None if lengths is None else np.asarray(lengths)
    return sum_frames([frames(one) for one in scores], parts, lengths=lengths)[:, 0]


def plan(**fields):
    return plan_suite(make_suite({"datasets": ("ped2",), **fields}))


# normalised within each test video


def test_scores_within_videos_are_the_oracles(oracle):
    raw = oracle["nll_static"] + oracle["nll_dynamic"]
    found = minmax_in_videos(raw, oracle["lengths"])
    np.testing.assert_allclose(found, oracle["L_t"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.7])
def test_the_published_score_is_the_oracles(oracle, weight):
    parts = [
        Part("magnitude", "itae.error", "none"),
        Part("flow", "itae.static", "minmax-video", weight=weight, group="L"),
        Part("flow", "itae.dynamic", "minmax-video", weight=weight, group="L"),
    ]
    scores = [oracle[name] for name in ("R", "nll_static", "nll_dynamic")]
    found = add(scores, parts, oracle["lengths"])
    np.testing.assert_allclose(found, oracle[f"S_{weight}"], rtol=0, atol=1e-12)


def test_the_published_score_by_hand():
    """Eq. 13 and 14: two clips, the second of which does not vary."""
    R, static, dynamic = (
        [1.0, 2.0, 3.0, 4.0, 5.0],
        [0.0, 3.0, 1.0, 7.0, 7.0],
        [2.0, 5.0, 2.0, 1.0, 1.0],
    )
    L = [0.0, 1.0, (1 + 2 - 2) / (3 + 5 - 2), 0.0, 0.0]
    parts = [
        Part("magnitude", "itae.error", "none"),
        Part("flow", "itae.static", "minmax-video", weight=0.3, group="L"),
        Part("flow", "itae.dynamic", "minmax-video", weight=0.3, group="L"),
    ]
    expected = [r + 0.3 * own for r, own in zip(R, L, strict=True)]
    np.testing.assert_allclose(add([R, static, dynamic], parts, [3, 2]), expected, rtol=1e-14)


def test_normalised_one_by_one_the_sum_is_another(oracle):
    parts = [Part("flow", name, "minmax-video") for name in ("itae.static", "itae.dynamic")]
    scores = [oracle["nll_static"], oracle["nll_dynamic"]]
    assert np.abs(add(scores, parts, oracle["lengths"]) - oracle["L_t"]).max() > 0.1


def test_columns_are_normalised_each_in_its_videos():
    scores = np.array([[1.0, 9.0], [3.0, 9.0], [5.0, 2.0], [5.0, 4.0]])
    expected = [[0, 0], [1, 0], [0, 0], [0, 1]]
    np.testing.assert_array_equal(minmax_in_videos(scores, np.array([2, 2])), expected)


def test_rounding_is_no_variation():
    assert minmax_in_videos(np.array([1e9, 1e9 + 1e-7]), np.array([2])).tolist() == [0, 0]


def test_objects_have_no_video_to_be_normalised_in():
    with pytest.raises(BadInput, match="minmax-video: normalises the frames of whole test videos"):
        calibrate("minmax-video", [1.0, 2.0], calibration_statistics([0.0, 1.0]))
    row = {"test_box": np.zeros((1, 4))}
    assert why_no_regions([row], ["minmax-video"]) == "calibration minmax-video is of frames"
    assert why_no_regions([row], ["minmax"]) is None


# weights and groups


def test_a_weight_multiplies_calibrated_scores():
    parts = [Part("a", "s", "minmax", weight=3), Part("b", "t", "none", weight=0.5)]
    assert add([[1.0, 4.0], [10.0, 20.0]], parts).tolist() == [1.5 + 5, 6 + 10]


def test_a_group_is_added_raw_before_its_calibration():
    parts = [Part("a", "s", "minmax-video", group="L"), Part("b", "t", "minmax-video", group="L")]
    assert add([[0.0, 1.0, 0.0], [0.0, 0.0, 4.0]], parts, [3]).tolist() == [0, 0.25, 1]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Part("b", "t", "minmax-video", weight=2, group="L"), "calibrated and weighted as one"),
        (Part("b", "t", "none", group="L"), "calibrated and weighted as one"),
    ],
)
def test_a_group_shares_calibration_and_weight(second, message):
    with pytest.raises(BadInput, match=message):
        add([[1.0], [2.0]], [Part("a", "s", "minmax-video", group="L"), second], [1])


def test_a_group_cannot_be_calibrated_by_training_scores_of_its_sum():
    parts = [Part("a", "s", "sqrt", group="L"), Part("b", "t", "sqrt", group="L")]
    with pytest.raises(BadInput, match="sqrt needs training scores of the sum"):
        add([[1.0], [2.0]], parts)


def test_regions_are_weighted_too():
    row = {
        "test_scores": np.array([[1.0]]),
        "test_video": np.zeros(1, np.int32),
        "test_frame": np.zeros(1, np.int32),
        "test_object_id": np.zeros(1, np.int64),
        "test_box": np.zeros((1, 4), np.float32),
    }
    statistics = [calibration_statistics(np.array([[0.0], [2.0]]))] * 2
    found = detections([row, row], ["minmax", "none"], statistics, ["01"], [3, 10])
    assert found["score"].tolist() == [1.5 + 10]


# identities


def test_parts_without_weight_and_group_are_hashed_and_written_as_before():
    fields = {"method", "stream", "calibration", "empty"}
    scored = ScoredPart(method="knn", stream="deep", calibration="none", config={})
    assert set(scored.part.document) == fields
    assert not {"weight", "group"} & set(scored.model_dump(mode="json"))
    weighted = scored.model_copy(update={"weight": 0.5, "group": "L"})
    assert weighted.model_dump(mode="json").items() >= {"weight": 0.5, "group": "L"}.items()
    assert ScoredPart.model_validate(weighted.model_dump(mode="json")) == weighted


def test_a_weight_and_a_group_change_key_and_identity():
    results = [make_result("knn@deep", part=part) for part in ({}, {"weight": 2}, {"group": "L"})]
    assert len({result.key for result in results}) == 3
    assert len({identity_of(result, ["a"]) for result in results}) == 3
    assert make_result("knn@deep", part={"weight": 1}).key == results[0].key


# what is asked for


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [], "1", [True], [float("nan")], None])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(BadInput, match=r"protocol\.weights: .* expected a list of numbers"):
        make_protocol({"weights": weights})


def test_weights_are_one_a_part():
    assert check_weights([1, 0], 2) == (1.0, 0.0)
    with pytest.raises(BadInput, match="3 weights of 2 parts"):
        check_weights([1, 2, 3], 2)


def test_weights_are_set_like_a_calibration():
    settings = {"protocol": {"weights": [1, 0.5]}}
    (one,) = plan(methods=("knn@velocity+deep",), settings=settings).planned
    assert [part.weight for part in one.result.parts] == [1, 0.5]
    assert one.result.words == ("weights=[1, 0.5]",)
    (usual,) = plan(methods=("knn@velocity+deep",)).planned
    assert usual.runs == one.runs
    assert change_protocol(usual.result, {"weights": [1, 0.5]}).key == one.result.key
    assert usual.result.key != one.result.key


# the recipes of ITAE


@pytest.mark.parametrize("features", [(), STREAMS])
@pytest.mark.parametrize("recipe", ["itae-nf", "itae-nf-paper"])
def test_each_part_has_its_own_stream_of_the_extractor(recipe, features):
    (one,) = plan(methods=(recipe,), features=features).planned
    assert one.result.recipe == f"{recipe}@itae.error+itae.static+itae.dynamic"
    assert [job.method for job in one.jobs] == ["magnitude", "flow", "flow"]
    assert [job.document["config"].get("architecture") for job in one.jobs] == [
        None,
        "glow-maps",
        "glow-maps",
    ]


def test_a_recipe_takes_the_parts_whose_variants_are_named():
    (one,) = plan(methods=("itae-nf@itae.error+itae.dynamic",)).planned
    assert one.result.recipe == "itae-nf@itae.error+itae.dynamic"
    with pytest.raises(BadInput, match="none of its streams"):
        plan(methods=("itae-nf@itae",))


@pytest.mark.parametrize(
    ("dataset", "weight"),
    [("ped1", 0.3), ("ped2", 0.3), ("avenue", 0.1), ("shanghaitech", 0.7), ("synthetic", 1)],
)
def test_lambda_is_the_papers_of_each_data_set(dataset, weight):
    (one,) = plan(methods=("itae-nf-paper",), datasets=(dataset,)).planned
    assert [part.weight for part in one.result.parts] == [1, weight, weight]
    assert [part.group for part in one.result.parts] == ["", "L", "L"]


def test_lambda_may_be_swept():
    settings = {"protocol": {"weights": [1, 0.5, 0.5]}}
    (one,) = plan(methods=("itae-nf-paper",), settings=settings).planned
    assert [part.weight for part in one.result.parts] == [1, 0.5, 0.5]


def test_a_group_that_cannot_be_evaluated_is_refused_before_anything_is_trained():
    for protocol in ({"calibration": "sqrt"}, {"weights": [1, 0.5, 0.6]}):
        with pytest.raises(BadInput, match="group L: "):
            plan(methods=("itae-nf-paper",), settings={"protocol": protocol})


def test_nothing_of_the_recipe_of_ours_is_weighted():
    recipe = registry.load("recipes", "itae-nf")
    assert {part.weight for part in recipe.parts} == {1}
    assert not recipe.weights


# shown, and never ranked


def test_the_caption_tells_weights_and_what_is_not_ranked():
    planned = plan(methods=("itae-nf-paper", "itae-nf"))
    caption = write_caption(planned.suite, planned.wanted, [], ())
    weights = "in the order of the features: `itae-nf-paper` 1, 0.3, 0.3 on ped2."
    assert f"Weights of calibrated scores, {weights}" in caption
    why = "lambda chosen on test AUC; normalised within test clips (offline); not ranked."
    assert f"`itae-nf-paper`: {why}" in caption
    assert "`itae-nf`" not in caption


def test_a_sweep_of_lambda_is_not_said_to_be_free_of_test_labels():
    rows = [
        {"label": text, "method": "itae-nf-paper", "settings": {"protocol": {"weights": weights}}}
        for text, weights in (("a", [1, 0.1, 0.1]), ("b", [1, 1, 1]))
    ]
    planned = plan(rows=rows)
    caption = write_caption(planned.suite, planned.wanted, [], ())
    assert "none was chosen by the test labels" not in caption
    assert "`a`, `b`: lambda chosen on test AUC" in caption


@pytest.mark.parametrize(
    ("method", "settings", "why"),
    [
        ("itae-nf", {}, None),
        ("knn@velocity+deep", {"calibration": "minmax-video"}, "within test clips"),
        ("itae-nf-paper@itae.error", {"calibration": "none"}, "lambda chosen on test AUC"),
        ("knn@velocity+deep", {"weights": [1, 2]}, None),  # of its own protocol, not of test labels
        ("knn@velocity+deep", {"calibration": "minmax"}, None),
    ],
)
def test_what_looks_at_the_test_is_never_ranked(method, settings, why):
    (one,) = plan(methods=(method,), settings={"protocol": settings}).wanted[:1]
    found = why_never_ranked(one.result)
    assert found is None if why is None else why in found


def test_an_unranked_row_is_neither_marked_nor_ranked():
    columns = tuple(Column(name, "EER", METRICS["EER"]) for name in ("ped2", "avenue"))
    rows = [
        Row(name, "velocity", (Cell(value), Cell(value)), why)
        for name, value, why in (("a", 0.1, "offline"), ("b", 0.2, None), ("c", 0.3, None))
    ]
    _, marked = mark_best(rows, columns, [[None, None]] * 3)
    assert [row.cells[0].best for row in marked] == [0, 1, 2]
    ranked = rank_table(Table("T", "", columns, marked, ()), "EER")
    assert [(row.method, row.average) for row in ranked.rows] == [("b", 1), ("c", 2), ("a", None)]
    assert ranked.rows[-1].reason == "not ranked; offline"


@pytest.mark.parametrize(
    ("method", "part", "why"),
    [
        ("itae-nf-paper", {}, "the best by test AUC of six"),
        ("knn", {"calibration": "minmax-video"}, "its extremes are test data"),
    ],
)
def test_the_leaderboard_does_not_rank_them(tmp_path, method, part, why):
    results = Results(tmp_path)
    write_row(results, method, 0.9, stream="velocity+deep", part=part)
    (entry,) = make_entries(load_results(tmp_path))
    assert why in entry.unranked


def test_weights_are_a_column_of_the_results(tmp_path):
    results = Results(tmp_path)
    write_row(results, "knn", 0.9, stream="velocity+deep")
    write_row(results, "gmm", 0.9, stream="velocity+deep", part={"weight": 0.5})
    frame = load_results(tmp_path).drop_duplicates("method").set_index("method")
    assert frame["weights"].isna()["knn"]
    assert frame["weights"]["gmm"] == "0.5+0.5"
