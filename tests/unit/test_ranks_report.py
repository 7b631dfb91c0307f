import sys
from dataclasses import replace

import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.ranks import critical_difference
from vadbench.report.ranks import RankRow, RankTable, draw_critical_difference, rank_table, render
from vadbench.report.tables.table import Cell, Column, Row, Table
from vadbench.spec import METRICS

DATASETS = ("ped2", "avenue", "shanghaitech")
KNOWN = {"gmm": (0.9, 0.8, 0.7), "knn": (0.8, 0.9, 0.6), "mulde": (0.7, 0.6, 0.5)}


def table(values, datasets=DATASETS, notes=None):
    """A table of micro AUC and EER: `values` are methods' micro AUC by data set, the EER one minus
    that; None is a cell with a note.
    """
    columns = tuple(
        Column(dataset, title, METRICS[title])
        for dataset in datasets
        for title in ("micro AUC", "EER")
    )
    rows = []
    for method, of_method in values.items():
        pairs = [(None, None) if value is None else (value, 1 - value) for value in of_method]
        cells = [
            Cell(value, n=1) if value is not None else Cell(None, note=(notes or {}).get(method))
            for pair in pairs
            for value in pair
        ]
        rows.append(Row(method, "velocity", tuple(cells)))
    return Table("T", "caption", columns, tuple(rows), ())


def by_method(found):
    return {row.method: row for row in found.rows}


def test_ranks_of_a_known_table():
    found = rank_table(table(KNOWN))
    assert {row.method: row.ranks for row in found.rows} == {
        "gmm": (1, 2, 1),
        "knn": (2, 1, 2),
        "mulde": (3, 3, 3),
    }
    assert [row.average for row in found.rows] == pytest.approx([4 / 3, 5 / 3, 3])
    assert [row.borda for row in found.rows] == [5, 4, 0]
    assert (found.metric, found.datasets) == ("micro AUC", DATASETS)
    assert {row.reason for row in found.rows} == {None}


def test_tests_of_a_known_table():
    found = rank_table(table(KNOWN))
    # chi-square = 12 D / (M (M + 1)) sum((R - (M + 1) / 2)^2) = 3 * ((2/3)^2 + (1/3)^2 + 1) = 14/3;
    # of 2 degrees of freedom p = exp(-7/3)
    assert found.p_value == pytest.approx(2.718281828 ** (-7 / 3))
    # q of Demsar 2006, Table 5
    assert found.critical_difference == pytest.approx(2.343 * (12 / 18) ** 0.5, abs=1e-3)
    assert found.notes == ()


def test_the_best_average_rank_comes_first_whatever_the_table_order():
    found = rank_table(table(dict(reversed(KNOWN.items()))))
    assert [row.method for row in found.rows] == ["gmm", "knn", "mulde"]


def test_ties_share_their_mean_rank_and_count_half_in_borda():
    found = by_method(
        rank_table(table({"gmm": (0.9, 0.5), "knn": (0.9, 0.5), "mulde": (0.7, 0.5)}, DATASETS[:2]))
    )
    assert {method: row.ranks for method, row in found.items()} == {
        "gmm": (1.5, 2),
        "knn": (1.5, 2),
        "mulde": (3, 2),
    }
    assert {method: row.average for method, row in found.items()} == {
        "gmm": 1.75,
        "knn": 1.75,
        "mulde": 2.5,
    }
    assert {method: row.borda for method, row in found.items()} == {
        "gmm": 2.5,
        "knn": 2.5,
        "mulde": 1.0,
    }


def test_the_lowest_error_rate_ranks_first():
    values = {"gmm": (0.2, 0.2), "knn": (0.7, 0.7)}  # EER 0.8 and 0.3
    assert [row.method for row in rank_table(table(values, DATASETS[:2]), "EER").rows] == [
        "knn",
        "gmm",
    ]
    assert rank_table(table(KNOWN), "EER").rows == rank_table(table(KNOWN)).rows


def test_an_unknown_metric_lists_those_there_are():
    with pytest.raises(BadInput, match="EER, micro AUC"):
        rank_table(table(KNOWN), "micro AOC")


def test_a_row_without_a_cell_is_not_ranked_and_says_why():
    values = {"msma": (None, 0.99, None), **KNOWN}
    found = rank_table(table(values, notes={"msma": "not run"}))
    missing = found.rows[-1]
    assert (missing.method, missing.ranks, missing.average, missing.borda) == (
        "msma",
        None,
        None,
        None,
    )
    assert missing.reason == "not ranked; ped2: not run, shanghaitech: not run"
    assert found.ranked == rank_table(table(KNOWN)).rows


def test_a_missing_cell_without_a_note_has_a_reason_too():
    assert (
        rank_table(table({**KNOWN, "msma": (0.9, None, 0.9)})).rows[-1].reason
        == "not ranked; avenue: no value"
    )


def test_one_dataset_gives_no_ranks_and_a_reason():
    found = rank_table(
        table({method: values[:1] for method, values in KNOWN.items()}, DATASETS[:1])
    )
    assert (found.p_value, found.critical_difference, found.ranked) == (None, None, ())
    assert {(row.ranks, row.average, row.borda, row.reason) for row in found.rows} == {
        (None, None, None, "1 data set; ranks need two or more")
    }
    assert found.notes == ("1 data set; ranks need two or more",)


