import numpy as np
import pytest
from record_builder import write_record
from scipy import stats

from vadbench.errors import BadInput
from vadbench.report.compare import Difference, compare, render
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.spec import USUAL, Protocol

TITLES = list(USUAL)
# what each video does to both recipes: much more than their difference
SHARED = 0.2 * np.random.default_rng(0).normal(size=8)
OWN = 0.001 * np.random.default_rng(1).normal(size=8)  # what it does to one of them


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def store(results, recipe, value=0.5, labels="a" * 64, videos=None, **fields):
    """A record whose every metric is `value` (a number, or one a title), `videos` its AUC by
    video.
    """
    rules = {name: fields.pop(name) for name in Protocol.model_fields if name in fields}
    truth = {"name": "exact", "sha256": labels, "videos": 2, "frames": 100, "anomalous": 10}
    one_of = dict.fromkeys(TITLES, fields["moves"]) if _is_array(fields.get("moves")) else {}
    fields |= {"moves": one_of} if one_of else {}
    return write_record(
        results, recipe, value, labels=truth, videos=videos, protocol=rules, chosen={}, **fields
    )


def _is_array(moves):
    return isinstance(moves, np.ndarray)


def metric(comparison, title):
    return next(line for line in comparison.metrics if line.title == title)


def test_the_difference_of_every_metric_is_a_minus_b(results):
    store(results, "gmm@velocity", {title: 0.9 - 0.01 * i for i, title in enumerate(TITLES)})
    store(results, "knn@velocity", {title: 0.6 + 0.01 * i for i, title in enumerate(TITLES)})
    found = compare(results, "gmm@velocity", "knn@velocity")
    assert [line.title for line in found.metrics] == TITLES
    assert [line.value for line in found.metrics] == pytest.approx(
        [0.3 - 0.02 * i for i in range(len(TITLES))]
    )


def error_of(moves):
    """The standard error of a difference that each video moves so."""
    influence = (moves - moves.mean()) * 7 / 8
    return np.sqrt(8 / 7 * np.square(influence).sum())


def test_the_interval_is_student_s_t_of_what_the_videos_do_to_the_difference(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED + OWN)
    store(results, "knn@velocity", 0.6, moves=SHARED)
    reach = stats.t.ppf(0.975, 7) * error_of(OWN)
    for line in compare(results, "gmm@velocity", "knn@velocity").metrics:
        assert (line.low, line.high) == pytest.approx((0.3 - reach, 0.3 + reach))
        assert (line.note, line.videos) == (None, 8)


def test_each_metric_takes_what_the_videos_do_to_it(results):
    store(
        results, "gmm@velocity", 0.9, moves={title: (i + 1) * OWN for i, title in enumerate(TITLES)}
    )
    store(results, "knn@velocity", 0.6, moves=0 * OWN)
    widths = [
        line.high - line.low for line in compare(results, "gmm@velocity", "knn@velocity").metrics
    ]
    assert widths == pytest.approx([(i + 1) * widths[0] for i in range(len(TITLES))])


def test_differences_are_paired_so_what_a_video_does_to_both_cancels(results):
    store(results, "gmm@velocity", 0.91, moves=SHARED + OWN)
    store(results, "knn@velocity", 0.90, moves=SHARED)
    assert metric(compare(results, "gmm@velocity", "knn@velocity"), "micro AUC").winner == "A"


@pytest.mark.parametrize("videos", [1, 2])
def test_of_too_few_videos_there_is_a_difference_and_no_claim(results, videos):
    for recipe, value in (("gmm@velocity", 0.9), ("knn@velocity", 0.6)):
        store(results, recipe, value, moves=OWN[:videos])
    line = metric(compare(results, "gmm@velocity", "knn@velocity"), "AP")
    assert line.value == pytest.approx(0.3)
    assert (line.low, line.winner) == (None, None)
    assert line.note.startswith(f"too few videos ({videos};")


def test_the_same_difference_in_every_video_is_no_claim(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED)
    store(results, "knn@velocity", 0.6, moves=SHARED)
    assert metric(compare(results, "gmm@velocity", "knn@velocity"), "micro AUC").winner is None


