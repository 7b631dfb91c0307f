"""The rows of the leaderboard: which records are one, what each says, which are ranked."""

import numpy as np
import pytest
from leaderboard_records import MICRO, RBDC, read_entries, read_entry, write_row
from record_builder import make_result, make_values, write_failure

from vadbench.report.leaderboard.entries import fill_first_view, make_entries
from vadbench.report.leaderboard.methods import other_read_outs
from vadbench.report.leaderboard.payload import payload
from vadbench.results.frame import load_results
from vadbench.results.records import Results
from vadbench.spec import Protocol


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def test_seeds_become_one_entry_with_mean_and_deviation(results):
    for seed, micro in enumerate((0.8, 0.9)):
        write_row(results, "alpha", micro, seed=seed)
    entry = read_entry(results, "alpha")
    cell = entry.cells[MICRO]
    assert (cell.value, cell.n) == (pytest.approx(0.85), 2)
    assert cell.spread == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert entry.seeds == (0, 1)
    assert entry.cost["fit_seconds"] == 2.0


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ({"low": 0.7, "high": 0.95}, "its seeds' records are not at hand together"),
        ({}, "not computed by this version; run vadbench evaluate"),
    ],
    ids=["each seed has an interval", "none has"],
)
def test_seeds_without_their_records_have_no_interval_and_say_why(results, ends, why):
    for seed in (0, 1):
        values = make_values(0.8, Protocol(smoothing=3), **ends)
        write_row(results, "alpha", 0.8, seed=seed, values=values)
    cell = read_entry(results, "alpha").cells[MICRO]
    assert (cell.low, cell.high, cell.why) == (None, None, why)


def test_an_undefined_value_keeps_its_reason_and_is_never_zero(results):
    write_row(results, "alpha", None)
    entry = read_entry(results, "alpha")
    assert [(entry.cells[i].value, entry.cells[i].note) for i in (MICRO, RBDC)] == [
        (None, "one class only")
    ] * 2
    shown = payload([entry], lambda kind, name: name)
    assert shown["texts"][shown["rows"][0][7][MICRO]] == "one class only"


def test_a_value_that_some_seeds_lack_says_so(results):
    write_row(results, "alpha", 0.8, seed=0)
    write_row(results, "alpha", None, seed=1)
    cell = read_entry(results, "alpha").cells[MICRO]
    assert (cell.value, cell.n, cell.note) == (0.8, 1, "undefined for 1 of 2 seeds")


def test_unsmoothed_records_fill_the_columns_of_smoothed_ones(results):
    record = write_row(results, "alpha", 0.8, protocol={"smoothing": None})
    assert {value.smoothing for value in record.values} == {"none"}
    assert read_entry(results, "alpha").cells[MICRO].value == 0.8


@pytest.mark.parametrize(
    ("presets", "settings", "label"),
    [
        (("fast",), {}, "fast"),
        (("paper",), {}, "paper"),
        (("fast", "paper"), {}, "default"),
        (("fast",), {"beta": 0.1}, "fast, beta=0.1"),
    ],
)
def test_settings_are_called_as_they_were_asked_for(results, presets, settings, label):
    write_row(results, "alpha", 0.8, presets=presets, settings=settings)
    assert read_entry(results, "alpha").settings == label


# the first view


RAFT = {"extraction": {"velocity": {"flow": "raft"}}, "fingerprint": "0" * 12}


def first_view(results):
    return [(entry.method, entry.features) for entry in read_entries(results) if entry.usual]


@pytest.mark.parametrize(
    "variant",
    [
        {"stream": "velocity@grid"},
        {"presets": ("paper",), "config": {"k": 7}},
        {"settings": {"k": 7}},
        {"part": RAFT},
        {"source": "street"},
        {"scope": "scene"},
        {"protocol": {"smoothing": 7.0}},
        {"read_outs": ("score", "mean"), "read_out": "mean"},
    ],
    ids=lambda variant: next(iter(variant)),
)
def test_the_first_view_has_one_row_a_method_and_no_variant(results, variant):
    write_row(results, "alpha", 0.8, dataset="ped2")
    write_row(results, "alpha", 0.9, dataset="ped2", **variant)
    assert len(read_entries(results)) == 2
    assert first_view(results) == [("alpha", "velocity")]


