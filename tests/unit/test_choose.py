"""Rows and columns of a finished table: its marks stay those of the whole."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import report_tables
from record_builder import make_plan_table

from vadbench.errors import BadInput
from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.report.tables import csv, html, latex, layout, markdown, terminal
from vadbench.report.tables.choose import choose, read_titles
from vadbench.report.tables.costs import cost_columns
from vadbench.report.tables.letters import ALPHABET, letter
from vadbench.report.tables.table import Cell, Row
from vadbench.results.records import Results
from vadbench.spec import METRICS
from vadbench.suite import read_suite

COMMITTED = Path(__file__).resolve().parents[2] / "results"


def names(table):
    return [row.method for row in table.rows]


def test_columns_stand_in_the_order_asked_for_in_each_data_set():
    chosen = choose(report_tables.wide(), "RBDC, micro AUC")
    assert [(column.dataset, column.title) for column in chosen.columns] == [
        ("synthetic", "RBDC"),
        ("synthetic", "micro AUC"),
        ("ped2", "RBDC"),
        ("ped2", "micro AUC"),
    ]
    assert {len(row.cells) for row in chosen.rows} == {4}


def test_a_paper_without_a_figure_in_the_chosen_columns_is_left_out():
    chosen = choose(report_tables.published(), "macro AUC (skip)")
    assert [(row.method, row.values) for row in chosen.published] == [("ITAE+NF", (0.5,))]


@pytest.mark.parametrize("title", METRICS)
def test_every_title_is_read_also_those_with_a_comma(title):
    assert read_titles(f"AP,{title.upper()},EER", METRICS) == ["AP", title, "EER"]


def test_rows_are_ordered_by_a_column_the_best_first_and_those_without_a_value_last():
    table = report_tables.published()
    assert names(choose(table, sort="micro AUC")) == ["mulde", "knn", "flow"]
    assert names(choose(table, sort="macro AUC (skip)")) == ["knn", "mulde", "flow"]
    lower = replace(
        table, columns=(replace(table.columns[0], key=METRICS["EER"]), table.columns[1])
    )
    assert names(choose(lower, sort="micro AUC")) == ["knn", "mulde", "flow"]


def test_a_best_that_is_contested_by_a_row_left_out_is_no_clear_best():
    table = report_tables.published()
    alone = choose(table, methods=("flow",))
    assert layout.contested(alone) == [False, True]
    only_mulde = choose(table, methods=("mulde",))
    assert layout.marks(only_mulde) == [["best", "peer"]]
    second = replace(table.rows[1], cells=(table.rows[1].cells[0], Cell(0.9, best=2)))
    contested = replace(table, rows=(table.rows[0], second))
    assert layout.marks(choose(contested, methods=("knn",))) == [["second", ""]]


def test_the_caption_says_that_marks_are_of_the_whole_table():
    chosen = choose(report_tables.published(), methods=("mulde",))
    sentence = "Marks are of the whole table: 2 of its 3 rows are not shown."
    assert sentence in markdown.render(chosen)
    assert sentence in " ".join(terminal.render(chosen, 80).split())
    assert "Marks are of the whole" not in markdown.render(report_tables.published())


def test_notes_of_rows_left_out_are_not_printed():
    assert "not run" not in markdown.render(choose(report_tables.published(), methods=("knn",)))


def test_a_row_is_named_by_its_first_word_too():
    table = report_tables.published()
    rows = (replace(table.rows[0], method="MULDE, beta 0"), *table.rows[1:])
    assert names(choose(replace(table, rows=rows), methods=("MULDE",))) == ["MULDE, beta 0"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"metrics": "AUC"}, "unknown metric of the table 'AUC': choose from macro AUC"),
        ({"methods": ("kn",)}, "unknown method of the table 'kn': choose from flow, knn, mulde"),
        ({"sort": "RBDC"}, "unknown metric of the table 'RBDC'"),
    ],
)
def test_what_the_table_has_not_is_refused_with_what_it_has(chosen, message):
    with pytest.raises(BadInput, match=message):
        choose(report_tables.published(), **chosen)


# letters


def lettered():
    table = report_tables.published()
    first, *others = table.rows
    better = replace(first, cells=(replace(first.cells[0], beats=(1, 2)), first.cells[1]))
    return replace(table, rows=(better, *others), lettered=True)


def test_letters_say_which_rows_a_value_beats_in_place_of_the_sign_of_peers():
    table = lettered()
    text = markdown.render(table)
    assert "| a mulde | velocity@file.vec | **97.1" in " ".join(text.split())
    assert "<sup>bc</sup>" in text
    assert "≈" not in text
    assert "<sup>bc</sup>" in html.render(table)
    assert r"\textsuperscript{bc}" in latex.render(table)
    assert "* bc" in terminal.render(table) or "*bc" in terminal.render(table)


def test_letters_follow_the_rows_that_are_shown():
    chosen = choose(lettered(), methods=("mulde", "flow"), sort="macro AUC (skip)")
    assert [cell.beats for cell in chosen.rows[0].cells] == [(1,), ()]
    turned = choose(lettered(), sort="macro AUC (skip)")
    assert names(turned) == ["knn", "mulde", "flow"]
    assert turned.rows[1].cells[0].beats == (0, 2)


@pytest.mark.parametrize("name", ["velocity", "mulde-table1"])
def test_a_value_beats_all_that_are_not_its_peers_and_none_of_those(name):
    plan = plan_suite(read_suite(name, suites_root()))
    table = make_plan_table(plan, Results(COMMITTED))
    for position, column in enumerate(table.columns):
        cells = [row.cells[position] for row in table.rows]
        valued = {place for place, cell in enumerate(cells) if cell.value is not None}
        for leader in (cell for cell in cells if cell.best == 1 and column.untested is None):
            peers = {place for place in valued if cells[place].peer}
            itself = {cells.index(leader)}
            assert set(leader.beats) == valued - peers - itself


def test_there_is_no_letter_after_the_last():
    assert len({letter(position) for position in range(len(ALPHABET))}) == 52
    with pytest.raises(BadInput, match="52 rows at most"):
        letter(52)


# costs


def records(**changed):
    row = {
        "metric": "micro_auc",
        "identity": "one",
        "n": 200,
        "fit_seconds": 3.0,
        "score_seconds": 0.5,
        "parameters": 1200,
        "peak_memory_mib": 600.0,
        "network_seconds": None,
    }
    return {**row, **changed}


def table_of(*identities):
    column = report_tables.columns("ped2: micro AUC")
    cells = [Cell(0.9, records=of_cell) for of_cell in identities]
    rows = tuple(Row(f"m{place}", "f", (cell,)) for place, cell in enumerate(cells))
    return replace(report_tables.wide(), columns=column, rows=rows)


def test_costs_are_means_over_a_cells_records_and_nothing_where_one_does_not_know():
    frame = pd.DataFrame(
        [
            records(),
            records(metric="rbdc"),
            records(identity="two", fit_seconds=5.0),
            records(identity="three", parameters=None),
        ]
    )
    table = cost_columns(table_of(("one", "two"), ("three",), ()), frame)
    costs = {cost.key: cost.values for cost in table.costs}
    assert costs["fit_seconds"] == (4.0, 3.0, None)
    assert costs["score_ms_a_frame"] == (2.5, 2.5, None)
    assert costs["parameters"] == (1200.0, None, None)


def test_the_seconds_of_a_network_are_a_column_where_a_stream_is_learnt():
    frame = pd.DataFrame([records(network_seconds=600.0), records(identity="two")])
    table = cost_columns(table_of(("one",), ("two",)), frame)
    assert {cost.key: cost.values for cost in table.costs}["network_seconds"] == (600.0, None)


def test_costs_follow_the_rows_that_are_shown():
    frame = pd.DataFrame([records(), records(identity="two", fit_seconds=5.0)])
    table = choose(cost_columns(table_of(("one",), ("two",)), frame), methods=("m1",))
    assert table.costs[0].values == (5.0,)


def test_every_renderer_shows_costs():
    table = cost_columns(table_of(("one",)), pd.DataFrame([records()]))
    for text in (markdown.render(table), html.render(table), terminal.render(table, 120)):
        assert "1200" in text
        assert "2.5" in text
        assert "on the machine that ran" in " ".join(text.split())
    assert "1200 & " in latex.render(table)
    assert "cost,,m0,f,ped2,score_ms_a_frame,,,2.5," in csv.render(table)