def test_fewer_than_two_complete_rows_give_no_ranks_and_a_reason():
    found = rank_table(
        table({"gmm": (0.9, 0.9, 0.9), "knn": (None, 0.9, 0.9)}, notes={"knn": "failed: no memory"})
    )
    assert (found.p_value, found.critical_difference, found.ranked) == (None, None, ())
    assert by_method(found)["knn"].reason == "not ranked; ped2: failed: no memory"
    assert "ranks need two or more" in by_method(found)["gmm"].reason
    assert rank_table(table({})).notes == rank_table(table({"gmm": (None, None, None)})).notes


def test_two_rows_are_ranked_without_friedmans_test():
    found = rank_table(table({method: KNOWN[method] for method in ("gmm", "knn")}))
    assert (len(found.ranked), found.p_value) == (2, None)
    assert found.critical_difference == pytest.approx(critical_difference(2, 3))
    assert found.notes == ("no Friedman test: two rows; it needs three or more",)


def test_rows_that_all_tie_have_no_friedman_test():
    found = rank_table(table(dict.fromkeys(KNOWN, (0.5, 0.5, 0.5))))
    assert [row.average for row in found.rows] == [2, 2, 2]
    assert (found.p_value, found.notes) == (None, ("no Friedman test: all values tie",))


def ranked(*averages, limit=1.0):
    rows = tuple(
        RankRow(f"m{i}", "velocity", (average,), average, 0.0) for i, average in enumerate(averages)
    )
    return RankTable("micro AUC", DATASETS, rows, 0.01, limit, ())


@pytest.mark.parametrize(
    ("averages", "groups"),
    [
        ((1.0, 1.5, 2.0, 4.0), ((0, 2),)),  # exactly the critical difference apart: not further
        ((1.0, 1.5, 2.25, 4.0), ((0, 1), (1, 2))),
        ((1.0, 2.5, 4.0), ()),
        ((2.0, 2.0, 2.0), ((0, 2),)),
    ],
)
def test_groups_are_the_longest_runs_within_the_critical_difference(averages, groups):
    assert ranked(*averages).groups() == groups


def test_the_text_has_ranks_sums_and_the_test():
    text = " ".join(render(rank_table(table(KNOWN))).split())
    for fact in (
        "Ranks by micro AUC.",
        "| gmm | velocity | 1 | 2 | 1 | 1.33 | 5.0 |",
        "| mulde | velocity | 3 | 3 | 3 | 3.00 | 0.0 |",
        "Friedman p = 0.097",
        "critical difference 1.91 (level 0.05, 3 data sets)",
    ):
        assert fact in text


def test_the_text_tells_why_a_row_is_not_ranked():
    text = render(rank_table(table({**KNOWN, "msma": (None, 0.9, 0.9)}, notes={"msma": "not run"})))
    assert "| msma [1] | velocity | – | – | – | – | – |" in " ".join(text.split())
    assert "[1] not ranked; ped2: not run" in text
    assert "among the 3 rows" in text


def test_the_text_tells_why_nothing_is_ranked():
    text = render(
        rank_table(table({method: values[:1] for method, values in KNOWN.items()}, DATASETS[:1]))
    )
    assert "Not ranked: 1 data set; ranks need two or more." in text
    assert "Friedman" not in text


@pytest.mark.parametrize(
    ("suffix", "beginning"),
    [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".pdf", b"%PDF")],
    ids=["png", "svg", "pdf"],
)
def test_the_diagram_is_written(tmp_path, suffix, beginning):
    pytest.importorskip("matplotlib")
    path = tmp_path / "made" / f"ranks{suffix}"
    draw_critical_difference(rank_table(table(KNOWN)), path)
    assert path.read_bytes().startswith(beginning)
    assert path.stat().st_size > 5000


def test_the_diagram_has_ink_and_a_margin(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    draw_critical_difference(rank_table(table(KNOWN)), tmp_path / "ranks.png")
    grey = image.imread(tmp_path / "ranks.png")[..., :3].mean(-1)
    assert 0.001 < (grey < 0.5).mean() < 0.2
    for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
        assert edge.min() == 1  # nothing runs out of the picture


def test_long_names_stay_inside_the_diagram(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    features = ("velocity.hof1@file.vec + deep.clip-vit-b16", "velocity@file.vec", "velocity")
    made = table(KNOWN)
    rows = tuple(replace(row, features=name) for row, name in zip(made.rows, features, strict=True))
    draw_critical_difference(rank_table(replace(made, rows=rows)), tmp_path / "ranks.png")
    grey = image.imread(tmp_path / "ranks.png")[..., :3].mean(-1)
    for edge in (grey[:, 0], grey[:, -1]):
        assert edge.min() == 1


@pytest.mark.parametrize("count", [2, 3, 20])
def test_the_diagram_takes_few_and_many_rows(tmp_path, count):
    pytest.importorskip("matplotlib")
    draw_critical_difference(
        rank_table(table({f"m{i}": (i / 100, i / 99, i / 98) for i in range(count)})),
        tmp_path / "ranks.png",
    )
    assert (tmp_path / "ranks.png").stat().st_size > 5000


def test_a_diagram_of_nothing_ranked_is_refused_with_the_reason(tmp_path):
    nothing = rank_table(
        table({method: values[:1] for method, values in KNOWN.items()}, DATASETS[:1])
    )
    with pytest.raises(BadInput, match="1 data set; ranks need two or more"):
        draw_critical_difference(nothing, tmp_path / "ranks.png")
    assert not list(tmp_path.iterdir())


def test_an_unknown_picture_format_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"\.png, \.svg, \.pdf"):
        draw_critical_difference(rank_table(table(KNOWN)), tmp_path / "ranks.txt")


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(BadInput, match=r"vadbench\[plot\]"):
        draw_critical_difference(rank_table(table(KNOWN)), tmp_path / "ranks.png")
