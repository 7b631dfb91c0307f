"""A difference to a paper's figure is taken between like things, else the reason stands there; what
is ours alone says so.
"""

from dataclasses import replace

import pytest
from record_builder import make_plan_table

from vadbench.datasets.base import Resplit
from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.report.published import of_tables
from vadbench.report.tables.papers import NONE, OURS, SIGMA, TIES, remark, same_figure
from vadbench.report.tables.table import Column
from vadbench.results.records import Results
from vadbench.spec import METRICS, Split
from vadbench.suite import make_suite, read_suite, vary

MULDE = "mulde-cvpr2024"
TUR = "diffusion-vad-icip2023"
ZHONG = Resplit("zhong-2019", ("train/01_001", "test/01_0014"), ("train/01_002",))


def column(dataset, title):
    return Column(dataset, title, METRICS[title])


def plan_of(
    method="mulde",
    stream="velocity@import.accivad",
    published="MULDE",
    dataset="avenue",
    row=None,
    **fields,
):
    named = {"label": "MULDE", "method": method, "published": published, **(row or {})}
    return plan_suite(
        make_suite({"rows": [named], "datasets": [dataset], "features": [stream], **fields})
    ).wanted


def beside(planned, tables, title="micro AUC"):
    """The figure, and what is told."""
    cell, published = column(planned[0].result.dataset, title), of_tables(tables)
    return same_figure(planned, cell, published), remark(planned, cell, published, differences=True)


def with_split(wanted, split):
    sizes = {"train_videos": len(split.train), "test_videos": len(split.test)}
    one = wanted[0].result
    training = one.training.model_copy(update={"split": Split(**split.document, **sizes)})
    return (replace(wanted[0], result=one.model_copy(update={"training": training})),)


def test_the_same_thing_has_its_figure_and_the_note_that_sigma_is_not_stated():
    assert beside(plan_of(), (f"{MULDE}/tableS3",)) == (0.866, SIGMA)


def test_a_stated_sigma_that_is_ours_leaves_nothing_open():
    planned = plan_of("accivad", published="AccI-VAD kNN(pose,deep)+GMM(velocity)")
    assert beside(planned, (f"{MULDE}/tableS3",)) == (0.86, None)


def test_regions_say_what_the_papers_code_does_with_equal_scores():
    assert beside(plan_of(), (f"{MULDE}/tableS5",), "RBDC") == (0.138, TIES)


@pytest.mark.parametrize(
    ("changes", "title", "told"),
    [
        (
            {"settings": {"protocol": {"smoothing": None}}},
            "micro AUC",
            "smoothing gaussian-unstated there, none here",
        ),
        (
            {"settings": {"protocol": {"smoothing": 7}}},
            "micro AUC",
            "smoothing gaussian-unstated there, gaussian-7 here",
        ),
        ({}, "micro AUC, unsmoothed", "smoothing gaussian-unstated there, none here"),
        ({}, "macro AUC (skip)", "convention unstated there, skip here"),
        ({"scope": "scene"}, "micro AUC", "one training for all scenes there, one a scene here"),
    ],
)
def test_another_protocol_or_scope_is_the_reason_for_no_difference(changes, title, told):
    assert beside(plan_of(**changes), (f"{MULDE}/tableS3",), title) == (None, NONE + told)


def test_another_setting_is_the_reason_for_no_difference():
    planned = plan_of(setting="unsupervised")
    assert beside(planned, (f"{MULDE}/tableS3",)) == (
        None,
        NONE + "one-class there, unsupervised here",
    )


def test_streams_that_the_paper_does_not_name_are_the_reason_for_no_difference():
    assert beside(plan_of(dataset="ped2"), (f"{MULDE}/table1",)) == (
        None,
        NONE + "the paper does not say which features it is of",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": "velocity@file.vec"},  # another flow
        {"method": "knn"},
        {"published": "MULDE beta=1"},  # no row of that table
        {"row": {"train_on": "ped2"}},
        {"dataset": "ped2"},
        {"published": None},
    ],
)
def test_a_cell_that_no_paper_has_is_ours(changes):
    assert beside(plan_of(**changes), (f"{MULDE}/tableS3",)) == (None, OURS)


def test_a_metric_that_no_paper_reports_is_not_spoken_of():
    assert beside(plan_of(), (f"{MULDE}/tableS3",), "AP") == (None, None)


def unsupervised(split):
    planned = plan_of(
        "diffusion",
        "clip@import.r3d-resnet18",
        "k-diffusion",
        "shanghaitech",
        setting="unsupervised",
    )
    return with_split(planned, split)


def test_the_auc_of_decisions_is_not_that_of_scores():
    told = NONE + "the paper's is the AUC of decisions, of scores here"
    for title in ("micro AUC", "micro AUC, unsmoothed"):
        assert beside(unsupervised(ZHONG), (f"{TUR}/table2b",), title) == (None, told)


def test_the_auc_of_decisions_on_the_papers_split_is_the_same_thing():
    assert beside(unsupervised(ZHONG), (f"{TUR}/table2b",), "decision AUC") == (0.761, None)


