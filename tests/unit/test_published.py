import csv
from collections import Counter

import pytest
from record_builder import make_plan_table as tabulate

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.report.published import METRICS, of_tables, read_published, same_streams, stream_id
from vadbench.report.tables.papers import stands_in
from vadbench.report.tables.table import Column
from vadbench.results.records import Results
from vadbench.spec import METRICS as COLUMNS
from vadbench.suite import make_suite, read_suite, suite_names

PAPER_SUITES = [
    name for name in suite_names(suites_root()) if read_suite(name, suites_root()).published
]


def figures(**wanted):
    return [
        figure
        for figure in read_published()
        if all(getattr(figure, name) == value for name, value in wanted.items())
    ]


def test_all_figures_are_there():
    assert Counter(figure.source for figure in read_published()) == {
        "mulde-cvpr2024": 508,
        "itae-nf-pr2022": 240,
        "diffusion-vad-icip2023": 22,
        "stg-nf-iccv2023": 3,
    }


def test_no_figure_is_there_twice():
    keys = [
        (f.reference, f.setting, f.dataset, f.train_dataset, f.features, f.method, f.metric)
        for f in read_published()
    ]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_a_table_repeats_what_another_of_the_same_paper_reports():
    """MULDE's Table 2 is a part of Tables S1 and S2: a slip of the pen in one of them would
    show.
    """
    for table in ("tableS1", "tableS2"):
        for figure in figures(table="table2", features="hiera-l"):
            method = (
                {"MULDE": "MULDE beta=0.1"}.get(figure.method, figure.method)
                if table == "tableS2"
                else figure.method
            )
            (same,) = figures(
                table=table,
                features="hiera-l",
                method=method,
                dataset=figure.dataset,
                metric=figure.metric,
            )
            assert same.value == figure.value


@pytest.mark.parametrize(
    ("table", "method", "other", "same"),
    [
        ("table2", "ITAE one path", "table4", "ITAE static"),
        ("table2", "ITAE two path", "table4", "ITAE"),
        ("table3", "ITAE+NF", "table4", "ITAE+NF"),
        ("table5", "ITAE", "table4", "ITAE"),
        ("table5", "ITAE+NF", "table4", "ITAE+NF"),
        ("table8", "ITAE", "table7", "ITAE"),
        ("table8", "ITAE+NF", "table7", "ITAE+NF"),
    ],
)
def test_tables_of_itae_repeat_each_other(table, method, other, same):
    first = figures(source="itae-nf-pr2022", table=table, method=method)
    assert first
    for figure in first:
        place = {"dataset": figure.dataset, "metric": figure.metric}
        (twin,) = figures(source="itae-nf-pr2022", table=other, method=same, **place)
        assert (figure.text, figure.method_id) == (twin.text, twin.method_id)


def test_baselines_across_data_sets_repeat_table_5():
    for method in ("BG-Agnostic", "Fewshot"):
        own = figures(source="itae-nf-pr2022", table="table6", method=method)
        at_home = [figure for figure in own if figure.dataset == figure.train_dataset]
        assert len(own) == {"BG-Agnostic": 7, "Fewshot": 4}[method]
        for figure in at_home:
            (twin,) = figures(
                table="table5", method=method, dataset=figure.dataset, metric=figure.metric
            )
            assert figure.text == twin.text


def test_methods_that_are_named_are_ours():
    known = {*registry.names("detectors", "recipes"), ""}
    assert {figure.method_id for figure in read_published()} <= known


def test_headline_figures():
    (micro,) = figures(table="table1", dataset="ped2", method="MULDE", metric="micro_auc")
    (accivad,) = figures(table="table1", dataset="ped2", method="AccI-VAD", metric="micro_auc")
    (diffusion,) = figures(table="table2a", features="r3d-resnext101", method="k-diffusion")
    assert (micro.value, accivad.value, diffusion.value) == (0.997, 0.991, 0.6291)