def test_swapping_the_recipes_mirrors_everything(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED + OWN)
    store(results, "knn@velocity", 0.6, moves=SHARED)
    forth, back = (
        compare(results, "gmm@velocity", "knn@velocity"),
        compare(results, "knn@velocity", "gmm@velocity"),
    )
    for one, other in zip(forth.metrics, back.metrics, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx(
            (-other.value, -other.high, -other.low)
        )
        assert {one.winner, other.winner} == {"A", "B"}


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "lower_is_better"),
    [
        (0.01, 0.02, "A", "B"),
        (-0.02, -0.01, "B", "A"),
        (-0.01, 0.02, "neither", "neither"),
        (0.0, 0.02, "neither", "neither"),
        (-0.02, 0.0, "neither", "neither"),
        (None, None, None, None),
    ],
)
def test_the_winner_is_the_better_side_of_an_interval_without_zero(
    low, high, higher_is_better, lower_is_better
):
    assert Difference("AP", 1, 0.5, 0.5, low, high).winner == higher_is_better
    assert Difference("EER", -1, 0.5, 0.5, low, high).winner == lower_is_better


def test_a_lower_error_rate_wins(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED + OWN)
    store(results, "knn@velocity", 0.6, moves=SHARED)
    found = {
        line.title: line.winner for line in compare(results, "gmm@velocity", "knn@velocity").metrics
    }
    assert found == {title: "B" if title == "EER" else "A" for title in TITLES}


def test_a_recipe_does_not_win_against_itself(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED)
    found = compare(results, "gmm@velocity", "gmm@velocity")
    assert {(line.value, line.winner) for line in found.metrics} == {(0.0, "neither")}


@pytest.mark.parametrize(("first", "second"), [(None, SHARED), (SHARED, None)])
def test_without_what_the_videos_do_to_both_there_is_a_difference_and_no_interval(
    results, first, second
):
    store(results, "gmm@velocity", 0.9, moves=first)
    store(results, "knn@velocity", 0.6, moves=second)
    line = metric(compare(results, "gmm@velocity", "knn@velocity"), "micro AUC")
    assert line.value == pytest.approx(0.3)
    assert (line.low, line.high, line.winner) == (None, None, None)
    assert "vadbench evaluate" in line.note


def test_values_over_other_videos_are_not_tested(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED)
    store(results, "knn@velocity", 0.6, moves=SHARED[:7])
    assert (
        metric(compare(results, "gmm@velocity", "knn@velocity"), "micro AUC").note
        == "not over the same videos"
    )


def test_a_metric_that_one_side_lacks_has_no_difference_and_says_whose_and_why(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED)
    store(results, "knn@velocity", None, moves=SHARED, reason="no normal frame")
    line = metric(compare(results, "gmm@velocity", "knn@velocity"), "micro AUC")
    assert (line.first, line.second, line.value, line.low) == (0.9, None, None, None)
    assert line.note == "B: no normal frame"


def test_a_reason_both_share_is_told_once(results):
    for recipe in ("gmm@velocity", "knn@velocity"):
        store(results, recipe, None, reason="no normal frame")
    assert (
        metric(compare(results, "gmm@velocity", "knn@velocity"), "RBDC").note == "no normal frame"
    )


def test_without_smoothing_the_unsmoothed_values_are_compared(results):
    for recipe, value in (("gmm@velocity", 0.9), ("knn@velocity", 0.6)):
        store(results, recipe, value, smoothing=None)
    found = compare(results, "gmm@velocity", "knn@velocity")
    assert [line.value for line in found.metrics] == pytest.approx([0.3] * len(TITLES))
    assert "unsmoothed; percent" in render(found)


def test_without_smoothing_there_are_intervals_too(results):
    for recipe, value, moves in (
        ("gmm@velocity", 0.9, SHARED + OWN),
        ("knn@velocity", 0.6, SHARED),
    ):
        store(results, recipe, value, moves=moves, smoothing=None)
    assert {line.videos for line in compare(results, "gmm@velocity", "knn@velocity").metrics} == {8}