@pytest.mark.parametrize(
    "name", ["every-second-test-video", "list-0123abcd", "all-training-videos"]
)
def test_another_split_is_the_reason_for_no_difference(name):
    told = NONE + f"split `zhong-2019` there, `{name}` here"
    assert beside(unsupervised(replace(ZHONG, name=name)), (f"{TUR}/table2b",), "decision AUC") == (
        None,
        told,
    )


def test_one_class_is_not_beside_unsupervised_figures():
    planned = plan_of("diffusion", "clip@import.r3d-resnet18", "k-diffusion", "shanghaitech")
    assert beside(planned, (f"{TUR}/table2b",), "decision AUC") == (
        None,
        NONE + "unsupervised there, one-class here",
    )


def table_of(name, tmp_path, **changes):
    plan = plan_suite(vary(read_suite(name, suites_root()), **changes))
    return make_plan_table(plan, Results(tmp_path))


def notes_of(table, dataset):
    """(row, streams) -> the notes of its cells on a data set."""
    places = [place for place, column in enumerate(table.columns) if column.dataset == dataset]
    return {
        (row.method, row.features): {note for place in places for note in row.cells[place].notes}
        for row in table.rows
    }


def test_only_what_is_ours_is_told_in_other_presets(tmp_path):
    notes = notes_of(table_of("mulde-table1", tmp_path), "avenue")
    assert OURS in notes["MULDE", "velocity@file.vec + deep@file.vec"]
    assert not any(
        note.startswith(NONE) or note == SIGMA for told in notes.values() for note in told
    )


@pytest.mark.parametrize(
    ("name", "row", "dataset"),
    [
        ("itae-nf-table6", ("ITAE, trained on ped2", "itae.error"), "avenue"),
        ("itae-nf-table6", ("ITAE, trained on ped2", "itae.error"), "shanghaitech"),
        ("mulde-tables2", ("kNN", "clip@import.i3d"), "shanghaitech"),
        ("mulde-table1", ("AccI-VAD", "pose@import.accivad + velocity@import.accivad"), "ped2"),
    ],
)
def test_cells_that_a_paper_leaves_out_are_left_out(name, row, dataset, tmp_path):
    assert notes_of(table_of(name, tmp_path), dataset)[row] == {"not asked for on this data set"}


@pytest.mark.parametrize(
    ("name", "changes", "row", "dataset"),
    [
        (
            "mulde-tables2",
            {"features": ("clip@import.i3d",)},
            ("MULDE, β = 1", "clip@import.i3d"),
            "ubnormal",
        ),
        ("mulde-table2", {"datasets": ("avenue",)}, ("MULDE", "clip.hiera-l"), "avenue"),
        ("itae-nf-table4", {}, ("L, raw", "itae.static + itae.dynamic"), "ped2"),
        ("mulde-tables5", {}, ("MULDE", "deep@file.vec"), "avenue"),
    ],
)
def test_cells_of_a_papers_suite_that_the_paper_lacks_say_that_they_are_ours(
    name, changes, row, dataset, tmp_path
):
    assert OURS in notes_of(table_of(name, tmp_path, **changes), dataset)[row]


def test_on_shanghaitech_each_figure_of_table_1_has_a_row_of_its_streams(tmp_path):
    plan = plan_suite(vary(read_suite("mulde-table1", suites_root()), preset="paper"))
    published = of_tables((f"{MULDE}/table1",))
    cells = {}
    for shown, recipe in {(one.shown, one.result.recipe) for one in plan.wanted}:
        planned = [one for one in plan.wanted if (one.shown, one.result.recipe) == (shown, recipe)]
        if (
            figure := same_figure(planned, column("shanghaitech", "micro AUC"), published)
        ) is not None:
            cells[shown] = figure
    assert cells == {
        "MULDE": 0.867,
        "MULDE, β = 0": 0.864,
        "MSMA, as MULDE ran it": 0.841,
        "AccI-VAD": 0.859,
    }


def test_the_auc_of_decisions_is_a_dash_with_the_command(tmp_path):
    table = table_of("diffusion-table2b", tmp_path)
    place = [column.title for column in table.columns].index("decision AUC")
    assert {row.cells[place].note for row in table.rows} == {
        "`vadbench binarised RECORD` prints it of a record, for every k"
    }


def test_figures_of_other_data_sets_stand_beside_an_ablation_of_ours(tmp_path):
    table = table_of("mulde-pooling", tmp_path)
    assert [(column.dataset, column.title) for column in table.columns] == [
        ("synthetic", "micro AUC"),
        ("shanghaitech", "micro AUC"),
    ]
    assert [row.texts for row in table.published] == [
        (None, "78.4"),
        (None, "76.30"),
        (None, "76.02"),
        (None, "75.83"),
    ]


def test_figures_of_other_data_sets_do_not_stand_beside_the_papers_own(tmp_path):
    table = table_of("mulde-table1", tmp_path, datasets=("ped2",))
    assert {column.dataset for column in table.columns} == {"ped2"}
