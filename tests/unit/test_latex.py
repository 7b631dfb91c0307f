"""The LaTeX renderer: what it writes, that it compiles, and what the PDF then says."""

import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace

import pytest
import report_tables
from hypothesis import given
from hypothesis import strategies as st

from vadbench.report.tables import escape, latex, layout
from vadbench.report.tables.table import Row

ENGINES = {
    "pdflatex": ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
    "tectonic": ["tectonic", "--chatter", "minimal", "table.tex"],
}
engine = next((command for name, command in ENGINES.items() if shutil.which(name)), None)
needs_latex = pytest.mark.skipif(
    engine is None, reason="neither pdflatex nor tectonic is installed"
)


def typeset(body, folder):
    """The log and the text of the PDF of a minimal document; the text is None without pdftotext."""
    packages = re.search(r"% needs (\\usepackage\{.*\})", body)
    preamble = packages.group(1) if packages else ""
    (folder / "table.tex").write_text(
        f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="ascii",
    )
    done = subprocess.run(engine, cwd=folder, capture_output=True, check=False)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-2000:]
    text = None
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", "table.pdf", "-"], cwd=folder, capture_output=True, check=True
        ).stdout.decode()
    return log, text


@needs_latex
def test_a_table_with_a_published_block_compiles_and_its_pdf_says_what_the_table_says(tmp_path):
    log, text = typeset(latex.render(report_tables.published()), tmp_path)
    assert "Overfull" not in log
    if text is None:
        pytest.skip("compiled; pdftotext is not installed")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("mulde velocity 97.1 ∆ −0.3") and "90.0" in line for line in lines)
    assert any(line.startswith("ITAE+NF itae 97.3 50.0") for line in lines)
    assert "Published (mulde-cvpr2024, table1)" in lines
    assert lines.index("Measured") < lines.index("Published (mulde-cvpr2024, table1)")
    assert any(line.endswith("not run") for line in lines)


DETAILS = pytest.mark.parametrize("detail", [{}, {"spread": True}, {"intervals": True}], ids=str)


@needs_latex
@DETAILS
def test_a_table_of_any_width_stays_within_the_page(detail, tmp_path):
    log, _ = typeset(latex.render(report_tables.wide(), **detail), tmp_path)
    assert "Overfull \\hbox" not in log


@needs_latex
@DETAILS
def test_a_table_with_any_text_compiles(detail, tmp_path):
    _, text = typeset(latex.render(report_tables.nasty(), **detail), tmp_path)
    assert text is None or "U+4E2D" in text


@needs_latex
def test_a_table_longer_than_a_page_goes_on_in_further_floats(tmp_path):
    table = report_tables.published()
    text = latex.render(replace(table, rows=table.rows * 40))
    log, _ = typeset(text, tmp_path)
    assert "Float too large" not in log
    assert "Overfull \\vbox" not in log
    assert text.count("mulde & velocity") == 40
    assert text.count(r"\begin{table") == text.count("(continued)") + 1 > 2
    assert text.count(r"\label{") == 1


@needs_latex
def test_every_character_that_a_text_may_hold_compiles(tmp_path):
    signs = [*map(chr, range(0x20, 0x250)), *map(chr, range(0x370, 0x400)), *escape.SIGNS]
    written = [*signs, *escape.READABLE, *escape.LACKING, "\u0301", "\u4e2d", "\U0001f600"]
    typeset(
        "\n\n".join(
            f"{escape.escape(character * 2)}x \\textbf{{{escape.escape(character)}}}"
            for character in written
        ),
        tmp_path,
    )