def test_videos_come_by_size_of_their_difference_and_undefined_ones_last(results):
    store(
        results,
        "gmm@velocity",
        videos={"none": None, "same": 0.5, "better": 0.6, "half": 0.7, "worse": 0.1},
    )
    store(
        results,
        "knn@velocity",
        videos={"worse": 0.5, "none": None, "same": 0.5, "better": 0.5, "half": None},
    )
    found = compare(results, "gmm@velocity", "knn@velocity").videos
    assert [line.video for line in found] == ["worse", "better", "same", "none", "half"]
    assert [line.value for line in found[:3]] == pytest.approx([-0.4, 0.1, 0.0])
    assert [(line.value, line.reason) for line in found[3:]] == [(None, "one class only")] * 2


def test_scenes_are_not_listed_as_videos(results):
    for recipe in ("gmm@velocity", "knn@velocity"):
        store(results, recipe, videos={"01_001": 0.5, "scene:01": 0.5})
    assert [line.video for line in compare(results, "gmm@velocity", "knn@velocity").videos] == [
        "01_001"
    ]


def test_the_text_has_values_differences_intervals_and_winners_in_percent(results):
    store(results, "gmm@velocity", 0.9, moves=SHARED + OWN, videos={"01": 0.75, "02": None})
    store(results, "knn@velocity", 0.6, moves=SHARED, videos={"01": 0.5, "02": None})
    reach = 100 * stats.t.ppf(0.975, 7) * error_of(OWN)
    span = f"[{30 - reach:+.2f}, {30 + reach:+.2f}] | 8"
    text = " ".join(render(compare(results, "gmm@velocity", "knn@velocity")).split())
    for fact in (
        "A ped2/gmm@velocity:0",
        "B ped2/knn@velocity:0",
        "labels `exact`, 2 test videos; Gaussian smoothing sigma 3",
        f"| micro AUC | 90.00 | 60.00 | +30.00 | {span} | A |",
        f"| EER (lower is better) | 90.00 | 60.00 | +30.00 | {span} | B |",
        "| 01 | 75.00 | 50.00 | +25.00 |",
        "| 02 (one class only) | – | – | – |",
    ):
        assert fact in text


def test_the_text_numbers_each_reason_once(results):
    for recipe in ("gmm@velocity", "knn@velocity"):
        store(results, recipe, None, reason="no normal frame")
    text = render(compare(results, "gmm@velocity", "knn@velocity"))
    assert text.count("no normal frame") == 1
    assert "| micro AUC [1] | – | – | – | – | – | – |" in " ".join(text.split())


def test_a_record_is_found_by_recipe_and_seed_dataset_identity_or_folder(results):
    wanted = store(results, "mulde@velocity", seed=2, moves=SHARED)
    store(results, "mulde@velocity", seed=1)
    store(results, "gmm@velocity")
    folder = results.record_folder("ped2", "mulde@velocity", wanted.identity)
    for text in (
        "mulde@velocity:2",
        "ped2/mulde@velocity:2",
        wanted.identity[:8],
        wanted.identity,
        str(folder),
    ):
        where, record = locate(results, text)
        assert record == wanted
        assert np.array_equal(where.jackknife(record)["left_out.micro_auc.plain"], -SHARED)
    assert locate(results, "gmm@velocity")[1].recipe == "gmm@velocity"


def test_a_dataset_tells_records_of_one_recipe_apart(results):
    for dataset in ("ped2", "avenue"):
        store(results, "gmm@velocity", dataset=dataset)
    assert locate(results, "avenue/gmm@velocity")[1].dataset == "avenue"
    with pytest.raises(BadInput, match="names 2 records"):
        locate(results, "gmm@velocity")


def test_a_folder_under_other_results_is_found(results, tmp_path):
    wanted = store(Results(tmp_path / "elsewhere"), "gmm@velocity", moves=SHARED)
    folder = tmp_path / "elsewhere/recipes/ped2/gmm@velocity" / wanted.identity[:12]
    where, record = locate(results, str(folder))
    assert record == wanted
    assert "left_out.micro_auc.plain" in where.jackknife(record)


