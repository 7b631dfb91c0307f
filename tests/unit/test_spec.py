"""What a result is called and found by, what a metric's title means, what jobs cost together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_builder import make_result

from vadbench.errors import BadInput
from vadbench.spec import (
    BOARD,
    COSTS,
    METRICS,
    USUAL,
    Asked,
    Cost,
    Metric,
    Protocol,
    Split,
    Wanted,
)

SPLIT = Split(name="every-second", sha256="a" * 64, train_videos=3, test_videos=2)
OTHER = {
    "dataset": {"dataset": "avenue"},
    "method": {"recipe": "gmm@velocity"},
    "stream": {"recipe": "knn@deep"},
    "a further stream": {"recipe": "knn@velocity+deep"},
    "a setting": {"config": {"k": 3}},
    "calibration": {"part": {"calibration": "minmax"}},
    "empty frames": {"part": {"empty": "zero"}},
    "extraction": {"part": {"extraction": {"deep": {"size": 224}}}},
    "code": {"part": {"code": {"method": {"version": 2}}}},
    "scope": {"scope": "scene"},
    "source": {"source": "avenue"},
    "split": {"split": SPLIT},
    "smoothing": {"protocol": {"smoothing": 7}},
    "ties": {"protocol": {"ties": "order"}},
    "read-out": {"read_out": "mean"},
}


@pytest.mark.parametrize("what", OTHER)
def test_the_key_changes_with_all_that_a_number_is_of(what):
    keys = {make_result().key, *(make_result(**fields).key for fields in OTHER.values())}
    assert len(keys) == len(OTHER) + 1
    assert make_result(**OTHER[what]).key in keys - {make_result().key}


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 4},
        {"part": {"fingerprint": "e" * 12}},
        {"split": SPLIT.model_copy(update={"sha256": "b" * 64, "train_videos": 9})},
        {"chosen": {"alpha": 0.1}},
    ],
    ids=["seed", "files", "files of a split", "how the protocol was asked for"],
)
def test_the_key_does_not_change_with_the_seed_the_files_or_how_it_was_asked_for(fields):
    same = {"split": SPLIT} if "split" in fields else {}
    assert make_result(**fields).key == make_result(**same).key


def test_a_setting_asked_for_in_two_ways_is_one_result():
    preset = make_result(config={"k": 3}, presets=("paper",))
    assert make_result(presets=("fast",), settings={"k": 3}).key == preset.key


def test_scores_of_somebody_else_are_another_result():
    result = make_result()
    assert result.model_copy(update={"given": "Somebody"}).key != result.key


def test_the_usual_result_needs_no_words():
    result = make_result()
    assert (result.words, result.settings_label, result.title) == ((), "fast", "knn")
    assert (result.recipe, result.name) == ("knn@velocity", "ped2/knn@velocity:0")


@pytest.mark.parametrize(
    ("fields", "preset", "label", "words"),
    [
        ({"presets": ("paper",)}, "paper", "paper", ("preset paper",)),
        ({"presets": ("fast", "paper")}, "default", "default", ()),
        ({"settings": {"k": 3}}, "fast", "fast, k=3", ("k=3",)),
        (
            {"presets": ("paper",), "settings": {"k": 3, "metric": "l1"}},
            "paper",
            "paper, k=3, metric=l1",
            ("preset paper", "k=3", "metric=l1"),
        ),
        (
            {"part": {"asked": None}},
            None,
            "preset not recorded",
            ("preset not recorded",),
        ),
        (
            {"part": {"asked": Asked(presets=("fast",), missing=("width",))}},
            "fast",
            "fast, width not recorded",
            ("width not recorded",),
        ),
        (
            {"part": {"asked": Asked(presets=("fast",), missing=("a", "b", "c"))}},
            "fast",
            "fast, 3 settings not recorded",
            ("3 settings not recorded",),
        ),
    ],
)
def test_words_say_which_preset_and_which_settings(fields, preset, label, words):
    result = make_result(**fields)
    assert (result.preset, result.settings_label, result.words) == (preset, label, words)


def test_words_say_the_extraction_once_for_all_streams():
    result = make_result("knn@deep+clip", part={"extraction": {"deep": {"size": 224}}})
    assert result.words == result.extraction_words == ("deep.size=224",)


def test_words_say_the_read_out_the_training_and_what_was_chosen():
    result = make_result(
        read_out="t0", split=SPLIT, scope="scene", source="avenue", protocol={"alpha": 0.5}
    )
    assert result.words == (
        "read-out t0",
        "per scene",
        "trained on avenue",
        "unsupervised",
        "alpha=0.5",
    )
    assert result.title == "knn (t0, per scene, trained on avenue, unsupervised)"
    assert result.training.setting == "unsupervised"


def of_methods(*asked):
    """A recipe of two methods."""
    parts = tuple(
        part.model_copy(update={"method": method, "asked": one})
        for part, method, one in zip(
            make_result("mine@velocity+deep").parts, ("knn", "gmm"), asked, strict=True
        )
    )
    return make_result("mine@velocity+deep").model_copy(update={"parts": parts})


def test_settings_of_several_methods_say_whose_they_are():
    result = of_methods(
        Asked(presets=("fast",), settings={"k": 3}), Asked(presets=("fast",), settings={"n": 5})
    )
    assert result.setting_words == ("knn.k=3", "gmm.n=5")


def test_the_preset_of_several_is_the_one_that_is_not_all_of_them():
    every, paper = Asked(presets=("fast", "paper")), Asked(presets=("paper",))
    assert of_methods(every, paper).preset == "paper"
    assert of_methods(every, every).preset == "default"
    assert of_methods(paper, None).preset is None


@pytest.mark.parametrize(
    ("label", "shown"),
    [("", "knn (per scene)"), ("Mine", "Mine (per scene)"), ("kNN (per scene)", "kNN (per scene)")],
)
def test_a_row_says_its_training_once(label, shown):
    assert Wanted(make_result(scope="scene"), (), label).shown == shown


def test_of_an_unsupervised_row_the_label_is_enough():
    wanted = Wanted(make_result(split=SPLIT), (), "Mine")
    assert wanted.shown == "Mine"
    assert wanted.place == (wanted.result.key, 0)


# metrics


@pytest.mark.parametrize("title", METRICS)
def test_a_metric_is_read_back_from_its_title(title):
    assert Metric.parse(title).title == title


def test_no_two_titles_are_one_metric():
    assert len(set(METRICS.values())) == len(METRICS)
    assert set(USUAL) <= set(BOARD) <= set(METRICS)


def test_another_title_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match=r"unknown metric 'AUC'; there are: micro AUC, macro AUC \("):
        Metric.parse("AUC")


def test_of_errors_alone_less_is_better():
    assert {title for title in METRICS if METRICS[title].better < 0} == {"EER", "EER, unsmoothed"}


@pytest.mark.parametrize(
    ("sigma", "smoothed"), [(3, "gaussian-3"), (2.5, "gaussian-2.5"), (None, "none")]
)
def test_a_metric_names_the_smoothing_of_its_values(sigma, smoothed):
    protocol = Protocol(smoothing=sigma)
    assert METRICS["micro AUC"].smoothing(protocol) == smoothed
    assert METRICS["micro AUC, unsmoothed"].smoothing(protocol) == "none"
    assert METRICS["RBDC"].smoothing(protocol) == "none"


def test_a_filter_of_no_width_is_none():
    assert Protocol(smoothing=0) == Protocol(smoothing="none") == Protocol()


# costs

numbers = st.none() | st.integers(0, 10**6)


@given(st.lists(st.builds(Cost, **dict.fromkeys(COSTS, numbers)), min_size=1, max_size=4))
def test_costs_are_added_and_the_largest_memory_kept_unless_one_is_not_known(costs):
    total = Cost.over_jobs(costs)
    for name in set(COSTS) - {"network_seconds"}:
        known = [getattr(cost, name) for cost in costs]
        combine = max if name == "peak_memory_mib" else sum
        assert getattr(total, name) == (None if None in known else combine(known))


def test_a_network_is_counted_once_and_unknown_ones_leave_the_sum_unknown():
    one, two = (Cost().with_networks({name: 5.0}) for name in ("a", "b"))
    lost = Cost().with_networks({"c": None})
    assert Cost.over_jobs([one, one]).network_seconds == 5.0
    assert Cost.over_jobs([Cost.over_jobs([one, two]), one]).network_seconds == 10.0
    assert Cost.over_jobs([one, Cost()]).network_seconds == 5.0
    assert Cost.over_jobs([one, lost]).network_seconds is None
    assert Cost.over_jobs([Cost()]).network_seconds is None


def test_no_jobs_cost_nothing_known():
    assert Cost.over_jobs([]) == Cost()
