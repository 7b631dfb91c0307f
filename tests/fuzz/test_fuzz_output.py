"""Any text as a name, a title or a note, through everything that writes for people: each reads as
itself, and none is a formula, a tag, a link, or something that a terminal obeys.
"""

import csv
import io
import json
import re
import sys
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from vadbench.cli import terminal as printing
from vadbench.files.printable import UNSEEN, storable, visible, visible_lines
from vadbench.files.spreadsheet import HARMLESS, STARTS, guard_formula
from vadbench.report.figures import style
from vadbench.report.leaderboard.site import _environment
from vadbench.report.ranks import draw_critical_difference, rank_table
from vadbench.report.tables import csv as as_csv
from vadbench.report.tables import html, latex, markdown, terminal
from vadbench.report.tables.table import Cell, Column, PublishedRow, Row, Table
from vadbench.spec import Metric

PIECES = (
    *("=1+1", "+", "-", "@x", "\t", "\r", "\n", "'", '"', ",", ";", "|", "\\", "\\|", "`", "``"),
    *("<b>", "<img src=x onerror=alert(1)>", "</script>", "<!--", "-->", "]]>", "&lt;", "&#60;"),
    *("[x](javascript:alert(1))", "![x](y)", "[red]", "[/]", "[1]: x", "*a*", "__b__", "_", "~~"),
    *("\x1b[31m", "\x1b]8;;http://x\x07y\x1b]8;;\x07", "\x9b2J", "\x00", "\x7f", "\x08", "\x0c"),
    *(
        "\u202e",
        "\u2066",
        "\u200f",
        "\u061c",
        "\u200b",
        "\u2028",
        "\u2029",
        "\x85",
        "\ufeff",
        "\udcff",
    ),
    *("{{ 1 }}", "{% x %}", "$", "\\input{x}", "%", "#", "{", "}", "knn@velocity", "ped2", " "),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=6).map("".join)
NAMES = TEXTS.filter(str.strip)


def make_table(method, features, dataset, title, note):
    """One measured row, an undefined one, and a paper's, of these texts."""
    columns = (Column(dataset, title, Metric("micro_auc")), Column(dataset, "EER", Metric("eer")))
    rows = (
        Row(method, features, (Cell(0.5, note=note, videos=3), Cell(0.25, n=1))),
        Row("knn", "velocity", (Cell(None, note=note), Cell(0.5, n=1))),
    )
    paper = PublishedRow(title, method, features, (0.5, None), (note,))
    return Table(title, f"Preset `{method}`; {note}.", columns, rows, (note,), (paper,))


TABLES = st.builds(make_table, NAMES, NAMES, NAMES, NAMES, NAMES)


def obeyed(text):
    """What is left in it that a terminal obeys or does not show, but ends of lines."""
    categories = ("Cc", "Cf", "Zl", "Zp", "Cs")
    return [sign for sign in text if sign != "\n" and unicodedata.category(sign) in categories]


def shown(text):
    """A text as a page shows it, whose spaces and ends of lines are all one."""
    return " ".join(visible(" ".join(text.split())).split())


def test_the_signs_that_are_shown_are_those_of_their_categories():
    signs = "".join(map(chr, range(sys.maxunicode + 1)))
    categories = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    wanted = {sign for sign in signs if unicodedata.category(sign) in categories}
    assert wanted - set(UNSEEN.findall(signs)) == set()


@given(TEXTS)
def test_what_is_printed_is_obeyed_by_no_terminal(text):
    assert not obeyed(visible_lines(text))
    assert "\n" not in visible(text)
    assert visible(visible(text)) == visible(text)


@given(TEXTS)
@example("\x1b]0;title\x07")
@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_others_print_neither(is_terminal, text):
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    stream.isatty = lambda: is_terminal
    printing._Shown(stream).write(text)
    stream.flush()
    written = stream.buffer.getvalue().decode()
    drawn = printing._DRAWN.sub("", written) if is_terminal else written
    assert not obeyed(drawn)


@given(TABLES, st.integers(30, 200), st.booleans())
def test_a_table_on_a_terminal_is_obeyed_by_none_and_reads_no_markup(table, width, full):
    text = terminal.render(table, width, full=full)
    assert not obeyed(text)
    styled = io.StringIO()
    console = Console(file=styled, width=width, force_terminal=True, color_system="standard")
    terminal.draw(table, console, full=full)
    assert not obeyed(re.sub(r"\x1b\[[0-9;]*m", "", styled.getvalue()))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", styled.getvalue()), "a colour"


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), min_size=1, max_size=3))
def test_a_grid_has_a_line_a_row(rows):
    lines = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(printing.typer, "echo", lambda line, **_: lines.append(line))
        printing.print_grid(("a", "b"), rows)
    assert len(lines) == 1 + len(rows)
    assert not obeyed("".join(lines))
    assert "\n" not in "".join(lines)


