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

from vadbench.report.tables import latex, latex_text
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
    assert any(line.startswith("mulde velocity 97.1 ± 0.2") and "90.0" in line for line in lines)
    assert any(line.startswith("ITAE+NF itae 97.3 50.0") for line in lines)
    assert "Published (mulde-cvpr2024, table1)" in lines
    assert lines.index("Measured") < lines.index("Published (mulde-cvpr2024, table1)")
    assert any(line.endswith("not run") for line in lines)


@needs_latex
@pytest.mark.parametrize(
    "table", [report_tables.nasty(), report_tables.wide()], ids=["nasty", "wide"]
)
def test_tables_with_any_text_and_of_any_width_compile_and_stay_within_the_page(table, tmp_path):
    log, _ = typeset(latex.render(table), tmp_path)
    assert "Overfull \\hbox" not in log


@needs_latex
def test_a_table_longer_than_a_page_still_fits_one(tmp_path):
    table = report_tables.published()
    log, _ = typeset(latex.render(replace(table, rows=table.rows * 40)), tmp_path)
    assert "Float too large" not in log
    assert "Overfull \\vbox" not in log


@needs_latex
def test_every_character_that_a_text_may_hold_compiles(tmp_path):
    written = [*map(chr, range(0x20, 0x250)), *latex_text.KNOWN, "\u0301", "\u4e2d", "\U0001f600"]
    typeset(
        "\n\n".join(
            f"{latex_text.escape(character * 2)}x \\textbf{{{latex_text.escape(character)}}}"
            for character in written
        ),
        tmp_path,
    )


@given(st.text())
def test_an_escaped_text_is_ascii_on_one_line_with_balanced_braces_and_no_live_character(text):
    escaped = latex_text.escape(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    # escaped characters, accents and symbols of mathematics
    plain = re.sub(r"\\[&%$#_{}~]|\$[^$]*\$", "", escaped)
    assert not set(plain) & set("%#&$_~")
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


def test_a_character_that_no_font_has_is_told_by_its_number():
    assert latex_text.escape("a 中") == "a U+4E2D"
    assert latex_text.escape(unicodedata.normalize("NFD", "é")) == r"\'{e}"


def test_a_clear_best_is_bold_its_second_underlined_and_a_contested_best_is_neither():
    text = latex.render(report_tables.published())
    assert r"\textbf{97.1}" in text
    assert r"\underline{95.3}" in text
    assert r"90.1 & \,$\approx$" in text
    assert text.count(r"$\approx$ \\") + text.count(r"$\approx$ &") == 2
    assert r"\textbf{90" not in text
    assert r"\underline{90" not in text


def test_the_difference_to_the_published_figure_stands_behind_the_value():
    assert r"\textbf{97.1} & \,{\scriptsize $\pm$ 0.2 $\Delta$ $-$0.3}" in latex.render(
        report_tables.published()
    )


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
    assert text.count(r"\midrule") == 1


def test_several_data_sets_stand_above_their_columns():
    text = latex.render(report_tables.wide())
    assert r" &  & \multicolumn{16}{c}{synthetic} & \multicolumn{16}{c}{ped2} \\" in text
    assert r"\cmidrule(lr){3-18}\cmidrule(lr){19-34}" in text


@pytest.mark.parametrize(
    ("metrics", "float_"), [(2, "table"), (8, "table*"), (16, "sidewaystable*")]
)
def test_the_wider_the_table_the_more_room_it_takes(metrics, float_):
    wide = report_tables.wide()
    rows = tuple(Row(row.method, row.features, row.cells[:metrics]) for row in wide.rows)
    text = latex.render(replace(wide, columns=wide.columns[:metrics], rows=rows))
    assert f"\\begin{{{float_}}}\n" in text
    assert text.endswith(f"\\end{{{float_}}}\n")


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
    assert latex_text.prose(f"rows of {name}") == "rows of mulde@" + r"\allowbreak{}".join(
        ["", "pose@", "import.accivad+", "deep@", "import.accivad"]
    )
    assert latex_text.prose("velocity@file.vec") == "velocity@file.vec"


def test_streams_lose_their_boxes_only_where_no_two_become_the_same():
    alone = latex.short_streams([Row("knn", "velocity@file.vec + pose@import.accivad", ())])
    assert alone[0] == {"velocity@file.vec": "velocity", "pose@import.accivad": "pose"}
    assert alone[1] == "Features: velocity is `velocity@file.vec`, pose is `pose@import.accivad`."
    assert latex.short_streams([Row("knn", "velocity", ()), Row("knn", "velocity@grid", ())]) == (
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
