"""What all renderers share, Markdown, CSV, and `vadbench table`."""

import csv
import io
import re
from dataclasses import replace

import pytest
import report_tables
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.report.tables import csv as csv_report
from vadbench.report.tables import html, latex, layout, markdown
from vadbench.report.tables.table import Cell, Column, PublishedRow, Row, Table
from vadbench.spec import METRICS

CELLS = st.builds(Cell, st.floats(0, 1), best=st.integers(0, 2), peer=st.booleans())


def one_column(cells):
    column = Column("ped2", "micro AUC", METRICS["micro AUC"])
    return Table("T", "", (column,), tuple(Row("m", "f", (cell,)) for cell in cells), ())


@given(st.lists(CELLS, min_size=1))
def test_a_column_has_either_a_clear_best_or_peers(cells):
    found = {mark for (mark,) in layout.marks(one_column(cells))} - {""}
    assert found <= {"best", "second"} or found == {"peer"}


def test_a_contested_best_has_no_second_behind_it():
    contested = one_column(
        [Cell(0.92, best=1, peer=True), Cell(0.91, best=2), Cell(0.9, peer=True)]
    )
    assert layout.marks(contested) == [["peer"], [""], ["peer"]]


def test_a_tie_shares_the_best():
    assert layout.marks(one_column([Cell(0.9, best=1), Cell(0.9, best=1), Cell(0.8, best=2)])) == [
        ["best"],
        ["best"],
        ["second"],
    ]


@pytest.mark.parametrize(
    ("difference", "text"), [(0.0031, "+0.3"), (-0.0031, "−0.3"), (-0.0001, "+0.0"), (0.0, "+0.0")]
)
def test_differences_are_signed_percentage_points(difference, text):
    assert layout.points(difference) == text


def test_the_legend_explains_only_the_marks_that_are_there():
    peers = one_column([Cell(0.92, best=1, peer=True), Cell(0.9, best=2, peer=True)])
    clear = one_column([Cell(0.92, best=1), Cell(0.8, best=2)])
    assert "≈" in layout.legend(peers)
    assert "Bold" not in layout.legend(peers)
    assert "Bold" in layout.legend(clear)
    assert "≈" not in layout.legend(clear)
    assert "italic: the second" in layout.legend(clear, second="italic")
    assert layout.legend(one_column([Cell(0.9)])) == ""


def test_all_renderers_mark_the_same_cells():
    table = report_tables.published()
    assert (
        re.findall(r"\*\*(\d+\.\d)", markdown.render(table))
        == re.findall(r"\\textbf\{(\d+\.\d)", latex.render(table))
        == ["97.1"]
    )
    assert (
        re.findall(r"_(\d+\.\d)", markdown.render(table))
        == re.findall(r"\\underline\{(\d+\.\d)", latex.render(table))
        == ["95.3"]
    )
    assert re.findall(r"<strong>(\d+\.\d)", html.render(table)) == ["97.1"]
    assert re.findall(r"<u>(\d+\.\d)", html.render(table)) == ["95.3"]


def lines_of(text, start):
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith(f"| {start}")]


def test_markdown_shows_the_difference_and_the_papers_figures_in_a_table_of_their_own():
    text = markdown.render(report_tables.published())
    assert lines_of(text, "mulde") == [
        "| mulde | velocity@file.vec | **97.1 ± 0.2 [93.0, 98.9] n=12** Δ −0.3 | 90.0 ≈ |"
    ]
    measured, published = text.split("## Published")
    assert "MULDE" not in measured
    assert lines_of(published, "MULDE") == [
        "| MULDE [2] | as published | mulde-cvpr2024, table1 | 97.4 | – |"
    ]
    assert "[1] not run\n\n[2] taken from another paper\n" in published


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("72.95", "0.7295"), ("72.99", "0.7299"), ("76.10", "0.7610"), ("9", "0.09")],
)
def test_every_renderer_keeps_a_papers_decimals(text, fraction):
    paper = PublishedRow("a paper", "X", "f", (float(text) / 100, None), texts=(text, None))
    table = replace(report_tables.published(), published=(paper,))
    assert lines_of(markdown.render(table), "X") == [f"| X | f | a paper | {text} |"]
    assert f"X & f & {text} & " in latex.render(table)
    assert f"<td>{text} " in html.render(table)
    line = next(
        line
        for line in csv.DictReader(io.StringIO(csv_report.render(table)))
        if line["block"] == "published"
    )
    assert line["value"] == fraction