def test_a_folder_is_found_relative_to_the_working_folder(results, monkeypatch):
    wanted = store(results, "gmm@velocity")
    folder = results.record_folder("ped2", "gmm@velocity", wanted.identity)
    monkeypatch.chdir(folder.parent)
    assert locate(results, folder.name)[1] == wanted


def test_a_record_without_arrays_is_found_without_them(results):
    wanted = store(results, "gmm@velocity", moves=SHARED)
    folder = results.record_folder("ped2", "gmm@velocity", wanted.identity)
    (folder / "jackknife.npz").unlink()
    assert locate(results, "gmm@velocity")[1] == wanted
    assert results.jackknife(wanted) == {}


def test_a_folder_outside_a_results_tree_is_refused(results, tmp_path):
    folder = tmp_path / "a/b/c/d"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(BadInput, match="RESULTS/recipes/DATASET/RECIPE/IDENTITY"):
        locate(results, str(folder))


def test_an_ambiguous_name_lists_only_the_records_it_fits(results):
    records = [store(results, "mulde@velocity", seed=seed) for seed in (1, 2)]
    store(results, "gmm@velocity")
    with pytest.raises(BadInput, match="names 2 records") as caught:
        locate(results, "mulde@velocity")
    for record in records:
        assert f"ped2/mulde@velocity:{record.seed} {record.identity[:12]}" in str(caught.value)
    assert "gmm" not in str(caught.value)


def test_an_ambiguous_identity_lists_the_records_it_begins(results, monkeypatch):
    monkeypatch.setattr("vadbench.results.records.find_edit", lambda *_: None)
    for recipe, digit in (("gmm@velocity", "0"), ("knn@velocity", "1")):
        store(results, recipe, identity="beef" + digit * 60)
    with pytest.raises(
        BadInput, match=r"names 2 records.*gmm@velocity:0 beef0.*knn@velocity:0 beef1"
    ):
        locate(results, "beef")
    assert locate(results, "beef1")[1].recipe == "knn@velocity"


@pytest.mark.parametrize(
    "text",
    [
        "mulde",
        "gmm@velocity:3",
        "gmm@velocity:",
        "avenue/gmm@velocity",
        "bee",
        "",
        "no/such/folder",
    ],
)
def test_an_unknown_name_lists_every_record(results, text):
    store(results, "gmm@velocity", identity="beef" * 16)
    with pytest.raises(BadInput, match=r"names no record.*ped2/gmm@velocity:0 beefbeefbeef"):
        locate(results, text)


def test_without_records_the_error_says_what_makes_them(results):
    with pytest.raises(BadInput, match="vadbench run makes them"):
        compare(results, "gmm@velocity", "knn@velocity")


def test_recipes_of_two_datasets_are_not_compared(results):
    store(results, "gmm@velocity")
    store(results, "knn@velocity", dataset="avenue")
    with pytest.raises(BadInput, match="data sets ped2 and avenue"):
        compare(results, "gmm@velocity", "knn@velocity")


def test_recipes_with_other_labels_are_not_compared(results):
    store(results, "gmm@velocity")
    store(results, "knn@velocity", labels="b" * 64)
    with pytest.raises(BadInput, match=r"aaaaaaaa.*bbbbbbbb.*vadbench evaluate"):
        compare(results, "gmm@velocity", "knn@velocity")


@pytest.mark.parametrize(
    ("rule", "value"),
    [("smoothing", 5.0), ("smoothing", None), ("ties", "order"), ("alpha", 0.2), ("beta", 0.2)],
)
def test_recipes_under_another_protocol_are_not_compared(results, rule, value):
    store(results, "gmm@velocity")
    store(results, "knn@velocity", **{rule: value})
    with pytest.raises(BadInput, match=f"protocol {rule} .* and {value}; expected the same"):
        compare(results, "gmm@velocity", "knn@velocity")
