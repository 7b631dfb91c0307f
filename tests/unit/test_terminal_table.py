"""Tables for a terminal: they fit its width, and say what they leave out."""

import re
from dataclasses import replace

import pytest
import report_tables
from hypothesis import given
from hypothesis import strategies as st

from vadbench.report.tables import terminal
from vadbench.report.tables.choose import choose
from vadbench.report.tables.table import FOREIGN, NOT_ASKED, Cell, Row

TABLES = {
    "published": report_tables.published(),
    "nasty": report_tables.nasty(),
    "wide": report_tables.wide(),
}


@given(st.sampled_from(sorted(TABLES)), st.integers(70, 250), st.booleans())
def test_no_line_is_wider_than_the_terminal(name, width, full):
    text = terminal.render(TABLES[name], width, full=full)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 100, 160, 250])
def test_every_column_is_shown_or_named(width):
    table = report_tables.wide()
    text = terminal.render(table, width)
    _, _, left_out = text.partition("not shown: ")
    heads = re.sub(r"\s+", " ", text.partition("mulde")[0])
    for title in {column.title for column in table.columns}:
        named = title in " ".join(left_out.split())
        assert named or title.split()[0] in heads
    assert bool(left_out) == (width < 160)
    assert "--metrics chooses" in text or not left_out


def test_the_first_column_has_deviation_and_interval_and_others_where_there_is_room():
    table = report_tables.wide()
    assert terminal.render(table, 80).count("91.0 ± 1.2 [81.0, 95.0] *") == 2
    assert terminal.render(table, 250).count("91.0 ± 1.2 [81.0, 95.0] *") > 2


def test_each_data_set_has_a_block():
    lines = terminal.render(report_tables.wide(), 100).splitlines()
    assert [line.split()[0] for line in lines if "features" in line] == ["synthetic", "ped2"]


def test_a_clear_best_its_second_and_peers_are_marked_and_explained():
    text = " ".join(terminal.render(report_tables.published(), 100).split())
    assert re.search(r"97\.1 ± 0\.2 \[93\.0, 98\.9\] Δ −0\.3 \*", text)
    assert re.search(r"95\.3 \+", text)
    assert "90.1 ≈" in text
    assert terminal.BEST in text
    assert terminal.PEERS in text
    assert terminal.PEERS not in terminal.render(report_tables.wide(), 100)


def test_papers_stand_below_under_their_table():
    lines = terminal.render(report_tables.published(), 100).splitlines()
    at = lines.index("Published (mulde-cvpr2024, table1)")
    assert lines[at + 1].split() == ["MULDE", "as", "published", "97.4", "–"]


def test_the_caption_is_short_unless_asked_for():
    table = replace(report_tables.published(), summary="Preset fast; percent.")
    short, full = (terminal.render(table, 100, full=full) for full in (False, True))
    assert "Preset fast; percent." in short
    assert "labels `official`" not in short
    assert "labels `official`" in full


def test_what_is_missing_has_its_note_and_remarks_on_papers_only_the_full_caption():
    table = report_tables.published()
    first = replace(table.rows[0], cells=(replace(table.rows[0].cells[0], beside="ours"),) * 2)
    table = replace(table, rows=(first, *table.rows[1:]), notes=("ours", "not run"))
    short, full = (terminal.render(table, 100, full=full) for full in (False, True))
    assert "[2] not run" in short
    assert "[1] ours" not in short
    assert "--caption full" in short
    assert "[1] ours" in full
    assert "–[2]" in short


def test_rows_of_other_data_sets_are_not_repeated_and_one_note_stands_for_all():
    wide = choose(report_tables.wide(), "micro AUC")
    rows = tuple(
        Row(name, "velocity", (Cell(0.9 if name == "a" else None, note=note), Cell(None, note="x")))
        for name, note in (("a", None), ("b", NOT_ASKED), ("c", FOREIGN))
    )
    text = terminal.render(replace(wide, rows=rows, notes=("x", NOT_ASKED, FOREIGN)), 100)
    assert len(re.findall(r"^[abc] +velocity", text, flags=re.MULTILINE)) == 1
    assert "no value: x" in text
