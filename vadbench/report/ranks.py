"""Methods over several data sets: average and Borda ranks, Friedman's test, Nemenyi's critical
difference and its diagram.

Sources: Demsar, JMLR 2006 (tests, diagram); evaluation/metrics/ranks.py has the formulas. What
cannot be computed is None, with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.ranks import (
    Floats,
    average_ranks,
    borda,
    critical_difference,
    friedman,
    ranks,
)
from vadbench.files.atomic import replace_file
from vadbench.files.printable import visible
from vadbench.registry import unknown
from vadbench.report.tables.layout import table_lines
from vadbench.report.tables.markdown import escape, prose
from vadbench.report.tables.table import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR, GREY = "#b5392f", "0.35"
FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class RankRow:
    """One row of a table over its data sets; ranks are among the rows that have a value on every
    data set.

    Attributes:
        method, features: as in the table.
        ranks: one a data set, 1 = best, ties sharing their mean; None with a `reason`.
        average: their mean.
        borda: rows beaten, summed over data sets, ties counted half.
        reason: why this row is not ranked.
    """

    method: str
    features: str
    ranks: tuple[float, ...] | None = None
    average: float | None = None
    borda: float | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        """`method@stream+stream`."""
        return f"{self.method}@{self.features.replace(' ', '')}"


@dataclass(frozen=True)
class RankTable:
    """Ranks by one metric, best average rank first, unranked rows last.

    Attributes:
        metric: the column's title.
        datasets: what was averaged over.
        rows: of the table.
        p_value: of Friedman's test that the rows do not differ at all; None with a reason in
            `notes`.
        critical_difference: Nemenyi's, at a level of 0.05; average ranks further apart differ
            significantly.
        notes: why something is None.
    """

    metric: str
    datasets: tuple[str, ...]
    rows: tuple[RankRow, ...]
    p_value: float | None
    critical_difference: float | None
    notes: tuple[str, ...]

    @property
    def ranked(self) -> tuple[RankRow, ...]:
        """The rows with ranks."""
        return tuple(row for row in self.rows if row.average is not None)

    def groups(self) -> tuple[tuple[int, int], ...]:
        """Runs of `ranked` without a significant difference, as (first, last) indices; none lies
        within another, none is of one row.
        """
        averages = [row.average for row in self.ranked if row.average is not None]
        limit = -1.0 if self.critical_difference is None else self.critical_difference
        found: list[tuple[int, int]] = []
        for first, start in enumerate(averages):
            last = max(
                i for i, average in enumerate(averages) if i == first or average - start <= limit
            )
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return tuple(found)


def rank_table(table: Table, metric: str = "micro AUC") -> RankTable:
    """Rank a table's rows over its data sets by one metric (a mean over seeds counts once).

    Args:
        table: of two or more data sets.
        metric: a column's title, such as `micro AUC` or `EER` (there the lowest is best).

    Raises:
        BadInput: on an unknown metric.
    """
    columns = [
        (position, column)
        for position, column in enumerate(table.columns)
        if column.title == metric
    ]
    if not columns:
        raise unknown("metric", metric, {column.title for column in table.columns})
    datasets = tuple(column.dataset for _, column in columns)
    gaps = [
        (row.unranked and f"not ranked; {row.unranked}")
        or _gap(row, [(position, column.dataset) for position, column in columns])
        for row in table.rows
    ]
    whole = [row for row, gap in zip(table.rows, gaps, strict=True) if gap is None]
    unranked = [
        RankRow(row.method, row.features, reason=gap)
        for row, gap in zip(table.rows, gaps, strict=True)
        if gap is not None
    ]
    problem = _problem(len(datasets), len(whole))
    if problem:
        rows = tuple(
            RankRow(row.method, row.features, reason=gap or problem)
            for row, gap in zip(table.rows, gaps, strict=True)
        )
        return RankTable(metric, datasets, rows, None, None, (problem,))
    # [D, M], higher is better
    values = np.array(
        [[column.better * _value(row, position) for row in whole] for position, column in columns]
    )
    found = ranks(values)
    ranked = [
        RankRow(row.method, row.features, tuple(map(float, of_row)), float(average), float(beaten))
        for row, of_row, average, beaten in zip(
            whole, found.T, average_ranks(values), borda(values), strict=True
        )
    ]
    ranked.sort(key=lambda row: row.average or 0.0)
    p = friedman(values)[1]
    notes = () if np.isfinite(p) else (f"no Friedman test: {_untested(values)}",)
    limit = critical_difference(len(whole), len(datasets))
    return RankTable(
        metric, datasets, (*ranked, *unranked), float(p) if np.isfinite(p) else None, limit, notes
    )


def render(table: RankTable) -> str:
    """The ranks as Markdown text."""
    reasons = list(dict.fromkeys(row.reason for row in table.rows if row.reason))
    body = []
    for row in table.rows:
        mark = f" [{reasons.index(row.reason) + 1}]" if row.reason else ""
        places = (
            ["–"] * len(table.datasets)
            if row.ranks is None
            else [f"{rank:g}" for rank in row.ranks]
        )
        totals = [
            "–" if value is None else f"{value:.{digits}f}"
            for value, digits in ((row.average, 2), (row.borda, 1))
        ]
        body.append([escape(row.method) + mark, escape(row.features), *places, *totals])
    lines = table_lines(
        ["method", "features", *map(escape, table.datasets), "average rank", "Borda"],
        body,
        left=2,
    )
    return (
        "\n".join(
            [
                f"Ranks by {table.metric}.",
                "",
                *lines,
                "",
                prose(_caption(table)),
                *(f"\n[{i}] {prose(why)}" for i, why in enumerate(reasons, 1)),
            ]
        )
        + "\n"
    )


def draw_critical_difference(table: RankTable, path: Path) -> None:
    """The diagram of Demsar (2006, Fig. 1): average ranks on an axis, a bar over rows that do not
    differ significantly.

    Args:
        table: ranked.
        path: of the picture, .png, .svg or .pdf.

    Raises:
        BadInput: if nothing is ranked, the suffix is another, or matplotlib is not installed.
    """
    if table.critical_difference is None:
        raise BadInput(f"critical-difference diagram of {table.metric}: {'; '.join(table.notes)}")
    if path.suffix not in FORMATS:
        raise BadInput(
            f"{path}: no picture format; expected a name that ends in {', '.join(FORMATS)}"
        )
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadInput(
            "critical-difference diagram: matplotlib is not installed; pip install 'vadbench[plot]'"
        ) from error
    lines = -(-len(table.ranked) // 2)
    depth = _first_label(table) + lines * 0.3  # inches
    figure = Figure(figsize=(8, depth + 0.85))
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set(xlim=(0, 8), ylim=(-depth, 0.85))  # inches, the ranks' axis at 0
    axis.set_axis_off()
    _draw_scale(axis, table)
    _draw_rows(axis, table)
    _draw_groups(axis, table)
    with replace_file(path) as aside:
        # long names widen the picture
        figure.savefig(
            aside, format=path.suffix[1:], dpi=200, facecolor="white", bbox_inches="tight"
        )


def _gap(row: Row, columns: Sequence[tuple[int, str]]) -> str | None:
    """Why a row cannot be ranked."""
    missing = [
        f"{dataset}: {row.cells[position].note or 'no value'}"
        for position, dataset in columns
        if row.cells[position].value is None
    ]
    return f"not ranked; {', '.join(missing)}" if missing else None


def _value(row: Row, position: int) -> float:
    value = row.cells[position].value
    return np.nan if value is None else value


def _problem(datasets: int, rows: int) -> str | None:
    if datasets < 2:
        return f"{datasets} data set; ranks need two or more"
    return (
        f"{'one row has' if rows else 'no row has'} a value on every data set; ranks need two or"
        " more"
        if rows < 2
        else None
    )


def _untested(values: Floats) -> str:
    return "all values tie" if values.shape[1] > 2 else "two rows; it needs three or more"


def _caption(table: RankTable) -> str:
    if table.critical_difference is None:
        return f"Not ranked: {'; '.join(table.notes)}."
    test = f"Friedman p = {table.p_value:.2g}" if table.p_value is not None else table.notes[0]
    return (
        f"Ranks among the {len(table.ranked)} rows with a value on every data set, 1 = best, ties"
        f" share their mean; Borda counts the rows beaten. {test}; Nemenyi's critical difference"
        f" {table.critical_difference:.2f} (level 0.05, {len(table.datasets)} data sets): average"
        " ranks that are no further apart do not differ significantly."
    )


def _place(table: RankTable, rank: float) -> float:
    """Inches from the left of a rank, the best left."""
    return 2.5 + 3.0 * (rank - 1) / (len(table.ranked) - 1)


def _first_label(table: RankTable) -> float:
    """Inches below the axis of the first label: the group bars lie between."""
    return 0.3 + 0.14 * len(table.groups())


def _draw_scale(axis: Axes, table: RankTable) -> None:
    """The axis of ranks, and the critical difference as a bar above it."""
    count = len(table.ranked)
    axis.plot(
        [_place(table, 1), _place(table, count)],
        [0, 0],
        color="black",
        linewidth=1.2,
        solid_capstyle="projecting",
    )
    step = max(1, -(-count // 12))
    for rank in range(1, count + 1):
        labelled = (rank - 1) % step == 0
        axis.plot(
            [_place(table, rank)] * 2, [0, 0.09 if labelled else 0.05], color="black", linewidth=1
        )
        if labelled:
            axis.text(_place(table, rank), 0.13, str(rank), ha="center", va="bottom", fontsize=9)
    limit = table.critical_difference or 0.0
    start, width = _place(table, 1), 3.0 * limit / (count - 1)
    text = f"critical difference {limit:.2f}"
    if width > 5.3:  # wider than the picture: nothing differs
        axis.text(
            start,
            0.56,
            f"{text}: more than all ranks span",
            ha="left",
            va="center",
            fontsize=9,
            color=GREY,
        )
        return
    axis.plot([start, start + width], [0.5, 0.5], color=GREY, linewidth=1.5)
    for end in (start, start + width):
        axis.plot([end, end], [0.45, 0.55], color=GREY, linewidth=1.5)
    axis.text(start, 0.6, text, ha="left", va="bottom", fontsize=9, color=GREY)


def _draw_rows(axis: Axes, table: RankTable) -> None:
    """The better half's labels on the left, the others' on the right, each led to its average
    rank.
    """
    half = -(-len(table.ranked) // 2)
    several = len({row.features for row in table.ranked}) > 1
    for index, row in enumerate(table.ranked):
        left = index < half
        line = index if left else len(table.ranked) - 1 - index
        place, depth = _place(table, row.average or 0.0), -_first_label(table) - 0.3 * line - 0.05
        edge, align = (2.2, "right") if left else (5.8, "left")
        axis.plot(
            [place, place, edge],
            [0, depth, depth],
            color="0.25",
            linewidth=0.9,
            solid_joinstyle="miter",
        )
        axis.plot([place], [0], marker="o", markersize=3.5, color="black")
        texts = [row.name if several else row.method, f"{row.average:.2f}"]
        axis.text(
            edge + (-0.06 if left else 0.06),
            depth,
            visible("  ".join(texts if left else texts[::-1])),
            ha=align,
            va="center",
            fontsize=9,
            parse_math=False,  # a name with dollar signs is a name
        )


def _draw_groups(axis: Axes, table: RankTable) -> None:
    averages = [row.average or 0.0 for row in table.ranked]
    for number, (first, last) in enumerate(table.groups()):
        depth = -0.15 - 0.14 * number
        ends = [_place(table, averages[first]) - 0.05, _place(table, averages[last]) + 0.05]
        axis.plot(ends, [depth, depth], color=BAR, linewidth=3.2, solid_capstyle="round")
