import csv
from collections import Counter

import pytest

from vadbench import registry
from vadbench.benchmark import plan_suite
from vadbench.errors import BadInput
from vadbench.locations import suites_root
from vadbench.published import METRICS, of_tables, read_published, same_streams, stream_id
from vadbench.records import Results
from vadbench.report.from_records import make_table
from vadbench.report.papers import published_rows, same_figure
from vadbench.report.table import METRICS as COLUMNS
from vadbench.report.table import Column
from vadbench.suite import make_suite, read_suite, suite_names

PAPER_SUITES = [name for name in suite_names(suites_root()) if read_suite(name, suites_root()).published]
NOT_OURS = {"itae", "itae_nf"}  # methods of the papers that vadbench does not have yet


def figures(**wanted):
    return [figure for figure in read_published() if all(getattr(figure, name) == value for name, value in wanted.items())]


def test_all_figures_are_there():
    assert Counter(figure.source for figure in read_published()) == {"mulde-cvpr2024": 508, "itae-nf-pr2022": 89, "diffusion-vad-icip2023": 22}


def test_no_figure_is_there_twice():
    keys = [(f.reference, f.setting, f.dataset, f.train_dataset, f.features, f.method, f.metric) for f in read_published()]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_a_table_repeats_what_another_of_the_same_paper_reports():
    """MULDE's Table 2 is a part of Tables S1 and S2: a slip of the pen in one of them would show."""
    for table in ("tableS1", "tableS2"):
        for figure in figures(table="table2", features="hiera-l"):
            method = {"MULDE": "MULDE beta=0.1"}.get(figure.method, figure.method) if table == "tableS2" else figure.method
            (same,) = figures(table=table, features="hiera-l", method=method, dataset=figure.dataset, metric=figure.metric)
            assert same.value == figure.value


def test_methods_are_ours_or_known_to_be_missing():
    known = {*registry.names("detectors", "recipes"), *NOT_OURS, ""}
    assert {figure.method_id for figure in read_published()} <= known


def test_headline_figures():
    (micro,) = figures(table="table1", dataset="ped2", method="MULDE", metric="micro_auc")
    (accivad,) = figures(table="table1", dataset="ped2", method="AccI-VAD", metric="micro_auc")
    (diffusion,) = figures(table="table2a", features="r3d-resnext101", method="k-diffusion")
    assert (micro.value, accivad.value, diffusion.value) == pytest.approx((0.997, 0.991, 0.6303), abs=5e-3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("value", "x", "value 'x'; expected a percentage"),
        ("value", "250", "expected a percentage"),
        ("metric", "auc", "expected one of"),
        ("dataset", "", "is empty"),
    ],
)
def test_a_broken_line_is_named(tmp_path, field, value, message):
    lines = list(csv.DictReader((suites_root() / "published.csv").open(encoding="utf-8")))[:3]
    lines[1][field] = value
    with (tmp_path / "published.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(BadInput, match=r"published\.csv:3") as error:
        read_published(tmp_path / "published.csv")
    assert message in str(error.value)


def test_other_columns_are_refused(tmp_path):
    (tmp_path / "published.csv").write_text("source,value\n", encoding="utf-8")
    with pytest.raises(BadInput, match="expected source, table"):
        read_published(tmp_path / "published.csv")


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        (("clip.hiera-l",), "clip.hiera-l"),
        (("deep.clip-vit-b16@file.vec",), "deep.clip-vit-b16"),
        (("velocity@import.accivad", "deep@import.accivad"), "deep.clip-vit-b16+velocity.hof-flownet2"),
        (("clip@import.i3d",), "clip.i3d"),
        (("deep@file.vec",), "deep"),
    ],
)
def test_streams_are_named_as_the_papers_rows_name_them(streams, expected):
    assert stream_id(streams) == expected


def test_another_network_is_another_stream():
    (clip,) = figures(table="tableS5", features="deep", dataset="avenue", metric="rbdc")
    assert same_streams(clip, ("deep.clip-vit-b16@file.vec",))
    assert not same_streams(clip, ("deep@file.vec",))  # EfficientNet is not CLIP
    (unknown,) = figures(table="table1", method="MULDE", dataset="ped2", metric="micro_auc")
    assert not same_streams(unknown, ("deep.clip-vit-b16@file.vec",))  # the paper does not say which streams


@pytest.mark.parametrize("name", PAPER_SUITES)
def test_every_published_figure_of_a_paper_suite_is_in_its_table(name, tmp_path):
    """For the columns that the suite has; and each row's reference is a method of the tables."""
    suite = read_suite(name, suites_root())
    wanted = of_tables(suite.published)
    table = make_table(plan_suite(suite), Results(tmp_path))
    shown = Counter(value for row in table.published for value in row.values if value is not None)
    metrics = {column.key[0] for column in table.columns}
    assert shown == Counter(figure.value for figure in wanted if figure.metric in metrics)
    assert {row.published for row in suite.rows} - {None} <= {figure.method for figure in wanted}
    assert metrics == {figure.metric for figure in wanted}


def test_an_unknown_table_lists_the_choices(tmp_path):
    suite = make_suite({"methods": ["magnitude"], "datasets": ["synthetic"], "published": ["mulde-cvpr2024/table9"]})
    with pytest.raises(BadInput, match="mulde-cvpr2024/table1"):
        make_table(plan_suite(suite), Results(tmp_path))


def plan_of(method, stream, **fields):
    row = {"label": "MULDE", "method": method, "published": "MULDE"}
    return plan_suite(make_suite({"rows": [row], "datasets": ["avenue"], "features": [stream], **fields})).recipes


MICRO = Column("avenue", "micro AUC", *COLUMNS["micro AUC"])
MACRO = Column("avenue", "macro AUC (skip)", *COLUMNS["macro AUC (skip)"])


def test_a_difference_to_the_paper_needs_the_same_method_stream_data_and_training_set():
    published = of_tables(("mulde-cvpr2024/tableS3",))
    (expected,) = figures(table="tableS3", method="MULDE", features="velocity", metric="micro_auc")
    assert same_figure(plan_of("mulde", "velocity@import.accivad"), MICRO, published) == expected.value
    assert same_figure(plan_of("mulde", "velocity@import.accivad"), MACRO, published) is None  # the convention is not known
    assert same_figure(plan_of("mulde", "velocity@file.vec"), MICRO, published) is None
    assert same_figure(plan_of("knn", "velocity@import.accivad"), MICRO, published) is None
    assert same_figure(plan_of("mulde", "velocity@import.accivad", train_on="ped2"), MICRO, published) is None


def test_macro_figures_stand_once():
    columns = (MACRO, Column("avenue", "macro AUC (pad-rank)", *COLUMNS["macro AUC (pad-rank)"]))
    for row in published_rows(of_tables(("mulde-cvpr2024/tableS3",)), columns):
        assert row.values[0] is not None
        assert row.values[1] is None


def test_every_metric_has_a_column():
    assert set(METRICS) <= {key[0] for key, _ in COLUMNS.values()}