def test_every_renderer_shows_how_a_cell_stands_to_the_papers():
    table = one_column([Cell(0.9, note="1 of 2 seeds failed", beside="ours")])
    table = replace(table, notes=("1 of 2 seeds failed", "ours"))
    assert lines_of(markdown.render(table), "m ") == ["| m | f | 90.0 [1] [2] |"]
    assert r"90.0 & \textsuperscript{1,2}" in latex.render(table)
    assert html.render(table).count('aria-label="note 2"') == 1
    assert "1 of 2 seeds failed; ours" in csv_report.render(table)


def test_markdown_leaves_out_the_metrics_that_no_paper_reports():
    table = report_tables.published()
    papers = (PublishedRow("a paper", "X", "f", (None, 0.5)),)
    published = markdown.render(replace(table, published=papers)).split("## Published")[1]
    assert lines_of(published, "method") == ["| method | features | source | macro AUC (skip) |"]


def test_no_text_breaks_a_markdown_table():
    table = report_tables.nasty()
    text = markdown.render(replace(table, rows=(replace(table.rows[0], method="a|b\nc"),)))
    assert lines_of(text, "a") == [
        line for line in lines_of(text, "a") if line.startswith(r"| a\|b c | ")
    ]
    bars = {
        len(re.findall(r"(?<!\\)\|", line))
        for line in text.split("## Published")[0].splitlines()
        if line.startswith("|")
    }
    assert bars == {5}


def test_csv_has_both_blocks_at_full_precision():
    lines = list(csv.DictReader(io.StringIO(csv_report.render(report_tables.published()))))
    first = lines[0]
    assert first["block"] == "measured"
    assert (first["value"], first["low"], first["high"], first["n"]) == (
        "0.971",
        "0.93",
        "0.989",
        "3",
    )
    assert float(first["delta"]) == 0.971 - 0.974
    assert (first["best"], first["peer"], first["published"]) == ("1", "False", "0.974")
    paper = [line for line in lines if line["block"] == "published"]
    assert [(line["source"], line["metric"], line["value"]) for line in paper] == [
        ("mulde-cvpr2024, table1", "micro_auc", "0.974"),
        ("itae-nf-pr2022, table3", "micro_auc", "0.973"),
        ("itae-nf-pr2022, table3", "macro_auc", "0.5"),
    ]
    assert paper[0]["note"] == "taken from another paper"
    assert all(line["best"] == line["peer"] == line["n"] == "" for line in paper)


def test_csv_tells_why_a_value_is_missing():
    lines = list(csv.DictReader(io.StringIO(csv_report.render(report_tables.published()))))
    missing = next(line for line in lines if line["method"] == "flow")
    assert (missing["value"], missing["note"]) == ("", "not run")


@pytest.fixture
def table(tmp_path_factory):
    """`vadbench table` of a suite that has not run, where others have."""
    results = tmp_path_factory.mktemp("results")
    (results / "recipes").mkdir()
    return lambda *arguments: CliRunner().invoke(
        app, ["table", "velocity", "--results", str(results), *map(str, arguments)]
    )


@pytest.mark.parametrize(
    ("format_", "suffix", "first"),
    [
        ("markdown", ".md", "# "),
        ("latex", ".tex", "% needs"),
        ("html", ".html", "<!doctype html>"),
        ("csv", ".csv", "block,source,method"),
    ],
)
def test_a_table_is_printed_or_written_in_the_format_of_its_name(
    format_, suffix, first, table, tmp_path
):
    printed = table("--format", format_)
    assert printed.stdout.startswith(first)
    out = tmp_path / "new" / f"t{suffix}"
    assert table("--out", out).stdout == f"{format_} table written to {out}\n"
    assert out.read_text() == printed.stdout
    assert list(out.parent.iterdir()) == [out]


def test_an_unknown_format_lists_the_formats(table, tmp_path):
    assert "unknown format 'pdf': choose from csv, html, latex, markdown" in str(
        table("--format", "pdf").exception
    )
    refused = table("--out", tmp_path / "t.pdf").exception
    assert isinstance(refused, BadInput)
    assert ".md, .tex, .html, .csv" in str(refused)
    assert not list(tmp_path.iterdir())


def test_the_caption_says_how_many_videos_stand_behind_an_interval():
    table = report_tables.published()
    first = table.rows[0]
    skip = Cell(0.9, low=0.6, high=0.95, videos=8)
    fewer = replace(table, rows=(replace(first, cells=(first.cells[0], skip)), *table.rows[1:]))
    sentence = "Test videos behind an interval: ped2 12, macro AUC (skip) 8."
    assert sentence in markdown.render(fewer)
    assert sentence in html.render(fewer)
    assert "behind an interval: ped2 12." in markdown.render(table)
    assert "behind an interval" not in latex.render(fewer)
    assert layout.videos_behind(one_column([Cell(0.9)])) == ""
