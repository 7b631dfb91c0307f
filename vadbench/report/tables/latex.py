r"""Tables as LaTeX (booktabs) for a paper: `\textbf` a clear best, `\underline` its second, the
papers' block below a rule, notes under the table.

Intervals stay out: with eight metrics nobody could read them, and the marks already say what
differs. HTML, Markdown and CSV have them. The head of a column has n, the test videos that its
marks rest on.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from vadbench.report.tables import layout
from vadbench.report.tables.latex_text import escape, prose
from vadbench.report.tables.layout import Mark
from vadbench.report.tables.table import Cell, PublishedRow, Row, Table

PACKAGES = ("booktabs", "adjustbox", "rotating")
# characters at most of a table one column wide, and of one that is not turned
ONE_COLUMN, PORTRAIT = 65, 160
LINES = 30  # rows at most of a table that is turned: a turned page is wide but not high
# characters of a column's head, of a method and of its features before they break
HEAD, NAME = 12, 44
GAP = 2  # characters between columns
BREAK = r"\\"
MARGINS = 2  # columns before the metrics: method and features


def render(table: Table) -> str:
    """The table as a LaTeX float: every text escaped, all ASCII; a comment names the packages it
    needs.

    A table wider than the text or higher than three quarters of the page is shrunk to fit.
    """
    notes = layout.footnotes(table)
    short, streams = short_streams(table.rows)
    caption = " ".join(
        filter(
            None, (table.caption, layout.legend(table, intervals=False), _counted(table), streams)
        )
    )
    float_ = _float(_width(table, short), len(table.rows) + len(table.published))
    title = escape(table.title)
    lines = [
        f"% needs \\usepackage{{{','.join(PACKAGES)}}}",
        f"\\begin{{{float_}}}",
        r"\centering",
        f"\\caption[{{{title}}}]{{\\textbf{{{title.rstrip('.')}.}} {prose(caption)}}}",
        f"\\label{{tab:{layout.slug(table.title)}}}",
        r"\par\medskip\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        r"\begin{adjustbox}{max totalsize={\linewidth}{0.75\textheight},center}",
        f"\\begin{{tabular}}{{@{{}}ll*{{{len(table.columns)}}}{{r@{{}}l}}@{{}}}}",
        r"\toprule",
        *_heads(table),
        r"\midrule",
        *([_heading("Measured", table)] if table.published else []),
        *(
            _measured(row, of_row, notes, short)
            for row, of_row in zip(table.rows, layout.marks(table), strict=True)
        ),
        *_published(table, notes),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{adjustbox}",
        *_notes(notes),
        f"\\end{{{float_}}}",
    ]
    return "\n".join(lines) + "\n"


def short_streams(rows: Sequence[Row]) -> tuple[dict[str, str], str]:
    """Names of streams without the boxes they lie in, `velocity` for `velocity@file.vec`, and the
    sentence that tells; as they are if two are alike.

    Returns:
        Stream -> name in the table, and the sentence, empty if no name is shorter.
    """
    streams = list(dict.fromkeys(stream for row in rows for stream in row.features.split(" + ")))
    short = {stream: stream.partition("@")[0] for stream in streams}
    if len(set(short.values())) < len(streams):
        return dict(zip(streams, streams, strict=True)), ""
    told = [f"{name} is `{stream}`" for stream, name in short.items() if name != stream]
    return short, f"Features: {', '.join(told)}." if told else ""


def _width(table: Table, short: dict[str, str]) -> int:
    """About how many characters a line of the table has."""
    names = [(row.method, _features(row, short)) for row in table.rows] + [
        (row.method, row.features) for row in table.published
    ]
    texts = [
        [line for of_row in names for line in _lines(of_row[place], NAME)]
        for place in range(MARGINS)
    ]
    for position, column in enumerate(table.columns):
        cells = [row.cells[position] for row in table.rows]
        texts.append(
            [
                *_lines(column.title, HEAD),
                *(f"00.0{layout.spread(cell)}{layout.delta(cell)} ≈" for cell in cells),
            ]
        )
    return sum(GAP + max(map(len, of_column), default=0) for of_column in texts)


def _float(width: int, rows: int) -> str:
    if width > PORTRAIT and rows <= LINES:
        return "sidewaystable*"
    return "table" if width <= ONE_COLUMN else "table*"


def _heads(table: Table) -> list[str]:
    """The heads of the columns, below those of their data sets if there are several."""
    groups = layout.datasets(table.columns)
    titles = [
        _head(column.title, _videos(table, position))
        for position, column in enumerate(table.columns)
    ]
    lines = [" & ".join(["Method", "Features", *titles]) + r" \\"]
    if len(groups) == 1:
        return lines
    spans, rules, first = [], [], MARGINS + 1
    for dataset, count in groups:
        spans.append(f"\\multicolumn{{{2 * count}}}{{c}}{{{escape(dataset)}}}")
        rules.append(f"\\cmidrule(lr){{{first}-{first + 2 * count - 1}}}")
        first += 2 * count
    return [" & ".join(["", "", *spans]) + r" \\", "".join(rules), *lines]


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _head(title: str, videos: str) -> str:
    """A column's head over its two halves, number and what follows it."""
    lines = [*_lines(title, HEAD), *([videos] if videos else [])]
    return f"\\multicolumn{{2}}{{c}}{{\\shortstack{{{BREAK.join(map(escape, lines))}}}}}"


