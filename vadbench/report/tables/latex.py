r"""Tables as LaTeX (booktabs) for a paper: `\textbf` a clear best, `\underline` its second, the
papers' block below a rule, notes under the table.

Nothing is shrunk: what is wider than the page is stacked in blocks, by data set and then by metric;
what is higher goes on in further floats. Deviations and intervals are shown on request, since with
eight metrics nobody could read them; the head of a column has n, the test videos that its marks
rest on.
"""

from __future__ import annotations

from collections.abc import Sequence

from vadbench.report.tables import layout
from vadbench.report.tables.escape import escape, prose
from vadbench.report.tables.stack import LINE, Block, Detail, read_columns, read_names, stack
from vadbench.report.tables.table import Table

COLUMN = 55  # characters of a line of a paper with two columns, at \footnotesize
LINES = 52  # lines of a page
CAPTION = {"table": 45, "table*": 75}  # characters of a line of a caption
FEWEST = 8  # rows at least of a float, however long its caption


def render(table: Table, *, spread: bool = False, intervals: bool = False) -> str:
    """The table as LaTeX floats: every text escaped, all ASCII; a comment names the package they
    need.

    Args:
        table: of records.
        spread: whether to show deviations over seeds.
        intervals: whether to show 95 % intervals.
    """
    notes = layout.footnotes(table)
    columns = read_columns(table, notes, Detail(spread, intervals))
    names, streams = read_names(table, notes)
    legend = layout.legend(table, intervals=intervals)
    videos = "n: test videos." if any(column.videos for column in columns) else ""
    caption = " ".join(filter(None, (table.caption, legend, videos, streams)))
    blocks = stack(table, columns, names)
    kind = "table" if all(block.width <= COLUMN for block in blocks) else "table*"
    below = sum(1 + len(note) // CAPTION[kind] for note in notes)
    pages = paginate(blocks, len(caption) // CAPTION[kind], below)
    lines = [r"% needs \usepackage{booktabs}"]
    for number, page in enumerate(pages):
        head = _first_head(table, caption) if number == 0 else _next_head(table)
        last = number == len(pages) - 1
        lines += _float(kind, head, page, notes if last else ())
    return "\n".join(lines) + "\n"


def paginate(blocks: Sequence[Block], caption: int, notes: int) -> list[list[Block]]:
    """Blocks on as few pages as they fit, cut between rows where one alone is too high.

    Args:
        blocks: in order.
        caption: lines of the first page's caption.
        notes: lines below the last.
    """
    pages: list[list[Block]] = [[]]
    left = max(LINES - caption - notes, FEWEST)
    waiting = list(blocks)
    while waiting:
        block = waiting.pop(0)
        if block.height <= left:
            pages[-1].append(block)
            left -= block.height
            continue
        whole = LINES - notes
        if pages[-1] and block.height <= whole:
            waiting.insert(0, block)
        else:
            first, rest = block.cut(max(left, FEWEST))
            pages[-1].append(first)
            waiting[:0] = [rest] if rest.rows else []
        if waiting:
            pages.append([])
            left = whole
    return pages


def _first_head(table: Table, caption: str) -> list[str]:
    title = escape(table.title)
    return [
        f"\\caption[{{{title}}}]{{\\textbf{{{title.rstrip('.')}.}} {prose(caption)}}}",
        f"\\label{{tab:{layout.slug(table.title)}}}",
    ]


def _next_head(table: Table) -> list[str]:
    title = escape(table.title).rstrip(".")
    return [r"\addtocounter{table}{-1}", f"\\caption[]{{\\textbf{{{title}}} (continued).}}"]


def _float(kind: str, head: list[str], blocks: Sequence[Block], notes: Sequence[str]) -> list[str]:
    lines = [f"\\begin{{{kind}}}", r"\centering", *head, r"\par\medskip\footnotesize"]
    lines.append(r"\setlength{\tabcolsep}{4pt}")
    for number, block in enumerate(blocks):
        lines += [r"\par\medskip"] if number else []
        lines += block.lines()
    return [*lines, *_notes(notes), f"\\end{{{kind}}}"]


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    lines = [f"\\textsuperscript{{{number}}} {prose(note)}" for number, note in enumerate(notes, 1)]
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        f"{LINE}\n".join(lines),
        r"\end{minipage}",
    ]