@given(TEXTS)
def test_no_cell_is_a_formula_and_each_is_read_back(text):
    cell = guard_formula(text)
    assert not cell.startswith(STARTS) or HARMLESS.fullmatch(cell)
    assert cell in (storable(text), f"'{storable(text)}")
    cell.encode()


@given(TABLES)
def test_a_csv_is_read_back_cell_for_cell(table):
    text = as_csv.render(table)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 5
    first, paper = rows[0], rows[-1]
    names = {name: first[name] for name in ("method", "features", "dataset", "note")}
    row = table.rows[0]
    told = (row.method, row.features, table.columns[0].dataset, table.notes[0])
    assert tuple(names.values()) == tuple(map(guard_formula, told))
    assert paper["source"] == guard_formula(table.published[0].source)
    for line in csv.reader(io.StringIO(text, newline="")):
        assert all(not cell.startswith(STARTS) or HARMLESS.fullmatch(cell) for cell in line)


@given(TABLES)
def test_markdown_shows_the_texts_and_nothing_else(table):
    text = markdown.render(table)
    assert not obeyed(text)
    assert "<" not in text
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(text)
    inside = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inside)}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "s_open", "fence"}
    of_rows = [token.type for token in tokens if token.type in ("th_open", "td_open", "tr_open")]
    rows = " ".join(of_rows).split("tr_open")[1:]
    assert [len(row.split()) for row in rows] == [4, 4, 4, 4, 4]
    cells = [
        "".join(child.content for child in token.children or ())
        for place, token in enumerate(tokens)
        if token.type == "inline" and tokens[place - 1].type in ("th_open", "td_open")
    ]
    row = table.rows[0]
    assert [shown(cell) for cell in cells[4:6]] == [shown(row.method), shown(row.features)]


class Texts(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.values = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def read_page(text):
    page = Texts()
    page.feed(text)
    page.close()
    return page


KNOWN_TAGS = read_page(html.render(make_table("a", "b", "c", "d", "e"))).tags


@given(TABLES)
def test_html_shows_the_texts_and_nothing_else(table):
    text = html.render(table)
    assert not obeyed(text.replace("\t", ""))
    page = read_page(text)
    assert page.tags <= KNOWN_TAGS
    whole = " ".join("".join(page.texts).split())
    for name in (table.rows[0].method, table.rows[0].features, table.title):
        assert " ".join(visible_lines(name).split()) in whole


@given(TEXTS, TEXTS)
def test_a_page_of_the_site_has_its_data_and_texts_as_they_are(name, value):
    source = (
        '<p title="{{ name }}">{{ name }}</p>'
        '<script type="application/json">{{ {name: value} | tojson }}</script>'
    )
    text = _environment().from_string(source).render(name=name, value=value)
    inside = re.fullmatch(r"<p title=.*</p><script[^>]*>(.*)</script>", text, re.DOTALL)[1]
    assert json.loads(inside) == {name: value}
    assert "<" not in inside
    page = read_page(text[: text.index("<script")])
    assert page.tags == {"p"}
    assert ["".join(page.texts)] == page.values


@given(TABLES)
def test_latex_is_ascii_and_has_its_braces_in_pairs(table):
    text = latex.render(table)
    assert text.isascii()
    assert not obeyed(text)
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"\\(input|write|immediate|include)\b", bare)


@pytest.mark.parametrize(
    "name", ["$\\frac$", "$a_b$", "\x1b[31m\x00\u202e", "a\n<b>&\ufffe", "%$#{}"]
)
@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_picture_takes_any_name(tmp_path, name, suffix):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    path = tmp_path / f"picture{suffix}"
    with style.picture(path, 3.0, 2.0, f"Caption of {name}", below=True) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], label=name)
        axis.set_title(name)
        axis.legend()
    if suffix == ".svg":
        texts = "".join(ElementTree.parse(path).getroot().itertext())
        assert visible(name).replace("\\n", "") in texts.replace("\\n", "").replace("\n", "")
    ranked = Table(
        "t",
        "",
        tuple(Column(dataset, "EER", Metric("eer")) for dataset in ("a", "b")),
        tuple(Row(one, "f", (Cell(value),) * 2) for one, value in ((name, 0.5), ("knn", 0.6))),
        (),
    )
    draw_critical_difference(rank_table(ranked, "EER"), path)
    if suffix == ".svg":
        ElementTree.parse(path)