def _videos(table: Table, position: int) -> str:
    """`n = 12`, the test videos that a column's intervals and marks rest on; nothing where it has
    none.
    """
    known = {
        row.cells[position].videos for row in table.rows if layout.interval(row.cells[position])
    }
    counts = sorted(count for count in known if count is not None)
    return f"n = {'-'.join(map(str, dict.fromkeys([counts[0], counts[-1]])))}" if counts else ""


def _counted(table: Table) -> str:
    """The sentence that tells what n is."""
    return (
        "n: test videos."
        if any(_videos(table, position) for position in range(len(table.columns)))
        else ""
    )


def _name(text: str) -> str:
    """A method or its features, on as many lines as it takes."""
    lines = [escape(line) for line in _lines(text, NAME)]
    return (
        "".join(lines)
        if len(lines) < 2
        else f"\\begin{{tabular}}[t]{{@{{}}l@{{}}}}{BREAK.join(lines)}\\end{{tabular}}"
    )


def _heading(text: str, table: Table) -> str:
    width = MARGINS + 2 * len(table.columns)
    return f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\textit{{{escape(text)}}}}} \\\\"


def _measured(row: Row, of_row: Sequence[Mark], notes: list[str], short: dict[str, str]) -> str:
    cells = [_cell(cell, mark, notes) for cell, mark in zip(row.cells, of_row, strict=True)]
    return " & ".join([_name(row.method), _name(_features(row, short)), *cells]) + r" \\"


def _features(row: Row, short: dict[str, str]) -> str:
    return " + ".join(short[stream] for stream in row.features.split(" + "))


def _cell(cell: Cell, mark: Mark, notes: list[str]) -> str:
    """A number, flush right with those above and below, and what follows it; a dash in the middle
    of both.
    """
    references = _references(cell.notes, notes)
    number = escape(layout.percent(cell.value))
    if cell.value is None:
        return _dash(references)
    command = {"best": r"\textbf", "second": r"\underline"}.get(mark)
    small = " ".join(escape(text) for text in (layout.spread(cell), layout.delta(cell)) if text)
    after = (f"\\,{{\\scriptsize {small}}}" if small else "") + (
        r"\,$\approx$" if mark == "peer" else ""
    )
    return f"{f'{command}{{{number}}}' if command else number} & {after}{references}"


def _dash(references: str = "") -> str:
    beside = rf"\rlap{{{references}}}" if references else ""
    return f"\\multicolumn{{2}}{{c}}{{{escape(layout.percent(None))}{beside}}}"


def _published(table: Table, notes: list[str]) -> list[str]:
    """The papers' rows, under the table of the paper each comes from."""
    lines = []
    for source, rows in layout.by_source(table).items():
        lines += [
            r"\midrule",
            _heading(f"Published ({source})", table),
            *(_reported(row, notes) for row in rows),
        ]
    return lines


def _reported(row: PublishedRow, notes: list[str]) -> str:
    values = [
        _dash() if value is None else f"{escape(layout.reported(row, position))} & "
        for position, value in enumerate(row.values)
    ]
    return (
        " & ".join(
            [_name(row.method) + _references(row.notes, notes), _name(row.features), *values]
        )
        + r" \\"
    )


def _references(told: Sequence[str], notes: list[str]) -> str:
    found = layout.numbers(notes, told)
    return f"\\textsuperscript{{{','.join(map(str, found))}}}" if found else ""


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    told = [f"\\textsuperscript{{{number}}} {prose(note)}" for number, note in enumerate(notes, 1)]
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        "\\\\\n".join(told),
        r"\end{minipage}",
    ]
