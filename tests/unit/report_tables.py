"""Tables made by hand for the tests of the renderers."""

from vadbench.report.tables.table import Cell, Column, PublishedRow, Row, Table
from vadbench.spec import METRICS, Metric

NASTY = r"_ & % # $ { } ~ ^ \ ± ≈ – σ é -- '' < > | [x] * `code_1` <script>alert(1)</script> 中"


def columns(*names):
    """Columns named `dataset: metric`."""
    return tuple(
        Column(dataset, title, METRICS[title])
        for dataset, title in (name.split(": ") for name in names)
    )


def published():
    """Two methods and a dash on one data set, a clear best in the first metric and a best with a
    peer in the second, and two papers' figures.
    """
    rows = (
        Row(
            "mulde",
            "velocity@file.vec",
            (
                Cell(0.971, 0.002, 3, None, 0.93, 0.989, best=1, published=0.974, videos=12),
                Cell(0.9, best=2, n=1, peer=True),
            ),
        ),
        Row(
            "knn",
            "velocity@file.vec",
            (Cell(0.953, n=1, best=2), Cell(0.901, n=1, best=1, peer=True)),
        ),
        Row("flow", "velocity@file.vec", (Cell(None, note="not run"), Cell(0.4, n=1))),
    )
    papers = (
        PublishedRow(
            "mulde-cvpr2024, table1",
            "MULDE",
            "as published",
            (0.974, None),
            ("taken from another paper",),
        ),
        PublishedRow("itae-nf-pr2022, table3", "ITAE+NF", "itae", (0.973, 0.5)),
    )
    caption = "Preset `fast`; 12 test videos, labels `official`, Gaussian smoothing sigma 3."
    return Table(
        "Ped2 & co.",
        caption,
        columns("ped2: micro AUC", "ped2: macro AUC (skip)"),
        rows,
        ("not run",),
        papers,
    )


def nasty():
    """Every text of a table full of special characters."""
    row = Row(NASTY, NASTY, (Cell(None, note=NASTY),))
    column = Column("ped2", NASTY, Metric("micro_auc"))
    other = Column(NASTY, "EER", Metric("eer"))
    paper = PublishedRow(NASTY, NASTY, NASTY, (0.5, 0.5), (NASTY + "!",))
    return Table(
        NASTY,
        NASTY,
        (column, other),
        (Row(row.method, row.features, row.cells * 2),),
        (NASTY,),
        (paper,),
    )


def wide():
    """Sixteen columns over two data sets, some rows ahead."""
    names = [
        f"{dataset}: {title}" for dataset in ("synthetic", "ped2") for title in tuple(METRICS)[:8]
    ]
    rows = [
        Row(
            method,
            "velocity",
            tuple(
                Cell(value, 0.012, 3, None, value - 0.1, value + 0.04, best, videos=12)
                for _ in names
            ),
        )
        for method, value, best in (("mulde", 0.91, 1), ("knn", 0.87, 2), ("gmm", 0.8, 0))
    ]
    return Table("Over data sets", "Percent.", columns(*names), tuple(rows), ())