def test_a_failed_job_of_the_first_view_stays_in_it(results):
    write_row(results, "alpha", 0.8, dataset="ped2", stream="deep")
    write_failure(results, "alpha@velocity", "out of memory", dataset="ped2")
    assert first_view(results) == [("alpha", "velocity")]


def test_a_data_set_without_usual_rows_shows_all_it_has(results):
    write_row(results, "alpha", 0.8, dataset="ped2")
    write_row(results, "alpha", 0.8, dataset="ped2", stream="deep")
    write_row(results, "alpha", 0.8, dataset="avenue", stream="deep")
    shown = {
        (entry.group.dataset, entry.features)
        for entry in fill_first_view(read_entries(results))
        if entry.usual
    }
    assert shown == {("ped2", "velocity"), ("avenue", "deep")}


def test_the_page_says_which_rows_are_of_the_first_view(results):
    write_row(results, "alpha", 0.8, dataset="ped2", stream="deep")
    write_row(results, "alpha", 0.8, dataset="ped2")
    rows = payload(read_entries(results), lambda kind, name: name)["rows"]
    assert [row[10] for row in rows] == [0, 1]


# what tells rows apart


def write_extracted(results, micro, *fingerprints):
    """A row on two streams whose features have these fingerprints."""
    result = make_result("alpha@velocity+deep", dataset="street")
    parts = tuple(
        part.model_copy(update={"fingerprint": own})
        for part, own in zip(result.parts, fingerprints, strict=True)
    )
    write_row(results, "alpha", micro, result=result.model_copy(update={"parts": parts}))


def test_extractions_are_told_apart_by_their_options(results):
    write_row(results, "alpha", 0.8, stream="deep")
    for size in (64, 224):
        part = {"extraction": {"deep": {"size": size}}, "fingerprint": str(size)}
        write_row(results, "alpha", 0.9, stream="deep", part=part)
    words = {entry.extraction for entry in read_entries(results)}
    assert words == {"", "deep.size=64", "deep.size=224"}


def test_extractions_of_equal_options_are_told_apart_by_the_streams_whose_files_differ(results):
    write_extracted(results, 0.8, "a" * 12, "b" * 12)
    write_extracted(results, 0.9, "a" * 12, "c" * 12)
    assert [entry.remark for entry in read_entries(results)] == [
        "fast; made from other files (bbbbbb)",
        "fast; made from other files (cccccc)",
    ]


def test_versions_of_the_code_are_told_apart(results):
    write_row(results, "alpha", 0.8)
    write_row(results, "alpha", 0.9, part={"code": {"method": {"version": 2}}})
    words = sorted(entry.settings for entry in read_entries(results))
    assert words == ["fast, version 1", "fast, version 2"]


def test_what_is_usual_comes_first(results):
    write_row(results, "alpha", 0.8, source="elsewhere")
    write_row(results, "alpha", 0.8, scope="scene")
    write_row(results, "alpha", 0.8)
    assert [entry.group.training for entry in read_entries(results)] == [
        "one-class, pooled",
        "one-class, per scene",
        "one-class, pooled, trained on elsewhere",
    ]


def test_entries_keep_their_order_whatever_that_of_the_rows(results):
    for method in ("beta", "alpha"):
        write_row(results, method, 0.9)
    frame = load_results(results.root)
    for rows in (frame, frame.iloc[::-1]):
        assert [entry.method for entry in make_entries(rows)] == ["alpha", "beta"]


# what is not ranked


def test_of_several_settings_none_but_presets_are_ranked(results):
    write_row(results, "knn", 0.8, config={"k": 5})
    write_row(results, "knn", 0.9, config={"k": 5}, settings={"k": 77})
    usual, ablated = sorted(read_entries(results), key=lambda entry: entry.level)
    assert (usual.settings, usual.unranked) == ("fast", None)
    assert ablated.settings == "fast, k=77"
    assert "several settings" in ablated.unranked


def test_a_single_choice_of_settings_is_ranked_whatever_it_is(results):
    write_row(results, "alpha", 0.8, settings={"width": 3})
    assert read_entry(results, "alpha").unranked is None


@pytest.mark.parametrize("settings", [{}, {"width": 3}], ids=["the preset", "changed"])
def test_published_settings_that_were_chosen_by_test_labels_are_not_ranked(results, settings):
    write_row(results, "diffusion", 0.9, presets=("paper",), settings=settings)
    expected = (
        "preset paper: its authors chose diffusion's t, diffusion's p_mean, diffusion's p_std by"
        " test labels"
    )
    assert read_entry(results, "diffusion").unranked == expected


