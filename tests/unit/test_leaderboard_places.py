"""Places within a group, and ranks over data sets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaderboard_records import EER, MICRO, read_entries, write_row

from vadbench.evaluation.metrics.uncertainty import Jackknife, combine, interval
from vadbench.report.leaderboard.entries import fill_first_view, make_entries
from vadbench.report.leaderboard.payload import payload
from vadbench.report.leaderboard.places import add_places
from vadbench.report.leaderboard.standings import (
    list_outside,
    make_standings,
    shared_datasets,
)
from vadbench.results.frame import load_results
from vadbench.results.records import Results

SHARED, OWN = np.random.default_rng(0).normal(size=(2, 8)) * [[0.1], [0.001]]


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def read_placed(results):
    """All rows with their places."""
    records = {record.identity: record for record in results.all_records()}
    frame, runs = load_results(results.root), list(results.all_runs())
    jackknives = {identity: results.jackknife(record) for identity, record in records.items()}
    return add_places(make_entries(frame, runs, jackknives.__getitem__))


def read_places(results, metric=MICRO):
    """Method -> place by a metric, or why it has none."""
    return {entry.method: entry.places[metric] for entry in read_placed(results)}


@pytest.mark.parametrize(("gap", "second"), [(0.05, 2), (0.0003, 1)])
def test_rows_that_do_not_differ_share_a_place(results, gap, second):
    write_row(results, "alpha", 0.8, moves=SHARED)
    write_row(results, "beta", 0.8 - gap, moves=SHARED + OWN)
    assert read_places(results) == {"alpha": 1, "beta": second}


def test_a_place_is_one_more_than_the_rows_that_are_better(results):
    write_row(results, "alpha", 0.9, moves=SHARED + OWN[::-1])
    write_row(results, "beta", 0.8, moves=SHARED + OWN)
    write_row(results, "gamma", 0.7999, moves=SHARED)
    write_row(results, "delta", 0.5, moves=SHARED - OWN)
    assert read_places(results) == {"alpha": 1, "beta": 2, "gamma": 2, "delta": 4}


def test_a_place_counts_the_seeds_spread(results):
    for seed, (alpha, beta) in enumerate(((0.7, 0.65), (0.9, 0.85))):
        write_row(results, "alpha", alpha, seed=seed, moves=SHARED + OWN)
        write_row(results, "beta", beta, seed=seed, moves=SHARED)
    assert read_places(results) == {"alpha": 1, "beta": 1}


def test_what_is_not_ranked_takes_no_place_from_others(results):
    write_row(results, "magnitude", 0.9, moves=SHARED)
    write_row(results, "alpha", 0.8, moves=SHARED + OWN)
    assert read_places(results)["alpha"] == 1


@pytest.mark.parametrize(
    ("moves", "why"), [(SHARED[:2], "too few videos"), (None, "not computed by this version")]
)
def test_where_no_difference_can_be_tested_there_is_no_place(results, moves, why):
    for method, micro in (("alpha", 0.8), ("beta", 0.3)):
        write_row(results, method, micro, moves=moves)
    assert all(why in place for place in read_places(results).values())


def test_a_metric_without_a_test_has_no_places(results):
    for method, micro in (("alpha", 0.8), ("beta", 0.3)):
        write_row(results, method, micro, moves=SHARED)
    assert all("EER: no place" in place for place in read_places(results, EER).values())


def test_the_interval_of_seeds_is_over_videos_and_seeds(results):
    for seed, micro in enumerate((0.8, 0.9)):
        write_row(results, "alpha", micro, seed=seed, moves=SHARED)
    (entry,) = read_placed(results)
    expected = interval(combine([0.8, 0.9], [Jackknife.of_left_out(-SHARED)] * 2))
    cell = entry.cells[MICRO]
    assert (cell.low, cell.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert cell.videos == 8


# ranks over data sets


def read_standing(results):
    """The only one."""
    (standing,), count = make_standings(read_entries(results))
    assert count == 1
    return standing


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": {"smoothing": 7.0}},
        {"source": "elsewhere"},
        {"scope": "scene"},
        {
            "split": {
                "name": "every-second",
                "sha256": "0",
                "train_videos": 2,
                "test_videos": 1,
            }
        },
        {"labels": {"sha256": "1" * 64}},
    ],
    ids=["smoothing", "source", "scope", "split", "labels"],
)
def test_what_is_not_comparable_is_another_group_and_never_ranked_with_the_rest(results, other):
    for dataset in ("street", "square"):
        for method in ("alpha", "beta"):
            write_row(results, method, 0.8, dataset=dataset)
        write_row(results, "gamma", 0.9, dataset=dataset, **other)
    entries = read_entries(results)
    groups = {entry.method: entry.group for entry in entries if entry.group.dataset == "street"}
    assert groups["alpha"] == groups["beta"] != groups["gamma"]
    assert len(payload(entries, lambda kind, name: name)["groups"]) == 4
    standings, _ = make_standings(entries)
    assert [{row.method for row in standing.tables[MICRO].rows} for standing in standings] == [
        {"alpha", "beta"}
    ]


def test_figures_of_two_extractions_are_never_ranked_together(results):
    for dataset in ("street", "square"):
        for method in ("alpha", "beta"):
            write_row(results, method, 0.8, dataset=dataset, part={"fingerprint": "aaaaaaaa"})
        write_row(results, "gamma", 0.9, dataset=dataset, part={"fingerprint": "bbbbbbbb"})
    assert set(read_standing(results).ranked) == {"alpha", "beta"}


def test_ranks_are_averaged_over_shared_data_sets_and_null_where_a_result_is_missing(results):
    for method, micro in (("alpha", 0.9), ("beta", 0.8), ("gamma", 0.7)):
        write_row(results, method, micro, dataset="street")
    for method, micro in (("alpha", 0.9), ("beta", 0.8)):
        write_row(results, method, micro, dataset="square")
    standing = read_standing(results)
    rows = {row.method: row for row in standing.tables[MICRO].rows}
    assert {name: (row.ranks, row.average, row.borda) for name, row in rows.items()} == {
        "alpha": ((1, 1), 1, 2),
        "beta": ((2, 2), 2, 0),
        "gamma": (None, None, None),
    }
    assert "square" in rows["gamma"].reason
    # the lowest error is the best
    assert {row.method: row.average for row in standing.tables[EER].rows}["alpha"] == 1


def test_streams_fused_in_another_order_are_the_same_features(results):
    for dataset in ("street", "square"):
        write_row(results, "alpha", 0.9, dataset=dataset, stream="velocity+deep")
        write_row(results, "beta", 0.8, dataset=dataset, stream="deep+velocity")
    assert read_standing(results).ranked == ("alpha", "beta")


def test_a_standing_names_the_methods_that_it_does_not_rank(results):
    for dataset in ("ped1", "ped2"):
        for method in ("alpha", "beta", "magnitude"):
            write_row(results, method, 0.8, dataset=dataset)
        write_row(results, "alpha", 0.9, dataset=dataset, settings={"k": 3})
        write_row(results, "delta", 0.9, dataset=dataset, stream=f"deep.{dataset}")
    standing = read_standing(results)
    ((method, why),) = standing.unranked
    assert (method, standing.absent) == ("magnitude", ("delta",))
    assert "columns of speed alone" in why


def test_data_sets_without_shared_features_are_named_with_theirs(results):
    for dataset, stream in (("ped1", "velocity"), ("ped2", "velocity"), ("avenue", "deep")):
        for method in ("alpha", "beta"):
            write_row(results, method, 0.8, dataset=dataset, stream=stream)
    write_row(results, "alpha", 0.8, dataset="shanghaitech", stream="tracks")
    write_row(results, "alpha", 0.8, dataset="shanghaitech", stream="deep.other")
    entries = fill_first_view(read_entries(results))
    standings, _ = make_standings(entries)
    outside = [("avenue", ("deep",)), ("shanghaitech", ("tracks",))]
    assert list_outside(entries, standings) == outside


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("uvwxyz")), max_size=6))
def test_no_other_choice_of_data_sets_gives_more_ranked_results(methods):
    def count_results(choice):
        shared = len(set.intersection(*(methods[dataset] for dataset in choice)))
        return shared * len(choice) if shared > 1 else 0

    every = [
        choice
        for count in range(2, len(methods) + 1)
        for choice in combinations(sorted(methods), count)
    ]
    chosen = shared_datasets(methods)
    assert (count_results(chosen) if chosen else 0) == max(map(count_results, every), default=0)