@pytest.mark.parametrize(
    ("table", "method", "features", "text", "value"),
    [
        ("tableS6", "MULDE L=32", "hiera-l", "72.95", 0.7295),
        ("tableS6", "MULDE L=64", "hiera-l", "72.99", 0.7299),
        ("section7.3", "MULDE beta=0 pooling=max", "hiera-l", "76.30", 0.763),
        ("table2b", "k-diffusion", "r3d-resnet18", "76.10", 0.761),
    ],
)
def test_a_figure_keeps_the_papers_decimals(table, method, features, text, value):
    (figure,) = figures(table=table, method=method, features=features)
    assert (figure.text, figure.value) == (text, value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("value", "x", "value 'x'; expected a percentage"),
        ("value", "250", "expected a percentage"),
        ("metric", "auc", "expected one of"),
        ("value", "nan", "expected a percentage"),
        ("dataset", "", "is empty"),
        ("split", "", "split is empty"),
        (
            "smoothing",
            "gauss",
            "smoothing 'gauss'; expected none, unknown, gaussian-unstated or gaussian-3",
        ),
        ("convention", "skip", "convention 'skip' of micro_auc; expected none"),
    ],
)
def test_a_broken_line_is_named(tmp_path, field, value, message):
    lines = list(csv.DictReader((suites_root() / "published.csv").open(encoding="utf-8")))[:3]
    lines[2][field] = value
    with (tmp_path / "published.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(BadInput, match=r"published\.csv:4") as error:
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
        (
            ("velocity@import.accivad", "deep@import.accivad"),
            "deep.clip-vit-b16+velocity.hof-flownet2",
        ),
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
    # the paper does not say which streams
    assert not same_streams(unknown, ("deep.clip-vit-b16@file.vec",))


@pytest.mark.parametrize("name", PAPER_SUITES)
def test_every_published_figure_of_a_paper_suite_is_in_its_table(name, tmp_path):
    """For the columns that the suite has; and each row's reference is a method of the tables."""
    suite = read_suite(name, suites_root())
    wanted = of_tables(suite.published)
    table = tabulate(plan_suite(suite), Results(tmp_path))
    shown = Counter(value for row in table.published for value in row.values if value is not None)
    metrics = {column.key[0] for column in table.columns}
    assert shown == Counter(figure.value for figure in wanted if figure.metric in metrics)
    assert {row.published for row in suite.rows} - {None} <= {figure.method for figure in wanted}
    assert metrics == {figure.metric for figure in wanted}


def test_an_unknown_table_lists_the_choices(tmp_path):
    suite = make_suite(
        {
            "methods": ["magnitude"],
            "datasets": ["synthetic"],
            "published": ["mulde-cvpr2024/table9"],
        }
    )
    with pytest.raises(BadInput, match="mulde-cvpr2024/table1"):
        tabulate(plan_suite(suite), Results(tmp_path))


def test_table_1_names_the_streams_that_the_supplement_proves():
    """The one fusion of Tables S3 and S4 that has the same method's figure."""
    for figure in figures(table="table1"):
        if figure.method_id and figure.dataset != "ped2":
            (proof,) = (
                same
                for same in read_published()
                if same.table in ("tableS3", "tableS4")
                and (same.dataset, same.metric, same.text)
                == (figure.dataset, figure.metric, figure.text)
                if same.method.split(" kNN")[0] == figure.method
            )
            assert figure.stream_id == proof.stream_id


def test_decisions_are_a_metric_of_their_own():
    tur = {
        figure.metric
        for figure in figures(source="diffusion-vad-icip2023")
        if "GCL" not in figure.note
    }
    assert tur == {"decision_auc"}


def test_macro_figures_stand_once():
    columns = tuple(
        Column("avenue", name, COLUMNS[name])
        for name in ("macro AUC (skip)", "macro AUC (pad-rank)")
    )
    for figure in figures(table="tableS3", metric="macro_auc"):
        assert stands_in(figure, columns) == columns[0]


@pytest.mark.parametrize(
    ("table", "metric", "title"),
    [
        ("tableS3", "micro_auc", "micro AUC"),
        ("table6", "micro_auc", "micro AUC, unsmoothed"),
        ("table4", "eer", "EER, unsmoothed"),
        ("table2a", "decision_auc", "decision AUC"),
    ],
)
def test_a_figure_stands_beside_scores_smoothed_as_its_own(table, metric, title):
    figure = next(figure for figure in figures(table=table, metric=metric) if figure.method_id)
    columns = tuple(Column(figure.dataset, name, key) for name, key in COLUMNS.items())
    assert stands_in(figure, columns).title == title


def test_a_released_convention_of_macro_auc_has_its_column():
    (figure,) = figures(
        table="tableS3", features="velocity", metric="macro_auc", method_id="accivad"
    )
    columns = tuple(Column("avenue", name, key) for name, key in COLUMNS.items())
    assert stands_in(figure, columns).title == "macro AUC (pad-0-max)"


def test_without_a_column_of_its_smoothing_a_figure_stands_in_the_first():
    (figure,) = figures(table="table7", dataset="ucf_crime", metric="eer", method="ITAE")
    columns = (Column("ucf_crime", "EER", COLUMNS["EER"]),)
    assert stands_in(figure, columns) == columns[0]


def test_every_metric_has_a_column():
    assert set(METRICS) <= {key.metric for key in COLUMNS.values()}