RESIZED = {"extraction": {"deep": {"size": 224}}}
SMALL = {"extraction": {"deep": {"size": 64}}}
ROOT, SUM = {"calibration": "sqrt"}, {"calibration": "none"}


@pytest.mark.parametrize(
    ("dataset", "method", "why", "more"),
    [
        ("street", "diffusion", "P_mean", {}),
        ("street", "accivad-root", "a squared one drowns them", {}),
        (
            "street",
            "gmm",
            "a squared one drowns them",
            {"stream": "velocity+deep", "part": ROOT},
        ),
        ("street", "magnitude", "columns of speed alone", {}),
        ("street", "magnitude", "columns of speed alone", {"stream": "tracks"}),
        ("street", "knn", "orientation bin", {"stream": "velocity.hof1@grid"}),
        ("ped2", "knn", "224 px", {"stream": "deep@file.maskrcnn", "part": RESIZED}),
    ],
)
def test_what_was_settled_with_test_figures_known_is_shown_and_not_ranked(
    results, dataset, method, why, more
):
    write_row(results, method, 0.9, dataset=dataset, **more)
    entry = read_entry(results, method)
    assert entry.cells[MICRO].value == 0.9
    assert entry.unranked.startswith("settled with test figures known")
    assert why in entry.unranked
    assert "`" not in entry.unranked


@pytest.mark.parametrize(
    ("dataset", "method", "more"),
    [
        ("street", "accivad", {}),
        ("street", "gmm", {"part": SUM}),
        ("street", "magnitude", {"stream": "deep"}),
        ("street", "knn", {"stream": "velocity.hof1@file.vec"}),
        ("ped2", "knn", {"stream": "deep@file.maskrcnn", "part": SMALL}),
        ("ped1", "knn", {"stream": "deep@file.maskrcnn", "part": RESIZED}),
    ],
)
def test_what_only_resembles_what_was_settled_is_ranked(results, dataset, method, more):
    write_row(results, method, 0.9, dataset=dataset, **more)
    assert read_entry(results, method).unranked is None


def test_read_outs_that_are_not_the_default_are_never_ranked(results):
    both = ("mixture", "mean")
    write_row(results, "alpha", 0.8, read_outs=both)
    write_row(results, "beta", 0.9, read_outs=both, read_out="mean")
    assert read_entry(results, "alpha").read_out == "mixture"
    other = read_entry(results, "beta")
    assert other.unranked == "read-out mean, which is not the method's default"
    assert other.remark == "fast; read-out mean"


def test_read_outs_of_other_trainings_are_not_averaged(results):
    for micro, source in ((0.8, None), (0.6, "elsewhere")):
        write_row(results, "alpha", micro, read_outs=("mixture", "mean"), source=source)
    others = other_read_outs(load_results(results.root))["alpha"]
    assert [(entry.read_out, entry.cells[MICRO].value) for entry in others] == [
        ("mean", 0.8),
        ("mean", 0.6),
    ]


# failed jobs


def test_a_failed_job_is_an_entry_of_dashes_with_its_error(results):
    write_row(results, "alpha", 0.8, dataset="ped2")
    write_failure(results, "beta@velocity", "out of memory")
    failed, done = read_entry(results, "beta"), read_entry(results, "alpha")
    assert failed.group == done.group
    assert {cell.value for cell in failed.cells} == {None}
    assert failed.unranked == "seed 0 failed: out of memory"
    assert failed.settings == "fast"


def test_a_failed_seed_stands_beside_those_that_ran(results):
    write_row(results, "alpha", 0.8, dataset="ped2", seed=0)
    write_failure(results, "alpha@velocity", "out of memory", seed=1)
    entry = read_entry(results, "alpha")
    assert (entry.seeds, entry.unranked) == ((0,), None)
    assert entry.failures == ("seed 1 failed: out of memory",)


def test_a_failure_on_other_files_is_no_seed_of_a_row_that_ran(results):
    write_row(results, "alpha", 0.8, dataset="ped2", part=RAFT)
    write_failure(results, "alpha@velocity", "out of memory", seed=1)
    assert [entry.failures for entry in read_entries(results) if entry.seeds] == [()]