@given(st.text())
def test_an_escaped_text_is_ascii_on_one_line_with_balanced_braces_and_no_live_character(text):
    escaped = escape.escape(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    # escaped characters, accents and symbols of mathematics
    plain = re.sub(r"\\[&%$#_{}~^]", "", escaped)
    assert not set(plain) & set("%#&$_~^")
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


def test_a_character_that_no_font_has_is_told_by_its_number():
    assert escape.escape("a 中") == "a U+4E2D"
    assert escape.escape(unicodedata.normalize("NFD", "é")) == r"\'e"


def test_a_clear_best_is_bold_its_second_underlined_and_a_contested_best_is_neither():
    text = latex.render(report_tables.published())
    assert r"\textbf{97.1}" in text
    assert r"\underline{95.3}" in text
    assert r"90.1 & \,$\approx$" in text
    assert text.count(r"$\approx$ \\") + text.count(r"$\approx$ &") == 2
    assert r"\textbf{90" not in text
    assert r"\underline{90" not in text


def test_the_difference_to_the_published_figure_stands_behind_the_value():
    assert r"\textbf{97.1} & \,{\scriptsize \ensuremath{\Delta} \ensuremath{-}0.3}" in latex.render(
        report_tables.published()
    )


def test_deviations_and_intervals_are_shown_on_request():
    table = report_tables.published()
    both = latex.render(table, spread=True, intervals=True)
    assert r"\textbf{97.1} & \,{\scriptsize \ensuremath{\pm} 0.2 {[}93.0, 98.9] " in both
    assert "In brackets" in both
    assert "pm} 0.2" not in latex.render(table, intervals=True)
    assert "93.0" not in latex.render(table, spread=True)


def test_each_block_of_published_rows_names_its_source_below_a_rule():
    text = latex.render(report_tables.published())
    for source in ("mulde-cvpr2024, table1", "itae-nf-pr2022, table3"):
        assert (
            f"\\midrule\n\\multicolumn{{6}}{{@{{}}l}}{{\\textit{{Published ({source})}}}} \\\\"
            in text
        )


def test_without_published_rows_no_block_is_named():
    text = latex.render(report_tables.wide())
    assert "Measured" not in text
    assert text.count(r"\midrule") == text.count(r"\toprule")


def test_several_data_sets_stand_above_their_columns():
    text = latex.render(first_columns(report_tables.wide(), slice(6, 10)))
    assert r" &  & \multicolumn{4}{c}{synthetic} & \multicolumn{4}{c}{ped2} \\" in text
    assert r"\cmidrule(lr){3-6}\cmidrule(lr){7-10}" in text


def first_columns(table, chosen):
    rows = tuple(Row(row.method, row.features, row.cells[chosen]) for row in table.rows)
    return replace(table, columns=table.columns[chosen], rows=rows)


@pytest.mark.parametrize(("metrics", "float_"), [(2, "table"), (8, "table*"), (16, "table*")])
def test_a_table_wider_than_a_column_spans_the_page(metrics, float_):
    text = latex.render(first_columns(report_tables.wide(), slice(metrics)))
    assert f"\\begin{{{float_}}}\n" in text
    assert text.endswith(f"\\end{{{float_}}}\n")


def test_a_table_wider_than_the_page_is_stacked_by_data_set_then_by_metric():
    text = latex.render(report_tables.wide(), spread=True)
    blocks = re.findall(r"\\multicolumn\{\d+\}\{c\}\{(synthetic|ped2)\}", text)
    assert blocks == ["synthetic", "synthetic", "ped2", "ped2"]
    assert text.count("mulde & velocity") == text.count(r"\begin{tabular}") == 4
    assert r"\scalebox" not in text
    assert "adjustbox" not in text


def test_every_row_has_all_its_columns():
    lines = latex.render(report_tables.published()).splitlines()
    body = [
        line for line in lines[lines.index(r"\midrule") :] if line.endswith(r"\\") and "&" in line
    ]
    assert len(body) == 5
    assert {line.count("&") + line.count(r"\multicolumn{2}") for line in body} == {5}


def test_a_dash_stands_in_the_middle_of_its_column_with_its_note():
    assert (
        r"flow & velocity & \multicolumn{2}{c}{--\rlap{\textsuperscript{1}}} & 40.0 &"
        in latex.render(report_tables.published())
    )


def test_long_names_may_break_in_running_text():
    name = "mulde@pose@import.accivad+deep@import.accivad"
    assert escape.prose(f"rows of {name}") == "rows of mulde@" + r"\allowbreak{}".join(
        ["", "pose@", "import.accivad+", "deep@", "import.accivad"]
    )
    assert escape.prose("velocity@file.vec") == "velocity@file.vec"


def test_streams_lose_their_boxes_only_where_no_two_become_the_same():
    alone = layout.short_streams([Row("knn", "velocity@file.vec + pose@import.accivad", ())])
    assert alone[0] == {"velocity@file.vec": "velocity", "pose@import.accivad": "pose"}
    assert alone[1] == "Features: velocity is `velocity@file.vec`, pose is `pose@import.accivad`."
    assert layout.short_streams([Row("knn", "velocity", ()), Row("knn", "velocity@grid", ())]) == (
        {"velocity": "velocity", "velocity@grid": "velocity@grid"},
        "",
    )


def test_a_column_s_head_has_the_videos_that_its_marks_rest_on():
    text = latex.render(report_tables.published())
    heads = next(line for line in text.splitlines() if line.startswith("Method & Features"))
    assert heads.count("n = 12") == 1  # the other column has no intervals
    assert "n: test videos." in text


def test_the_caption_tells_the_protocol_and_the_marks_but_no_intervals_that_are_not_there():
    text = latex.render(report_tables.published())
    assert r"Preset \texttt{fast}; 12 test videos" in text
    assert "Bold: a best that is significantly better" in text
    assert "In brackets" not in text
